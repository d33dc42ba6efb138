"""Convolutions with their batch normalisation folded in, as a frozen backbone computes them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-3
"""Both backbones were trained in TensorFlow, with its usual epsilon."""


def fold(weight: Tensor, state: Mapping[str, Tensor], norm: str) -> tuple[Tensor, Tensor]:
    """Return weight and bias of the one convolution that does what a convolution and its batch normalisation do.

    Args:
        weight: of the convolution, `[C', ...]`; it has no bias.
        state: where the batch normalisation's `weight`, `bias`, `running_mean` and `running_var` are, all `[C']`.
        norm: what their keys begin with.
    """
    gain, bias, mean, variance = (
        state[f"{norm}.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / torch.sqrt(variance + BATCH_NORM_EPSILON)
    folded = weight.double() * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return folded.float(), (bias - mean * scale).float()


class FoldedConvolution(nn.Module):
    """A 2-D convolution with TensorFlow's "SAME" padding and a bias, and ReLU6 if asked for, in channels-last memory.

    `[B, C, H, W] -> [B, C', H / stride, W / stride]`; with a stride of 2, height and width have to be even. "SAME" then
    pads one more below and to the right than above and to the left. An even kernel whose first row and column are zero,
    padded alike on all sides, does the same and needs no padded copy of the input.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, *, stride: int = 1, groups: int = 1, relu6: bool = False) -> None:
        super().__init__()
        self.stride, self.groups, self.relu6 = stride, groups, relu6
        self.padding = weight.shape[-1] // 2
        self.pointwise = weight.shape[-1] == 1
        if stride == 2 and not self.pointwise:
            weight = F.pad(weight, (1, 0, 1, 0))
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        assert self.stride == 1 or x.shape[2] % 2 == x.shape[3] % 2 == 0
        # In one thread torch computes a pointwise convolution half as fast as it could, unless it is strided or
        # dilated; the dilation of a single tap changes nothing.
        dilation = 2 if self.pointwise and x.device.type == "cpu" else 1
        out = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, dilation, self.groups)
        return F.hardtanh_(out, 0.0, 6.0) if self.relu6 else out
