from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from untrimmed.detection.model_folder import LocalizerConfig
from untrimmed.errors import ConfigError
from untrimmed.experiment.config import ExperimentConfig, load_config, recipe_names
from untrimmed.settings import describe, dump, parse, read_yaml


def mistakes(values: Any, kind: type[Any] = ExperimentConfig) -> list[str]:
    """Return what is said about values, without the place, which every line has to begin with."""
    with pytest.raises(ConfigError) as error:
        parse(kind, values, "my.yaml")
    lines = str(error.value).splitlines()
    assert all(line.startswith("my.yaml: ") for line in lines)
    return [line.removeprefix("my.yaml: ") for line in lines]


# Unknown keys


@pytest.mark.parametrize(
    ("values", "unknown", "meant"),
    [
        ({"modell": {}}, "modell", "model"),
        ({"model": {"widht": 3}}, "model.widht", "model.width"),
        ({"data": {"inputs": {"strid": 4}}}, "data.inputs.strid", "data.inputs.stride"),
        (
            {"training": {"optimiser": {"learning-rate": 1}}},
            "training.optimiser.learning-rate",
            "training.optimiser.learning_rate",
        ),
        ({"training": {"optimizer": {}}}, "training.optimizer", "training.optimiser"),
        # In the wrong section
        ({"epochs": 3}, "epochs", "training.epochs"),
        ({"model": {"epochs": 3}}, "model.epochs", "training.epochs"),
        ({"training": {"learning_rate": 1}}, "training.learning_rate", "training.optimiser.learning_rate"),
    ],
)
def test_unknown_key_with_the_one_that_was_meant(values: dict[str, Any], unknown: str, meant: str) -> None:
    assert mistakes(values) == [f"unknown key {unknown!r}; did you mean {meant!r}?"]


@pytest.mark.parametrize("name", ["colour", "str", "none", "5", 5])
def test_unknown_key_that_is_like_no_other(name: object) -> None:
    known = "annotations, task, cut_from, features, prefix, key, train, validate, unusable, class_agnostic, inputs"
    assert mistakes({"data": {name: 1}}) == [f"unknown key 'data.{name}'; the keys there are {known}"]


def test_unknown_key_whatever_its_value() -> None:
    assert mistakes({"model": {"widht": {"a": [1, {}]}}}) == ["unknown key 'model.widht'; did you mean 'model.width'?"]


# Wrong values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"width": "x"}}, "model.width is 'x', but has to be a whole number above 0"),
        ({"model": {"width": 0}}, "model.width is 0, but has to be a whole number above 0"),
        ({"model": {"width": 2.5}}, "model.width is 2.5, but has to be a whole number above 0"),
        ({"model": {"width": None}}, "model.width is null, but has to be a whole number above 0"),
        ({"model": {"factor": 3}}, "model.factor is 3, but has to be a whole number not below 2 and a multiple of 2"),
        ({"model": {"drop_path": 1}}, "model.drop_path is 1, but has to be a number not below 0 and below 1"),
        ({"model": {"neck_norm": "big"}}, "model.neck_norm is 'big', but has to be true or false"),
        ({"description": ["a"]}, "description is ['a'], but has to be text"),
        ({"data": {"inputs": {"kind": "x"}}}, "data.inputs.kind is 'x', but has to be 'features' or 'signals'"),
        ({"training": {"epochs": False}}, "training.epochs is false, but has to be a whole number above 0"),
        ({"data": {"train": "fold1"}}, "data.train is 'fold1', but has to be a list, each text"),
        ({"data": {"train": [["a"]]}}, "data.train.0 is ['a'], but has to be text"),
        (
            {"evaluation": {"tious": [0.5, 2]}},
            "evaluation.tious.1 is 2, but has to be a number above 0 and not above 1",
        ),
        (
            {"training": {"optimiser": {"learning_rate": math.inf}}},
            "training.optimiser.learning_rate is inf, but has to be a number above 0 and finite",
        ),
    ],
)
def test_wrong_value(values: dict[str, Any], message: str) -> None:
    assert mistakes(values) == [message]


