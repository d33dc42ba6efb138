"""Bad input: one clear error that names the place and the way out, and nothing is written."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from command_line import files, refused, run

from pickle_bomb import Bomb
from synthetic import make_videos, write_experiment
from untrimmed.experiment.config import recipe_names

Spoil = Callable[[Path], object]


def of_video(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    """Change the features of a training video."""

    def spoil(data: Path) -> None:
        path = data / "features" / "train2.npy"
        np.save(path, change(np.load(path)))

    return spoil


def of_entry(**changes: Any) -> Spoil:
    """Change what the annotations say of a training video."""

    def spoil(data: Path) -> None:
        path = data / "annotations.json"
        content = json.loads(path.read_text())
        content["database"]["train2"] |= changes
        path.write_text(json.dumps(content))

    return spoil


def of_segment(segment: Any) -> Spoil:
    return of_entry(annotations=[{"label": "run", "label_id": 1, "segment": segment}])


def of_setting(section: str, **changes: Any) -> Spoil:
    """Change the configuration."""

    def spoil(data: Path) -> None:
        path = data / "experiment.yaml"
        values = yaml.safe_load(path.read_text())
        values[section] = values.get(section, {}) | changes
        path.write_text(yaml.safe_dump(values))

    return spoil


def one_value(value: float) -> Spoil:
    def change(features: np.ndarray) -> np.ndarray:
        features[7, 3] = value
        return features

    return of_video(change)


def cut_short(data: Path) -> None:
    path = data / "features" / "train2.npy"
    path.write_bytes(path.read_bytes()[:200])


def npy_bomb(data: Path) -> None:
    array = np.array([Bomb(data / "trace")], dtype=object)
    np.save(data / "features" / "train2.npy", array, allow_pickle=True)


def torch_bomb(data: Path) -> None:
    (data / "features" / "train2.npy").unlink()
    torch.save({"features": Bomb(data / "trace")}, data / "features" / "train2.pt")


# What is wrong, and what the error has to say of it; last, what `check` has to say, where it uses other words
IN_DATA: dict[str, tuple[Spoil, list[str], list[str]] | tuple[Spoil, list[str]]] = {
    "missing feature file": (
        lambda data: (data / "features" / "train2.npy").unlink(),
        ["/features: no features of video 'train2': there is no 'train2.npy'", "nearest name", "Extract or copy"],
    ),
    "short feature file": (cut_short, ["features/train2.npy", "cut short", "Copy or extract it again"]),
    "empty feature file": (
        lambda data: (data / "features" / "train2.npy").write_bytes(b""),
        ["features/train2.npy: cannot be read", "copy or extract it again"],
    ),
    "no features at all": (
        lambda data: [path.unlink() for path in (data / "features").glob("*.npy")],
        ["/features: there are no feature files in the folder", "Expected is <video id>.npy"],
    ),
    "NaN": (one_value(np.nan), ["train2", "1 of ", "NaN or infinite", "is row 7", "Extract the features of this"]),
    "infinity": (one_value(np.inf), ["train2", "1 of ", "NaN or infinite", "is row 7"]),
    "wrong dimension": (
        of_video(lambda x: x[:, :5]),
        ["train2", "5 dimensions, but 8 are expected", "Use features"],
        ["another dimension than the 8 that are usual: 'train2' has 5."],
    ),
    "stored as [D, T]": (
        of_video(lambda x: x.T),
        ["train2", "8 are expected", "transpose them to [T, D]"],
        ["'train2' has 41.", "transpose them to [T, D]"],
    ),
    "one axis": (of_video(lambda x: x[0]), ["train2", "the array has 1 axes, [8], but features are [T, D]"]),
    "empty video": (of_video(lambda x: x[:0]), ["train2", "the array is empty, [0, 8]", "Extract the features"]),
    "text": (of_video(lambda x: x.astype(str)), ["train2", "features are numbers"]),
    "pickle bomb as npy": (npy_bomb, ["train2.npy", "holds pickled Python objects, which are never loaded"]),
    "pickle bomb as pt": (torch_bomb, ["train2.pt", "other Python objects than tensors, which are never loaded"]),
    "misspelt subset": (
        of_setting("data", train=["trian"]),
        ["annotations.json: no video is in subset 'trian'", "'train' (5 videos)", "Did you mean 'train'?"],
    ),
    "reversed segment": (
        of_segment([5, 2]),
        ["annotations.json: video 'train2', annotation 0", "[5, 2], but has to start before it ends", "swap the two"],
    ),
    "segment of one number": (
        of_segment([5]),
        ["video 'train2', annotation 0", "has to be [start, end] in seconds"],
    ),
    "segment outside the video": (
        of_segment([900, 905]),
        ["video 'train2'", "'run' from 900 to 905 s", "outside"],
        ["'run' from 900 to 905 s in video 'train2'", "outside"],
    ),
    "video without duration": (
        of_entry(duration=0),
        ["video 'train2'", '"duration" is 0', "positive number of sec"],
    ),
    "no annotations": (
        lambda data: (data / "annotations.json").unlink(),
        ["annotations.json: there is no such fil"],
    ),
    "half annotations": (
        lambda data: (data / "annotations.json").write_text('{"database": {'),
        ["annotations.json: not usable as JSON", "line 1 column 15"],
    ),
    "pickle for annotations": (
        lambda data: (data / "annotations.json").write_bytes(pickle.dumps(Bomb(data / "trace"))),
        ["annotations.json: not UTF-8 text"],
    ),
}
IN_CONFIGURATION: dict[str, tuple[Spoil, list[str]]] = {
    "unknown key": (of_setting("model", widht=3), ["unknown key 'model.widht'; did you mean 'model.width'?"]),
    "unknown section": (of_setting("modell"), ["unknown key 'modell'; did you mean 'model'?"]),
    "wrong type": (
        of_setting("model", window="wide"),
        ["model.window is 'wide', but has to be a whole number above 0"],
    ),
    "contradiction": (
        of_setting("model", width=15),
        ["model.width is 15, but has to be a multiple of the 2 attention_h"],
    ),
    "no YAML": (
        lambda data: (data / "experiment.yaml").write_text("model: {width: 3\ndata: 5"),
        ["is not YAML", "in line 2, column 5"],
    ),
    "YAML bomb": (
        lambda data: (data / "experiment.yaml").write_text("!!python/object/apply:os.system ['touch trace']"),
        ["is not YAML: could not determine a constructor"],
    ),
    "no configuration": (lambda data: (data / "experiment.yaml").unlink(), ["experiment.yaml: there is no such file"]),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a small experiment."""
    return write_experiment(tmp_path / "data", training={"epochs": 1, "warmup_epochs": 0}).parent


