"""How much of the truth is among the best detections: recall@kx, and average recall over the number of proposals.

**Recall@kx** (Ego4D, moment queries). Where a video has n instances of a class, the k n best of its detections of that
class are kept. An instance is found if at least one of them overlaps enough with it; this is not one to one, a
detection finds all the instances that it overlaps enough with. The recall of a class is the part of its instances, in
all videos, that is found. ActionFormer prints the mean over the classes (`RecallAtKx.by_tiou`), Ego4D's own code the
part of all instances (`RecallAtKx.pooled`).

**AR@AN** (ActivityNet, proposals). Classes do not count: all detections of a video are proposals for all its instances.
Recall at N is the part of the instances that one of the N best proposals of their video overlaps enough with, and AR is
its mean over the tIoU thresholds. The area under AR for N from 1 to 100 is one number for all of it.

Where we read recall@kx otherwise than ActionFormer's evaluator:

- It keeps the number of a class that occurs in the detections but not in the truth, as `mean_ap` says. Ours are left
  out.
- The order in which it takes detections of equal score is that of an unstable sort of the file. Ours is by start and
  end. On THUMOS14 this makes no difference to the second decimal of a percentage.
- An instance without length is never found, as its tIoU is 0 / 0. Ours is found by a detection at exactly that time.

Ego4D's own code takes the detections in the order of the file, not of their scores; wants a tIoU above the threshold,
not at it; and stops at a video without detections, where ours counts its instances as missed. We read none of these.

Where we read AR@AN otherwise than ActivityNet's evaluator:

- It does not keep N proposals of every video. It keeps the same part of the proposals of every video, so that there are
  N of them a video on average; a video that has more proposals than others has more of them kept. Before that it cuts
  the videos' proposals in the same way, by a number of proposals that has those of videos that are not in the truth in
  it. Both round down. Ours are the N best of each video, also where another video has fewer.
- It counts only the videos that have instances. Ours does not have to count the videos.
- It divides the area over N from 1 to 100 by 100, not by 99, so that no detections can reach 1. Ours is divided by the
  width.
- It does not find instances without length, and takes proposals of equal score in an unstable order, as above.

`reading="official"` does these as they do, with a stable sort. For another `most` than 100 the official code has 100
points all the same, and both our readings have `most` points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.errors import ConfigError
from untrimmed.evaluation.matching import (
    Pairs,
    Pool,
    Reading,
    checked_tious,
    is_official,
    overlapping,
    pool_detections,
    pool_some_instances,
)
from untrimmed.evaluation.mean_ap import renumbered

PROPOSAL_TIOUS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""Thresholds that ActivityNet averages the recall of proposals over."""

_NEVER = np.iinfo(np.int64).max
"""More detections than there are: what an instance needs that none of them finds."""


@dataclass(frozen=True, eq=False)
class RecallAtKx:
    """How many instances of each class are found among its k n best detections.

    Attributes:
        tious: overlaps from which an instance is found.
        multiples: the values of k.
        labels: the classes that occur in the truth, in the order of their class numbers.
        instances: `[n_classes]`, how many there are to find.
        found: `[n_tious, n_multiples, n_classes]`, how many of them are found.
    """

    tious: tuple[float, ...]
    multiples: tuple[int, ...]
    labels: tuple[str, ...]
    instances: NDArray[np.int64]
    found: NDArray[np.int64]

    @property
    def recall(self) -> NDArray[np.float64]:
        """Part of the instances of each class, `[n_tious, n_multiples, n_classes]`."""
        return self.found / self.instances

    @property
    def by_tiou(self) -> NDArray[np.float64]:
        """Mean over the classes, `[n_tious, n_multiples]`."""
        return self.recall.mean(axis=-1)

    @property
    def pooled(self) -> NDArray[np.float64]:
        """Part of the instances of all classes together, `[n_tious, n_multiples]`."""
        return self.found.sum(axis=-1) / self.instances.sum()

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        by_class = np.moveaxis(self.recall, -1, 0).tolist()
        classes = zip(self.labels, self.instances.tolist(), by_class, strict=True)
        return {
            "tious": list(self.tious),
            "multiples": list(self.multiples),
            "by_tiou": self.by_tiou.tolist(),
            "pooled": self.pooled.tolist(),
            "classes": [
                {"label": label, "instances": instances, "by_tiou": by_tiou} for label, instances, by_tiou in classes
            ],
        }


