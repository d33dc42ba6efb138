from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml

from untrimmed.data.features import ConcatenatedFeatures, FeatureDescription
from untrimmed.data.features.folder import FolderFeatures
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.detection.model_folder import ExtractorReference, LocalizerConfig, read_model_folder, write_model_folder
from untrimmed.errors import ModelError
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer

MODEL = ModelConfig(input_dims=4, num_classes=2, width=8, attention_heads=2, stem_blocks=1, downsampling_blocks=1)
CONFIG = LocalizerConfig(labels=("jump", "größer"), model=MODEL, inputs=InputConfig(stride=4, window=16, rate=30))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder."""
    path = tmp_path / "model"
    write_model_folder(path, CONFIG, ActionFormer(MODEL).state_dict())
    return path


def test_round_trip(folder: Path) -> None:
    config, model = read_model_folder(folder)
    assert config == CONFIG
    written = safetensors.torch.load_file(folder / "model.safetensors")
    assert all(torch.equal(tensor, written[name]) for name, tensor in model.state_dict().items())
    assert not model.training


def test_round_trip_of_the_extractor(tmp_path: Path) -> None:
    config = replace(CONFIG, extractor=ExtractorReference(name="default", fingerprint="0123456789abcdef"))
    write_model_folder(tmp_path, config, ActionFormer(MODEL).state_dict())
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "extractor:\n  name: default\n  fingerprint: 0123456789abcdef\n" in text
    assert read_model_folder(tmp_path)[0] == config


@pytest.mark.parametrize("absent", [True, False])
def test_a_folder_that_names_no_extractor(folder: Path, absent: bool) -> None:
    path = folder / "config.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert values["extractor"] is None
    if absent:
        del values["extractor"]
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert read_model_folder(folder)[0] == CONFIG


def features(folder: Path, description: FeatureDescription | None) -> FolderFeatures:
    folder.mkdir()
    np.save(folder / "v.npy", np.zeros((3, 4), np.float32))
    if description is not None:
        description.write(folder)
    return FolderFeatures(folder)


def test_what_made_the_features(tmp_path: Path) -> None:
    known = FeatureDescription(dimension=4, extractor="default", fingerprint="f00d")
    store = features(tmp_path / "known", known)
    assert ExtractorReference.of(Inputs(store, InputConfig())) == ExtractorReference(name="default", fingerprint="f00d")
    signals = InputConfig(kind="signals", stride=1, window=1)
    joined = ConcatenatedFeatures([store, features(tmp_path / "other", known)])
    unnamed = features(tmp_path / "unnamed", FeatureDescription(dimension=4, fingerprint="f00d"))
    untold = features(tmp_path / "untold", FeatureDescription(dimension=4, extractor="default"))
    bare = features(tmp_path / "bare", None)
    assert ExtractorReference.of(Inputs(store, signals)) is None
    for source in (joined, unnamed, untold, bare):
        assert ExtractorReference.of(Inputs(source, InputConfig())) is None


def test_a_person_can_read_the_configuration(folder: Path) -> None:
    text = (folder / "config.yaml").read_text(encoding="utf-8")
    assert text.startswith("labels:\n- jump\n- größer\nmodel:\n  input_dims: 4\n")
    assert "inputs:\n  kind: features\n  stride: 4.0\n" in text


def test_views_and_weights_that_need_a_gradient_can_be_written(tmp_path: Path) -> None:
    state = ActionFormer(MODEL).state_dict(keep_vars=True)
    name = "classification.output.weight"
    state[name] = torch.randn(3, 8, 2).transpose(0, 2)  # not contiguous
    write_model_folder(tmp_path, CONFIG, state)
    assert torch.equal(read_model_folder(tmp_path)[1].state_dict()[name], state[name])


# What can be wrong with the files


@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError) as error:
        read_model_folder(folder)
    assert str(error.value) == (
        f"{folder}: has no {name}, but a model folder holds config.yaml and model.safetensors. "
        "Give the folder that `untrimmed train --out` wrote"
    )


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 100, pickle.dumps({"weight": 1})])
def test_damaged_weights(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be read as safetensors \(.*\)\. Is it damaged\?"):
        read_model_folder(folder)


def test_weights_that_are_cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"model\.safetensors: cannot be read as safetensors"):
        read_model_folder(folder)


def test_files_of_two_runs(folder: Path, tmp_path: Path) -> None:
    other = replace(CONFIG, model=replace(MODEL, width=16))
    write_model_folder(tmp_path / "other", other, ActionFormer(other.model).state_dict())
    shutil.copy(tmp_path / "other" / "model.safetensors", folder)
    with pytest.raises(ModelError) as error:
        read_model_folder(folder)
    assert str(error.value) == (
        f"{folder / 'model.safetensors'}: does not fit config.yaml beside it: classification.output.weight is "
        "(2, 16, 3), but the configuration makes it (2, 8, 3). Were the two files copied from different runs?"
    )


def _without_output(state: dict[str, torch.Tensor]) -> None:
    del state["classification.output.weight"]


def _with_more(state: dict[str, torch.Tensor]) -> None:
    state["another.weight"] = torch.ones(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without_output, r"classification\.output\.weight is missing, but the configuration makes it \(2, 8, 3\)"),
        (_with_more, r"another\.weight is \(1,\), but the configuration makes it no part of the model"),
    ],
)
def test_other_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], None], message: str) -> None:
    state = ActionFormer(MODEL).state_dict()
    change(state)
    write_model_folder(folder, CONFIG, state)
    with pytest.raises(ModelError, match=message):
        read_model_folder(folder)


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        values = values[section]
    values[name] = value


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.widht", 8, r"unknown key 'model\.widht'; did you mean 'model\.width'\?"),
        ("model.width", "wide", r"model\.width is 'wide', but has to be a whole number above 0"),
        ("labels", ["jump"], r"labels names 1 classes, but model\.num_classes is 2"),
        ("model.num_classes", None, r"model\.input_dims and model\.num_classes have to be there"),
        ("detection.tiou", 0.5, r"detection\.tiou is for suppression 'hard', but suppression is 'soft'"),
        ("inputs.stride", -1, r"inputs\.stride is -1, but has to be a number above 0"),
        ("extractor", "default", r"extractor is 'default', but has to be a section with keys such as name, finger"),
        ("format", 2, r"format is 2, but has to be 1"),
        ("model", None, r"model is null, but has to be a section with keys such as input_dims"),
    ],
)
def test_wrong_configuration(folder: Path, key: str, value: object, message: str) -> None:
    path = folder / "config.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    _set(values, key, value)
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ModelError, match=message) as error:
        read_model_folder(folder)
    assert str(error.value).startswith(f"{path}: ")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"labels: [jump", r"is not YAML: .* in line 1, column 14$"),
        (b"labels: \xff", r"is not YAML: "),
        (b"5", r"expected keys with values, but found 5"),
        (b"!!python/object/apply:os.system [exit]", r"is not YAML: could not determine a constructor"),
        (b"", r"labels is missing; it has to be a list, each text"),
    ],
)
def test_configuration_of_another_kind(folder: Path, content: bytes, message: str) -> None:
    (folder / "config.yaml").write_bytes(content)
    with pytest.raises(ModelError, match=rf"config\.yaml: {message}"):
        read_model_folder(folder)


def test_signals_that_are_to_be_standardised_need_the_numbers(folder: Path) -> None:
    path = folder / "config.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["inputs"] = {"kind": "signals", "stride": 1, "window": 2, "rate": 30, "normalise": "standard"}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ModelError, match=r"inputs\.normalise is 'standard', but inputs\.offset and scale are not ther"):
        read_model_folder(folder)
    values["inputs"] |= {"channels": ["x", "y"], "offset": [1, -2], "scale": [1, 0.5]}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    inputs = read_model_folder(folder)[0].inputs
    assert (inputs.channels, inputs.offset, inputs.scale) == (("x", "y"), (1, -2), (1, 0.5))


def test_a_model_folder_of_before_there_were_these_settings(folder: Path) -> None:
    path = folder / "config.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["inputs"] = {"kind": "signals", "stride": 5.0, "window": 25.0, "rate": 50.0, "channels": None, "scale": [2]}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    expected = InputConfig(kind="signals", stride=5, window=25, rate=50, scale=(2,))
    assert read_model_folder(folder)[0].inputs == expected
