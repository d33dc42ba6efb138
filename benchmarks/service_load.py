"""Put a service under load: many clients, of whose requests every tenth is malformed, oversized or cut off.

    python benchmarks/service_load.py [--requests 1000] [--clients 32] [--rounds 5] [--seed 0]

The service is `untrimmed serve` as a process of its own on a free port of this machine, with a model of random weights.
The same requests are sent in every round, and every answer is compared with what the localizer finds by itself in this
process. Prints the tables of docs/service.md. The exit code is 0 if no answer was lost, none was a fault of the
service's or a wrong one, nothing is held in the end, and the service ends well when it is told to.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer
from untrimmed.service.client import Client, ServiceError

PROGRAM = shutil.which("untrimmed", path=Path(sys.executable).parent) or "untrimmed"
DIMENSION, CLASSES = 64, 5
RECORDINGS, SHORTEST, LONGEST = 40, 50, 800
MAX_BODY = 1_000_000
FAULTS = ("malformed", "oversized", "cut off")
ALLOWED = {("good", "200"), ("malformed", "400"), ("malformed", "422"), ("oversized", "413"), ("cut off", "-")}
NPY, JSON, FORM = "application/octet-stream", "application/json", "multipart/form-data; boundary=limit"
LONGEST_WAIT = 120.0


def main() -> None:
    """Do it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        localizer = make_model(Path(name) / "model", options.seed)
        recordings, expected = make_recordings(localizer, options.seed)
        with server(Path(name) / "model") as (process, client):
            load = Load(client, recordings, expected, options.requests, options.seed)
            with ThreadPoolExecutor(options.clients) as threads:
                load.run(threads)  # until everything has been loaded; not counted
                warm = batches(client)
                print(
                    f"{options.requests} requests of {options.clients} clients, at first {resident(process.pid):.0f} MB"
                )
                print("| round | requests a second | answered after 50 % | 90 % | 99 % | all | memory |")
                print("|---|---|---|---|---|---|---|")
                rounds = []
                for number in range(options.rounds):
                    rounds.append(load.run(threads))
                    rounds[-1].show(number + 1, resident(process.pid))
            outcomes = sum((each.outcomes for each in rounds), Counter[tuple[str, str]]())
            show_outcomes(outcomes, options.requests * options.rounds, sum(each.wrong for each in rounds))
            print(
                "\nrecordings in a batch: " + ", ".join(f"{size}: {n}" for size, n in (batches(client) - warm).items())
            )
            wait_until(lambda: client.health()["held"] == 0)
            process.send_signal(signal.SIGTERM)
            code = process.wait(LONGEST_WAIT)
            print(f"nothing is held in the end; exit code after SIGTERM: {code}")
    good = all(each.good for each in rounds) and code == 0
    print("all is well" if good else "NOT WELL")
    sys.exit(not good)


def show_outcomes(outcomes: Counter[tuple[str, str]], requests: int, wrong: int) -> None:
    """Print a table of what became of all requests."""
    print("\n| requests | answer | how many |\n|---|---|---|")
    for (kind, status), count in sorted(outcomes.items()):
        print(f"| {kind} | {'none, as nobody waits' if status == '-' else status} | {count} |")
    print(f"| any | lost | {requests - sum(outcomes.values())} |")
    print(f"| good | other than offline | {wrong} |")


