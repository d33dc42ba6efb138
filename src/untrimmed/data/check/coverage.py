"""Which instances training would never see, and what each level of the pyramid is trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Instance, Video
from untrimmed.data.check.feature_checks import Extent
from untrimmed.data.check.pyramid import Pyramid
from untrimmed.data.check.report import LevelCount

_PAIRS_AT_ONCE = 1 << 20  # of an instance and a moment: some 50 MB


@dataclass(frozen=True, slots=True)
class Lonely:
    """An instance that no moment is trained on."""

    video: Video
    instance: Instance
    clips: float
    """Its length on the feature grid."""
    visible: bool
    """Whether its middle lies between those of the first and the last clip; else no stride helps."""


@dataclass(frozen=True)
class Coverage:
    """What is trained on what.

    Attributes:
        lonely: the instances that no moment is trained on.
        levels: what each level is trained on, finest first.
        lengths: of all instances, in seconds, ascending.
        clips: the same on the feature grid.
    """

    lonely: tuple[Lonely, ...]
    levels: tuple[LevelCount, ...]
    lengths: tuple[float, ...]
    clips: NDArray[np.float64]


def cover(extents: Sequence[Extent], pyramid: Pyramid) -> Coverage:
    """Find out which instances of these videos are trained on at which levels."""
    instances, positives, there = (np.zeros(len(pyramid.strides), dtype=np.int64) for _ in range(3))
    lonely: list[Lonely] = []
    lengths = [np.zeros(0)]
    for extent in extents:
        segments = extent.grid.to_grid(extent.video.segments)
        moments = pyramid.moments(extent.clips)
        edges = _level_edges(extent.clips, pyramid)
        trained = np.zeros(len(moments), dtype=np.bool_)
        for first, matrix in _parts(segments, moments, pyramid.radius):
            trained |= matrix.any(axis=0)
            of_level = np.stack([matrix[:, a:b].any(axis=1) for a, b in edges])
            instances += of_level.sum(axis=1)
            for i in first + np.flatnonzero(~of_level.any(axis=0)):
                start, end = segments[i]
                visible = 0 <= (start + end) / 2 <= extent.clips - 1
                lonely.append(Lonely(extent.video, extent.video.instances[i], end - start, bool(visible)))
        positives += [np.count_nonzero(trained[a:b]) for a, b in edges]
        there += [b - a for a, b in edges]
        lengths.append(segments[:, 1] - segments[:, 0])
    clip = float(np.median([e.grid.stride / e.grid.rate for e in extents])) if extents else 0.0
    levels = tuple(
        LevelCount(stride * clip, low * clip, high * clip, int(i), int(p), int(n))
        for stride, (low, high), i, p, n in zip(
            pyramid.strides, pyramid.ranges, instances, positives, there, strict=True
        )
    )
    seconds = sorted(i.end - i.start for extent in extents for i in extent.video.instances)
    return Coverage(tuple(lonely), levels, tuple(seconds), np.sort(np.concatenate(lengths)))


def uncovered(
    segments: NDArray[np.float64], length: int, moments: NDArray[np.floating[Any]], radius: float | None
) -> NDArray[np.bool_]:
    """Return which instances no moment is trained on, `[n]`.

    A moment is trained on an instance if it lies inside it, within `radius` strides of its centre (both strictly), and
    the larger of its distances to onset and offset is in the moment's regression range, ends included.

    Args:
        segments: `[n, 2]`, on the feature grid.
        length: T, the clips of the video. Moments at or after it are padding and do not count.
        moments: `[N, 4]`: time, range from, range to, stride, all on the feature grid.
        radius: of center sampling, in strides of a moment's level; `None` is the whole instance.
    """
    real = moments[moments[:, 0] < length].astype(np.float64)
    parts = [~matrix.any(axis=1) for _, matrix in _parts(segments, real, radius)]
    return np.concatenate([np.zeros(0, dtype=np.bool_), *parts])


def largest_cure(
    extents: Sequence[Extent],
    pyramid: Pyramid,
    candidates: Sequence[Callable[[Extent], tuple[int, Any]]],
) -> int | None:
    """Return the number of the first candidate by which every instance has a moment that is trained on it.

    Args:
        extents: of videos with their instances.
        pyramid: of the model.
        candidates: each says of a video how many clips it would have, and on which grid.
    """
    for number, candidate in enumerate(candidates):
        if all(_all_covered(extent, pyramid, candidate) for extent in extents):
            return number
    return None


def _all_covered(extent: Extent, pyramid: Pyramid, candidate: Callable[[Extent], tuple[int, Any]]) -> bool:
    clips, grid = candidate(extent)
    segments = grid.to_grid(extent.video.segments)
    return not uncovered(segments, clips, pyramid.moments(clips), pyramid.radius).any()


def _level_edges(length: int, pyramid: Pyramid) -> list[tuple[int, int]]:
    """Return where the moments of each level begin and end."""
    ends = np.cumsum([-(-length // stride) for stride in pyramid.strides]).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _parts(
    segments: NDArray[np.float64], moments: NDArray[np.float64], radius: float | None
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield which moments are trained on which instances, `[n, N]`, for some instances at a time, with the first."""
    step = max(1, _PAIRS_AT_ONCE // max(1, len(moments)))
    for first in range(0, len(segments), step):
        yield first, _trained(segments[first : first + step], moments, radius)


def _trained(segments: NDArray[np.float64], moments: NDArray[np.float64], radius: float | None) -> NDArray[np.bool_]:
    """Return which moments are trained on which instances, `[n, N]`."""
    time, low, high, stride = moments.T
    start, end = segments[:, :1], segments[:, 1:]
    farther = np.maximum(time - start, end - time)
    trained = (time > start) & (time < end) & (farther >= low) & (farther <= high)
    if radius is not None:
        trained &= np.abs(time - (start + end) / 2) < radius * stride
    return trained
