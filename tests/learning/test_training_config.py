from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from untrimmed.errors import ConfigError
from untrimmed.learning.config import OptimiserConfig, TargetConfig, TrainingConfig
from untrimmed.settings import dump, parse


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        (TrainingConfig, {"epochs": 0}, "greater than 0"),
        (TrainingConfig, {"warmup_epochs": -1}, "greater than or equal to 0"),
        (TrainingConfig, {"batch_size": 0}, "greater than 0"),
        (TrainingConfig, {"accumulate": 0}, "greater than 0"),
        (TrainingConfig, {"seed": -1}, "greater than or equal to 0"),
        (TrainingConfig, {"seed": 2**31}, "less than"),
        (TrainingConfig, {"patience": 0}, "greater than 0"),
        (TrainingConfig, {"validate_every": 0}, "greater than 0"),
        (TrainingConfig, {"precision": "fp16"}, "'auto', 'fp32' or 'bf16'"),
        (TrainingConfig, {"accelerator": "gpu"}, "'auto', 'cpu', 'cuda' or 'mps'"),
        (TrainingConfig, {"devices": 0}, "greater than 0"),
        (TrainingConfig, {"workers": 0}, "greater than 0"),
        (TrainingConfig, {"lr": 0.1}, "lr"),
        (TargetConfig, {"center_radius": 0}, "greater than 0"),
        (TargetConfig, {"regression_loss": "iou"}, "'diou' or 'giou'"),
        (TargetConfig, {"regression_weight": -1}, "greater than or equal to 0"),
        (TargetConfig, {"label_smoothing": 1}, "less than 1"),
        (TargetConfig, {"focal_alpha": 1.5}, "less than or equal to 1"),
        (TargetConfig, {"focal_gamma": float("nan")}, "finite|greater"),
        (TargetConfig, {"initial_normaliser": 0}, "greater than 0"),
        (TargetConfig, {"normaliser_momentum": 1}, "less than 1"),
        (OptimiserConfig, {"learning_rate": 0}, "greater than 0"),
        (OptimiserConfig, {"learning_rate": float("inf")}, "finite"),
        (OptimiserConfig, {"weight_decay": -0.1}, "greater than or equal to 0"),
        (OptimiserConfig, {"clip_norm": 0}, "greater than 0"),
        (OptimiserConfig, {"ema_decay": 1}, "less than 1"),
        (OptimiserConfig, {"schedule": "steps"}, "give both or neither"),
        (OptimiserConfig, {"milestones": [3]}, "give both or neither"),
        (OptimiserConfig, {"kind": "lion"}, "'adamw', 'adam' or 'sgd'"),
    ],
)
def test_wrong_settings(kind: type[Any], settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        kind(**settings)


def test_an_error_names_file_and_nested_key() -> None:
    with pytest.raises(ConfigError, match=r"my.yaml: optimiser.learning_rate is -1, but .*above 0"):
        parse(TrainingConfig, {"optimiser": {"learning_rate": -1}}, "my.yaml")
    with pytest.raises(ConfigError, match=r"unknown key 'optimiser.learning_rat'; did you mean .*learning_rate"):
        parse(TrainingConfig, {"optimiser": {"learning_rat": 1}}, "my.yaml")


def test_nothing_set_and_switched_off() -> None:
    config = parse(
        TrainingConfig,
        {
            "target": {"center_radius": None, "regression_weight": "auto"},
            "optimiser": {"clip_norm": None, "ema_decay": None},
        },
        "my.yaml",
    )
    assert config.target.center_radius is None
    assert config.target.regression_weight == "auto"
    assert config.optimiser.clip_norm is None
    assert config.optimiser.ema_decay is None


def test_numbers_as_yaml_has_them() -> None:
    # Without a dot, YAML 1.1 reads 1e-3 as text.
    assert parse(TrainingConfig, yaml.safe_load("optimiser: {learning_rate: 1e-3}"), "").optimiser.learning_rate == 1e-3


@pytest.mark.parametrize(
    "config",
    [
        TrainingConfig(),
        TrainingConfig(
            optimiser=OptimiserConfig(
                kind="sgd", schedule="steps", milestones=(3, 5), ema_decay=None, learning_rate=1e-7
            ),
            target=TargetConfig(regression_weight="auto", center_radius=None),
            patience=3,
        ),
    ],
)
def test_round_trip_through_yaml(config: TrainingConfig) -> None:
    assert parse(TrainingConfig, yaml.safe_load(yaml.safe_dump(dump(config))), "") == config


def test_total_epochs() -> None:
    assert TrainingConfig(epochs=30, warmup_epochs=5).total_epochs == 35
