"""Detections beside the instances that they find, and normalised precision: what all parts of a diagnosis share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.evaluation.matching import Pool, RankedPool, checked_tious, match, pool_detections, pool_some_instances


@dataclass(frozen=True, eq=False)
class Matched:
    """The instances and detections of the classes that occur in the truth, and who finds whom.

    Attributes:
        tious: thresholds.
        instances: the instances, of which there is at least one.
        detections: those of the videos and classes of the truth, class by class, best first within a class.
        found: `[n_tious, n_detections]`, the instance that each detection finds, -1 for none.
    """

    tious: tuple[float, ...]
    instances: Pool
    detections: RankedPool
    found: NDArray[np.int64]

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Whether each detection finds an instance, `[n_tious, n_detections]`."""
        return self.found >= 0

    @cached_property
    def classes(self) -> tuple[tuple[slice, int], ...]:
        """For each class that occurs in the truth, its rows in `detections` and how many instances it has."""
        numbers, counts = np.unique(self.instances.labels, return_counts=True)
        first = np.searchsorted(self.detections.labels, numbers, "left")
        last = np.searchsorted(self.detections.labels, numbers, "right")
        rows = [slice(int(i), int(j)) for i, j in zip(first, last, strict=True)]
        return tuple(zip(rows, counts.tolist(), strict=True))

    @cached_property
    def average_instances(self) -> float:
        """Instances of the average class that occurs: N of normalised precision."""
        return len(self.instances) / len(self.classes)


def match_all(truth: Annotations, detections: Mapping[str, Detections], tious: Sequence[float]) -> Matched:
    """Match detections at each threshold, as `untrimmed.evaluation.matching` says.

    Raises:
        AnnotationError: if `truth` has no instances.
        ConfigError: if there is no threshold, or one is not in (0, 1].
    """
    thresholds, instances = checked_tious(tious), pool_some_instances(truth)
    pool = pool_detections(truth, detections)
    order = np.argsort(pool.labels, kind="stable")
    order = order[np.isin(pool.labels[order], instances.labels)]
    pool = RankedPool(pool.videos[order], pool.labels[order], pool.segments[order], pool.scores[order])
    return Matched(thresholds, instances, pool, match(instances, pool, thresholds))


def normalised_precision(
    hits: NDArray[np.bool_], wrong: NDArray[np.bool_], instances: int, normal: float
) -> NDArray[np.float64]:
    """Return the precision down to each detection that a class would have with another number of instances.

    At recall R, that is R N / (R N + F), where F is the number of false positives and N that other number (Hoiem et
    al., ECCV 2012). A class with many instances has no higher precision for that alone.

    Args:
        hits: whether each detection finds an instance, best detection first, `[..., n]`.
        wrong: whether it is a false positive, `[..., n]`. What is neither does not count, as if it were not there.
        instances: how many instances the class has, at least 1.
        normal: N; with the number of instances, this is the ordinary precision.

    Returns:
        `[..., n]`, 0 before the first detection that counts.
    """
    right = hits.cumsum(axis=-1) * (normal / instances)
    kept = right + wrong.cumsum(axis=-1)
    return np.divide(right, kept, out=np.zeros_like(right), where=kept > 0)


def normalised_average_precision(
    hits: NDArray[np.bool_], wrong: NDArray[np.bool_], instances: int, normal: float
) -> NDArray[np.float64]:
    """Return the area under the interpolated curve of normalised precision over recall: `[..., n] -> [...]`.

    The arguments are those of `normalised_precision`. It is `mean_ap.average_precision` where `wrong` is `~hits` and
    `normal` the number of instances.
    """
    precision = normalised_precision(hits, wrong, instances, normal)
    best_from_here = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    return (best_from_here * hits).sum(axis=-1) / instances
