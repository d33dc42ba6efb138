"""Geometry of the pyramid: which moments it has, for a video of any length."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def level_lengths(length: int, strides: Sequence[int]) -> list[int]:
    """How many moments each level has for a video of `length` clips: `ceil(length / stride)`."""
    return [-(-length // stride) for stride in strides]


def pyramid_moments(
    length: int,
    strides: Sequence[int],
    ranges: Sequence[tuple[float, float]],
    device: torch.device | None = None,
) -> Tensor:
    """All moments of a video of `length` clips, `[N, 4]`: time, range from, range to, stride; finest level first.

    Times and ranges are on the feature grid. Point `i` of a level sits at the clip `i * stride`, the one that it was
    downsampled from.
    """
    levels = []
    for count, stride, (low, high) in zip(level_lengths(length, strides), strides, ranges, strict=True):
        time = torch.arange(count, dtype=torch.float32, device=device) * stride
        rest = torch.tensor([low, high, stride], dtype=torch.float32, device=device).expand(count, 3)
        levels.append(torch.cat([time[:, None], rest], dim=1))
    return torch.cat(levels)
