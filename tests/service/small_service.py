"""A service of a small model, and bodies to send to it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.testclient import TestClient

from small_models import make
from untrimmed.data.detections import Detections
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.service.app import app_of
from untrimmed.service.client import Client
from untrimmed.service.limits import Limits
from untrimmed.service.serving import listen, serve
from untrimmed.service.work import Work

LOCALIZER = make()
DIMENSION = 6
NPY = {"Content-Type": "application/octet-stream"}


def features(clips: int = 20, seed: int = 0, dimension: int = DIMENSION) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((clips, dimension), dtype=np.float32)


def npy(array: NDArray[Any], *, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=pickled)
    return file.getvalue()


class GatedLocalizer:
    """A localizer that waits at a gate before every batch, and fails at recordings named `bad`."""

    def __init__(self, localizer: Localizer = LOCALIZER) -> None:
        self.gate, self.reached = Event(), Event()
        self.batches: list[list[str]] = []
        self._localizer = localizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._localizer, name)

    def detect_many(self, recordings: Iterable[Recording], *, batch_size: int) -> Iterator[Detections]:
        batch = list(recordings)
        self.batches.append([each.id for each in batch])
        self.reached.set()
        assert self.gate.wait(30)
        if any(each.id == "bad" for each in batch):
            raise RuntimeError("a fault of the model")
        return self._localizer.detect_many(batch, batch_size=batch_size)


@contextmanager
def running(
    localizer: Any = LOCALIZER, token: str | None = None, videos: Any = None, **limits: Any
) -> Iterator[TestClient]:
    """A service in this process; an answer of 500 is an answer, not an error of the test's."""
    work = Work(localizer, Limits(**limits), videos)
    with TestClient(app_of(work, token), raise_server_exceptions=False) as client:
        try:
            yield client
        finally:
            if isinstance(localizer, GatedLocalizer):
                localizer.gate.set()


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def offline(array: NDArray[Any], **facts: Any) -> list[dict[str, Any]]:
    """What the localizer finds by itself, as the service says it."""
    found = LOCALIZER.detect(Recording(array, **facts))
    return [{"label": d.label, "start": d.start, "end": d.end, "score": d.score} for d in found]


def assert_same(answered: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Equal, but for the rounding of sums in batches of another size."""
    assert [each["label"] for each in answered] == [each["label"] for each in expected]
    for key in ("start", "end", "score"):
        np.testing.assert_allclose(
            [each[key] for each in answered], [each[key] for each in expected], rtol=1e-4, atol=1e-4
        )


@contextmanager
def listening(localizer: Any = LOCALIZER, **limits: Any) -> Iterator[Client]:
    """A service that listens on a free port of this machine, in a thread; a client that knows where."""
    work = Work(localizer, Limits(linger=0.1, **limits))
    addresses: list[str] = []
    with listen("127.0.0.1", 0) as place:
        thread = Thread(target=serve, args=(work, place, None, addresses.append))
        thread.start()
        try:
            wait_until(lambda: addresses)
            client = Client(addresses[0], timeout=30)
            wait_until(client.health)
            yield client
        finally:
            if isinstance(localizer, GatedLocalizer):
                localizer.gate.set()
            work.stop()
            thread.join(30)
    assert not thread.is_alive()
