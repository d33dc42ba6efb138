from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from conftest import Golden
from untrimmed.learning.config import OptimiserConfig
from untrimmed.learning.schedule import build_optimiser, learning_rate
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer


def _rates(config: OptimiserConfig, steps: int, warmup: int, total: int, epoch: int = 1) -> list[float]:
    return [learning_rate(config, step, warmup=warmup, total=total, epoch=epoch) for step in range(steps)]


def test_golden_rates(training_run: Golden) -> None:
    opt = training_run.config["opt"]
    config = OptimiserConfig(learning_rate=opt["learning_rate"])
    assert _rates(config, 6, warmup=4, total=10) == pytest.approx(training_run.arrays["train/lr"].tolist(), rel=1e-9)


def test_cosine() -> None:
    config = OptimiserConfig(learning_rate=2.0)
    rates = _rates(config, 26, warmup=5, total=25)
    assert rates[:5] == pytest.approx([0, 0.5, 1, 1.5, 2])
    assert rates[5] == 2
    assert rates[15] == pytest.approx(1, rel=1e-6)
    for step in range(5, 25):
        assert rates[step] == pytest.approx(1e-8 + (2 - 1e-8) * (1 + math.cos(math.pi * (step - 5) / 20)) / 2)
    assert rates[25] == pytest.approx(1e-8)
    assert all(a > b for a, b in pairwise(rates[5:]))


def test_cosine_stays_at_its_end() -> None:
    config = OptimiserConfig(learning_rate=2.0)
    assert _rates(config, 60, warmup=5, total=25)[30:] == pytest.approx([1e-8] * 30)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_without_warmup_the_first_step_has_the_whole_rate(schedule: str) -> None:
    config = OptimiserConfig(learning_rate=0.1, schedule=schedule)
    assert learning_rate(config, 0, warmup=0, total=10, epoch=1) == pytest.approx(0.1)


def test_warmup_of_one_step() -> None:
    config = OptimiserConfig(learning_rate=0.1, schedule="constant")
    assert _rates(config, 3, warmup=1, total=10) == [0, 0.1, 0.1]


def test_warmup_of_two_steps() -> None:
    config = OptimiserConfig(learning_rate=0.1, schedule="constant")
    assert _rates(config, 4, warmup=2, total=10) == [0, 0.1, 0.1, 0.1]


@pytest.mark.parametrize("warmup", [0, 5])
def test_training_that_is_all_warmup(warmup: int) -> None:
    rates = _rates(OptimiserConfig(learning_rate=0.1), warmup + 1, warmup=warmup, total=warmup)
    assert all(math.isfinite(rate) for rate in rates)


def test_constant() -> None:
    config = OptimiserConfig(learning_rate=0.1, schedule="constant")
    assert _rates(config, 100, warmup=3, total=10)[3:] == [0.1] * 97


def test_steps_are_counted_in_epochs_from_the_start() -> None:
    config = OptimiserConfig(learning_rate=1.0, schedule="steps", milestones=(3, 5), gamma=0.5)
    rates = _rates(config, 14, warmup=4, total=14, epoch=2)
    assert rates == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25])


MODELS: list[dict[str, Any]] = [
    {"position": "both", "downsampling": "convolution"},
    {"qkv_convolution": False, "neck": "top_down"},
    {"encoder": "conv", "head_norm": False, "projection_norm": False},
    {"input_dims": (4, 2), "stream_widths": (5, 3)},
]


def _model(settings: dict[str, Any]) -> ActionFormer:
    small = {"input_dims": 6, "num_classes": 3, "width": 8, "attention_heads": 2, "downsampling_blocks": 1}
    return ActionFormer(ModelConfig(**(small | settings)))


@pytest.mark.parametrize("settings", MODELS)
def test_every_parameter_is_in_one_group(settings: dict[str, Any]) -> None:
    model = _model(settings)
    optimiser = build_optimiser(model, OptimiserConfig())
    grouped = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(p) for p in model.parameters()}


@pytest.mark.parametrize("settings", MODELS)
def test_only_weights_of_convolutions_and_linear_maps_decay(settings: dict[str, Any]) -> None:
    model = _model(settings)
    optimiser = build_optimiser(model, OptimiserConfig(weight_decay=0.3))
    decays = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    # Convolutions and linear maps, pointwise ones too, are the only weights of three dimensions.
    expected = {name: 0.3 if p.dim() == 3 else 0.0 for name, p in model.named_parameters()}
    assert {name: decays[id(p)] for name, p in model.named_parameters()} == expected
    assert set(expected.values()) == {0.0, 0.3}


def test_official_groups(golden: Golden) -> None:
    """The official code decays `weight`s except those of LayerNorm and of scales; both named otherwise there."""
    from untrimmed import official

    model = official.build(golden.config, golden.state())
    optimiser = build_optimiser(model, OptimiserConfig())
    theirs = [
        tensor
        for name, tensor in golden.state().items()
        if name.endswith("weight") and not any(norm in name for norm in ("norm", "ln1", "ln2"))
    ]
    decayed = optimiser.param_groups[0]["params"]
    assert len(decayed) == len(theirs)
    assert sum(p.numel() for p in decayed) == sum(tensor.numel() for tensor in theirs)


def test_ordinary_layers_of_torch_decay_too() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Conv1d(3, 3, 1))
    decayed, others = (group["params"] for group in build_optimiser(model, OptimiserConfig()).param_groups)
    assert [p is q for p, q in zip(decayed, [model[0].weight, model[2].weight], strict=True)] == [True, True]
    assert len(others) == 4


@pytest.mark.parametrize(
    ("kind", "expected"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_kinds_of_optimiser(kind: str, expected: type[torch.optim.Optimizer]) -> None:
    config = OptimiserConfig(kind=kind, learning_rate=0.5, weight_decay=0.1, momentum=0.7)
    optimiser = build_optimiser(_model({}), config)
    assert type(optimiser) is expected
    assert [group["lr"] for group in optimiser.param_groups] == [0.5, 0.5]
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.1, 0.0]
    if kind == "sgd":
        assert optimiser.param_groups[0]["momentum"] == 0.7
