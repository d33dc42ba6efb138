"""How much a service takes on."""

from __future__ import annotations

from dataclasses import dataclass, fields

from untrimmed.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a service takes on; what goes beyond is refused, with the status that is named here.

    Attributes:
        queue: requests and jobs that are held at once, from their first byte to their answer (503).
        batch: recordings that the model is given at once.
        max_body: bytes of a body (413).
        max_json: bytes of a JSON body (413).
        max_clips: clips, that is rows that the model sees, of a recording (413). The model cannot be interrupted: this
            is what bounds the time that one request may take from the others.
        timeout: seconds for a body to arrive (408), and then for its answer (504).
        job_timeout: seconds for a job, after which it has failed.
        jobs: finished jobs that are remembered; of more, the oldest are forgotten.
        job_life: seconds for which a finished job is remembered.
        linger: seconds for which the service, when it is told to stop, waits for somebody to fetch the results of jobs.

    Raises:
        ConfigError: if a limit is not positive.
    """

    queue: int = 64
    batch: int = 8
    max_body: int = 500_000_000
    max_json: int = 16_000_000
    max_clips: int = 100_000
    timeout: float = 60.0
    job_timeout: float = 3600.0
    jobs: int = 1000
    job_life: float = 3600.0
    linger: float = 10.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"{each.name.replace('_', '-')} is {value}, but has to be a positive number")
