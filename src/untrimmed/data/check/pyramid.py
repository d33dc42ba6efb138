"""What a check has to know of a model and its training: plain numbers, so that it runs without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.crops import CropConfig


@dataclass(frozen=True)
class Pyramid:
    """Which moments a model has, and which of them are trained on what.

    Attributes:
        strides: of the levels, finest first, on the feature grid.
        ranges: of regression, of each level, on the feature grid.
        windows: how many moments attention looks at on each level; `None` is all.
        radius: of center sampling, in strides; `None` is the whole instance.
        every_instance: whether instances that no moment would be trained on are given their nearest one.
        crop: how training videos are cropped.
    """

    strides: Sequence[int]
    ranges: Sequence[tuple[float, float]]
    windows: Sequence[int | None] = ()
    radius: float | None = 1.5
    every_instance: bool = False
    crop: CropConfig = field(default_factory=CropConfig)

    @property
    def longest(self) -> float:
        """Length, in clips, of the longest instance that any moment can be trained on."""
        return 2 * max(high for _, high in self.ranges)

    @property
    def usual_longest(self) -> float:
        """Length, in clips, that the coarsest level is made for: as far above that of the level before as its stride.

        The coarsest range is open upwards as a rule, so that longer instances are trained on too, but by few moments.
        """
        if len(self.ranges) == 1:
            return self.longest
        factor = self.strides[-1] / self.strides[-2]
        return min(self.longest, 2 * self.ranges[-2][1] * max(factor, 2.0))

    def moments(self, length: int) -> NDArray[np.float64]:
        """Return the moments of a video of so many clips, `[N, 4]`: time, range from, range to, stride."""
        levels = []
        for stride, (low, high) in zip(self.strides, self.ranges, strict=True):
            time = np.arange(0, length, stride, dtype=np.float64)
            levels.append(np.stack([time, *(np.full_like(time, x) for x in (low, high, stride))], axis=1))
        return np.concatenate(levels)
