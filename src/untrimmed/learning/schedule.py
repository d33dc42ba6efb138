"""The optimiser with its parameter groups, and the learning rate of every step."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from untrimmed.learning.config import OptimiserConfig
from untrimmed.model.convolution import Convolution

LEAST = 1e-8
"""Learning rate at the end of a cosine schedule."""


def learning_rate(config: OptimiserConfig, step: int, *, warmup: int, total: int, epoch: int) -> float:
    """Learning rate of a step, counted from 0.

    It grows linearly from 0 and reaches its height at the last of the `warmup` steps; then it falls along a half cosine
    that would end at step `total`, or by `gamma` at each milestone, or stays. `epoch` is the number of steps in one.
    """
    peak = config.learning_rate
    if step < warmup:
        return peak * step / max(warmup - 1, 1)
    if config.schedule == "cosine":
        done = (step - warmup) / max(total - warmup, 1)
        return LEAST + 0.5 * (peak - LEAST) * (1 + math.cos(math.pi * min(done, 1.0)))
    passed = sum(step >= milestone * epoch for milestone in config.milestones)
    return peak * config.gamma**passed


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Build the optimiser of what is not frozen: weights of convolutions and linear maps decay, all else does not."""
    decayed = set(_decayed(model))
    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    weights = [parameter for name, parameter in trained if name in decayed]
    others = [parameter for name, parameter in trained if name not in decayed]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if config.kind == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum, fused=True)
    kind = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.learning_rate, fused=True)


def _decayed(model: nn.Module) -> Iterator[str]:
    for name, module in model.named_modules():
        if isinstance(module, (Convolution, nn.Linear, nn.Conv1d)):
            yield f"{name}.weight"
