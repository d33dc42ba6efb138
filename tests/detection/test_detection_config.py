from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from untrimmed.detection.config import DetectionConfig
from untrimmed.errors import ConfigError
from untrimmed.settings import dump, parse


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"suppression": "hard", "sigma": 0.5}, "sigma is for suppression 'soft', but suppression is 'hard'"),
        ({"suppression": "none", "sigma": 0.5}, "sigma is for suppression 'soft', but suppression is 'none'"),
        ({"tiou": 0.5}, "tiou is for suppression 'hard', but suppression is 'soft'"),
        ({"suppression": "none", "tiou": 0.5}, "tiou is for suppression 'hard', but suppression is 'none'"),
        ({"voting_tiou": 0.5}, "voting_tiou has an effect only after suppression over all classes together"),
        ({"voting_tiou": 0.5, "per_class": False, "suppression": "none"}, "voting_tiou has an effect only after"),
    ],
)
def test_settings_without_effect_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^my.yaml: {message}"):
        parse(DetectionConfig, values, "my.yaml")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"sigma": 0.3},
        {"suppression": "hard"},
        {"suppression": "hard", "tiou": 0.4},
        {"suppression": "none", "max_detections": 5},
        {"per_class": False, "voting_tiou": 0.7},
        {"per_class": False, "suppression": "hard", "voting_tiou": 1.0},
    ],
)
def test_settings_that_go_together(values: dict[str, Any]) -> None:
    config = parse(DetectionConfig, values, "my.yaml")
    assert {name: getattr(config, name) for name in values} == values
    assert parse(DetectionConfig, dump(config), "my.yaml") == config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("score_threshold", -0.1),
        ("score_threshold", 1.0),
        ("score_threshold", math.nan),
        ("candidates_per_level", 0),
        ("min_duration", -1),
        ("min_score", 1),
        ("sigma", 0),
        ("max_detections", 0),
        ("max_detections", 2.5),
        ("candidates", "best"),
        ("suppression", "gaussian"),
        ("per_class", "perhaps"),
    ],
)
def test_values_out_of_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^my.yaml: {name} is .*, but has to be "):
        parse(DetectionConfig, {name: value}, "my.yaml")
    with pytest.raises(ValidationError):
        DetectionConfig(**{name: value})


def test_defaults_are_those_of_the_official_thumos_configuration() -> None:
    config = DetectionConfig()
    assert (config.score_threshold, config.candidates_per_level, config.min_score) == (0.001, 2000, 0.001)
    assert (config.max_detections, config.min_duration, config.per_class) == (200, 0.05, True)
