from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from command_line import files, refused, run

from conftest import Golden
from pickle_bomb import Bomb
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording


@pytest.fixture
def official(local_attention_case: Golden, tmp_path: Path) -> Path:
    """A folder with `config.yaml`, and a checkpoint as the official trainer writes it; weights of a GPU's copy."""
    folder = tmp_path / "official"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(local_attention_case.config))
    averaged = {f"module.{name}": tensor for name, tensor in local_attention_case.state().items()}
    last = {name: tensor + 1 for name, tensor in averaged.items()}
    scheduler = {"last_epoch": 35, "base_lrs": [1e-4]}
    content = {
        "epoch": 35,
        "state_dict": last,
        "state_dict_ema": averaged,
        "optimizer": {"param_groups": [{"lr": 1e-4}]},
    }
    torch.save(content | {"scheduler": scheduler}, folder / "epoch_035.pth.tar")
    return folder


def test_import(official: Path, local_attention_case: Golden, tmp_path: Path) -> None:
    out = tmp_path / "model"
    outcome = run("import-official", official / "epoch_035.pth.tar", official / "config.yaml", "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == f"{out}: 4 classes, 0.06 M parameters\n"
    localizer = Localizer.load(out)
    assert localizer.labels == ("class 0", "class 1", "class 2", "class 3")
    video = local_attention_case.videos[0]
    duration = len(video.features) * 4 / 30
    found = localizer.detect(Recording(video.features.numpy(), duration=duration))
    expected = local_attention_case.arrays["video0/detections/soft_multiclass/segments"]
    np.testing.assert_allclose(found.segments, expected, rtol=0, atol=1e-3)


def annotations_of(labels: list[str], folder: Path) -> Path:
    instances = [{"label": label, "label_id": i, "segment": [i, i + 1]} for i, label in enumerate(labels)]
    path = folder / "annotations.json"
    path.write_text(json.dumps({"database": {"a": {"duration": 9, "annotations": instances}}}))
    return path


def test_names_of_classes(official: Path, tmp_path: Path) -> None:
    names = ["run", "walk", "jump", "wave"]
    words = [official / "epoch_035.pth.tar", official / "config.yaml", "--out", tmp_path / "model"]
    assert run("import-official", *words, "--annotations", annotations_of(names, tmp_path)).code == 0
    assert Localizer.load(tmp_path / "model").labels == tuple(names)


def test_another_number_of_classes(official: Path, tmp_path: Path) -> None:
    words = [official / "epoch_035.pth.tar", official / "config.yaml", "--out", tmp_path / "model"]
    line = refused("import-official", *words, "--annotations", annotations_of(["run"], tmp_path), code=2)
    assert line.startswith(f"{official / 'config.yaml'}: 1 classes are named, but the official configuration has ")
    assert not (tmp_path / "model").exists()


def test_a_model_is_not_overwritten(official: Path, tmp_path: Path) -> None:
    words = [official / "epoch_035.pth.tar", official / "config.yaml", "--out", tmp_path / "model"]
    assert run("import-official", *words).code == 0
    before = files(tmp_path)
    assert refused("import-official", *words, code=2) == (
        f"{tmp_path / 'model'}: holds a model already; choose another --out"
    )
    assert files(tmp_path) == before


def bomb(folder: Path) -> None:
    torch.save({"state_dict_ema": {"weight": torch.ones(1)}, "x": Bomb(folder / "trace")}, folder / "epoch_035.pth.tar")


def old_bomb(folder: Path) -> None:
    torch.save({"x": Bomb(folder / "trace")}, folder / "epoch_035.pth.tar", _use_new_zipfile_serialization=False)


def other_config(section: str, **changes: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "config.yaml"
        values = yaml.safe_load(path.read_text())
        values[section] |= changes
        path.write_text(yaml.safe_dump(values))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "code", "messages"),
    [
        (bomb, 1, ["epoch_035.pth.tar: is damaged, or holds more than tensors", "save its state_dict alone"]),
        (old_bomb, 1, ["epoch_035.pth.tar: is damaged, or holds more than tensors", "save its state_dict alone"]),
        (
            lambda folder: (folder / "epoch_035.pth.tar").write_bytes(b"no checkpoint"),
            1,
            ["epoch_035.pth.tar: is damaged, or"],
        ),
        (lambda folder: (folder / "epoch_035.pth.tar").unlink(), 1, ["epoch_035.pth.tar: there is no such file"]),
        (
            lambda folder: torch.save({"epoch": 1}, folder / "epoch_035.pth.tar"),
            1,
            ["epoch_035.pth.tar: expected 'state_dict_ema' or 'state_dict'", "but found epoch"],
        ),
        (lambda folder: (folder / "config.yaml").unlink(), 2, ["config.yaml: there is no such file"]),
        (
            lambda folder: (folder / "config.yaml").write_text("dataset: {}"),
            2,
            ["config.yaml: official configuration: dataset.input_dim is missing"],
        ),
        (
            other_config("dataset", num_classes=9),
            1,
            ["epoch_035.pth.tar with ", "config.yaml: ", "has shape [4, 32, 3], but the configuration makes it [9, 32"],
        ),
        (
            other_config("model", backbone_type="conv"),
            1,
            ["epoch_035.pth.tar with ", "is the configuration the one it was trained with?"],
        ),
        (other_config("test_cfg", nms_sigma=-1), 2, ["config.yaml: official configuration: test_cfg: sigma is -1"]),
        (other_config("dataset", feat_stride="x"), 2, ["config.yaml: official configuration: dataset.feat_stride"]),
    ],
)
def test_bad_input(
    official: Path, tmp_path: Path, spoil: Callable[[Path], object], code: int, messages: list[str]
) -> None:
    spoil(official)
    before = files(tmp_path)
    words = [official / "epoch_035.pth.tar", official / "config.yaml", "--out", tmp_path / "model"]
    line = refused("import-official", *words, code=code)
    assert all(message in line for message in messages), line
    assert files(tmp_path) == before  # neither a model nor the trace of a bomb
    assert not (tmp_path / "model").exists()
