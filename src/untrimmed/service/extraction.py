"""Features of videos that strangers send: made in processes of their own, which can be ended at any instant."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock

from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ModelError, UntrimmedError
from untrimmed.processors import usable_cores
from untrimmed.video.extraction.one_video import Outcome, Task
from untrimmed.video.extraction.videos import shared_out
from untrimmed.video.extraction.workers import ExtractorChoice, Greeting, Worker, WorkerDiedError

OnSeconds = Callable[[float, float | None], object]
"""Is told how many seconds of a video have been read, and how many it has as far as its container says."""


class VideoExtraction:
    """A few processes that decode videos, each with its own extractor.

    A video can hang or kill the decoder, or take it hours: what goes on in a process of its own can be ended, and the
    next video gets a new one.

    Attributes:
        greeting: what the first process says of its extractor.
    """

    greeting: Greeting

    def __init__(self, choice: ExtractorChoice, processes: int = 1) -> None:
        """Start the first process, and wait until its extractor is open.

        Raises:
            UntrimmedError: if it cannot be opened.
        """
        self._choice, self._lock = choice, Lock()
        _, self._threads = shared_out(processes, processes, usable_cores(), os.environ.get("OMP_NUM_THREADS"))
        self._closed = False
        self._all: set[Worker] = set()
        self._idle: list[Worker] = []
        self._pool = ThreadPoolExecutor(processes, thread_name_prefix="video")
        try:
            first = self.worker()
        except WorkerDiedError as death:
            self.close()
            raise ModelError(f"extractor {choice.name!r} cannot be opened: {death}") from None
        except UntrimmedError:
            self.close()
            raise
        self.greeting = first.greeting
        self._idle.append(first)

    @property
    def rate(self) -> float:
        """Sampled frames per second."""
        assert self.greeting.description.rate is not None
        return self.greeting.description.rate

    def begin(self, video: Path, features: Path, on_seconds: OnSeconds) -> Making:
        """Make features of a video, as soon as a process is free; `on_seconds` is called in another thread."""
        making = Making(self, Task(id="video", path=str(video), features=str(features)), on_seconds)
        making.future = self._pool.submit(making.run)
        return making

    def close(self) -> None:
        """End all processes, now."""
        with self._lock:
            self._closed = True
            for worker in self._all:
                worker.stop()
        self._pool.shutdown(cancel_futures=True)

    def kill(self) -> None:
        """End all processes, where this one ends as well; waits for no lock, as it is called by a signal."""
        for worker in tuple(self._all):
            worker.stop()

    def worker(self) -> Worker:
        """Take a process that is free, or start one.

        Raises:
            WorkerDiedError: if it dies before it is ready, or everything has been closed.
            UntrimmedError: if it cannot open the extractor.
        """
        with self._lock:
            if self._closed:
                raise WorkerDiedError("the service is being stopped")
            if self._idle:
                return self._idle.pop()
            worker = Worker(self._choice, self._threads)
            self._all.add(worker)
        try:
            worker.greet()
        except BaseException as error:
            worker.stop()
            with self._lock:
                self._all.discard(worker)
            if _is_closed_pipe(error):
                raise WorkerDiedError("the service is being stopped") from error
            raise
        return worker

    def give_back(self, worker: Worker) -> None:
        """Return a process that is well."""
        with self._lock:
            self._idle.append(worker)

    def throw_away(self, worker: Worker) -> None:
        """End a process, and start another one, unless a video is waiting, which will do that."""
        worker.stop()
        with self._lock:
            self._all.discard(worker)
            if not self._closed:
                self._pool.submit(self._prepare)

    def _prepare(self) -> None:
        with suppress(WorkerDiedError, UntrimmedError):  # whose turn is next will find out
            self.give_back(self.worker())


class Making:
    """Features of one video in the making.

    Attributes:
        future: what comes of it. It raises `WorkerDiedError` if the video has killed its process, and `UntrimmedError`
            if no process can be had, or nothing can be written.
    """

    future: Future[Outcome]

    def __init__(self, extraction: VideoExtraction, task: Task, on_seconds: OnSeconds) -> None:
        self._extraction, self._task, self._on_seconds = extraction, task, on_seconds
        self._lock, self._cancelled = Lock(), False
        self._worker: Worker | None = None

    def run(self) -> Outcome:
        """Make them; called in a thread."""
        worker = self._extraction.worker()
        with self._lock:
            cancelled, self._worker = self._cancelled, worker
        if cancelled:
            self._extraction.give_back(worker)
            raise WorkerDiedError("was not wanted any more")
        well = False
        try:
            outcome = worker.carry_out(self._task, lambda _, *seconds: self._on_seconds(*seconds))
            well = True
        except Exception as error:
            if _is_closed_pipe(error):
                raise WorkerDiedError("its process was ended") from error
            raise
        finally:
            with self._lock:
                well, self._worker = well and not self._cancelled, None
            (self._extraction.give_back if well else self._extraction.throw_away)(worker)
        return outcome

    def cancel(self) -> None:
        """End it, at whatever instant; its process, which may hang, is killed."""
        self.future.cancel()
        with self._lock:
            self._cancelled = True
            if self._worker is not None:
                with suppress(OSError):
                    self._worker.stop()


def _is_closed_pipe(error: BaseException) -> bool:
    """Whether the pipe to a process was closed while it was read, because it is not wanted any more."""
    return isinstance(error, (ValueError, OSError)) and not isinstance(error, UntrimmedError)


def choice_of(localizer: Localizer, device: str) -> ExtractorChoice:
    """Return how the extractor is made that a model was trained on.

    Raises:
        ModelError: if the model says nothing of it, or it is a program that is not run because a model names it.
    """
    inputs, reference = localizer.inputs, localizer.extractor
    if inputs.kind == "signals":
        raise ModelError("the model was trained on signals, not on video")
    if reference is None:
        raise ModelError("the model does not say which extractor made the features that it was trained on")
    if reference.name.startswith("python:"):
        raise ModelError(f"the model was trained on features of {reference.name!r}, a program that is not run here")
    return ExtractorChoice(
        name=reference.name, stride=inputs.stride, window=inputs.window, rate=inputs.rate, device=device
    )


def check_fits(localizer: Localizer, greeting: Greeting) -> None:
    """Make sure that an extractor makes what the model was trained on.

    Raises:
        ModelError: if it does not.
    """
    found, reference = greeting.description, localizer.extractor
    if reference is not None and found.fingerprint != reference.fingerprint:
        raise ModelError(
            f"the model was trained on features of {reference.name!r} with the fingerprint {reference.fingerprint}, "
            f"but here it has {found.fingerprint}"
        )
    dimension = localizer.model.config.input_dim
    if found.dimension != dimension:
        raise ModelError(
            f"the extractor makes features of {found.dimension} dimensions, but the model takes {dimension}"
        )
