"""Random crops of training videos, and what they leave of the instances; all on the feature grid."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from untrimmed import segments as geometry

Share = Annotated[float, Field(gt=0, le=1)]

ATTEMPTS = 200
"""Crops that are tried before one without any instance is taken; so does the official code."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class CropConfig:
    """How training videos are cropped."""

    max_length: Annotated[int, Field(gt=0)] = 2304
    """Clips of the longest crop; longer videos are cut to it."""
    ratio: tuple[Share, Share] | None = None
    """Videos that are not longer are cropped to a random part of their length between these two."""
    min_visible: Share = 0.5
    """An instance that a crop cuts is kept if at least this part of it is inside."""

    def __post_init__(self) -> None:
        if self.ratio is not None and self.ratio[0] > self.ratio[1]:
            raise ValueError(f"ratio is {list(self.ratio)}, but the first number has to be the smaller one")


def random_crop(
    length: int, segments: NDArray[np.float64], config: CropConfig, random: np.random.Generator
) -> tuple[int, int]:
    """Choose the clips `[start, stop)` of a video of `length` clips.

    Of a video with instances `[n, 2]` the crop holds at least one, if one is found in `ATTEMPTS` tries; a video without
    any may be cropped anywhere.
    """
    size = min(length, config.max_length)
    if length <= config.max_length and config.ratio is not None:
        shortest, longest = (max(1, round(share * length)) for share in config.ratio)
        size = int(random.integers(shortest, longest, endpoint=True))
    start = 0
    for _ in range(ATTEMPTS):
        start = int(random.integers(0, length - size, endpoint=True))
        if size == length or not len(segments) or visible(segments, start, start + size, config.min_visible).any():
            break
    return start, start + size


def visible(segments: NDArray[np.float64], start: int, stop: int, share: float) -> NDArray[np.bool_]:
    """Which segments `[n, 2]` have at least this share of their length in `[start, stop]`.

    Those without length, of which there is nothing to see, are not among them.
    """
    inside = geometry.intersection(segments, np.array([start, stop], dtype=segments.dtype))
    return (inside > 0) & (inside >= share * geometry.length(segments))


def cut(
    segments: NDArray[np.float64], labels: NDArray[np.int64], start: int, stop: int, share: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cut instances to a crop and count from its start; those with less than this share inside are dropped."""
    kept = visible(segments, start, stop, share)
    return segments[kept].clip(start, stop) - start, labels[kept]
