"""A service as a process of its own, on a free port of this machine: streaming, shutdown, and the client."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from small_service import GatedLocalizer, assert_same, features, listening, npy, offline, wait_until

from small_models import make
from untrimmed.errors import ConfigError
from untrimmed.service import draining, serving
from untrimmed.service.client import Client, ServiceError
from untrimmed.service.serving import is_loopback, listen

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

PROGRAM = shutil.which("untrimmed", path=Path(sys.executable).parent) or "untrimmed"
GOOD = npy(features(20))
TOKEN = "a-token-of-the-test"


@contextmanager
def server(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    make().save(folder / "model")
    (folder / "token").write_text(f"{TOKEN}\n")
    command = [PROGRAM, "serve", str(folder / "model"), "--port", "0", "--token-file", str(folder / "token"), *options]
    (folder / "bodies").mkdir()
    environment = {**os.environ, "TMPDIR": str(folder / "bodies")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert address is not None
        client = Client(address[0], token=TOKEN, timeout=30)
        wait_until(lambda: answers(client))
        yield process, client
    finally:
        process.kill()
        process.communicate()


def answers(client: Client) -> bool:
    try:
        return bool(client.health())
    except ServiceError:
        return False


def connection(client: Client) -> socket.socket:
    assert client.port is not None
    return socket.create_connection(("127.0.0.1", client.port), timeout=30)


def head(length: int, more: str = "", path: str = "/detect") -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {TOKEN}")
    more += f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    return ("\r\n".join(lines) + "\r\n" + more).encode()


def rest(asking: socket.socket) -> str:
    with asking.makefile("rb") as answer:
        return answer.read().decode()


def test_streams_clients_and_a_graceful_end(tmp_path: Path) -> None:
    with server(tmp_path, "--max-body", "1MB", "--timeout", "20") as (process, client):
        # The client
        (tmp_path / "x.npy").write_bytes(GOOD)
        for source in (features(20), tmp_path / "x.npy", str(tmp_path / "x.npy")):
            assert_same(client.detect(source, top=4), offline(features(20))[:4])
        assert_same(client.result(client.submit(features(20)), every=0.01), offline(features(20)))
        assert client.health()["labels"] == ["jump", "run", "walk"]
        with pytest.raises(ServiceError, match="7 dimensions") as wrong:
            client.detect(features(20, dimension=7))
        assert wrong.value.status == 422
        with pytest.raises(ServiceError, match=r"no \.npy file"):
            client.result(client.submit(broken(tmp_path)), every=0.01)
        with pytest.raises(ServiceError, match="videos are not taken"):
            client.detect(video(tmp_path))
        with pytest.raises(ServiceError, match="token") as missing:
            Client(client.url).job("x")
        assert missing.value.status == 401
        # Bodies that are too large, whether or not they say so, and ones that are cut off
        with connection(client) as asking:
            asking.sendall(head(5_000_000) + bytes(5_000_000))
            assert "413 " in rest(asking).splitlines()[0]
        with connection(client) as asking:
            asking.sendall(head(5_000_000, "Expect: 100-continue\r\n"))
            assert "413 " in rest(asking).splitlines()[0]
        for _ in range(3):
            with connection(client) as asking:
                asking.sendall(head(len(GOOD)) + GOOD[:100])
        with connection(client) as asking:
            asking.sendall(b"nonsense\r\n\r\n")
            assert "400 " in rest(asking).splitlines()[0]
        wait_until(lambda: client.health()["held"] == 0)
        assert_same(client.detect(features(20)), offline(features(20)))
        # Told to stop while a body is arriving, and the result of a job has not been fetched
        job = client.submit(features(30))
        wait_until(lambda: client.health()["held"] == 0)
        with connection(client) as asking:
            asking.sendall(head(len(GOOD)) + GOOD[:100])
            wait_until(lambda: client.health()["held"] == 1)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(ServiceError) as stopping:
                wait_until(lambda: client.health()["status"] != "ready")
            assert stopping.value.status == 503
            with pytest.raises(ServiceError, match="being stopped") as refused:
                Client(client.url, token=TOKEN, timeout=1).detect(features(20))
            assert refused.value.status == 503
            asking.sendall(GOOD[100:])
            assert "200 OK" in rest(asking).splitlines()[0]
        assert_same(client.result(job), offline(features(30)))
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "")
        assert not answers(client)
        assert not list((tmp_path / "bodies").iterdir())


def broken(folder: Path) -> Path:
    (folder / "broken.npy").write_bytes(b"no numbers")
    return folder / "broken.npy"


def video(folder: Path) -> Path:
    (folder / "video.mp4").write_bytes(b"no video")
    return folder / "video.mp4"


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with server(tmp_path) as (process, client), connection(client) as asking:
        asking.sendall(head(len(GOOD)) + GOOD[:100])
        wait_until(lambda: client.health()["held"] == 1)
        process.send_signal(signal.SIGINT)
        wait_until(lambda: not answers(client))
        assert process.poll() is None
        assert list((tmp_path / "bodies").iterdir())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (128 + signal.SIGTERM, "", "")
        assert not list((tmp_path / "bodies").iterdir())


def test_a_body_that_comes_too_slowly() -> None:
    with listening(timeout=0.3) as client, connection(client) as asking:
        asking.sendall(head(len(GOOD)) + GOOD[:100])
        answer = rest(asking)
        assert "408 " in answer.splitlines()[0]
        assert "has not arrived within 0.3 s" in answer


def test_who_goes_on_sending_what_is_refused_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draining, "MOST_SECONDS", 0.1)
    late = head(len(GOOD)).replace(b"Connection: close", b"Connection: keep-alive")
    for length, more in ((10**9, b""), (10**9, b"Expect: 100-continue\r\n"), (len(GOOD), b"")):
        asked = late.replace(f"Length: {len(GOOD)}".encode(), f"Length: {length}".encode())
        asked = asked.replace(b"Host: x\r\n", b"Host: x\r\n" + more)
        with listening(timeout=0.3) as client, connection(client) as asking:
            asking.sendall(asked + GOOD[:100] * (not more))
            lines = rest(asking).splitlines()
            assert ("413 " if length == 10**9 else "408 ") in lines[0]
            assert "connection: close" in lines


def test_connections_on_which_nothing_is_asked_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "TICKS", 1)
    with listening(timeout=0.3) as client, connection(client) as silent, connection(client) as slow:
        busy = http.client.HTTPConnection("127.0.0.1", client.port or 0, timeout=30)
        busy.connect()
        same = busy.sock
        slow.sendall(b"GET /health HT")
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            busy.request("GET", "/health")
            assert busy.getresponse().read()
            time.sleep(0.05)
        assert busy.sock is same  # it would have been connected again
        busy.close()
        assert rest(silent) == rest(slow) == ""


def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    localizer = GatedLocalizer()
    with listening(localizer) as client, connection(client) as first:
        first.sendall(head(len(GOOD)) + GOOD)
        assert localizer.reached.wait(30)
        with connection(client) as second:
            second.sendall(head(len(GOOD), path="/detect?id=second") + GOOD)
            wait_until(lambda: client.health()["waiting"] == 1)
        wait_until(lambda: client.health()["held"] == 1)
        localizer.gate.set()
        assert "200 OK" in rest(first).splitlines()[0]
        assert_same(client.detect(features(20)), offline(features(20)))
    assert ["second"] not in localizer.batches


def test_which_addresses_are_of_this_machine() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "")))


def test_places_to_listen_at() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--port {port}: Address already in use\. Choose"):
            listen("127.0.0.1", port)
    for host, number in (("127.0.0.1", 70000), ("no.such.host.invalid", 0), ("x" * 300, 0)):
        with pytest.raises(ConfigError, match="--port"):
            listen(host, number)


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (302, b"", "answers with status 302"),
        (200, b"[1]", r"\[1\]"),
        (502, b"<html>bad gateway</html>", "bad gateway"),
        (503, b'{"error": "busy"}', "busy"),
    ],
)
def test_what_is_not_an_answer_of_this_service(status: int, content: bytes, message: str) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")  # a date is allowed as well
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        thread = Thread(target=other.serve_forever, args=(0.01,))
        thread.start()
        try:
            with pytest.raises(ServiceError, match=message) as wrong:
                Client(f"http://127.0.0.1:{other.server_port}", timeout=0.5).detect(features(20))
            assert wrong.value.status == status
        finally:
            other.shutdown()
            thread.join()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://x:port"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ConfigError, match="no address of a service"):
        Client(url)
