"""The process of a worker that holds the backbone; its death costs one video, and not the worker.

The worker, an actor of Ray, is a process as well. That the backbone has another one has two reasons: a video that
crashes a decoder would otherwise crash one worker after another, as Ray gives it to the next one; and its threads and
its environment are those of `untrimmed extract` without Ray, and so are its bytes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from untrimmed.data.features import FeatureDescription
from untrimmed.errors import ConfigError, ModelError
from untrimmed.video.extraction.one_video import Outcome, Task
from untrimmed.video.extraction.workers import ExtractorChoice, Greeting, Worker, WorkerDiedError

TRIES = 2
"""How often a video is begun whose process dies; it may have been another one's fault, as when memory runs out."""


def greeting_of(choice: ExtractorChoice, threads: int) -> Greeting:
    """Open an extractor in a process, and say what it is.

    Raises:
        UntrimmedError: if it cannot be opened.
    """
    backbone = Backbone(choice, threads)
    try:
        return backbone.greeting
    finally:
        backbone.stop()


class Backbone:
    """A process with an extractor, which is replaced when it dies.

    Attributes:
        greeting: what the process said that was started last.
    """

    greeting: Greeting

    def __init__(
        self, choice: ExtractorChoice, threads: int, expected: FeatureDescription | None = None, lanes: int = 0
    ) -> None:
        """Start the process.

        Args:
            choice: of the extractor.
            threads: that it computes with.
            expected: what its features have to be like.
            lanes: of the process, see `untrimmed.video.extraction.lanes`.

        Raises:
            UntrimmedError: if the extractor cannot be opened, or is another one on this machine.
        """
        self._choice, self._threads, self._expected, self._lanes = choice, threads, expected, lanes
        self._worker: Worker | None = None
        self._start()

    def carry_out(self, task: Task) -> Outcome:
        """Do something with a video; whatever is wrong with the video is no exception.

        Raises:
            UntrimmedError: if a file cannot be written, or the process cannot be started any more.
        """
        death = ""
        for _ in range(TRIES):
            try:
                return (self._worker or self._start()).carry_out(task, lambda *_: None)
            except WorkerDiedError as error:
                death = str(error)
                self.stop()
        return Outcome(id=task.id, path=task.path, error=death)

    def stop(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.stop()
        self._worker = None

    def __del__(self) -> None:
        with suppress(Exception):  # while the interpreter ends, anything may be gone already
            self.stop()

    def _start(self) -> Worker:
        worker = Worker(self._choice, self._threads, self._lanes)
        self._worker = worker
        try:
            self.greeting = worker.greet()
        except WorkerDiedError as death:
            self.stop()
            raise ModelError(f"extractor {self._choice.name!r} cannot be opened: {death}") from None
        found = self.greeting.description
        # Where weights are may differ from machine to machine; what they are may not.
        if self._expected is not None and replace(found, extractor=None) != replace(self._expected, extractor=None):
            raise ConfigError(
                f"extractor {self._choice.name!r} is another one on one of the machines: its fingerprint is "
                f"{found.fingerprint} there, but {self._expected.fingerprint} elsewhere. Install the same version"
            )
        return worker
