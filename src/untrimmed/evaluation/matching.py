"""Which detection finds which instance: the part that all measures share.

At a tIoU threshold, the detections of a class take their turns, best first. Each takes, of the instances of its video
and class that nobody has taken yet, the one that it overlaps with most, if their tIoU reaches the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.segments import tiou

Reading = Literal["correct", "official"]
"""Where the official code has a fault, what is meant, or what it does."""

_MOST_PAIRS = 1 << 20
"""So many overlaps are computed at once, to bound the memory."""


@dataclass(frozen=True, eq=False)
class Pool:
    """n segments of many videos and classes.

    `videos` `[n]` are numbers that only have to agree between the pools that are compared, `labels` `[n]` are class
    numbers of the annotations, `segments` is `[n, 2]` in seconds.
    """

    videos: NDArray[np.int64]
    labels: NDArray[np.int64]
    segments: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    def of_one_class(self) -> Self:
        """Return the same segments, as if there were one class only."""
        return replace(self, labels=np.zeros_like(self.labels))


@dataclass(frozen=True, eq=False)
class RankedPool(Pool):
    """n detections, best first, with their scores `[n]`."""

    scores: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pairs:
    """The m pairs of a detection and an instance of the same video and class that overlap enough.

    `detections` and `instances` `[m]` are rows of the two pools, `tious` is `[m]`. The pairs of a detection stand
    together, detections in the order of their pool, the instance with the highest tIoU first.
    """

    detections: NDArray[np.int64]
    instances: NDArray[np.int64]
    tious: NDArray[np.float64]


def checked_tious(tious: Sequence[float]) -> tuple[float, ...]:
    """Return tIoU thresholds.

    Raises:
        ConfigError: if there is none, or one is not in (0, 1].
    """
    thresholds = tuple(float(threshold) for threshold in tious)
    if not thresholds or not all(0 < threshold <= 1 for threshold in thresholds):
        raise ConfigError(f"tIoU thresholds are {list(thresholds)}, but have to be one or more numbers in (0, 1]")
    return thresholds


def is_official(reading: str) -> bool:
    """Whether a reading is the official one.

    Raises:
        ConfigError: if there is no such reading.
    """
    if reading not in ("correct", "official"):
        raise ConfigError(f"reading is {reading!r}, but has to be 'correct' or 'official'")
    return reading == "official"


def pool_instances(truth: Annotations, *, latest_first: bool = False) -> Pool:
    """Pool the instances of all videos, by time, so that the order in the file has no influence.

    Where a detection overlaps equally with two instances, it takes the one that comes first in the pool.
    `latest_first` is the order of the official evaluator: what comes last in the file comes first.
    """
    numbers = _video_numbers(truth)
    videos = np.array([numbers[video.id] for video in truth for _ in video.instances], dtype=np.int64)
    labels = np.concatenate([np.empty(0, np.int64), *(truth.label_numbers(video) for video in truth)])
    segments = np.concatenate([np.empty((0, 2)), *(video.segments for video in truth)])
    order = np.arange(len(videos))[::-1] if latest_first else np.lexsort((segments[:, 1], segments[:, 0], videos))
    return Pool(videos[order], labels[order], segments[order])


def pool_some_instances(truth: Annotations, *, latest_first: bool = False) -> Pool:
    """Pool the instances as `pool_instances` does.

    Raises:
        AnnotationError: if there is none, without which no mean over classes is defined.
    """
    instances = pool_instances(truth, latest_first=latest_first)
    if not len(instances):
        found = f"none of the {len(truth)} videos to evaluate on has an instance"
        raise AnnotationError(f"{truth.source}: {found}, so there is no mAP; choose a subset with annotations")
    return instances


def pool_detections(
    truth: Annotations, detections: Mapping[str, Detections], *, latest_first: bool = False, strangers: bool = False
) -> RankedPool:
    """Pool the detections of the videos in `truth`, best first.

    Those with a label that `truth` does not know get class numbers from `len(truth.labels)` on, as they come.

    Args:
        truth: annotations, which say what the video and class numbers are.
        detections: by video id; those of other videos are left out.
        latest_first: the order of equal scores. By default they come by video id, start and end, so that the order in
            which the detections are given has no influence; here, what is given last comes first, as in the official
            evaluator.
        strangers: whether to keep the detections of other videos, which then count as one video without instances.
    """
    numbers = _video_numbers(truth)
    chosen = [(id_, d) for id_, d in detections.items() if strangers or id_ in numbers]
    videos = np.repeat([numbers.get(id_, -1) for id_, _ in chosen], [len(d) for _, d in chosen]).astype(np.int64)
    labels = np.concatenate([np.empty(0, np.int64), *_translated(truth.labels, [d for _, d in chosen])])
    segments = np.concatenate([np.empty((0, 2)), *(d.segments for _, d in chosen)])
    scores = np.concatenate([np.empty(0), *(d.scores for _, d in chosen)])
    if latest_first:
        order = np.argsort(scores, kind="stable")[::-1]
    else:
        order = np.lexsort((segments[:, 1], segments[:, 0], videos, -scores))
    return RankedPool(videos[order], labels[order], segments[order], scores[order])


def overlapping(instances: Pool, detections: Pool, least: float) -> Pairs:
    """Return the pairs of the same video and class with a tIoU of at least `least`, which has to be positive."""
    groups, wanted = _group_numbers(instances, detections)
    by_group = np.argsort(groups, kind="stable")
    first = np.searchsorted(groups[by_group], wanted, "left")
    count = np.searchsorted(groups[by_group], wanted, "right") - first
    total = np.cumsum(count)
    steps = np.arange(0, total[-1] if len(total) else 0, _MOST_PAIRS)
    bounds = [*np.searchsorted(total, steps, "right"), len(count)]

    parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for begin, end in pairwise(bounds):
        counts = count[begin:end]
        rows = np.repeat(np.arange(begin, end), counts)
        position = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)  # 0, 1, ... for each row
        targets = by_group[first[rows] + position]
        overlaps = _tiou(detections.segments[rows], instances.segments[targets])
        enough = overlaps >= least
        parts.append((rows[enough], targets[enough], overlaps[enough]))
    row, target, overlap = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((target, -overlap, row))
    return Pairs(row[order], target[order], overlap[order])


def match(instances: Pool, detections: RankedPool, tious: Sequence[float]) -> NDArray[np.int64]:
    """Return the instance that each detection finds at each tIoU threshold: `[n_tious, n_detections]`, -1 for none."""
    pairs = overlapping(instances, detections, min(tious))
    return np.stack([_match(pairs, threshold, len(instances), len(detections)) for threshold in tious])


def _match(pairs: Pairs, threshold: float, n_instances: int, n_detections: int) -> NDArray[np.int64]:
    """Match at one threshold.

    That the detections take their turns is the same as this: every detection asks for the instance that it likes best;
    an instance takes the best of those that ask, also when it has to let go of another; who is turned down or let go
    of asks for the next. In that way all detections are dealt with at once, in a few rounds.
    """
    reached = pairs.tious >= threshold
    row, target = pairs.detections[reached], pairs.instances[reached]
    following = np.searchsorted(row, np.arange(n_detections))  # the pair that each detection asks for next
    last = np.searchsorted(row, np.arange(n_detections), "right")
    holder = np.full(n_instances, n_detections)  # the detection that has each instance; better ones have lower numbers
    asking = np.flatnonzero(following < last)
    while len(asking):
        wanted = target[following[asking]]
        following[asking] += 1
        before = holder[wanted]
        np.minimum.at(holder, wanted, asking)
        won = holder[wanted] == asking
        let_go = before[won]
        refused = np.concatenate([asking[~won], let_go[let_go < n_detections]])
        asking = refused[following[refused] < last[refused]]
    found = np.full(n_detections, -1)
    taken = np.flatnonzero(holder < n_detections)
    found[holder[taken]] = taken
    return found


def _tiou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Temporal IoU, `[n, 2], [n, 2] -> [n]`; that of equal segments is 1 also when they have no length."""
    return np.where((a == b).all(axis=1), 1.0, tiou(a, b))


def _group_numbers(*pools: Pool) -> list[NDArray[np.int64]]:
    """Return one number for video and class, for the segments of each pool."""
    span = 2 + max((int(pool.videos.max()) for pool in pools if len(pool)), default=0)
    return [pool.labels * span + pool.videos + 1 for pool in pools]


def _video_numbers(truth: Annotations) -> Mapping[str, int]:
    return {id_: number for number, id_ in enumerate(sorted(truth.videos))}


def _translated(labels: Sequence[str], detections: Sequence[Detections]) -> Iterator[NDArray[np.int64]]:
    """Yield the labels of each video's detections as class numbers of `labels`, of unknown ones as further numbers."""
    numbers = {label: number for number, label in enumerate(labels)}
    tables: dict[tuple[str, ...], NDArray[np.int64]] = {}
    for of_video in detections:
        names = of_video.label_names
        if names not in tables:
            tables[names] = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
        yield tables[names][of_video.labels]
