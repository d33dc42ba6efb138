"""What commands have in common that work in a Ray cluster."""

from __future__ import annotations

from pathlib import Path

from untrimmed.archive.cluster import ClusterConfig
from untrimmed.archive.outcomes import Tally
from untrimmed.cli.console import show_table, warn
from untrimmed.errors import ConfigError


def ray_cluster(
    ray: str | None, workers: str | None, threads: int | None, decoders: int | None, outcomes: Path | None
) -> ClusterConfig | None:
    """Return the cluster that options ask for; `None` if the work is to be done without one.

    Raises:
        ConfigError: if an option is wrong, or has no effect.
    """
    if ray is None:
        for name, value in (("workers", workers), ("threads", threads), ("decoders", decoders), ("outcomes", outcomes)):
            if value is not None:
                raise ConfigError(f"--{name} has an effect with --ray only: leave it out")
        return None
    return ClusterConfig(
        address=ray, workers=_range(workers), threads=1 if threads is None else threads, decoders=decoders
    )


def warn_of_damaged(tally: Tally) -> None:
    """Print a line about each of the first videos with damaged packets."""
    for path, number in tally.damaged:
        warn(f"{path}: {number} damaged packet{'s were' if number > 1 else ' was'} left out")


def show_failures(title: str, tally: Tally, outcomes: Path) -> None:
    """Print the first failures, and where all of them are."""
    show_table(title, ["file", "reason"], [(path, error) for _, path, error in tally.failures], texts=2)
    more = tally.failed - len(tally.failures)
    if more:
        print(f"and {more} more, in {outcomes}")
    print("Next: mend these files or leave them out, and run the same command again; it makes only what is missing")


def _range(workers: str | None) -> tuple[int, int] | None:
    """Read `4` or `2:16`.

    Raises:
        ConfigError: if it is neither.
    """
    if workers is None:
        return None
    numbers = workers.split(":")
    if len(numbers) > 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise ConfigError(f"--workers is {workers!r}, but has to be a number, such as 4, or MIN:MAX, such as 2:16")
    return int(numbers[0]), int(numbers[-1])
