"""Mean average precision over tIoU thresholds, the measure of the field.

Detections find instances as `untrimmed.evaluation.matching` says; every other detection is a false positive. The
average precision of a class is the area under its interpolated precision-recall curve (PASCAL VOC 2011), and the mean
over all classes that occur in the truth is the mAP at a threshold.

Where we read it otherwise than the official evaluators (ActionFormer's, which is ActivityNet's with class numbers):

- They keep the number of a class that occurs in the detections but not in the truth, while they renumber those in the
  truth without gaps; such detections then count against another class. Ours are left out, as that class has no average
  precision. (Truth of classes 0 and 2, perfect detections, and others of class 1: they say 0.75, we say 1.)
- They count the detections of videos that are not in the truth as false positives. Ours are left out, so that
  detections of a whole data set can be evaluated on one of its subsets. Videos of the subset without instances count.
- The order in which they take detections of equal score is that of an unstable sort of the file. Ours is by video id,
  start and end, so that the same detections always have the same mAP. On THUMOS14 this makes no difference to the
  second decimal of a percentage. In ActivityNet's sample submission all scores are equal, and one official version
  gives 0.9715, 0.9720 or 0.9742, depending on numpy and the processor.
- Of two instances that a detection overlaps with equally, they take the later one in the file, we the earlier in time.

`reading="official"` does all four as they do, with a stable sort. Both readings count an instance without length as
found by a detection at exactly that time, and an instance that is there twice as two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.evaluation.matching import (
    Pool,
    Reading,
    checked_tious,
    is_official,
    match,
    pool_detections,
    pool_some_instances,
)

AnyPool = TypeVar("AnyPool", bound=Pool)


@dataclass(frozen=True, eq=False)
class MeanAP:
    """Average precision of each class at each tIoU threshold, in [0, 1].

    `tious` are the thresholds, `labels` the classes that occur in the truth, in the order of their class numbers,
    `instances` `[n_classes]` how many instances each has, and `ap` is `[n_tious, n_classes]`.
    """

    tious: tuple[float, ...]
    labels: tuple[str, ...]
    instances: NDArray[np.int64]
    ap: NDArray[np.float64]

    @property
    def by_tiou(self) -> NDArray[np.float64]:
        """Mean over the classes at each threshold, `[n_tious]`."""
        return self.ap.mean(axis=1)

    @property
    def by_class(self) -> NDArray[np.float64]:
        """Mean over the thresholds for each class, `[n_classes]`."""
        return self.ap.mean(axis=0)

    @property
    def average(self) -> float:
        """Mean over classes and thresholds."""
        return float(self.ap.mean())

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        classes = zip(self.labels, self.instances.tolist(), self.by_class.tolist(), self.ap.T.tolist(), strict=True)
        return {
            "average": self.average,
            "tious": list(self.tious),
            "by_tiou": self.by_tiou.tolist(),
            "classes": [
                {"label": label, "instances": instances, "average": average, "by_tiou": by_tiou}
                for label, instances, average, by_tiou in classes
            ],
        }


def mean_average_precision(
    truth: Annotations, detections: Mapping[str, Detections], tious: Sequence[float], *, reading: Reading = "correct"
) -> MeanAP:
    """Evaluate detections.

    Args:
        truth: the videos to evaluate on, with all their instances.
        detections: by video id. A video without detections may be absent; videos that are not in `truth` are ignored.
            Their labels are known by name, their class numbers need not be those of `truth`.
        tious: thresholds in (0, 1].
        reading: `official` scores as the official code does, see the module.

    Raises:
        AnnotationError: if `truth` has no instances, without which the mAP is not defined.
        ConfigError: if there is no threshold, or one is out of range, or the reading is an unknown one.
    """
    thresholds, official = checked_tious(tious), is_official(reading)
    instances = pool_some_instances(truth, latest_first=official)
    pool = pool_detections(truth, detections, latest_first=official, strangers=official)

    numbers, counts = np.unique(instances.labels, return_counts=True)
    labels = tuple(truth.labels[number] for number in numbers)
    if official:
        instances, pool = renumbered(instances, numbers), renumbered(pool, numbers)
        numbers = np.arange(len(labels))
    hits = match(instances, pool, thresholds) >= 0
    ap = [
        average_precision(hits[:, np.flatnonzero(pool.labels == number)], count)
        for number, count in zip(numbers, counts, strict=True)
    ]
    return MeanAP(thresholds, labels, counts, np.stack(ap, axis=1))


def average_precision(hits: NDArray[np.bool_], instances: int) -> NDArray[np.float64]:
    """Return the area under the interpolated precision-recall curve: `[..., n] -> [...]`.

    Args:
        hits: whether each detection of a class finds an instance, best detection first, `[..., n]`.
        instances: how many there are to find, at least 1.
    """
    precision = hits.cumsum(axis=-1) / np.arange(1, hits.shape[-1] + 1)
    best_from_here = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    return (best_from_here * hits).sum(axis=-1) / instances  # recall rises by 1 / instances at every hit


def renumbered(pool: AnyPool, present: NDArray[np.int64]) -> AnyPool:
    """Number the classes that are present without gaps and keep the numbers of others, as the official code does."""
    place = np.searchsorted(present, pool.labels).clip(max=len(present) - 1)
    return replace(pool, labels=np.where(present[place] == pool.labels, place, pool.labels))
