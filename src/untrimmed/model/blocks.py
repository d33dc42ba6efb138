"""The encoder's blocks, each of which may downsample (paper, section 3.2)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.model.attention import dense_attention, local_attention
from untrimmed.model.convolution import Pointwise
from untrimmed.model.layers import (
    MaskedConvolution,
    Padding,
    ResidualBranch,
    average_pool,
    every,
    mask,
    mask_,
    max_pool,
)
from untrimmed.model.recompute import recomputed, through

Level = tuple[Tensor, Tensor | None]
"""Features `[B, T, C]` and valid `[B, T]` of one level; `None` where nothing is padded."""


def _normed(convolution: nn.Module, norm: nn.Module, valid: Tensor | None, x: Tensor) -> Tensor:
    out: Tensor = norm(convolution(x, valid, hidden=True))
    return out


class SelfAttention(nn.Module):
    """Multi-head self-attention over a window or over all moments, with downsampling by `stride` on the way.

    With `convolution`, each of query, key and value goes through its own depthwise convolution, strided where the block
    downsamples, and LayerNorm, before its linear map; the official code does, the paper's Eq. 1 does not.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        window: int | None,
        *,
        stride: int,
        convolution: bool,
        relative: bool,
        dropout: float,
        padding: Padding,
    ) -> None:
        super().__init__()
        assert convolution or stride == 1, "only the convolutions of query, key and value have a stride"
        self.heads = heads
        self.window = window
        self.stride = stride
        kernel = stride + 1 if stride > 1 else 3
        self.convolutions = nn.ModuleList(
            MaskedConvolution(width, width, kernel, stride=stride, depthwise=True, bias=False, padding=padding)
            for _ in range(3 if convolution else 0)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if convolution else 0))
        self.projections = nn.ModuleList(Pointwise(width, width) for _ in range(3))
        self.output = Pointwise(width, width)
        self.dropout = nn.Dropout(dropout)
        self.bias: nn.Parameter | None = None
        if relative and window is not None:
            self.bias = nn.Parameter(torch.empty(heads, window))
            nn.init.trunc_normal_(self.bias, std=(2.0 / width) ** 0.5)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """`[B, T, C] -> [B, ceil(T / stride), C]`; the input has to be zero at the padded positions."""
        if self.convolutions:
            parts = zip(self.convolutions, self.norms, self.projections, strict=True)
            query, key, value = (
                through(partial(recomputed, partial(_normed, convolution, norm, valid)), linear, x)
                for convolution, norm, linear in parts
            )
        else:
            query, key, value = (linear(x) for linear in self.projections)
        keys = every(valid, self.stride)
        if self.window is None:
            out = dense_attention(query, key, value, heads=self.heads, valid=keys)
        else:
            out = local_attention(query, key, value, heads=self.heads, window=self.window, valid=keys, bias=self.bias)
        return self.dropout(self.output(out))


class MLP(nn.Sequential):
    """Two linear maps with a GELU in between, of every moment by itself."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(
            Pointwise(width, hidden), nn.GELU(), nn.Dropout(dropout), Pointwise(hidden, width), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, T, C] -> [B, T, C]`."""
        up, activation, dropout, down, last = self
        x = up(x)
        if self.training and dropout.p:
            return last(down(dropout(activation(x))))
        return through(activation, down, x)


class TransformerBlock(nn.Module):
    """Pre-LayerNorm Transformer block (Eq. 3), which may downsample.

    ::

        z' = skip(z) + alpha  * attention(LN(z))
        z  = z'      + alpha' * MLP(LN(z'))

    With strided convolutions inside the attention, the skip connection is max-pooled; otherwise `downsample`, applied
    to the block's output, is the downward arrow of Eq. 3.
    """

    def __init__(
        self,
        attention: SelfAttention,
        width: int,
        *,
        mlp_ratio: int,
        dropout: float,
        branch_scale: float | None,
        drop_path: float,
        downsample: nn.Module | None,
        padding: Padding,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.attention_norm = nn.LayerNorm(width)
        self.attention = attention
        self.attention_branch = ResidualBranch(width, branch_scale, drop_path)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = MLP(width, width * mlp_ratio, dropout)
        self.mlp_branch = ResidualBranch(width, branch_scale, drop_path)
        self.downsample = downsample

    def forward(self, x: Tensor, valid: Tensor | None) -> Level:
        """`[B, T, C], [B, T] -> [B, ceil(T / stride), C], [B, ceil(T / stride)]`."""
        stride = self.attention.stride
        after = every(valid, stride)
        skip = max_pool(x, valid, stride, self.padding) if stride > 1 else x
        normed = self.attention_norm(x)
        branch = self.attention(mask_(normed, valid) if self.padding == "exact" else normed, valid)
        if self.padding == "official":
            skip, branch = mask(skip, after), mask(branch, after)
        x = self.attention_branch(skip, branch)
        branch = through(self.mlp_norm, self.mlp, x)
        x = self.mlp_branch(x, mask(branch, after) if self.padding == "official" else branch)
        return self.downsample(x, after) if self.downsample is not None else (x, after)


class Downsample(nn.Module):
    """Downsampling of a block's output by `factor`: a strided depthwise convolution, or pooling, over `factor + 1`."""

    def __init__(self, width: int, kind: str, factor: int, padding: Padding) -> None:
        super().__init__()
        self.kind = kind
        self.factor = factor
        self.convolution = (
            MaskedConvolution(width, width, factor + 1, stride=factor, depthwise=True, padding=padding)
            if kind == "convolution"
            else None
        )

    def forward(self, x: Tensor, valid: Tensor | None) -> Level:
        """`[B, T, C], [B, T] -> [B, ceil(T / factor), C], [B, ceil(T / factor)]`."""
        after = every(valid, self.factor)
        if self.convolution is not None:
            return self.convolution(x, valid), after
        pool = average_pool if self.kind == "average" else max_pool
        return pool(x, valid, self.factor), after


class ConvolutionBlock(nn.Module):
    """The ablation's block without attention: two 3-convolutions, twice as wide in between, and a skip connection."""

    def __init__(self, width: int, *, stride: int, padding: Padding) -> None:
        super().__init__()
        self.stride = stride
        self.first = MaskedConvolution(width, 2 * width, 3, stride=stride, padding=padding)
        self.second = MaskedConvolution(2 * width, width, 3, padding=padding)
        self.skip = MaskedConvolution(width, width, 1, stride=stride, padding=padding) if stride > 1 else None

    def forward(self, x: Tensor, valid: Tensor | None) -> Level:
        """`[B, T, C], [B, T] -> [B, ceil(T / stride), C], [B, ceil(T / stride)]`."""
        after = every(valid, self.stride)
        branch = self.second(F.relu(self.first(x, valid)), after)
        skip = x if self.skip is None else self.skip(x, valid)
        return F.relu(skip + branch), after
