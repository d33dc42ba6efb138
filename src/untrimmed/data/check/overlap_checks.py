"""Instances that are there twice, almost twice, or much upon each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from untrimmed import segments as geometry
from untrimmed.data.annotations import Instance, Video
from untrimmed.data.check.report import Finding, Severity, count

NEAR = 0.9
"""tIoU from which on two instances of a class are one that is given almost twice."""
HEAVY = 0.5
"""Part of the shorter of two instances of a class that they share from which on a warning says so."""
MOST_BELOW_OTHERS = 0.25
"""Share of the instances that may be covered for the most part by shorter ones of other classes without a warning."""

_PAIRS_AT_ONCE = 1 << 20

Pair = tuple[Video, Instance, Instance]


@dataclass(frozen=True)
class _Overlaps:
    """Pairs of instances of a class, the first of which stands before the second; and how many are below others."""

    near: list[Pair]
    heavy: list[Pair]
    below: list[tuple[Video, Instance]]
    instances: int


def overlap_findings(role: str, videos: Sequence[Video], *, refuses_doubles: bool) -> Iterator[Finding]:
    """Yield what is wrong with instances beside others."""
    twice = [(v, i, i) for v in videos for i, number in Counter(v.instances).items() if number > 1]
    place = f"{role} segments"
    if twice:
        severity: Severity = "error" if refuses_doubles else "warning"
        way_out = ". The second counts as missed in every score. Remove it"
        if refuses_doubles:
            way_out += ", or let it pass by data.unusable drop"
        yield _grouped(severity, place, twice, "given more than once, with the same label and times", way_out)
    found = _overlaps(videos)
    if found.near:
        what = f"almost the same as another one of the same class (tIoU above {NEAR:g})"
        yield _grouped("warning", place, found.near, what, ". Remove one of the two if they are one action")
    if found.heavy:
        what = "mostly upon another one of the same class"
        way_out = ". A model can hardly tell the two apart: correct their times, or join them"
        yield _grouped("warning", place, found.heavy, what, way_out)
    if len(found.below) > MOST_BELOW_OTHERS * found.instances:
        video, instance = found.below[0]
        message = (
            f"{len(found.below):,} of {count(found.instances, 'instance')} have most of their time covered by shorter "
            f"ones of other classes, such as {instance.label!r} from {instance.start:g} to {instance.end:g} s in video "
            f"{video.id!r}. The shortest wins each moment, so these are learnt from fewer: join labels that mean one"
        )
        yield Finding("warning", place, message, tuple(dict.fromkeys(video.id for video, _ in found.below)))


def _overlaps(videos: Sequence[Video]) -> _Overlaps:
    near: list[Pair] = []
    heavy: list[Pair] = []
    below: list[tuple[Video, Instance]] = []
    total = 0
    for video in videos:
        instances = [i for i in dict.fromkeys(video.instances) if i.start < i.end]
        total += len(instances)
        segments = np.array([(i.start, i.end) for i in instances]).reshape(-1, 2)
        numbers = {label: n for n, label in enumerate(dict.fromkeys(i.label for i in instances))}
        labels = np.array([numbers[i.label] for i in instances], dtype=np.int64)
        step = max(1, _PAIRS_AT_ONCE // max(1, len(instances)))
        for first in range(0, len(instances), step):
            rows = np.arange(first, min(first + step, len(instances)))
            a, b, mostly = _pairs(segments, labels, rows)
            near += [(video, instances[i], instances[j]) for i, j in a]
            heavy += [(video, instances[i], instances[j]) for i, j in b]
            below += [(video, instances[i]) for i in rows[mostly]]
    return _Overlaps(near, heavy, below, total)


def _pairs(
    segments: NDArray[np.float64], labels: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the near-double pairs `[k, 2]`, the heavily overlapping ones, and which rows are below one of others."""
    mine = segments[rows, None]
    length = geometry.length(segments)
    overlap = geometry.intersection(mine, segments[None])
    same = labels[rows, None] == labels[None]
    later = rows[:, None] < np.arange(len(segments))
    tiou = geometry.tiou(mine, segments[None])
    near = same & later & (tiou > NEAR)
    heavy = same & later & ~near & (overlap > HEAVY * np.minimum(length[rows, None], length[None]))
    shorter = length[None] < length[rows, None]
    mostly = (~same & shorter & (overlap > HEAVY * length[rows, None])).any(axis=1)
    shift = np.array([[rows[0], 0]]) if len(rows) else np.zeros((1, 2), np.int64)
    return np.argwhere(near) + shift, np.argwhere(heavy) + shift, mostly


def _grouped(severity: Severity, place: str, which: Sequence[Pair], what: str, way_out: str) -> Finding:
    """Make one finding of many pairs, the first of which is shown."""
    video, one, other = which[0]
    times = f"from {one.start:g} to {one.end:g} s"
    if other != one:
        times += f" and from {other.start:g} to {other.end:g} s"
    ids = tuple(dict.fromkeys(video.id for video, *_ in which))
    example = f"{one.label!r} {times} in video {video.id!r}"
    return Finding(severity, place, f"{count(len(which), 'instance')} {what}, such as {example}{way_out}", ids)
