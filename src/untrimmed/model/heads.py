"""The two heads (paper, section 3.3): light convolutional towers, which go over all levels in one pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.model.blocks import Level
from untrimmed.model.config import ModelConfig
from untrimmed.model.layers import ConvolutionStack, MaskedConvolution, Padding, Scale, mask_

EMPTY_CLASS_PRIOR = 1e-6


@dataclass(frozen=True)
class JoinedLevels:
    """All levels of the pyramid side by side, so that a head goes over them once.

    Behind each level is a gap: positions of zeros, as many as a kernel reaches beyond a level's end.

    Attributes:
        features: `[B, J, C]`, finest level first.
        valid: `[B, J]`, false in the gaps; `None` where nothing is padded.
        moments: `[N]`, where the moments stand among the J positions.
        gaps: `[J - N]`, where the gaps do.
        lengths: of the levels.
    """

    features: Tensor
    valid: Tensor | None
    moments: Tensor
    gaps: Tensor
    lengths: tuple[int, ...]


def join(levels: Sequence[Level], gap: int, padding: Padding = "exact") -> JoinedLevels:
    """Put levels side by side, with `gap` positions behind each; what is padded becomes zero if `padding` is exact."""
    device = levels[0][0].device
    features: list[Tensor] = []
    valid: list[Tensor] = []
    moments: list[Tensor] = []
    gaps: list[Tensor] = []
    begin = 0
    for x, of_level in levels:
        end = begin + x.shape[1]
        features += [x, x.new_zeros(len(x), gap, x.shape[2])]
        if of_level is not None:
            valid += [of_level, of_level.new_zeros(len(x), gap)]
        moments.append(torch.arange(begin, end, device=device))
        gaps.append(torch.arange(end, end + gap, device=device))
        begin = end + gap
    joined, all_valid = torch.cat(features, dim=1), torch.cat(valid, dim=1) if valid else None
    return JoinedLevels(
        mask_(joined, all_valid) if padding == "exact" else joined,
        all_valid,
        torch.cat(moments),
        torch.cat(gaps),
        tuple(x.shape[1] for x, _ in levels),
    )


class ClassificationHead(nn.Module):
    """Logits of every class at every moment; each class is decided by itself, by a sigmoid."""

    def __init__(self, tower: ConvolutionStack, output: MaskedConvolution, prior: float, empty: Sequence[int]) -> None:
        super().__init__()
        self.tower = tower
        self.output = output
        assert output.bias is not None
        nn.init.constant_(output.bias, _logit(prior))
        with torch.no_grad():
            output.bias[list(empty)] = _logit(EMPTY_CLASS_PRIOR)

    def forward(self, levels: JoinedLevels) -> Tensor:
        """`[B, J, C] -> [B, N, classes]`."""
        output = partial(self.output, valid=levels.valid, hidden=True)
        return self.tower(levels.features, levels.valid, levels.gaps, then=output)[:, levels.moments]


class RegressionHead(nn.Module):
    """Distances to onset and offset at every moment, in strides of its level, by ReLU never negative (Eq. 4)."""

    def __init__(self, tower: ConvolutionStack, output: MaskedConvolution, levels: int, prior: float) -> None:
        super().__init__()
        self.tower = tower
        self.output = output
        assert output.bias is not None
        nn.init.constant_(output.bias, prior)
        self.scales = nn.ModuleList(Scale() for _ in range(levels))

    def forward(self, levels: JoinedLevels) -> Tensor:
        """`[B, J, C] -> [B, N, 2]`."""
        output = partial(self.output, valid=levels.valid, hidden=True)
        distances = self.tower(levels.features, levels.valid, levels.gaps, then=output)[:, levels.moments]
        parts = zip(self.scales, distances.split(levels.lengths, dim=1), strict=True)
        return F.relu(torch.cat([scale(part) for scale, part in parts], dim=1))


def build_heads(config: ModelConfig) -> tuple[ClassificationHead, RegressionHead]:
    """Build the heads that a configuration describes."""
    assert config.num_classes is not None
    width = config.neck_width or config.width
    head_width = config.head_width or width

    def tower() -> ConvolutionStack:
        return ConvolutionStack(
            width,
            head_width,
            config.head_kernel,
            config.head_layers - 1,
            norm=config.head_norm,
            padding=config.padding,
        )

    def output(channels: int) -> MaskedConvolution:
        in_width = head_width if config.head_layers > 1 else width
        # In bf16, scores would tie and boundaries be rounded to 8 bits.
        return MaskedConvolution(in_width, channels, config.head_kernel, full_precision=True, padding=config.padding)

    classification = ClassificationHead(tower(), output(config.num_classes), config.prior, config.empty_classes)
    return classification, RegressionHead(tower(), output(2), config.levels, config.offset_prior)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
