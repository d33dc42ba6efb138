from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from synthetic import TINY
from untrimmed.errors import ConfigError
from untrimmed.experiment.config import (
    DataConfig,
    EvaluationConfig,
    ExperimentConfig,
    load_config,
    parse_options,
    read_recipe,
    recipe_names,
    recipe_text,
    resolved,
    to_yaml,
)
from untrimmed.learning.config import TrainingConfig
from untrimmed.model.config import ModelConfig


def write(folder: Path, text: str, name: str = "my.yaml") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return str(folder / name)


# From a file or a recipe


def test_a_file_states_what_differs_from_the_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "model: {width: 64}\ntraining:\n  optimiser: {learning_rate: 1e-3}\n"))
    assert config.model == ModelConfig(width=64)
    assert config.training.optimiser.learning_rate == 1e-3
    assert config.training.epochs == TrainingConfig().epochs
    assert config.data == DataConfig()


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "{}"])
def test_an_empty_file_is_all_defaults(tmp_path: Path, text: str) -> None:
    assert load_config(write(tmp_path, text)) == ExperimentConfig()


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    text = "data: {annotations: a/b.json, features: [../rgb, /abs/flow]}\n"
    source = write(tmp_path / "configs", text, f"my.{suffix}")
    data = load_config(source).data
    assert data.annotations == tmp_path / "configs" / "a" / "b.json"
    assert data.features == (tmp_path / "configs" / ".." / "rgb", Path("/abs/flow"))
    monkeypatch.chdir(tmp_path / "configs")
    data = load_config(f"my.{suffix}").data
    assert data.annotations == Path("a/b.json")
    assert resolved(load_config(f"my.{suffix}")).data.streams == (tmp_path / "rgb", Path("/abs/flow"))


def test_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load_config(write(tmp_path, "data: {features: ~/rgb}")).data.features == Path("/home/somebody/rgb")


def test_paths_of_options_are_relative_to_the_working_folder(tmp_path: Path) -> None:
    source = write(tmp_path, "data: {annotations: a.json}")
    data = load_config(source, parse_options(["--data.annotations", "b.json", "--data.features", "[x, y]"])).data
    assert data.annotations == Path("b.json")
    assert data.features == (Path("x"), Path("y"))


def test_a_recipe_by_its_name() -> None:
    config = load_config("timed_up_and_go")
    assert config.model.width == 128
    assert config.data.annotations is not None
    assert config.data.annotations.is_file()
    assert all(path.exists() for path in config.data.streams)
    assert read_recipe("timed_up_and_go")["model"]["width"] == 128
    assert recipe_text("timed_up_and_go").startswith("#")
    assert set(recipe_names()) >= {"sbhar", "thumos14_i3d", "timed_up_and_go"}
    assert recipe_names() == sorted(recipe_names())


# Wrong files


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("thumos14_i3", "'thumos14_i3' is neither a recipe nor a .yaml file; did you mean 'thumos14_i3d'?"),
        ("timed_up_go", "did you mean 'timed_up_and_go'"),
        ("xyz", "there are .*sbhar.*`untrimmed recipes` lists them"),
        ("my.json", "neither a recipe nor a .yaml file"),
        ("", "neither a recipe nor a .yaml file"),
        ("__init__", "neither a recipe"),
        ("../recipes/sbhar", "neither a recipe"),
        ("nowhere.yaml", "nowhere.yaml: there is no such file"),
    ],
)
def test_no_such_configuration(source: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model: {width: 64", r"my.yaml: is not YAML: .* in line 1"),
        ("model:\n\twidth: 64", r"my.yaml: is not YAML: .* in line 2"),
        ("when: 2001-13-45", "my.yaml: is not YAML: month must be in 1..12"),
        ("!!python/object/apply:os.system ['false']", "my.yaml: is not YAML: could not determine a constructor"),
        ("- a\n- b", "my.yaml: expected keys with values, but found"),
        ("just text", "my.yaml: expected keys with values, but found"),
        ("modle: {}", "my.yaml: unknown key 'modle'; did you mean 'model'"),
        ("model: {widht: 64}", "my.yaml: unknown key 'model.widht'; did you mean 'model.width'"),
        ("training: {optimiser: {learning_rat: 1}}", "did you mean 'training.optimiser.learning_rate'"),
        ("model: {width: wide}", "my.yaml: model.width is 'wide', but has to be a whole number"),
        ("model: 3", "my.yaml: model is 3, but has to be"),
        ("data: {train: validation}", "my.yaml: data.train is 'validation', but has to be a list"),
        ("data: {unusable: ignore}", "data.unusable is 'ignore', but has to be 'refuse' or 'drop'"),
        ("evaluation: {tious: [0.5, 1.5]}", "evaluation.tious"),
        (
            "detection: {voting_tiou: 0.7}",
            "my.yaml: .*voting_tiou has an effect only after suppression over all classes",
        ),
        ("model: {window: 4}", "my.yaml: .*window is 4, but has to be odd"),
        ("training: {crop: {ratio: [1, 0.5]}}", r"my.yaml: .*ratio is \[1.0, 0.5\], but the first number"),
        ("1: 2", "my.yaml: "),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected) as caught:
        load_config(write(tmp_path, text))
    assert len(str(caught.value).splitlines()) == 1


def test_every_mistake_of_a_file_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, "model: {widht: 64, factor: 3}\ndata: {trian: [a]}\n"))
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(str(tmp_path / "my.yaml")) for line in lines)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"my.yaml: is not YAML"):
        load_config(str(tmp_path / "my.yaml"))
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"folder.yaml: cannot be read \(Is a directory\)"):
        load_config(str(tmp_path / "folder.yaml"))


