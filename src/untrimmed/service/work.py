"""What a service does with a body, and how much of it at once."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from untrimmed.data.features.writing import UnwritableError
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.errors import UntrimmedError
from untrimmed.service.batching import Batcher
from untrimmed.service.bodies import Body
from untrimmed.service.extraction import VideoExtraction
from untrimmed.service.jobs import Job, Jobs
from untrimmed.service.limits import Limits
from untrimmed.service.metrics import Metrics
from untrimmed.service.recordings import open_body, open_extracted
from untrimmed.service.refusals import RefusedError, of_input
from untrimmed.service.schemas import Answer, Status, answer_of
from untrimmed.video.extraction.workers import WorkerDiedError

_log = logging.getLogger(__name__)

T = TypeVar("T")

Tell = Callable[[Status, tuple[float, float | None] | None], object]
"""Is told how far the work on a body is; of a video, the seconds read and those that there are, where known."""

FAULT = "a fault of the service; its log says more"

READERS = 2
"""Threads that look bodies through: so many bodies of JSON are in memory at once."""


@dataclass(frozen=True)
class Asked:
    """Which of the detections a client wants."""

    min_score: float = 0.0
    top: int | None = None


class Work:
    """Everything that a service holds; all but what says otherwise is called in the thread of the event loop.

    Attributes:
        localizer: what detects.
        limits: how much is taken on.
        videos: what makes features of videos; `None` if none are taken.
        no_videos: why none are.
        metrics: what is counted.
        jobs: that are remembered.
        stopping: whether nothing more is taken on.
    """

    def __init__(
        self, localizer: Localizer, limits: Limits, videos: VideoExtraction | None = None, no_videos: str = ""
    ) -> None:
        self.localizer, self.limits, self.videos = localizer, limits, videos
        self.no_videos = no_videos or "this service takes features only"
        self.metrics, self.jobs = Metrics(), Jobs(limits.jobs, limits.job_life)
        self.stopping = False
        self._stopping_since = 0.0
        self._held = 0
        self._folders = set[Path]()
        self._tasks = set[asyncio.Task[None]]()
        self._batcher = Batcher(localizer, limits.batch, self.metrics.batch.observe)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
        self.metrics.held.set_function(lambda: self._held)
        self.metrics.waiting.set_function(lambda: self._batcher.waiting)

    @property
    def held(self) -> int:
        """Requests and jobs that have been let in, and are not answered."""
        return self._held

    @property
    def waiting(self) -> int:
        """Recordings that the model has not begun with."""
        return self._batcher.waiting

    @property
    def quiet(self) -> bool:
        """Whether a service that is to stop may: nothing is held, and results of jobs have been fetched, or waited for.

        Called in any thread.
        """
        if not self.stopping or self._held:
            return False
        return not self.jobs.unfetched or time.monotonic() - self._stopping_since > self.limits.linger

    def stop(self) -> None:
        """From now on, refuse what is new, and finish what is held. Called in any thread, also by a signal."""
        self.stopping, self._stopping_since = True, time.monotonic()

    async def finish(self) -> None:
        """Wait until nothing is held."""
        while self._held:
            await asyncio.sleep(0.05)

    def close(self) -> None:
        """End all threads and processes; nothing may be held any more."""
        if self.videos is not None:
            self.videos.close()
        self._batcher.close()
        self._readers.shutdown(cancel_futures=True)

    def abandon(self) -> None:
        """Leave no processes and no files behind, where this one ends at once. Called by a signal."""
        if self.videos is not None:
            self.videos.kill()
        for folder in tuple(self._folders):
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def admitted(self) -> Iterator[Path]:
        """Context of a request that is held, with a folder of its own, which goes with it.

        Raises:
            RefusedError: 503 if as many are held as may be, the service is about to stop, or there can be no folder.
        """
        if self.stopping:
            raise RefusedError(503, "the service is being stopped")
        if self._held >= self.limits.queue:
            raise RefusedError(
                503, f"the service is busy: it holds {self._held} requests, as many as it may. Come back later"
            )
        try:
            folder = Path(tempfile.mkdtemp(prefix="untrimmed-"))
        except OSError as error:
            raise RefusedError(503, f"the body cannot be stored ({error.strerror})") from error
        self._held += 1
        self._folders.add(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._folders.remove(folder)
            self._held -= 1

    def begin(self, body: Body, asked: Asked, held: ExitStack) -> Job:
        """Begin a job; `held` is closed when it has ended."""
        job = self.jobs.new()
        task = asyncio.get_running_loop().create_task(self._carry_out(job, body, asked))
        job.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: held.close())  # not by the task: it may be cancelled before it begins
        return job

    async def answer(self, body: Body, asked: Asked, seconds: float, tell: Tell) -> Answer:
        """Detect in what was sent.

        Raises:
            RefusedError: 400, 413, 415, 422 over the body; 503 if videos cannot be decoded any more; 504 after so many
                seconds.
        """
        try:
            async with asyncio.timeout(seconds):
                recording, duration = await self._recording(body, tell)
                tell("detecting", None)
                with self.metrics.seconds.labels("model").time():
                    found = await asyncio.wrap_future(self._batcher.submit(recording))
        except TimeoutError:
            raise RefusedError(504, f"the answer was not found within {seconds:g} s") from None
        except UntrimmedError as error:
            raise of_input(error, 422, body.path, body.path.parent) from error
        return answer_of(found, duration, asked.min_score, asked.top)

    async def _carry_out(self, job: Job, body: Body, asked: Asked) -> None:
        answer = refusal = None
        try:
            answer = await self.answer(body, asked, self.limits.job_timeout, job.tell)
        except RefusedError as found:
            refusal = found
        except asyncio.CancelledError:
            refusal = RefusedError(410, "the job was stopped")
            raise
        except Exception:
            _log.exception("A job has failed")
            refusal = RefusedError(500, FAULT)
        finally:
            self.jobs.end(job, answer, refusal)
            self.metrics.jobs.labels(job.status).inc()

    async def _recording(self, body: Body, tell: Tell) -> tuple[Recording, float]:
        most = self.limits.max_clips
        if body.kind != "video":
            with self.metrics.seconds.labels("features").time():
                return await self._read(partial(open_body, body, self.localizer, most))
        if self.videos is None:
            raise RefusedError(415, f"videos are not taken: {self.no_videos}")
        if body.facts.rate is not None or body.facts.duration is not None:
            raise RefusedError(422, "rate and duration are known of a video: leave them out")
        with self.metrics.seconds.labels("video").time():
            features = body.path.with_name("features.npy")
            duration = await _extracted(self.videos, body.path, features, tell)
            facts = replace(body.facts, duration=duration, rate=self.videos.rate)
            return await self._read(partial(open_extracted, features, facts, self.localizer, most))

    async def _read(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, function)


async def _extracted(videos: VideoExtraction, video: Path, features: Path, tell: Tell) -> float:
    """Make features of a video; returns its duration in seconds. Whoever is cancelled here, ends the process.

    Raises:
        RefusedError: 422 if the video cannot be decoded, 503 if nothing can be.
    """
    making = videos.begin(video, features, lambda *seconds: tell("decoding", seconds))
    try:
        outcome = await asyncio.wrap_future(making.future)
    except asyncio.CancelledError:
        making.cancel()
        raise
    except WorkerDiedError as death:
        raise RefusedError(422, f"the video cannot be decoded: {death}") from None
    except UnwritableError:
        raise RefusedError(503, "features of the video cannot be stored") from None
    except UntrimmedError as error:
        _log.error("Videos cannot be decoded: %s", error)  # it may name paths, which are not for clients
        raise RefusedError(503, "videos cannot be decoded now; the service's log says more") from error
    if outcome.error is not None:
        raise RefusedError(422, f"the video: {outcome.error.replace(str(video), 'it')}")
    assert outcome.duration is not None
    return outcome.duration