def make_model(folder: Path, seed: int) -> Localizer:
    """Write a model with random weights; returns it as it is loaded again."""
    torch.manual_seed(seed)
    config = ModelConfig(input_dims=DIMENSION, num_classes=CLASSES, width=64, attention_heads=4, window=9)
    network = ActionFormer(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    labels = tuple(f"action {i}" for i in range(CLASSES))
    inputs, detection = InputConfig(stride=4, window=16, rate=25), DetectionConfig(max_detections=50)
    Localizer(network, labels, inputs, detection).save(folder)
    return Localizer.load(folder)


def make_recordings(localizer: Localizer, seed: int) -> tuple[list[NDArray[np.float32]], list[list[dict[str, Any]]]]:
    """Return features of recordings, and what is in them as a service says it."""
    numbers = np.random.default_rng(seed)
    lengths = numbers.integers(SHORTEST, LONGEST, RECORDINGS)
    recordings = [numbers.standard_normal((length, DIMENSION), dtype=np.float32) for length in lengths]
    found = [
        [{"label": d.label, "start": d.start, "end": d.end, "score": d.score} for d in localizer.detect(each)]
        for each in recordings
    ]
    return recordings, found


@contextmanager
def server(model: Path) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """A service as a process of its own; it is killed in the end if it has not ended by itself."""
    command = [PROGRAM, "serve", str(model), "--port", "0", "--max-body", str(MAX_BODY), "--timeout", "60"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = re.search(r"http://\S+:\d+", process.stdout.readline())
        assert address is not None
        client = Client(address[0], timeout=LONGEST_WAIT)
        wait_until(lambda: is_ready(client))
        yield process, client
    finally:
        process.kill()
        process.communicate()


def is_ready(client: Client) -> bool:
    try:
        return bool(client.health())
    except ServiceError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST_WAIT
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(0.05)


@dataclass
class Round:
    """What became of the requests of one round.

    Attributes:
        requests: how many there were.
        outcomes: of which kinds, and what was answered; one whose answer did not come is not among them.
        seconds: after which good ones were answered.
        wrong: answers that are not those of the localizer.
        took: seconds for all of them.
    """

    requests: int
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    took: float = 0.0

    @property
    def good(self) -> bool:
        """Whether everybody was answered, and rightly."""
        return not self.wrong and sum(self.outcomes.values()) == self.requests and set(self.outcomes) <= ALLOWED

    def show(self, number: int, memory: float) -> None:
        """Print a row of a table."""
        late = " | ".join(f"{each * 1000:.0f} ms" for each in np.quantile(self.seconds, [0.5, 0.9, 0.99, 1.0]))
        print(f"| {number} | {self.requests / self.took:.0f} | {late} | {memory:.0f} MB |", flush=True)


@dataclass(frozen=True)
class Load:
    """Many requests at once.

    Attributes:
        client: knows where the service is.
        recordings: that are sent.
        expected: what is in them.
        requests: how many there are.
        seed: of the choices.
    """

    client: Client
    recordings: list[NDArray[np.float32]]
    expected: list[list[dict[str, Any]]]
    requests: int
    seed: int
    _lock: Lock = field(default_factory=Lock)

    def run(self, threads: ThreadPoolExecutor) -> Round:
        """Send all requests, each in a thread, and wait for what becomes of them."""
        choices, outcome = random.Random(self.seed), Round(self.requests)
        faults = [choices.choice(FAULTS) if number % 10 == 9 else None for number in range(self.requests)]
        began = time.perf_counter()
        list(threads.map(partial(self._one, outcome), range(self.requests), faults))
        outcome.took = time.perf_counter() - began
        return outcome

    def _one(self, outcome: Round, number: int, fault: str | None) -> None:
        """Send one request; one whose answer does not come is not among the outcomes."""
        which = number % len(self.recordings)
        content, kind = self._body(number, which, fault)
        began = time.perf_counter()
        try:
            if fault == "cut off":
                self._cut_off(content, kind)
                status, answer = "-", b""
            else:
                status, answer = self._ask(content, kind)
        except (OSError, http.client.HTTPException) as error:
            print(f"    request {number} ({fault or 'good'}): {error!r}", file=sys.stderr)
            return
        took = time.perf_counter() - began
        right = status != "200" or same(json.loads(answer)["detections"], self.expected[which])
        with self._lock:
            outcome.outcomes[fault or "good", status] += 1
            outcome.wrong += not right
            if fault is None:
                outcome.seconds.append(took)

    def _body(self, number: int, which: int, fault: str | None) -> tuple[bytes, str]:
        array = self.recordings[which]
        content = io.BytesIO()
        np.save(content, array)
        npy = content.getvalue()
        as_json = json.dumps({"features": array[:200].tolist()}).encode()
        if fault == "oversized":
            return bytes(3 * MAX_BODY), NPY
        if fault == "malformed":
            return [(npy[:-7], NPY), (as_json[:-7], JSON), (b"\0" * 99, FORM), (npy[:200] * 9, NPY)][number // 10 % 4]
        if number % 3 == 0 and len(array) <= 200:
            return as_json, JSON
        if number % 3 == 1:
            head = b'--limit\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
            return head + npy + b"\r\n--limit--\r\n", FORM
        return npy, NPY

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.client.port, timeout=LONGEST_WAIT)

    def _ask(self, content: bytes, kind: str) -> tuple[str, bytes]:
        with closing(self._connection()) as connection:
            connection.request("POST", "/detect", content, {"Content-Type": kind})
            answer = connection.getresponse()
            return str(answer.status), answer.read()

    def _cut_off(self, content: bytes, kind: str) -> None:
        head = f"POST /detect HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.client.port or 0), LONGEST_WAIT) as connection:
            connection.sendall(head.encode() + content[: len(content) // 2])


def same(answered: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Whether these are the same detections, but for the rounding of sums in batches of another size.

    Detections whose scores differ by no more than that may stand in another order, and the last may be another one.
    """
    if len(answered) != len(expected):
        return False
    close = 0
    for each in answered:
        close += any(
            each["label"] == other["label"]
            and all(abs(each[key] - other[key]) <= 1e-3 for key in ("start", "end", "score"))
            for other in expected
        )
    return close >= len(expected) - 1


def resident(pid: int) -> float:
    """Memory of a process, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def batches(client: Client) -> Counter[str]:
    """How many batches of which sizes there have been, as `/metrics` says."""
    with closing(http.client.HTTPConnection("127.0.0.1", client.port, timeout=LONGEST_WAIT)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    found: Counter[str] = Counter()
    before, below = 0, 0
    for limit, count in re.findall(r'untrimmed_batch_size_bucket{le="(\d+)\.0"} (\S+)', text):
        size, total = int(limit), int(float(count))
        found[str(size) if size - before == 1 else f"{before + 1} to {size}"] += total - below
        before, below = size, total
    return found


if __name__ == "__main__":
    main()
