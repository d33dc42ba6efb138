"""The one thread that runs the model, on all recordings that wait together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Condition, Thread

from untrimmed.data.detections import Detections
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording

_Waiting = tuple[Recording, "Future[Detections]"]


class Batcher:
    """Detects in recordings, in the order in which they come, as many at once as wait when the model is free.

    How many may wait is for the caller to bound.
    """

    def __init__(self, localizer: Localizer, batch: int, on_batch: Callable[[int], object] = lambda _: None) -> None:
        """Start the thread.

        Args:
            localizer: what detects; only the thread calls it.
            batch: most recordings at once.
            on_batch: is told the size of each batch before it is begun, in the thread.
        """
        self._localizer, self._batch, self._on_batch = localizer, batch, on_batch
        self._waiting: deque[_Waiting] = deque()
        self._changed = Condition()
        self._closed = False
        self._thread = Thread(target=self._run, name="model", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Recordings that the model has not begun with."""
        return len(self._waiting)

    def submit(self, recording: Recording) -> Future[Detections]:
        """Let a recording wait; the future raises what detecting in it raises. One that is cancelled is left out."""
        future: Future[Detections] = Future()
        with self._changed:
            assert not self._closed
            self._waiting.append((recording, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """End the thread, after what waits has been finished."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._take():
            wanted = [(recording, future) for recording, future in batch if future.set_running_or_notify_cancel()]
            if wanted:
                self._on_batch(len(wanted))
                self._detect(wanted)
            del batch, wanted  # the files of their features may go

    def _take(self) -> list[_Waiting]:
        """Wait for recordings, and take the first of them; none where there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]

    def _detect(self, batch: list[_Waiting]) -> None:
        """Detect in all at once; if one of them is at fault, in each by itself."""
        try:
            found = list(self._localizer.detect_many([recording for recording, _ in batch], batch_size=self._batch))
        except Exception as error:  # whatever it is, it is for who waits, and the thread goes on
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            for one in batch:
                self._detect([one])
        else:
            for (_, future), detections in zip(batch, found, strict=True):
                future.set_result(detections)
