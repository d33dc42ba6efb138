"""What moves: how TransNetV2's first stage answers to pictures beyond its answer to each of them standing still.

The stage answers to colours and edges as well as to their change, and the former is by far the larger part. What it
would answer to a picture that never changes is a convolution of that picture alone; the difference of the two is zero
where nothing moves, whatever there is to be seen.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.video.extractors import transnet

DIMENSION = 256
"""Of the features: mean, deviation, maximum and negated minimum over the picture, of 64 channels each."""
REACH = transnet.STAGE_REACH
"""Frames to either side that are looked at."""


class Motion(nn.Module):
    """Frames `[T + 32, 3, 27, 48]` from 0 to 1, channels last, to `[T, 256]`: of those that have all neighbours."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights from the state dict of the package."""
        super().__init__()
        self.stage = transnet.Stage(state, 0, padded=False)
        self.still = StillStage(self.stage)

    def forward(self, frames: Tensor) -> Tensor:
        """Apply it."""
        difference = self.stage(frames).sub_(self.still(frames[REACH : len(frames) - REACH])).float()
        deviation, mean = torch.std_mean(difference, (2, 3))
        return torch.cat([mean, deviation, difference.amax((2, 3)), -difference.amin((2, 3))], 1)


class StillStage(nn.Module):
    """A stage's answer to pictures that never change: `[T, 3, H, W] -> [T, 64, H // 2, W // 2]`."""

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor

    def __init__(self, stage: transnet.Stage) -> None:
        super().__init__()
        self.register_buffer("first", stage.first.still_weight().contiguous(memory_format=torch.channels_last))
        self.register_buffer("second", stage.second.still_weight().contiguous(memory_format=torch.channels_last))
        self.register_buffer("first_bias", stage.first.bias)
        self.register_buffer("second_bias", stage.second.bias)

    def forward(self, frames: Tensor) -> Tensor:
        """Apply it."""
        first = F.relu_(F.conv2d(frames, self.first, self.first_bias, padding=1))
        second = F.relu_(F.conv2d(first, self.second, self.second_bias, padding=1))
        return F.avg_pool2d(second.add_(first), 2)
