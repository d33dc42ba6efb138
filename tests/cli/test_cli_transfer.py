from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from command_line import files, refused, run
from safetensors.torch import load_file

from synthetic import make_videos, write_experiment

pytestmark = pytest.mark.usefixtures("one_thread")
SHORT = {"epochs": 1, "warmup_epochs": 0, "validate_every": 9}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a model that knows `jump` and `run`."""
    folder = tmp_path_factory.mktemp("transfer")
    outcome = run("train", write_experiment(folder / "data", training=SHORT), "--out", folder / "run")
    assert outcome.code == 0
    return folder / "run"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An experiment with the classes `run` and `fall`."""
    videos = make_videos({"train": 3, "test": 1}, seed=1)
    path = write_experiment(tmp_path / "data", videos, training=SHORT)
    place = path.parent / "annotations.json"
    place.write_text(place.read_text().replace('"jump"', '"fall"'))
    return path


def test_start_from_another_model(source: Path, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    frozen = '["encoder", "neck"]'
    outcome = run("train", config, "--init", source, "--training.freeze", frozen, "--out", out)
    assert outcome.code == 0
    assert f"Started from {source}: " in outcome.err
    assert "1 of 2 classes are known there; new: fall" in outcome.err
    before, after = load_file(source / "model.safetensors"), load_file(out / "model.safetensors")
    for name, tensor in after.items():
        if name.startswith(("encoder.", "neck.")):
            torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    assert not torch.equal(after["regression.output.weight"], before["regression.output.weight"])
    again = run("train", config, "--init", source, "--training.freeze", frozen, "--out", out, "--resume")
    assert again.code == 0
    assert "Started from" not in again.err


def test_a_run_that_was_ended_in_its_first_epoch_starts_from_there_again(
    source: Path, config: Path, tmp_path: Path
) -> None:
    whole, ended = tmp_path / "whole", tmp_path / "ended"
    assert run("train", config, "--init", source, "--out", whole).code == 0
    ended.mkdir()
    shutil.copy(whole / "experiment.yaml", ended)  # all that is there before the first epoch has ended
    again = run("train", config, "--init", source, "--out", ended, "--resume")
    assert again.code == 0
    assert f"Started from {source}: " in again.err
    assert (ended / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_model_that_does_not_fit(source: Path, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    before = files(tmp_path)
    line = refused("train", config, "--init", source, "--model.width", 32, "--out", out, code=2)
    assert "nothing of that model's encoder fits this one" in line
    assert "has no config.yaml" in refused("train", config, "--init", tmp_path, "--out", out, code=1)
    words = ["--training.freeze", "[encoder, neck, classification, regression]"]
    assert "nothing is left to train" in refused("train", config, *words, "--out", out, code=2)
    assert files(tmp_path) == before
