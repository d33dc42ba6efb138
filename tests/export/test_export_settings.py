"""The check of an exported model's settings, against that of the package itself."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.errors import ConfigError
from untrimmed.export.settings import INPUTS, RULES, read_settings, wrong_detection
from untrimmed.settings import parse

USUAL = asdict(DetectionConfig())
VALUES = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    200,
    0.0,
    0.1,
    0.5,
    0.999,
    1.0,
    1.5,
    -0.1,
    "soft",
    "hard",
    "none",
    "every",
    "x",
]


def refused_by_the_package(settings: dict[str, Any]) -> bool:
    try:
        parse(DetectionConfig, settings, "settings")
    except ConfigError:
        return True
    return False


def test_the_settings_are_those_of_the_package() -> None:
    assert list(RULES) == [field.name for field in fields(DetectionConfig)]
    assert set(INPUTS) <= {field.name for field in fields(InputConfig)}
    assert wrong_detection(USUAL) == []


@given(st.dictionaries(st.sampled_from([*RULES, "sigmaa"]), st.sampled_from(VALUES), max_size=3))
def test_what_is_refused_is_what_the_package_refuses(changes: dict[str, Any]) -> None:
    settings = USUAL | changes
    if refused_by_the_package(settings):
        assert wrong_detection(settings)
    elif not any(map(taken_for_another_type, changes, changes.values())):
        assert not wrong_detection(settings)


def taken_for_another_type(key: str, value: object) -> bool:
    """Whether the package takes a value for one of the right type, as it takes true for 1; here it has to be one."""
    whole = key in ("candidates_per_level", "max_detections")
    return isinstance(value, bool) != (key == "per_class") or (whole and isinstance(value, float))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"suppression": "sfot"}, "detection.suppression is 'sfot', but has to be one of soft, hard, none"),
        ({"sigmaa": 0.5}, "detection.sigmaa is no setting; there are candidates, score_threshold"),
        ({"max_detections": -5}, "detection.max_detections is -5, but has to be a whole number above 0"),
        ({"min_score": "0.1"}, "detection.min_score is '0.1', but has to be a number from 0 to below 1"),
        ({"voting_tiou": 0.5}, "detection.voting_tiou has an effect only after suppression over all classes"),
        ({"tiou": 0.5}, "detection.tiou is for suppression 'hard', but suppression is 'soft': set it to null"),
    ],
)
def test_faults_are_named(change: dict[str, Any], message: str) -> None:
    (line,) = wrong_detection(USUAL | change)
    assert line.startswith(message)


def config(**changes: Any) -> dict[str, Any]:
    inputs = {key: value for key, value in asdict(InputConfig()).items() if key in INPUTS}
    return {"labels": ["a", "b"], "inputs": inputs, "detection": USUAL} | changes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("\x80", "is not JSON"),
        ("[]", "labels has to be a list of names"),
        (json.dumps(config(labels=["a", 1])), "labels has to be a list of names"),
        (json.dumps(config(inputs=None)), "inputs and detection have to be sections"),
        (json.dumps(config(inputs={})), "inputs.kind is missing"),
        (json.dumps(config(detection={})), "detection.candidates is missing"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError) as error:
        read_settings(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_settings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config()))
    settings = read_settings(path)
    assert settings.labels == ("a", "b")
    assert vars(settings.detection) == USUAL
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(tmp_path / "none.json")
