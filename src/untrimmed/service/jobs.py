"""Jobs: requests whose answer is fetched later."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from untrimmed.service.refusals import RefusedError
from untrimmed.service.schemas import Answer, JobState, Status


@dataclass(eq=False)
class Job:
    """One job; `tell` is called in any thread, all else in that of the event loop.

    Attributes:
        id: nobody can guess it.
        stage: how far it was, as far as anybody has told.
        seconds: of its video that have been read, and that its container declares.
        ended: when it was done; `None` while it is not.
        fetched: whether somebody has seen how it ended.
    """

    id: str
    stage: Status = "waiting"
    seconds: tuple[float, float | None] | None = None
    answer: Answer | None = None
    refusal: RefusedError | None = None
    ended: float | None = None
    fetched: bool = False
    task: asyncio.Task[Any] | None = field(default=None, repr=False)

    def tell(self, status: Status, seconds: tuple[float, float | None] | None = None) -> None:
        """Note how far it is."""
        self.stage, self.seconds = status, seconds or self.seconds

    @property
    def status(self) -> Status:
        """How far it is; what is told after its end changes nothing."""
        if self.ended is None:
            return self.stage
        return "done" if self.refusal is None else "failed"

    @property
    def state(self) -> JobState:
        """What a client is told."""
        read, declared = self.seconds or (None, None)
        progress = None if read is None or not declared else min(1.0, read / declared)
        return JobState(
            job=self.id,
            status=self.status,
            progress=1.0 if self.status == "done" else progress,
            seconds_read=read,
            answer=self.answer,
            error=None if self.refusal is None else self.refusal.message,
            error_status=None if self.refusal is None else self.refusal.status,
        )


class Jobs:
    """All jobs that are remembered: those at work, and finished ones for a limited time, up to a limited number."""

    def __init__(self, most: int, life: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._life, self._clock = most, life, clock
        self._jobs: dict[str, Job] = {}

    def new(self) -> Job:
        """Begin a job."""
        self._forget()
        job = Job(secrets.token_urlsafe(24))
        self._jobs[job.id] = job
        return job

    def end(self, job: Job, answer: Answer | None, refusal: RefusedError | None) -> None:
        """Note what came of a job."""
        job.answer, job.refusal, job.task, job.ended = answer, refusal, None, self._clock()
        self._forget()

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            RefusedError: (404) if there is none, or none any more.
        """
        self._forget()
        job = self._jobs.get(job_id)
        if job is None:
            raise RefusedError(404, "there is no such job; finished ones are forgotten after a while")
        return job

    def remove(self, job_id: str) -> None:
        """Forget a job, and stop it if it is at work.

        Raises:
            RefusedError: as `get`.
        """
        job = self.get(job_id)
        if job.task is not None:
            job.task.cancel()
        del self._jobs[job_id]

    @property
    def unfetched(self) -> int:
        """Finished jobs that nobody has seen the end of."""
        return sum(1 for job in self._jobs.values() if job.ended is not None and not job.fetched)

    def _forget(self) -> None:
        ended = [job for job in self._jobs.values() if job.ended is not None]
        ended.sort(key=lambda job: job.ended or 0.0)
        oldest = self._clock() - self._life
        for number, job in enumerate(ended):
            assert job.ended is not None
            if job.ended < oldest or number < len(ended) - self._most:
                self._jobs.pop(job.id, None)
