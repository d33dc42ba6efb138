"""Precision and recall at every score threshold: what one has to know to choose one.

Detections find instances as `untrimmed.evaluation.matching` says. Detections with equal scores are above a threshold
together or not at all, so they share a point of the curve. (Average precision, in `mean_ap`, takes them one by one, as
the official evaluators do.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.evaluation.matching import match, pool_detections, pool_instances


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold, and how good the detections are that score at least this much; all in [0, 1]."""

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class Curve:
    """What is kept and what of it is right, at each of n thresholds.

    Attributes:
        scores: `[n]`, the distinct scores of the detections, highest first.
        kept: `[n]`, how many detections score at least this much.
        right: `[n]`, how many of these find an instance.
        instances: how many there are to find.
    """

    scores: NDArray[np.float64]
    kept: NDArray[np.int64]
    right: NDArray[np.int64]
    instances: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """Part of the kept detections that is right, `[n]`."""
        return self.right / self.kept

    @property
    def recall(self) -> NDArray[np.float64]:
        """Part of the instances that is found, `[n]`; 0 where there are none."""
        return self.right / max(1, self.instances)

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall, `[n]`."""
        return 2 * self.right / (self.kept + self.instances)

    @property
    def best(self) -> OperatingPoint | None:
        """The point with the highest F1, of equal ones that with the highest score; `None` if nothing is right.

        Its threshold is the roundest number that keeps the same detections.
        """
        if not self.right.any():
            return None
        i = int(self.f1.argmax())
        score = float(self.scores[i])
        below = float(self.scores[i + 1]) if i + 1 < len(self.scores) else 0.0
        threshold = roundest(below, score) if below < score else score
        return OperatingPoint(threshold, float(self.precision[i]), float(self.recall[i]), float(self.f1[i]))

    def at(self, thresholds: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return how many detections score at least each threshold, and how many of these are right: `[m], [m]`."""
        reached = np.searchsorted(-self.scores, -thresholds, "right")  # so many of the points
        kept, right = (np.concatenate([[0], counts])[reached] for counts in (self.kept, self.right))
        return kept, right


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Curves at one tIoU threshold.

    Attributes:
        tiou: overlap from which a detection is right.
        overall: of all detections together, also those of classes that the truth does not have.
        labels: the classes that occur in the truth, in the order of their class numbers.
        by_class: a curve for each of them.
    """

    tiou: float
    overall: Curve
    labels: tuple[str, ...]
    by_class: tuple[Curve, ...]


def precision_recall(
    truth: Annotations, detections: Mapping[str, Detections], tious: Sequence[float]
) -> tuple[PrecisionRecall, ...]:
    """Return the curves at each tIoU threshold.

    Args:
        truth: the videos to evaluate on. Without instances there are no classes, and every detection is wrong.
        detections: by video id, as `mean_average_precision` takes them.
        tious: one or more thresholds in (0, 1].
    """
    assert all(0 < tiou <= 1 for tiou in tious), tious
    instances, pool = pool_instances(truth), pool_detections(truth, detections)
    hits = match(instances, pool, tious) >= 0
    numbers, counts = np.unique(instances.labels, return_counts=True)
    labels = tuple(truth.labels[number] for number in numbers)
    classes = [
        (np.flatnonzero(pool.labels == number), int(count)) for number, count in zip(numbers, counts, strict=True)
    ]
    return tuple(
        PrecisionRecall(
            tiou=float(tiou),
            overall=_curve(pool.scores, of_tiou, len(instances)),
            labels=labels,
            by_class=tuple(_curve(pool.scores[rows], of_tiou[rows], count) for rows, count in classes),
        )
        for tiou, of_tiou in zip(tious, hits, strict=True)
    )


def roundest(low: float, high: float) -> float:
    """Return the number in `(low, high]` with the fewest decimals, at least one; of several that in the middle."""
    assert low < high
    for decimals in range(1, 16):
        scale = 10**decimals
        first, last = math.floor(low * scale) + 1, math.floor(high * scale)
        if first <= last:
            number = min(max(round((low + high) / 2 * scale), first), last) / scale
            if low < number <= high:  # not so where scaling has rounded
                return number
    return high


def _curve(scores: NDArray[np.float64], hits: NDArray[np.bool_], instances: int) -> Curve:
    """Make a curve of detections, best first: scores `[n]`, and whether each is right `[n]`."""
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else np.empty(0, np.int64)
    return Curve(scores[last], last + 1, hits.cumsum()[last], instances)
