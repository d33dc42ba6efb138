"""Decoding apart from the backbone: by tasks of Ray of a core each, anywhere in the cluster.

A worker has several videos in work at once, each with a decoder of its own, and one backbone that they take in turn. A
decoder is at most `CHUNKS_AHEAD` chunks ahead, and waits then: memory does not grow with the length of a video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict
from threading import Lock
from typing import Any

from untrimmed.archive.attempts import Gate
from untrimmed.archive.backbone import TRIES, Backbone
from untrimmed.data.features import FeatureDescription
from untrimmed.data.remote import is_address
from untrimmed.video.extraction.apart import NO_PIXELS, Message, decoded
from untrimmed.video.extraction.lanes import HERE, LOST
from untrimmed.video.extraction.one_video import Outcome, Task
from untrimmed.video.extraction.workers import ExtractorChoice, Worker, WorkerDiedError
from untrimmed.video.view import View

CHUNKS_AHEAD = 3
"""Chunks that lie in the store and that the backbone has not asked for."""
PATIENCE = 60.0
"""Seconds after which a video whose decoder has not begun is decoded by the backbone's own process: where all cores
have been taken, that costs speed, and nothing ever waits for ever."""
PATIENCE_WITH_COPIES = 3600.0
"""The same for a video at an address, which the decoder copies before it begins."""
DECODER_DIED = "the process that decoded it has died, twice"


def open_backbone(choice: ExtractorChoice, threads: int, expected: FeatureDescription, decoders: int) -> Backbone:
    """Open the backbone of a worker.

    Raises:
        UntrimmedError: see `Backbone`.
    """
    if decoders:
        return FedBackbone(choice, threads, expected, decoders)
    return Backbone(choice, threads, expected)


class RayDecoding:
    """One video, decoded by a task of Ray.

    Attributes:
        lost: whether the task has died.
    """

    def __init__(self, task: Task, patience: float = PATIENCE) -> None:
        """Take what is to be done; nothing begins yet."""
        self._task, self._patience = task, patience
        self._chunks: Any = None  # an ObjectRefGenerator
        self.lost = False

    def open(self, rate: float, views: Sequence[View]) -> Message:
        """Begin, and return the first message; `HERE` if no core becomes free."""
        import ray  # noqa: PLC0415  an extra

        options: dict[str, Any] = {
            "num_cpus": 1,
            "max_retries": 0,  # what is begun anew is the whole video, here
            "num_returns": "streaming",
            "_generator_backpressure_num_objects": CHUNKS_AHEAD,
        }
        decode: Any = ray.remote(**options)(_decoded)
        words = (self._task.path, rate, [asdict(view) for view in views], self._task.allow_truncated)
        self._chunks = decode.remote(*words)
        ready, _ = ray.wait([self._chunks], timeout=self._patience, fetch_local=False)
        if not ready:
            self.close()
            return HERE
        begun = self.more()
        return begun if self.lost else self.more()

    def more(self) -> Message:
        """Wait for the next message; it is `LOST` if the task has died."""
        import ray  # noqa: PLC0415  an extra
        from ray.exceptions import RayError  # noqa: PLC0415

        try:
            message: Message = ray.get(next(self._chunks))
        except (RayError, StopIteration):
            self.lost = True
            return LOST
        if message[0].keys() & {"end", "error"}:
            self._chunks = None
        return message

    def close(self) -> None:
        """End the task, if it has not ended."""
        import ray  # noqa: PLC0415  an extra

        chunks, self._chunks = self._chunks, None
        if chunks is not None:
            with suppress(Exception):  # it may have ended meanwhile, or never begun
                ray.cancel(chunks, force=True)


class FedBackbone(Backbone):
    """A backbone that several threads give videos to at once, which are decoded by tasks of Ray.

    If its process dies, all videos in it are begun anew, each alone, so that the one that it died of is known, and
    costs no other one anything.
    """

    def __init__(self, choice: ExtractorChoice, threads: int, expected: FeatureDescription, decoders: int) -> None:
        """Start the process; see `Backbone`, whose videos have as many lanes as there are decoders."""
        self._gate, self._starting = Gate(), Lock()
        super().__init__(choice, threads, expected, lanes=decoders)

    def carry_out(self, task: Task) -> Outcome:
        """See `Backbone.carry_out`; may be called by as many threads at once as there are decoders."""
        with suppress(WorkerDiedError), self._gate.with_others():
            return self._fed(task)
        with self._gate.alone():
            try:
                return self._fed(task)
            except WorkerDiedError as death:
                return Outcome(id=task.id, path=task.path, error=str(death))

    def _fed(self, task: Task) -> Outcome:
        worker = self._running()
        for _ in range(TRIES):
            patience = PATIENCE_WITH_COPIES if is_address(task.path) else PATIENCE
            with closing(RayDecoding(task, patience)) as decoding:
                outcome = worker.carry_out_fed(task, decoding)
            if not decoding.lost:
                return outcome
        return Outcome(id=task.id, path=task.path, error=DECODER_DIED)

    def _running(self) -> Worker:
        with self._starting:
            if self._worker is not None and not self._worker.alive:
                self.stop()
            return self._worker or self._start()


def _decoded(path: str, rate: float, views: list[dict[str, Any]], allow_truncated: bool) -> Iterator[Message]:
    yield {}, NO_PIXELS  # it has begun; how long it takes to open a file, or to fetch it, is another matter
    yield from decoded(path, rate, [View(**view) for view in views], allow_truncated=allow_truncated)