@pytest.mark.parametrize("case", IN_DATA)
def test_data(data: Path, case: str) -> None:
    spoil, messages, *_ = IN_DATA[case]
    spoil(data)
    before = files(data.parent)
    line = refused("train", data / "experiment.yaml", "--out", data.parent / "run", code=1)
    assert all(message in line for message in messages), line
    assert str(data) in line
    assert files(data.parent) == before  # neither a run nor the trace of a bomb
    assert not (data.parent / "run").exists()


@pytest.mark.parametrize("case", IN_DATA)
def test_check_of_data(data: Path, case: str) -> None:
    spoil, *messages = IN_DATA[case]
    spoil(data)
    before = files(data.parent)
    outcome = run("check", data / "experiment.yaml")
    assert outcome.code == 1
    said = outcome.out + outcome.err
    assert all(message in said for message in messages[-1]), said
    assert files(data.parent) == before


@pytest.mark.parametrize("case", IN_CONFIGURATION)
@pytest.mark.parametrize("command", ["train", "check"])
def test_configuration(data: Path, case: str, command: str) -> None:
    spoil, messages = IN_CONFIGURATION[case]
    spoil(data)
    before = files(data.parent)
    path = data / "experiment.yaml"
    line = refused(command, path, *(["--out", data.parent / "run"] if command == "train" else []), code=2)
    assert line.startswith(f"{path}: ")
    assert all(message in line for message in messages), line
    assert files(data.parent) == before


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["--model.widht", "3"], ["unknown key 'model.widht'; did you mean 'model.width'?"]),
        (["--epochs", "3"], ["'--epochs'", "--section.key VALUE"]),
        (["--model.epochs", "3"], ["unknown key 'model.epochs'; did you mean 'training.epochs'?"]),
        (["--training.epochs", "many"], ["training.epochs is 'many', but has to be a whole number above 0"]),
        (["--training.epochs"], ["--training.epochs needs a value"]),
        (["--training.epochs", "[1"], ["--training.epochs", "'[1' is not a value"]),
        (["epochs", "3"], ["'epochs'", "--section.key VALUE"]),
        (["--data.train", "trian"], ["no video is in subset 'trian'", "Did you mean 'train'?"]),
        (["--data.train", "[]"], ["data.train is empty: name the subsets to train on"]),
        (["--data.inputs.stride", "8"], ["features.json: stride is 8 in the configuration, but 4 there"]),
        (["--model.input_dims", "9"], ["model.input_dims is 9", "the data have 8"]),
        (["--model.num_classes", "9"], ["model.num_classes is 9", "the data have 2"]),
        (["--data.features", "nowhere"], ["nowhere: there is no such folder or file"]),
        (["--training.accelerator", "abacus"], ["training.accelerator is 'abacus', but has to be 'auto' or 'cpu'"]),
    ],
)
def test_options(data: Path, words: list[str], messages: list[str]) -> None:
    before = files(data.parent)
    code = 1 if words[-1] in ("trian", "nowhere") else 2
    line = refused("train", data / "experiment.yaml", *words, "--out", data.parent / "run", code=code)
    assert all(message in line for message in messages), line
    assert files(data.parent) == before
    assert not (data.parent / "run").exists()


