"""What instances are like: how long, how much of their video, and how many of their class are in it.

Instances are put into buckets, from XS to XL, by cut points. DETAD (see `false_positives`) has those of two data sets;
for others, cut points are chosen that make the buckets equally full.

DETAD has three more characteristics: context size, context distance, and agreement. People annotated them for one
subset of ActivityNet; they do not follow from the annotations of other data sets, and are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from untrimmed import segments
from untrimmed.data.annotations import Annotations
from untrimmed.errors import ConfigError
from untrimmed.evaluation.matching import Pool

BUCKETS = ("XS", "S", "M", "L", "XL")
"""Names of the buckets, smallest first. Where there are four, the last is L."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where buckets end, in rising order: a value that is equal to a cut point is below it.

    Attributes:
        length: four cut points in seconds.
        coverage: four cut points in parts of the video's duration.
        instances: three cut points in numbers of instances of the class in the video.

    Raises:
        ConfigError: if cut points do not rise.
    """

    length: tuple[float, float, float, float]
    coverage: tuple[float, float, float, float]
    instances: tuple[float, float, float]

    def __post_init__(self) -> None:
        for name in ("length", "coverage", "instances"):
            points: tuple[float, ...] = getattr(self, name)
            if not all(a <= b for a, b in pairwise(points)):
                raise ConfigError(f"the cut points of {name} are {list(points)}, but have to be numbers that rise")


CUTS: Mapping[str, Cuts] = {
    "thumos14": Cuts(length=(3, 6, 12, 18), coverage=(0.02, 0.04, 0.06, 0.08), instances=(1, 40, 80)),
    "activitynet": Cuts(length=(30, 60, 120, 180), coverage=(0.2, 0.4, 0.6, 0.8), instances=(1, 4, 8)),
}
"""DETAD's cut points, by the name of the protocol (see `untrimmed.evaluation.protocols`)."""


@dataclass(frozen=True, eq=False)
class Characteristic:
    """One property of all instances.

    Attributes:
        name: `length`, `coverage` or `instances`.
        values: `[n]`, of each instance.
        cuts: where the buckets end, but for the last, which has no end.
    """

    name: str
    values: NDArray[np.float64]
    cuts: tuple[float, ...]

    @property
    def buckets(self) -> tuple[str, ...]:
        """Names of the buckets."""
        return BUCKETS[: len(self.cuts) + 1]

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Number of the bucket that each instance is in, `[n]`."""
        return np.searchsorted(np.array(self.cuts), self.values, "left")


def characteristics_of(truth: Annotations, instances: Pool, cuts: Cuts | None) -> tuple[Characteristic, ...]:
    """Return length, coverage and number of instances.

    Args:
        truth: annotations.
        instances: its instances, as `pool_instances(truth)` has them.
        cuts: cut points; by default quantiles of the values, where equal ones leave buckets empty.
    """
    durations = np.array([truth[id_].duration for id_ in sorted(truth.videos)], dtype=np.float64)
    length = np.asarray(segments.length(instances.segments), dtype=np.float64)
    duration = durations[instances.videos]
    coverage = np.divide(length, duration, out=np.ones_like(length), where=duration > 0)
    _, group, count = np.unique(
        np.stack([instances.videos, instances.labels]), axis=1, return_inverse=True, return_counts=True
    )
    number = count[group.reshape(-1)].astype(np.float64)

    chosen = cuts or Cuts(_fifths(length), _fifths(coverage), _quarters(number))
    return (
        Characteristic("length", length, chosen.length),
        Characteristic("coverage", coverage, chosen.coverage),
        Characteristic("instances", number, chosen.instances),
    )


def _fifths(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    a, b, c, d = np.quantile(values, (0.2, 0.4, 0.6, 0.8)).tolist()
    return a, b, c, d


def _quarters(values: NDArray[np.float64]) -> tuple[float, float, float]:
    a, b, c = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return a, b, c