ONE_OR_SEVERAL = "a whole number above 0, or a list, each a whole number above 0"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"window": "x"}}, f"model.window is 'x', but has to be {ONE_OR_SEVERAL}, or null, or null"),
        (
            {"model": {"window": [3, "x"]}},
            f"model.window is [3, 'x'], but has to be {ONE_OR_SEVERAL}, or null, or null",
        ),
        ({"model": {"input_dims": [8, 0]}}, f"model.input_dims is [8, 0], but has to be {ONE_OR_SEVERAL}, or null"),
        ({"model": {"input_dims": {}}}, f"model.input_dims is {{}}, but has to be {ONE_OR_SEVERAL}, or null"),
        (
            {"model": {"regression_ranges": "far"}},
            "model.regression_ranges is 'far', but has to be 'adjacent' or 'overlapping', or a list, each a list of 2, "
            "each a number",
        ),
        (
            {"model": {"regression_ranges": [[1, 2, 3]]}},
            "model.regression_ranges is [[1, 2, 3]], but has to be 'adjacent' or 'overlapping', or a list, each a list "
            "of 2, each a number",
        ),
        ({"data": {"features": 5}}, "data.features is 5, but has to be a path, or a list, each a path, or null"),
        (
            {"training": {"target": {"regression_weight": "much"}}},
            "training.target.regression_weight is 'much', but has to be a number not below 0 and finite, or 'auto'",
        ),
        (
            {"model": {"branch_scale": -1}},
            "model.branch_scale is -1, but has to be a number above 0 and finite, or null",
        ),
        (
            {"data": {"inputs": {"channels": [-1]}}},
            "data.inputs.channels is -1, but has to be a list, each a whole number not below 0, or a list, each text, "
            "or null",
        ),
    ],
)
def test_wrong_value_where_there_is_a_choice_of_types_is_one_mistake(values: dict[str, Any], message: str) -> None:
    assert mistakes(values) == [message]


@pytest.mark.parametrize("ratio", [[0.5], [0.5, 0.6, 0.7], []])
def test_list_of_a_wrong_length(ratio: list[float]) -> None:
    expected = "a list of 2, each a number above 0 and not above 1, or null"
    values = {"training": {"crop": {"ratio": ratio}}}
    assert mistakes(values) == [f"training.crop.ratio is {ratio}, but has to be {expected}"]


@pytest.mark.parametrize("value", [5, "wide", [1], None])
def test_section_that_is_none(value: object) -> None:
    shown = "null" if value is None else repr(value)
    expected = "a section with keys such as input_dims, stream_widths, width"
    assert mistakes({"model": value}) == [f"model is {shown}, but has to be {expected}"]


def test_the_whole_is_no_section() -> None:
    assert mistakes([1]) == ["it is [1], but has to be a section with keys such as description, data, model"]


def test_long_values_are_shortened() -> None:
    (line,) = mistakes({"model": {"width": "x" * 500}})
    assert len(line) < 150
    assert "xxx..., but has to be a whole number above 0" in line


# Values that contradict each other


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model": {"width": 30}},
            "model.width is 30, but has to be a multiple of the 4 attention_heads",
        ),
        (
            {"detection": {"suppression": "hard", "sigma": 1}},
            "detection.sigma is for suppression 'soft', but suppression is 'hard': leave it out",
        ),
        (
            {"training": {"crop": {"ratio": [0.9, 0.1]}}},
            "training.crop.ratio is [0.9, 0.1], but the first number has to be the smaller one",
        ),
        (
            {"data": {"inputs": {"kind": "signals", "window": 2}}},
            "data.inputs.stride is None, but kind 'signals' needs a whole number of samples",
        ),
    ],
)
def test_contradiction_is_about_its_key(values: dict[str, Any], message: str) -> None:
    assert mistakes(values) == [message]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Inner:
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("what is low cannot be high")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Outer:
    name: str
    inner: Inner = Field(default_factory=Inner)
    choice: Inner | None = None


def test_contradiction_is_about_its_section_otherwise() -> None:
    assert mistakes({"name": "a", "inner": {"low": 2}}, Outer) == ["inner: what is low cannot be high"]
    assert mistakes({"low": 2}, Inner) == ["what is low cannot be high"]


def test_section_that_may_be_left_out() -> None:
    assert parse(Outer, {"name": "a", "choice": None}, "").choice is None
    assert mistakes({"name": "a", "choice": {"low": "x"}}, Outer) == ["choice.low is 'x', but has to be a whole number"]
    assert mistakes({"name": "a", "choice": {"lo": 1}}, Outer) == [
        "unknown key 'choice.lo'; did you mean 'choice.low'?"
    ]


