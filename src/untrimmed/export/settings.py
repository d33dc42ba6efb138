"""The settings beside an exported model, which its user may change: read, and checked by hand, for want of pydantic.

This module is a part of the program `detect.py` of every exported folder; see `untrimmed.export.runtime`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from untrimmed.errors import ConfigError


class Rule(NamedTuple):
    """What a setting has to be, as a test and in words."""

    holds: Callable[[Any], bool]
    words: str


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _one_of(*values: str) -> Rule:
    return Rule(lambda value: value in values and isinstance(value, str), f"one of {', '.join(values)}")


_SCORE = Rule(lambda value: _number(value) and 0 <= value < 1, "a number from 0 to below 1")
_OVERLAP = Rule(lambda value: value is None or (_number(value) and 0 < value <= 1), "a number above 0, to 1, or null")
_COUNT = Rule(_count, "a whole number above 0")
RULES = {
    "candidates": _one_of("every", "argmax"),
    "score_threshold": _SCORE,
    "candidates_per_level": _COUNT,
    "min_duration": Rule(lambda value: _number(value) and value >= 0, "a number of 0 or more"),
    "suppression": _one_of("soft", "hard", "none"),
    "per_class": Rule(lambda value: isinstance(value, bool), "true or false"),
    "sigma": Rule(lambda value: value is None or (_number(value) and value > 0), "a number above 0, or null"),
    "tiou": _OVERLAP,
    "min_score": _SCORE,
    "max_detections": _COUNT,
    "voting_tiou": _OVERLAP,
}
"""The settings of `detection`, as `untrimmed.detection.config.DetectionConfig` has them."""
INPUTS = ("kind", "stride", "window", "rate", "downsample", "resample", "channels", "offset", "scale")
"""Settings of `inputs` that are needed; these belong to the model, and are as they were exported."""


class Settings(NamedTuple):
    """What `config.json` says: the classes, how an array becomes features, and how detections are made."""

    labels: tuple[str, ...]
    inputs: Mapping[str, Any]
    detection: Any


def read_settings(path: Path) -> Settings:
    """Read `config.json`.

    Raises:
        ConfigError: if it cannot be read, or lacks a setting, has one that there is not, or one that cannot be.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ConfigError(f"{path}: is not JSON ({error})") from error
    labels, inputs, detection = (config.get(key) if isinstance(config, dict) else None for key in Settings._fields)
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ConfigError(f"{path}: labels has to be a list of names")
    if not isinstance(inputs, dict) or not isinstance(detection, dict):
        raise ConfigError(f"{path}: inputs and detection have to be sections. Export the model again")
    for key in (key for key in INPUTS if key not in inputs):
        raise ConfigError(f"{path}: inputs.{key} is missing. Export the model again")
    for line in wrong_detection(detection):
        raise ConfigError(f"{path}: {line}")
    return Settings(tuple(labels), inputs, SimpleNamespace(**detection))


def wrong_detection(settings: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the settings of `detection`, a line for each fault."""
    known = ", ".join(RULES)
    wrong = [f"detection.{key} is no setting; there are {known}" for key in settings if key not in RULES]
    wrong += [f"detection.{key} is missing" for key in RULES if key not in settings]
    wrong += [
        f"detection.{key} is {settings[key]!r}, but has to be {rule.words}"
        for key, rule in RULES.items()
        if key in settings and not rule.holds(settings[key])
    ]
    if wrong:
        return wrong
    suppression = settings["suppression"]
    for key, needed in (("sigma", "soft"), ("tiou", "hard")):
        if settings[key] is not None and suppression != needed:
            wrong.append(
                f"detection.{key} is for suppression {needed!r}, but suppression is {suppression!r}: set it to null"
            )
    if settings["voting_tiou"] is not None and (settings["per_class"] or suppression == "none"):
        wrong.append(
            "detection.voting_tiou has an effect only after suppression over all classes together: set per_class to "
            "false, or voting_tiou to null"
        )
    return wrong
