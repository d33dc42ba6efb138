"""Between encoder and heads: each level by itself, or with what the coarser ones saw (a feature pyramid network)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from untrimmed.model.blocks import Level
from untrimmed.model.config import ModelConfig
from untrimmed.model.layers import MaskedConvolution, Padding


class IdentityNeck(nn.Module):
    """LayerNorm at every level, nothing else."""

    def __init__(self, width: int, levels: int, *, norm: bool) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) if norm else nn.Identity() for _ in range(levels))

    def forward(self, levels: Sequence[Level]) -> list[Level]:
        """Apply it to each level, `[B, T, C] -> [B, T, C]`."""
        return [(norm(x), valid) for norm, (x, valid) in zip(self.norms, levels, strict=True)]


class TopDownNeck(nn.Module):
    """Feature pyramid network: laterals, coarser levels added to finer ones, a depthwise convolution, LayerNorm."""

    def __init__(self, in_width: int, width: int, strides: Sequence[int], *, norm: bool, padding: Padding) -> None:
        super().__init__()
        self.ratios = [coarse // fine for fine, coarse in pairwise(strides)]
        levels = range(len(strides))
        self.laterals = nn.ModuleList(
            MaskedConvolution(in_width, width, 1, bias=False, padding=padding) for _ in levels
        )
        self.convolutions = nn.ModuleList(
            MaskedConvolution(width, width, 3, depthwise=True, bias=False, padding=padding) for _ in levels
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) if norm else nn.Identity() for _ in levels)

    def forward(self, levels: Sequence[Level]) -> list[Level]:
        """Apply it, `[B, T, C] -> [B, T, width]` for each level."""
        laterals: list[Tensor] = [lateral(x, valid) for lateral, (x, valid) in zip(self.laterals, levels, strict=True)]
        for i in reversed(range(len(self.ratios))):
            coarse = laterals[i + 1].repeat_interleave(self.ratios[i], dim=1)
            laterals[i] = laterals[i] + coarse[:, : laterals[i].shape[1]]
        return [
            (norm(convolution(x, valid)), valid)
            for convolution, norm, x, (_, valid) in zip(self.convolutions, self.norms, laterals, levels, strict=True)
        ]


def build_neck(config: ModelConfig) -> IdentityNeck | TopDownNeck:
    """Build the neck that a configuration describes."""
    if config.neck == "identity":
        return IdentityNeck(config.width, config.levels, norm=config.neck_norm)
    width = config.neck_width or config.width
    return TopDownNeck(config.width, width, config.strides, norm=config.neck_norm, padding=config.padding)