# Missing keys, and several mistakes


def test_missing_key() -> None:
    assert mistakes({}, Outer) == ["name is missing; it has to be text"]
    assert mistakes({"labels": ["a"]}, LocalizerConfig) == [
        "model is missing; it has to be a section with keys such as input_dims, stream_widths, width"
    ]


def test_every_mistake_has_a_line() -> None:
    values = {
        "model": {"window": "x", "input_dims": [1, "a"], "widht": 3},
        "training": {"epochs": 0, "optimiser": {"schedul": "steps"}},
        "epochs": 3,
    }
    assert sorted(mistakes(values)) == [
        f"model.input_dims is [1, 'a'], but has to be {ONE_OR_SEVERAL}, or null",
        f"model.window is 'x', but has to be {ONE_OR_SEVERAL}, or null, or null",
        "training.epochs is 0, but has to be a whole number above 0",
        "unknown key 'epochs'; did you mean 'training.epochs'?",
        "unknown key 'model.widht'; did you mean 'model.width'?",
        "unknown key 'training.optimiser.schedul'; did you mean 'training.optimiser.schedule'?",
    ]


def test_no_word_of_the_library_that_checks() -> None:
    values = {"model": {"window": "x", "width": [], "neck": 3, "prior": "a"}, "data": {"features": [[]], "train": 3}}
    text = "\n".join(mistakes(values))
    for word in ("Input should", "valid", "tuple", "int", "float", "str ", "dataclass", "literal", "pydantic"):
        assert word not in text.replace("input_dims", "")


# Types in words


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (int, "a whole number"),
        (Path | None, "a path, or null"),
        (Literal["a", "b", 3], "'a' or 'b' or 3"),
        (tuple[str, ...], "a list, each text"),
        (tuple[float, float, float], "a list of 3, each a number"),
        (Annotated[float, Field(ge=0, lt=1)] | Literal["auto"], "a number not below 0 and below 1, or 'auto'"),
        (Annotated[int, "a note"], "a whole number"),
        (bool, "true or false"),
    ],
)
def test_types_in_words(declared: Any, words: str) -> None:
    assert describe(declared) == words


def test_every_setting_that_there_is_can_be_described() -> None:
    """Each is given a value that nothing admits, and its complaint has to name it."""
    wrong = object()

    def sections(values: dict[str, Any]) -> dict[str, Any]:
        return {key: sections(value) if isinstance(value, dict) else wrong for key, value in values.items()}

    def keys(values: dict[str, Any]) -> list[str]:
        nested = [
            [key, *(f"{key}.{k}" for k in keys(v))][1:] if isinstance(v, dict) else [key] for key, v in values.items()
        ]
        return [key for each in nested for key in each]

    values = sections(dump(ExperimentConfig()))
    lines = mistakes(values)
    assert {line.split(" is ")[0] for line in lines} == set(keys(values))
    assert all(", but has to be " in line for line in lines)


# There and back


@pytest.mark.parametrize("name", recipe_names())
def test_dumped_settings_are_read_back(name: str) -> None:
    config = load_config(name)
    assert parse(ExperimentConfig, dump(config), "") == config


# YAML


def test_read_yaml(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("model: {width: 3}\nname: größer\n", encoding="utf-8")
    assert read_yaml(path) == {"model": {"width": 3}, "name": "größer"}
    path.write_text("# nothing yet\n")
    assert read_yaml(path) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"model: {width: 3\ndata: 5", r"is not YAML: expected ',' or '}', but got .* in line 2, column 5$"),
        (b"a: b: c", r"is not YAML: mapping values are not allowed here in line 1, column 5$"),
        (b"name: gr\xf6\xdfer", r"is not YAML: .*can't decode byte 0xf6"),
        (b"day: 2024-13-45", r"is not YAML: month must be in 1\.\.12"),
        (b"a: \x00", r"is not YAML: unacceptable character"),
        (b"!!python/object/apply:os.system [exit]", r"is not YAML: could not determine a constructor .* in line 1"),
        (b"- a\n- b", r"expected keys with values, but found \['a', 'b'\]$"),
        (b"hello", r"expected keys with values, but found 'hello'$"),
    ],
)
def test_file_that_cannot_be_read_as_settings(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"my\.yaml: {message}") as error:
        read_yaml(path)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value).splitlines()) == 1


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: there is no such file$"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)$"):
        read_yaml(tmp_path)
