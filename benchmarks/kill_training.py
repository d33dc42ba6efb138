"""Kill `untrimmed train` at random instants, resume it, and compare every bit with an uninterrupted run.

    python benchmarks/kill_training.py [--kills 30] [--seed 0]

Trains on the recordings of people that ship with the package, a small model for a few epochs. In every round a run is
killed (SIGKILL) at an instant drawn from the time that the whole run takes, and resumed to its end; weights, best
weights and figures have to be those of the uninterrupted run. The exit code is 0 if all are.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = shutil.which("untrimmed", path=Path(sys.executable).parent) or "untrimmed"
SETTINGS = {
    "model.width": 32,
    "training.epochs": 4,
    "training.warmup_epochs": 1,
    "training.validate_every": 2,
    "data.train": "[fold1]",
}


def main() -> None:
    """Run it once as it is, and then with a kill, so many times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    instants = random.Random(options.seed)
    words = [PROGRAM, "train", "timed_up_and_go"]
    words += [word for key, value in SETTINGS.items() for word in (f"--{key}", str(value))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        call([*words, "--out", str(folder / "whole")])
        seconds = time.perf_counter() - began
        wrong = 0
        for i in range(options.kills):
            out, instant = folder / f"run{i}", instants.uniform(0, seconds)
            killed_at = killed([*words, "--out", str(out)], instant)
            begun = (out / "experiment.yaml").exists()
            call([*words, "--out", str(out), *(["--resume"] if begun else [])])
            same = equal(folder / "whole", out)
            wrong += not same
            where = f"after {killed_at}" if begun else "before it had begun"
            print(
                f"{i + 1:2}: killed at {instant:5.2f} s of {seconds:.1f}, {where}: {'equal' if same else 'NOT EQUAL'}"
            )
            shutil.rmtree(out)
    print(f"{options.kills - wrong} of {options.kills} runs are equal to the uninterrupted one, bit for bit")
    sys.exit(bool(wrong))


def call(words: list[str]) -> None:
    """Run a command to its end."""
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())


def killed(words: list[str], instant: float) -> str:
    """Run a command, kill it after so many seconds, and say how far it had come."""
    out = Path(words[-1])
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    try:
        process.wait(timeout=instant)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    metrics = out / "metrics.csv"
    epochs = len(metrics.read_text().splitlines()) - 1 if metrics.exists() else 0
    return f"{epochs} epochs"


def environment() -> dict[str, str]:
    """Return the environment of a run: one thread, so that sums have one order."""
    return os.environ | {"OMP_NUM_THREADS": "1"}


def equal(one: Path, other: Path) -> bool:
    """Whether two runs have the same weights and, but for the seconds, the same figures."""
    names = ("model.safetensors", "best/model.safetensors")
    return all((one / n).read_bytes() == (other / n).read_bytes() for n in names) and figures(one) == figures(other)


def figures(run: Path) -> list[dict[str, str]]:
    """Return the figures of a run."""
    with (run / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


if __name__ == "__main__":
    main()
