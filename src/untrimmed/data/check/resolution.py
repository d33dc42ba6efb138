"""With which stride every instance would have a moment that is trained on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from untrimmed.data.check.coverage import Lonely, largest_cure
from untrimmed.data.check.feature_checks import Extent
from untrimmed.data.check.pyramid import Pyramid
from untrimmed.data.inputs import InputConfig
from untrimmed.time_grid import TimeGrid

SHORT = 2.0
"""Clips below which an instance may fall between two moments."""

_FACTORS = (1.25, 1.5, 2, 3, 4, 6, 8, 12, 16)  # of the rows that features are interpolated to

Key = Literal["stride", "downsample", "resample", "extract"]


@dataclass(frozen=True, slots=True)
class Cure:
    """A change by which every short instance would be trained on.

    Attributes:
        key: of `data.inputs`; `extract` is the stride of features that have to be extracted again.
        value: of it.
        seconds: from one clip to the next, in the usual video.
    """

    key: Key
    value: int
    seconds: float

    @property
    def option(self) -> str:
        """What to do, in words."""
        if self.key == "extract":
            return f"extract the features again with --stride {self.value}"
        return f"--data.inputs.{self.key} {self.value}"


def cure_for(lonely: Sequence[Lonely], extents: Sequence[Extent], pyramid: Pyramid, config: InputConfig) -> Cure | None:
    """Return the coarsest clips by which all short instances would be trained on; `None` if there are none such.

    Instances that are no help to look at are left out: those that are trained on whatever the stride, being long; and
    those that no stride helps, being where there are no features.
    """
    hopeless = {(each.video.id, each.instance) for each in lonely if not each.visible or each.clips >= SHORT}
    looked_at = []
    for extent in extents:
        limit = SHORT * extent.grid.stride / extent.grid.rate
        short = tuple(
            i
            for i in dict.fromkeys(extent.video.instances)
            if 0 < i.end - i.start < limit and (extent.video.id, i) not in hopeless
        )
        if short:
            looked_at.append(replace(extent, video=replace(extent.video, instances=short)))
    if not looked_at:
        return None
    options = list(_options(extents[0].grid, config))
    found = largest_cure(looked_at, pyramid, [_at(scale) for *_, scale in options])
    if found is None:
        return None
    key, value, scale = options[found]
    grids = sorted(extent.grid.stride / extent.grid.rate for extent in extents)
    return Cure(key, value, scale * grids[len(grids) // 2])


def _options(grid: TimeGrid, config: InputConfig) -> Iterator[tuple[Key, int, float]]:
    """Yield what may be changed, from what it changes least; the last number is the new stride in old ones."""
    if config.kind == "signals":
        assert config.stride is not None
        for stride in range(int(config.stride) - 1, 0, -1):
            yield "stride", stride, stride / config.stride
        return
    if config.resample is not None:
        for factor in _FACTORS:
            rows = math.ceil(factor * config.resample)
            yield "resample", rows, config.resample / rows
        return
    for step in range(config.downsample - 1, 0, -1):
        yield "downsample", step, step / config.downsample
    own = grid.stride / config.downsample
    for stride in range(math.ceil(own) - 1, 0, -1):
        yield "extract", stride, stride / grid.stride


def _at(scale: float) -> Callable[[Extent], tuple[int, TimeGrid]]:
    """Return what says how many clips a video would have, and on which grid, with strides that are shorter so."""

    def grid_of(extent: Extent) -> tuple[int, TimeGrid]:
        grid = replace(extent.grid, stride=scale * extent.grid.stride)
        return max(1, grid.clips(math.floor(extent.end * grid.rate + 1e-6))), grid

    return grid_of