# Options


def test_options_go_before_the_file(tmp_path: Path) -> None:
    source = write(tmp_path, "model: {width: 64, window: 9}")
    words = ["--model.width", "32", "--training.crop.min_visible=0.3", "--model.neck=top_down"]
    config = load_config(source, parse_options(words))
    assert config.model == ModelConfig(width=32, window=9, neck="top_down")
    assert config.training.crop.min_visible == 0.3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["--model.width", "256"], {"model.width": 256}),
        (["--model.width=256"], {"model.width": 256}),
        (["--training.crop.ratio", "[0.9, 1.0]"], {"training.crop.ratio": [0.9, 1.0]}),
        (["--model.window", "null"], {"model.window": None}),
        (["--model.head-norm", "false"], {"model.head_norm": False}),
        (["--data.prefix", "v_"], {"data.prefix": "v_"}),
        (["--data.prefix", ""], {"data.prefix": None}),
        (["--training.seed", "-1"], {"training.seed": -1}),
        (["--data.features=a=b"], {"data.features": "a=b"}),
        (["--model.width", "1", "--model.width", "2"], {"model.width": 2}),
        (["--data.features", "--odd"], {"data.features": "--odd"}),
    ],
)
def test_parse_options(words: list[str], expected: dict[str, Any]) -> None:
    assert parse_options(words) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["256"], "'256' is no option; settings are given as --section.key VALUE"),
        (["--width", "256"], "'--width' is no option"),
        (["-model.width", "256"], "'-model.width' is no option"),
        (["--model.width"], "option --model.width needs a value"),
        (["--model.width", "--model.window", "9"], "option --model.width needs a value, as in --model.width VALUE"),
        (["--training.crop.ratio", "[0.9,"], "option --training.crop.ratio: '.0.9,' is not a value"),
        (["--data.prefix", "2001-13-45"], "option --data.prefix: '2001-13-45' is not a value: month"),
        (["--data.prefix", "a: b: c"], "is not a value"),
    ],
)
def test_wrong_options(words: list[str], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        parse_options(words)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model.widht": 64}, r"my.yaml with options: unknown key 'model.widht'; did you mean 'model.width'"),
        ({"modell.width": 64}, "unknown key 'modell'; did you mean 'model'"),
        ({"model.width": "wide"}, "with options: model.width is 'wide'"),
        ({"model.width.more": 1}, "option --model.width.more: model.width is 64 and has no keys of its own"),
        ({"training.crop.ratio.low": 1}, "training.crop.ratio"),
        ({"model.width": None}, "model.width is null|model.width is None"),
        ({"data.train": None}, "data.train"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load_config(write(tmp_path, "model: {width: 64}"), options)


def test_a_mistake_of_the_file_is_not_one_of_the_options(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"my.yaml: unknown key 'model.widht'"):
        load_config(write(tmp_path, "model: {widht: 64}"), {"model.width": 3})


def test_one_subset_needs_no_brackets() -> None:
    options = {"data.train": "fold1", "data.validate": ["fold2", "fold3"]}
    data = load_config("timed_up_and_go", options).data
    assert data.train == ("fold1",)
    assert data.validate == ("fold2", "fold3")


# Written and read again


@pytest.mark.parametrize("name", recipe_names())
def test_a_resolved_recipe_is_read_back(tmp_path: Path, name: str) -> None:
    config = load_config(name)
    again = load_config(write(tmp_path, to_yaml(config)))
    assert again == resolved(config)
    assert to_yaml(again) == to_yaml(config)


def test_everything_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = {
        "description": "größer: ein 'Test'\nmit zwei Zeilen, no",
        "data": {
            "annotations": "a.json",
            "features": ["rgb", "flow"],
            "prefix": "v_",
            "key": "feats",
            "train": ["no", "2013"],
            "validate": ["off"],
            "unusable": "drop",
            "inputs": {"stride": 4, "window": 16.5, "rate": 29.97, "downsample": 2},
        },
        "model": TINY
        | {"input_dims": [3, 5], "stream_widths": [6, 10], "window": [3, 5, None], "regression_ranges": [[0, 4]] * 3},
        "training": {
            "target": {"regression_weight": "auto", "center_radius": None},
            "optimiser": {"schedule": "steps", "milestones": [3, 5], "learning_rate": 1e-7, "ema_decay": None},
            "crop": {"ratio": [0.25, 0.5]},
            "patience": 3,
        },
        "detection": {"suppression": "hard", "tiou": 0.3, "per_class": False, "voting_tiou": 0.7},
        "evaluation": {"tious": [0.5, 0.75]},
    }
    config = load_config(write(tmp_path, yaml.safe_dump(values)))
    assert config.evaluation == EvaluationConfig(tious=(0.5, 0.75))
    elsewhere = write(tmp_path / "run", to_yaml(config), "experiment.yaml")
    again = load_config(elsewhere)
    assert again == resolved(config)
    assert again.data.streams == (tmp_path / "rgb", tmp_path / "flow")
    assert yaml.safe_load(to_yaml(config))["data"]["annotations"] == str(tmp_path / "a.json")


def test_no_data_named() -> None:
    assert resolved(ExperimentConfig()) == ExperimentConfig()
    assert ExperimentConfig().data.streams == ()
