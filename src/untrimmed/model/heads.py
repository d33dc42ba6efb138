"""The two heads (paper, section 3.3): light convolutional towers, shared by all levels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.model.blocks import Level
from untrimmed.model.config import ModelConfig
from untrimmed.model.layers import ConvolutionStack, MaskedConvolution, Scale

EMPTY_CLASS_PRIOR = 1e-6


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

    def forward(self, levels: Sequence[Level]) -> list[Tensor]:
        """For each level `[B, T, C] -> [B, T, classes]`."""
        return [self.output(self.tower(x, valid), valid) for x, valid in levels]


class RegressionHead(nn.Module):
    """Distances to onset and offset at every moment, in strides of its level, by ReLU never negative (Eq. 4)."""

    def __init__(self, tower: ConvolutionStack, output: MaskedConvolution, levels: int) -> None:
        super().__init__()
        self.tower = tower
        self.output = output
        self.scales = nn.ModuleList(Scale() for _ in range(levels))

    def forward(self, levels: Sequence[Level]) -> list[Tensor]:
        """For each level `[B, T, C] -> [B, T, 2]`."""
        return [
            F.relu(scale(self.output(self.tower(x, valid), valid)))
            for scale, (x, valid) in zip(self.scales, levels, strict=True)
        ]


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
        return MaskedConvolution(in_width, channels, config.head_kernel, padding=config.padding)

    classification = ClassificationHead(tower(), output(config.num_classes), config.prior, config.empty_classes)
    return classification, RegressionHead(tower(), output(2), config.levels)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