@dataclass(frozen=True, eq=False)
class AverageRecall:
    """How many instances, of whatever class, are found by the best proposals of their videos.

    Attributes:
        tious: overlaps from which an instance is found.
        numbers: `[n]`, how many proposals a video are kept: 1, 2, ...
        instances: how many there are to find.
        recall: `[n_tious, n]`, part of the instances that is found.
        area: area under the mean over the thresholds, in [0, 1].
    """

    tious: tuple[float, ...]
    numbers: NDArray[np.int64]
    instances: int
    recall: NDArray[np.float64]
    area: float

    @property
    def average(self) -> NDArray[np.float64]:
        """AR: mean over the thresholds for each number of proposals, `[n]`."""
        return self.recall.mean(axis=0)

    def at(self, number: int) -> float:
        """Return AR at so many proposals a video, one of `numbers`."""
        assert 1 <= number <= len(self.numbers), number
        return float(self.average[number - 1])

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        return {
            "area": self.area,
            "tious": list(self.tious),
            "instances": self.instances,
            "numbers": self.numbers.tolist(),
            "average": self.average.tolist(),
            "by_tiou": self.recall.tolist(),
        }


def recall_at_kx(
    truth: Annotations,
    detections: Mapping[str, Detections],
    tious: Sequence[float],
    multiples: Sequence[int] = (1, 5),
    *,
    reading: Reading = "correct",
) -> RecallAtKx:
    """Evaluate detections by recall@kx.

    Args:
        truth: the videos to evaluate on, with all their instances.
        detections: by video id, as `mean_average_precision` takes them.
        tious: thresholds in (0, 1].
        multiples: the values of k, at least 1.
        reading: `official` counts as ActionFormer's code does, see the module.

    Raises:
        AnnotationError: if `truth` has no instances, without which there is no recall.
        ConfigError: if there is no threshold or multiple, or one is out of range, or the reading is an unknown one.
    """
    thresholds, ks = checked_tious(tious), tuple(int(k) for k in multiples)
    if not ks or min(ks) < 1:
        raise ConfigError(f"multiples are {list(ks)}, but have to be one or more whole numbers from 1 on")
    official = is_official(reading)
    instances = pool_some_instances(truth, latest_first=official)
    pool: Pool = pool_detections(truth, detections, latest_first=official)
    numbers, counts = np.unique(instances.labels, return_counts=True)
    labels = tuple(truth.labels[number] for number in numbers)
    if official:
        instances, pool = renumbered(instances, numbers), renumbered(pool, numbers)

    _, group, sizes = np.unique(_groups(instances, len(truth)), return_inverse=True, return_counts=True)
    pairs = _pairs(instances, pool, min(thresholds), official=official)
    better = _ranks(_groups(pool, len(truth)))[pairs.detections]
    needed = _least(pairs, better // sizes[group][pairs.instances] + 1, thresholds, len(instances))
    found = needed[:, None, :] <= np.array(ks)[:, None]
    by_class = np.argsort(instances.labels, kind="stable")
    starts = np.cumsum(counts) - counts
    found_of_class = np.add.reduceat(found[:, :, by_class], starts, axis=-1, dtype=np.int64)
    return RecallAtKx(thresholds, ks, labels, counts, found_of_class)


def average_recall(
    truth: Annotations,
    detections: Mapping[str, Detections],
    tious: Sequence[float] = PROPOSAL_TIOUS,
    most: int = 100,
    *,
    reading: Reading = "correct",
) -> AverageRecall:
    """Evaluate detections as proposals, by average recall at 1, 2, ... `most` a video.

    Args:
        truth: the videos to evaluate on, with all their instances.
        detections: by video id. Detections of the same time with several labels are so many proposals.
        tious: thresholds in (0, 1].
        most: up to how many proposals a video, at least 2.
        reading: `official` counts as ActivityNet's code does, see the module.

    Raises:
        AnnotationError: if `truth` has no instances, without which there is no recall.
        ConfigError: if there is no threshold, or one is out of range, or `most` is, or the reading is an unknown one.
    """
    thresholds = checked_tious(tious)
    if most < 2:
        raise ConfigError(f"most proposals a video are {most}, but have to be at least 2, for an area under the curve")
    official = is_official(reading)
    instances = pool_some_instances(truth, latest_first=official).of_one_class()
    pool = pool_detections(truth, detections, latest_first=official).of_one_class()

    numbers = np.arange(1, most + 1)
    kept = np.broadcast_to(numbers, (len(truth), most))
    if official:
        total = sum(map(len, detections.values()))
        kept = _same_part_of_each(np.bincount(pool.videos, minlength=len(truth)), instances.videos, total, most)
    pairs = _pairs(instances, pool, min(thresholds), official=official)
    needed = _least(pairs, _ranks(pool.videos)[pairs.detections] + 1, thresholds, len(instances))
    kept_for = kept[instances.videos]
    recall = np.stack([(of_tiou[:, None] <= kept_for).mean(axis=0) for of_tiou in needed])

    average = recall.mean(axis=0)
    area = (average[1:] + average[:-1]).sum() / 2 / (most if official else most - 1)
    return AverageRecall(thresholds, numbers, len(instances), recall, float(area))


def _same_part_of_each(
    proposals: NDArray[np.int64], videos_of_instances: NDArray[np.int64], total: int, most: int
) -> NDArray[np.int64]:
    """Return how many proposals the official code keeps of each video, `[n_videos, most]`, for 1, 2, ... on average.

    Args:
        proposals: how many each video has, `[n_videos]`.
        videos_of_instances: the video of each instance.
        total: how many proposals there are, with those of videos that are not in the truth.
        most: up to how many on average.
    """
    annotated = np.unique(videos_of_instances)
    wanted = most * len(annotated)
    cut = np.minimum((proposals * (wanted / max(1, total))).astype(np.int64), proposals)
    parts = np.arange(1, most + 1) / most * (wanted / max(1, int(cut[annotated].sum())))
    return np.minimum((cut[:, None] * parts).astype(np.int64), cut[:, None])


def _groups(pool: Pool, videos: int) -> NDArray[np.int64]:
    """Return one number for video and class of each segment, `[n]`; there are so many videos."""
    return pool.labels * videos + pool.videos


def _ranks(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the same group come before each, `[n] -> [n]`."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    ranks = np.empty(len(groups), np.int64)
    ranks[order] = np.arange(len(groups)) - np.searchsorted(ordered, ordered, "left")
    return ranks


def _pairs(instances: Pool, detections: Pool, least: float, *, official: bool) -> Pairs:
    """Return the pairs that overlap enough; in the official reading without those of instances without length."""
    pairs = overlapping(instances, detections, least)
    if not official:
        return pairs
    long = (instances.segments[:, 1] > instances.segments[:, 0])[pairs.instances]
    return replace(pairs, detections=pairs.detections[long], instances=pairs.instances[long], tious=pairs.tious[long])


def _least(pairs: Pairs, values: NDArray[np.int64], thresholds: Sequence[float], instances: int) -> NDArray[np.int64]:
    """Return the least value of the pairs of each instance that reach each threshold, `[n_tious, n_instances]`."""
    least = np.full((len(thresholds), instances), _NEVER)
    for of_threshold, threshold in zip(least, thresholds, strict=True):
        reached = pairs.tious >= threshold
        np.minimum.at(of_threshold, pairs.instances[reached], values[reached])
    return least
