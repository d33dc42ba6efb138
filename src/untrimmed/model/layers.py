"""The layers that the network is built of. Features are `[B, T, C]` from end to end (see `convolution`).

`valid` is `[B, T]`, or `None` where nothing is padded. Padded positions hold arbitrary finite numbers; every layer that
looks at neighbours hides them from its input first. With `padding="official"` it is the output that is masked instead,
which is what the official code does: a LayerNorm behind it then makes a constant of the padded positions, and the next
convolution reads that constant.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.model.convolution import Convolution, as_features, as_image
from untrimmed.model.recompute import recomputed, through

Padding = Literal["exact", "official"]


def mask(x: Tensor, valid: Tensor | None) -> Tensor:
    """`x` `[B, T, C]` with zeros at the padded positions."""
    return x if valid is None else _fill_padding_(x.clone(), valid, 0.0)


def mask_(x: Tensor, valid: Tensor | None) -> Tensor:
    """`mask` in place, for what is needed nowhere else, and kept for no gradient, as a LayerNorm's output is not."""
    return x if valid is None else _fill_padding_(x, valid, 0.0)


def _fill_padding_(x: Tensor, valid: Tensor, value: float) -> Tensor:
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return x.masked_fill_(~valid.unsqueeze(-1), value)
    # To go over all of `x` takes longer than a LayerNorm. A GPU would have to wait for where the padding is.
    padded = (~(valid[0] if len(valid) == 1 else valid.all(0))).nonzero().squeeze(1)
    if len(valid) == 1:
        return x.index_fill_(1, padded, value)
    rows = x.index_select(1, padded).masked_fill(~valid[:, padded].unsqueeze(-1), value)
    return x.index_copy_(1, padded, rows)


def every(valid: Tensor | None, stride: int) -> Tensor | None:
    """Which positions are valid at a level whose stride is `stride` times as large."""
    return valid if valid is None or stride == 1 else valid[:, ::stride]


class MaskedConvolution(Convolution):
    """A convolution over time that padding does not reach: `[B, T, C] -> [B, ceil(T / stride), C']`."""

    def __init__(
        self,
        in_width: int,
        out_width: int,
        kernel: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        bias: bool = True,
        full_precision: bool = False,
        padding: Padding = "exact",
    ) -> None:
        super().__init__(
            in_width,
            out_width,
            kernel,
            stride=stride,
            depthwise=depthwise,
            bias=bias,
            full_precision=full_precision,
        )
        self.padding = padding

    def forward(self, x: Tensor, valid: Tensor | None, *, hidden: bool = False) -> Tensor:
        """Apply it; `hidden` says that `x` is zero at the padded positions already."""
        if self.padding == "official":
            return mask(self.convolve(x), every(valid, self.stride))
        return self.convolve(x if hidden else mask(x, valid))


def _same(x: Tensor) -> Tensor:
    return x


class ConvolutionStack(nn.Module):
    """Convolutions with LayerNorm and ReLU after each: the projection, and the towers of both heads."""

    def __init__(
        self, in_width: int, width: int, kernel: int, layers: int, *, norm: bool, padding: Padding = "exact"
    ) -> None:
        super().__init__()
        self.padding = padding
        widths = [in_width] + [width] * layers
        self.convolutions = nn.ModuleList(
            MaskedConvolution(a, b, kernel, bias=not norm, padding=padding) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) if norm else nn.Identity() for _ in range(layers))

    def forward(
        self,
        x: Tensor,
        valid: Tensor | None,
        gaps: Tensor | None = None,
        *,
        then: Callable[[Tensor], Tensor] = _same,
    ) -> Tensor:
        """`[B, T, C] -> [B, T, width]`, both zero at the padded positions.

        Args:
            x: features.
            valid: where they are not padded.
            gaps: positions that are zero whatever the padding: those between levels that stand side by side.
            then: what the last outputs are given to, instead of being returned; they are not kept for its gradient.
        """
        before: Callable[[Tensor], Tensor] = _same
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = through(before, partial(convolution, valid=valid, hidden=True), x)
            before = partial(recomputed, partial(self._rectified, norm, valid, gaps))
        return through(before, then, x)

    def _rectified(self, norm: nn.Module, valid: Tensor | None, gaps: Tensor | None, x: Tensor) -> Tensor:
        x = x.clone() if isinstance(norm, nn.Identity) else norm(x)  # what follows writes into it
        if valid is not None and self.padding == "exact":
            x = mask_(x, valid)
        elif gaps is not None:
            x = x.index_fill_(1, gaps, 0.0)
        return F.relu_(x)


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
        x = _fill_padding_(x.clone(), valid, torch.finfo(x.dtype).min)
    # max_pool2d, not 1d: it reads the channels-last view as it is, and exports to ONNX with a length that varies.
    pooled = F.max_pool2d(as_image(x), (1, stride + 1), (1, stride), (0, stride // 2))
    return mask_(as_features(pooled), every(valid, stride))


def average_pool(x: Tensor, valid: Tensor | None, stride: int) -> Tensor:
    """Mean of the valid moments of `stride + 1` around every `stride`-th: `[B, T, C] -> [B, ceil(T / stride), C]`."""
    there = x.new_ones(x.shape[:2]) if valid is None else valid.to(x.dtype)
    kernel, step, pad = (1, stride + 1), (1, stride), (0, stride // 2)

    def total(values: Tensor) -> Tensor:
        return as_features(F.avg_pool2d(as_image(values), kernel, step, pad, divisor_override=1))

    return total(mask(x, valid)) / total(there.unsqueeze(-1)).clamp(min=1)
