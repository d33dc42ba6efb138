"""The layers that the network is built of. Features are `[B, T, C]` from end to end.

That is the layout of a channels-last image of height 1, so every convolution, pointwise ones too, is a `conv2d` on a
view of the same memory: nothing is copied between layouts, LayerNorm reads contiguous rows, and on a CPU the library's
convolutions are about twice as fast as its matrix products (`make bench` measures both).

`valid` is `[B, T]`, or `None` where nothing is padded. Padded positions hold arbitrary finite numbers; every layer that
looks at neighbours hides them from its input first. With `padding="official"` it is the output that is masked instead,
which is what the official code does: a LayerNorm behind it then makes a constant of the padded positions, and the next
convolution reads that constant.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Padding = Literal["exact", "official"]


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> Tensor:
    """1-D convolution over time, "same" padding: `[B, T, C], [C', C / groups, K] -> [B, ceil(T / stride), C']`."""
    kernel = weight.shape[2]
    groups = x.shape[-1] // weight.shape[1]
    image = x.transpose(1, 2).unsqueeze(2)
    # In one thread torch computes a pointwise convolution half as fast as it could, unless it is strided or dilated;
    # the dilation of a single tap changes nothing.
    dilation = 2 if kernel == 1 and x.device.type == "cpu" else 1
    out = F.conv2d(
        image,
        weight.unsqueeze(2),
        bias,
        stride=(1, stride),
        padding=(0, kernel // 2),
        dilation=(1, dilation),
        groups=groups,
    )
    return out.squeeze(2).transpose(1, 2)


def mask(x: Tensor, valid: Tensor | None) -> Tensor:
    """`x` `[B, T, C]` with zeros at the padded positions."""
    return x if valid is None else x * valid.unsqueeze(-1).to(x.dtype)


def every(valid: Tensor | None, stride: int) -> Tensor | None:
    """Which positions are valid at a level whose stride is `stride` times as large."""
    return valid if valid is None or stride == 1 else valid[:, ::stride]


class Pointwise(nn.Module):
    """A linear map of every moment by itself: `[B, T, C] -> [B, T, C']`."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_width, in_width, 1))
        self.bias = nn.Parameter(torch.zeros(out_width))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return convolve(x, self.weight, self.bias)


class MaskedConvolution(nn.Module):
    """A convolution over time that padding does not reach: `[B, T, C] -> [B, ceil(T / stride), C']`.

    `depthwise` convolves each channel by itself. Biases start at zero, weights as torch's convolutions do.
    """

    def __init__(
        self,
        in_width: int,
        out_width: int,
        kernel: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        bias: bool = True,
        padding: Padding = "exact",
    ) -> None:
        super().__init__()
        self.stride = stride
        self.padding = padding
        self.weight = nn.Parameter(torch.empty(out_width, 1 if depthwise else in_width, kernel))
        self.bias = nn.Parameter(torch.zeros(out_width)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Apply it."""
        if self.padding == "official":
            return mask(convolve(x, self.weight, self.bias, self.stride), every(valid, self.stride))
        return convolve(mask(x, valid), self.weight, self.bias, self.stride)


class ConvolutionStack(nn.Module):
    """Convolutions with LayerNorm and ReLU after each: the projection, and the towers of both heads."""

    def __init__(
        self, in_width: int, width: int, kernel: int, layers: int, *, norm: bool, padding: Padding = "exact"
    ) -> None:
        super().__init__()
        widths = [in_width] + [width] * layers
        self.convolutions = nn.ModuleList(
            MaskedConvolution(a, b, kernel, bias=not norm, padding=padding) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) if norm else nn.Identity() for _ in range(layers))

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """`[B, T, C] -> [B, T, width]`."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x, valid)))
        return x


class Scale(nn.Module):
    """Multiplication by one learned number."""

    def __init__(self, start: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return x * self.scale


class ResidualBranch(nn.Module):
    """What a residual branch goes through before it is added: a learned scale a channel (Eq. 3), and drop path.

    `scale` is its start, or `None` for none. In training, each sample's branch is left out with probability `drop`, and
    the others are scaled up so that the mean stays the same.
    """

    def __init__(self, width: int, scale: float | None, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.scale = None if scale is None else nn.Parameter(torch.full((width,), scale))

    def forward(self, skip: Tensor, branch: Tensor) -> Tensor:
        """`skip + scale * branch`, both `[B, T, C]`."""
        if self.training and self.drop:
            kept = torch.rand(len(branch), 1, 1, device=branch.device) >= self.drop
            factor = kept.to(branch.dtype) / (1 - self.drop)
            branch = branch * (factor if self.scale is None else factor * self.scale)
            return skip + branch
        return skip + branch if self.scale is None else torch.addcmul(skip, branch, self.scale.to(branch.dtype))


def max_pool(x: Tensor, valid: Tensor | None, stride: int, padding: Padding = "exact") -> Tensor:
    """Maximum over `stride + 1` moments around every `stride`-th: `[B, T, C] -> [B, ceil(T / stride), C]`.

    Padded moments do not count; the official code counts them as what they hold, and clears them in the output.
    """
    if valid is not None and padding == "exact":
        x = x.masked_fill(~valid.unsqueeze(-1), torch.finfo(x.dtype).min)
    # max_pool2d, not 1d: it reads the channels-last view as it is, and exports to ONNX with a length that varies.
    image = x.transpose(1, 2).unsqueeze(2)
    pooled = F.max_pool2d(image, (1, stride + 1), (1, stride), (0, stride // 2)).squeeze(2).transpose(1, 2)
    return mask(pooled, every(valid, stride))


def average_pool(x: Tensor, valid: Tensor | None, stride: int) -> Tensor:
    """Mean of the valid moments of `stride + 1` around every `stride`-th: `[B, T, C] -> [B, ceil(T / stride), C]`."""
    there = x.new_ones(x.shape[:2]) if valid is None else valid.to(x.dtype)
    kernel, step, pad = (1, stride + 1), (1, stride), (0, stride // 2)

    def total(values: Tensor) -> Tensor:
        image = values.transpose(1, 2).unsqueeze(2)
        return F.avg_pool2d(image, kernel, step, pad, divisor_override=1).squeeze(2).transpose(1, 2)

    return total(mask(x, valid)) / total(there.unsqueeze(-1)).clamp(min=1)