def test_validation_data_are_looked_at_before_training(data: Path) -> None:
    (data / "features" / "test1.npy").unlink()
    line = refused("train", data / "experiment.yaml", "--out", data.parent / "run", code=1)
    assert "no features of video 'test1'" in line
    assert not (data.parent / "run").exists()


def test_data_set_without_any_instance(tmp_path: Path) -> None:
    data = write_experiment(tmp_path / "data", make_videos({"train": 3, "test": 1}, without=3)).parent
    before = files(tmp_path)
    line = refused("train", data / "experiment.yaml", "--out", tmp_path / "run", code=1)
    assert f"{data / 'annotations.json'}: " in line
    assert "instance" in line
    assert files(tmp_path) == before
    outcome = run("check", data / "experiment.yaml")
    assert outcome.code == 1
    assert "none of the 3 videos has an instance" in outcome.out


def test_several_mistakes_have_a_line_each(data: Path) -> None:
    of_setting("model", window="wide", widht=3)(data)
    outcome = run("train", data / "experiment.yaml", "--out", data.parent / "run")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 2
    assert all(word in outcome.err for word in ("model.window", "model.widht"))


@pytest.mark.parametrize("name", ["timed_up_and_gi", "nothing"])
def test_unknown_recipe(name: str, tmp_path: Path) -> None:
    line = refused("train", name, "--out", tmp_path / "run", code=2)
    assert line.startswith(f"{name!r} is neither a recipe nor a .yaml file; ")
    every = f"there are {', '.join(recipe_names())}. `untrimmed recipes` lists them"
    assert ("did you mean 'timed_up_and_go'?" if name != "nothing" else every) in line
    assert not (tmp_path / "run").exists()
