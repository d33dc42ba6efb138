"""Whether features suit the actions that are to be learnt from them, and whether there are enough of these."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.check import uncovered
from untrimmed.data.check.report import count, some
from untrimmed.learning.config import TargetConfig
from untrimmed.model.config import LAST, ModelConfig
from untrimmed.time_grid import TimeGrid

MOST_SHORT = 0.05
"""Share of the actions that may be shorter than two clips without a warning."""
MOST_LONG = 2048
"""Clips of an action from which on a warning says that it is long."""
FEW = 5
"""Instances of a class below which a warning says that they are few."""
HIGHEST_RATE = 30
"""Frames per second above which nothing is suggested."""


def doubts(train: Annotations, grid: TimeGrid, model: ModelConfig) -> Iterator[str]:
    """Yield what will not go well, each with its way out.

    Args:
        train: the videos to train on; one of them has an instance.
        grid: of their features.
        model: with levels and regression ranges.
    """
    segments = np.concatenate([grid.to_grid(video.segments) for video in train])
    lengths = segments[:, 1] - segments[:, 0]
    brief = float(np.mean(lengths < 2))
    if brief > MOST_SHORT:
        yield _too_short(train, grid, model, float(np.quantile(lengths, MOST_SHORT)))
    if (lengths > MOST_LONG).any():
        yield _too_long(lengths, grid)
    number = Counter(dict.fromkeys(train.labels, 0))
    number.update(instance.label for video in train for instance in video.instances)
    few = [f"{label!r} {n}" for label, n in sorted(number.items(), key=lambda pair: pair[1]) if n < FEW]
    if few:
        yield f"few examples to learn from: {some(few)}. Do not expect much of a class before it has ten or twenty"


def clips_of(duration: float, grid: TimeGrid) -> int:
    """How many clips the features of a video will have."""
    return max(1, grid.clips(round(duration * grid.rate)))


def finer(clip: float, grid: TimeGrid) -> dict[str, float]:
    """Return options of `untrimmed extract` for a clip every `clip` seconds or less: a stride, and maybe a rate.

    A stride is a whole number of sampled frames; when it is down to one, only more frames a second help.
    """
    stride = max(1, math.floor(clip * grid.rate + 1e-9))
    if stride / grid.rate <= clip + 1e-9:
        return {"stride": stride}
    return {"stride": 1, "rate": max(min(math.ceil(1 / clip), HIGHEST_RATE), grid.rate)}


def _too_short(train: Annotations, grid: TimeGrid, model: ModelConfig, typical: float) -> str:
    """Say how many actions are hardly longer than a clip, and of how many no moment is trained on any."""
    from untrimmed.model.moments import pyramid_moments  # noqa: PLC0415  brings torch, which is not needed to plan

    unseen = short = every = 0
    labels: set[str] = set()
    for video in train:
        clips = clips_of(video.duration, grid)
        segments = grid.to_grid(video.segments)
        brief = segments[:, 1] - segments[:, 0] < 2
        moments = pyramid_moments(clips, model.strides, model.ranges).numpy()
        unseen += int(uncovered(segments[brief], clips, moments, TargetConfig().center_radius).sum())
        short += int(brief.sum())
        every += len(brief)
        labels.update(i.label for i, is_brief in zip(video.instances, brief, strict=True) if is_brief)
    clip = grid.stride / grid.rate
    are = "is" if short == 1 else "are"
    lost = f"; {unseen:,} of them cannot be learnt from at all" if unseen else ""
    wanted = finer(typical * clip / 2, grid)
    return (
        f"{short:,} of {count(every, 'action')} {are} shorter than two clips, {2 * clip:.2g} s "
        f"({some(map(repr, sorted(labels)))}){lost}. Finer features suit them: "
        + " ".join(f"--{key} {value:g}" for key, value in wanted.items())
    )


def _too_long(lengths: NDArray[np.float64], grid: TimeGrid) -> str:
    clip = grid.stride / grid.rate
    longest = float(lengths.max())
    lost = f"; those of more than {2 * LAST * clip:.0f} s cannot be learnt from at all" if longest > 2 * LAST else ""
    wanted = grid.stride * 2 ** math.ceil(math.log2(longest / MOST_LONG))
    return (
        f"{count(int((lengths > MOST_LONG).sum()), 'action')}, the longest of {longest * clip:.0f} s, are very long "
        f"for a clip every {clip:.2g} s{lost}. Coarser features suit them: --stride {wanted:g}"
    )
