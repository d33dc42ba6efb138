"""Small models with random weights, for tests of more than one module."""

from __future__ import annotations

from typing import Any

import torch

from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer

LABELS = ("jump", "run", "walk")
GRID = InputConfig(stride=4, window=16, rate=10)
SMALL: dict[str, Any] = {
    "input_dims": 6,
    "num_classes": 3,
    "width": 8,
    "attention_heads": 2,
    "window": 3,
    "stem_blocks": 1,
    "downsampling_blocks": 2,
    "mlp_ratio": 1,
}


def make(inputs: InputConfig = GRID, detection: DetectionConfig | None = None, **model: Any) -> Localizer:
    """Make a localizer whose random weights see a lot in everything."""
    network = ActionFormer(ModelConfig(**SMALL | model)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    return Localizer(network, LABELS, inputs, detection or DetectionConfig(max_detections=20))


def moved(settings: dict[str, Any], seed: int = 0) -> ActionFormer:
    """A network in eval mode, every parameter moved away from its start: a bias of zero would hide a leak."""
    torch.manual_seed(seed)
    model = ActionFormer(ModelConfig(**settings))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()
