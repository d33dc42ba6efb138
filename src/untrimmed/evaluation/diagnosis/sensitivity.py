"""How well instances of each bucket of a characteristic are detected, and how many of them are missed.

*Sensitivity*: the normalised mAP of the instances of a bucket alone. Detections that find an instance of another
bucket do not count; all false positives do. N is the number of instances of the average class in the whole truth, for
all buckets (see `matched.normalised_precision`). A class that has no instance in the bucket is not in the mean.

*False negatives*: the part of the instances of a bucket that no detection finds. Detections count down to the last
rank of their class at which the normalised precision is still above 0.05; below there are so many false positives that
what they find is of no use.

Where we read DETAD's code otherwise (see `false_positives`):

- Sensitivity, at more than one threshold: once a detection finds an instance of another bucket at one tIoU threshold,
  the code leaves it out at all. Ours looks at each threshold by itself.
- False negatives: the code leaves out each detection at which the normalised precision is not above 0.05, also the
  first of a class whose precision rises later. With ours, who looks at a detection has looked at all before it.
- A class without detections: the code for sensitivity stops. Ours has an average precision of 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.evaluation.diagnosis.characteristics import Characteristic
from untrimmed.evaluation.diagnosis.matched import Matched, normalised_average_precision, normalised_precision

LEAST_PRECISION = 0.05
"""Normalised precision from which on a detection counts for false negatives."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The instances with a characteristic between two values.

    Attributes:
        name: `XS` to `XL`.
        up_to: largest value; infinite for the last bucket.
        instances: how many there are.
        map_normalised: their normalised mAP, mean over the thresholds; NaN without instances.
        missed: part of them that is not found, mean over the thresholds; NaN without instances.
    """

    name: str
    up_to: float
    instances: int
    map_normalised: float
    missed: float


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How much detection depends on a characteristic.

    Attributes:
        name: of the characteristic.
        buckets: smallest values first; some may be empty.
        overall: the normalised mAP of all instances.
    """

    name: str
    buckets: tuple[Bucket, ...]
    overall: float

    @property
    def lowest(self) -> float:
        """The lowest normalised mAP of a bucket, relative to that of all instances; NaN if that is 0."""
        return min(self._relative())

    @property
    def highest(self) -> float:
        """The highest normalised mAP of a bucket, relative to that of all instances; NaN if that is 0."""
        return max(self._relative())

    def _relative(self) -> list[float]:
        filled = [bucket.map_normalised for bucket in self.buckets if bucket.instances]
        return [value / self.overall if self.overall else math.nan for value in filled]

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON; `None` for what is not defined and for no end."""
        return {
            "name": self.name,
            "lowest": _or_none(self.lowest),
            "highest": _or_none(self.highest),
            "buckets": [
                {
                    "name": bucket.name,
                    "up_to": _or_none(bucket.up_to),
                    "instances": bucket.instances,
                    "mAP_N": _or_none(bucket.map_normalised),
                    "missed": _or_none(bucket.missed),
                }
                for bucket in self.buckets
            ],
        }


def sensitivity_to(characteristic: Characteristic, matched: Matched, missed: NDArray[np.bool_]) -> Sensitivity:
    """Evaluate each bucket by itself.

    Args:
        characteristic: of the instances of `matched`.
        matched: detections and instances.
        missed: which instances are not found, `[n_tious, n_instances]`, from `missed_instances`.
    """
    numbers = characteristic.numbers
    means = _maps_of_buckets(matched, numbers, len(characteristic.buckets))
    ends = (*characteristic.cuts, math.inf)
    buckets = [
        Bucket(
            name=name,
            up_to=float(end),
            instances=int((numbers == i).sum()),
            map_normalised=mean,
            missed=float(missed[:, numbers == i].mean()) if (numbers == i).any() else math.nan,
        )
        for i, (name, end, mean) in enumerate(zip(characteristic.buckets, ends, means, strict=True))
    ]
    return Sensitivity(characteristic.name, tuple(buckets), normalised_map(matched))


def normalised_map(matched: Matched) -> float:
    """Return the normalised mAP of all instances, mean over the thresholds."""
    return _maps_of_buckets(matched, np.zeros(len(matched.instances), np.int64), 1)[0]


def missed_instances(matched: Matched) -> NDArray[np.bool_]:
    """Return which instances no detection finds that counts, `[n_tious, n_instances]`."""
    missed = np.ones((len(matched.tious), len(matched.instances)), dtype=np.bool_)
    for rows, instances in matched.classes:
        found = matched.found[:, rows]
        hits = found >= 0
        enough = normalised_precision(hits, ~hits, instances, matched.average_instances) > LEAST_PRECISION
        counts = np.logical_or.accumulate(enough[:, ::-1], axis=1)[:, ::-1]  # enough here or further down
        threshold, row = np.nonzero(hits & counts)
        missed[threshold, found[threshold, row]] = False
    return missed


def _maps_of_buckets(matched: Matched, numbers: NDArray[np.int64], buckets: int) -> list[float]:
    """Return the normalised mAP of the instances of each bucket, mean over the thresholds; NaN where there are none."""
    bucket_found = np.where(matched.hits, numbers[matched.found], -1)
    of_labels = np.unique(matched.instances.labels, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(of_labels * buckets + numbers, minlength=len(matched.classes) * buckets)
    by_class = counts.reshape(-1, buckets)
    values: list[list[float]] = [[] for _ in range(buckets)]
    for (rows, _), of_class in zip(matched.classes, by_class, strict=True):
        found = bucket_found[:, rows]
        for bucket in np.flatnonzero(of_class):
            ap = normalised_average_precision(
                found == bucket, found < 0, int(of_class[bucket]), matched.average_instances
            )
            values[bucket].append(float(ap.mean()))
    return [float(np.mean(of_bucket)) if of_bucket else math.nan for of_bucket in values]


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
