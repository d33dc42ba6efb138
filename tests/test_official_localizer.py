from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Golden
from pickle_bomb import Bomb
from untrimmed import official
from untrimmed.data.detections import Detections
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.errors import ConfigError, ModelError

# Detections


def recordings(golden: Golden) -> list[Recording]:
    data = golden.config["dataset"]
    seconds = data["feat_stride"] / data["default_fps"]
    return [
        Recording(video.features.numpy(), id=f"v{i}", duration=len(video.features) * seconds, rate=data["default_fps"])
        for i, video in enumerate(golden.videos)
    ]


def assert_official(golden: Golden, found: Detections, video: int, method: str, per_class: bool) -> None:
    prefix = f"video{video}/detections/{method}_{'multiclass' if per_class else 'agnostic'}"
    assert len(found) == len(golden.arrays[f"{prefix}/scores"]) > 0
    np.testing.assert_array_equal(found.labels, golden.arrays[f"{prefix}/labels"])
    np.testing.assert_allclose(found.scores, golden.arrays[f"{prefix}/scores"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.segments, golden.arrays[f"{prefix}/segments"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("method", ["soft", "hard"])
def test_detections_are_the_official_ones(golden: Golden, method: str, per_class: bool) -> None:
    golden.config["test_cfg"] |= {"nms_method": method, "multiclass_nms": per_class}
    localizer = official.localizer(golden.config, golden.state())
    for video, recording in enumerate(recordings(golden)):
        assert_official(golden, localizer.detect(recording), video, method, per_class)
    for video, found in enumerate(localizer.detect_many(recordings(golden))):
        assert_official(golden, found, video, method, per_class)


def test_detections_are_the_official_ones_after_saving(local_attention_case: Golden, tmp_path: Path) -> None:
    official.localizer(local_attention_case.config, local_attention_case.state()).save(tmp_path)
    localizer = Localizer.load(tmp_path, device="cpu")
    for video, found in enumerate(localizer.detect_many(recordings(local_attention_case))):
        assert_official(local_attention_case, found, video, "soft", per_class=True)


# Classes


def test_classes_are_numbered_where_no_names_are_given(local_attention_case: Golden) -> None:
    localizer = official.localizer(local_attention_case.config, local_attention_case.state())
    assert localizer.labels == ("class 0", "class 1", "class 2", "class 3")


def test_names_of_classes(local_attention_case: Golden) -> None:
    config, state = local_attention_case.config, local_attention_case.state()
    assert official.localizer(config, state, list("abcd")).labels == ("a", "b", "c", "d")
    with pytest.raises(ConfigError, match="3 classes are named, but the official configuration has num_classes 4"):
        official.localizer(config, state, "abc")


# Configurations


def minimal(**sections: dict[str, Any]) -> dict[str, Any]:
    return {"dataset": {"input_dim": 8, "num_classes": 2} | sections.pop("dataset", {}), **sections}


def test_detection_settings_that_are_left_out_have_the_official_default() -> None:
    assert official.detection_config(minimal()) == DetectionConfig(
        score_threshold=0.001,
        candidates_per_level=5000,
        min_duration=0.05,
        suppression="soft",
        sigma=0.5,
        min_score=0.01,
        max_detections=1000,
    )


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({"nms_method": "hard", "iou_threshold": 0.3}, {"suppression": "hard", "sigma": None, "tiou": 0.3}),
        ({"nms_method": "none"}, {"suppression": "none", "sigma": None, "tiou": None, "voting_tiou": None}),
        ({"multiclass_nms": False}, {"per_class": False, "voting_tiou": 0.75}),
        ({"multiclass_nms": False, "voting_thresh": 0}, {"per_class": False, "voting_tiou": None}),
        ({"multiclass_nms": True, "voting_thresh": 0.9}, {"per_class": True, "voting_tiou": None}),
        ({"multiclass_nms": False, "nms_method": "none"}, {"per_class": False, "voting_tiou": None}),
        ({"min_score": 0, "max_seg_num": 7, "pre_nms_topk": 9}, {"min_score": 0, "max_detections": 7}),
    ],
)
def test_detection_settings(test: dict[str, Any], expected: dict[str, Any]) -> None:
    config = official.detection_config(minimal(test_cfg=test))
    assert {name: getattr(config, name) for name in expected} == expected


def test_time_grid() -> None:
    config = minimal(dataset={"feat_stride": 4, "num_frames": 16, "default_fps": 30})
    assert official.input_config(config) == InputConfig(stride=4, window=16, rate=30)
    assert official.input_config(minimal()) == InputConfig(stride=16, window=32)  # every video has a rate of its own


def test_time_grid_of_features_that_are_left_out() -> None:
    values = {"feat_stride": 4, "num_frames": 16, "default_fps": 30, "downsample_rate": 3}
    grid = official.input_config(minimal(dataset=values)).grid(None, rows=10)
    assert (grid.stride, grid.window, grid.rate) == (12, 16, 30)


def test_time_grid_of_features_that_are_stretched() -> None:
    values = {"feat_stride": 4, "num_frames": 16, "default_fps": 30, "max_seq_len": 96, "force_upsampling": True}
    config = official.input_config(minimal(dataset=values))
    assert config.features(np.zeros((10, 8), np.float32)).shape == (96, 8)
    grid = config.grid(None, rows=10)
    stride = (9 * 4 + 16) / 96  # as the official code has it, which takes the stride for the window then
    assert (grid.stride, grid.window) == (pytest.approx(stride), pytest.approx(stride))


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("dataset", {"feat_stride": 0}, r"dataset: stride is 0, but has to be a number above 0"),
        ("dataset", {"default_fps": "fast"}, r"dataset: rate is 'fast', but has to be a number above 0"),
        ("dataset", {"feat_stride": "4 frames"}, r"dataset\.feat_stride is '4 frames', .* something like 16$"),
        ("test_cfg", {"nms_sigma": -1}, r"test_cfg: sigma is -1, but has to be a number above 0"),
        ("test_cfg", {"nms_method": "medium"}, r"test_cfg: suppression is 'medium', but has to be 'soft' or 'hard'"),
        ("test_cfg", {"voting_thresh": "high"}, r"test_cfg\.voting_thresh is 'high', .* something like 0\.75$"),
        ("test_cfg", 5, r"test_cfg is 5, but has to be a section with keys$"),
        ("model", [1], r"model is \[1\], but has to be a section with keys$"),
        ("model", {"backbone_arch": 5}, r"model\.backbone_arch is 5, .* something like \[2, 2, 5\]$"),
        ("model", {"backbone_arch": [2, "a", 5]}, r"model\.backbone_arch is \[2, 'a', 5\], .* something like"),
        ("model", {"backbone_arch": [2, 2]}, r"model\.backbone_arch is \[2, 2\], but has 3 numbers"),
        ("model", {"n_mha_win_size": [19, None]}, r"model\.n_mha_win_size is \[19, None\], .* something like -1$"),
        ("model", {"regression_range": [0, 4, 8]}, r"model\.regression_range is \[0, 4, 8\], .* something like \[\[0"),
        ("model", {"embd_dim": [4, 4]}, r"dataset\.input_dim is 8 and model\.embd_dim \[4, 4\], .* both .* lists"),
        ("train_cfg", {"droppath": "a lot"}, r"train_cfg\.droppath is 'a lot', but has to be something like 0\.1$"),
        ("train_cfg", {"head_empty_cls": 3}, r"train_cfg\.head_empty_cls is 3, but has to be something like \[\]$"),
    ],
)
def test_configuration_that_makes_no_sense(section: str, values: Any, message: str) -> None:
    config = minimal()
    config[section] = config.get(section, {}) | values if isinstance(values, dict) else values
    with pytest.raises(ConfigError, match=f"^official configuration: {message}") as error:
        official.localizer(config, {}) if section in ("model", "train_cfg") else _settings(config)
    assert len(str(error.value).splitlines()) == 1


def _settings(config: dict[str, Any]) -> None:
    official.input_config(config)
    official.detection_config(config)


# Checkpoints


def checkpoint(golden: Golden, **content: Any) -> dict[str, Any]:
    """Return a checkpoint as the official trainer writes it."""
    state = {f"module.{name}": tensor for name, tensor in golden.state().items()}
    other = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    scheduler = {"base_lrs": [1e-4], "last_epoch": 30, "verbose": False, "_last_lr": [0.0]}
    optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    every = {
        "epoch": 35,
        "state_dict": other,
        "scheduler": scheduler,
        "optimizer": optimizer,
        "state_dict_ema": state,
    }
    return every | content


def test_averaged_weights_are_taken(local_attention_case: Golden, tmp_path: Path) -> None:
    path = tmp_path / "epoch_035.pth.tar"
    torch.save(checkpoint(local_attention_case), path)
    state = official.read_checkpoint(path)
    localizer = official.localizer(local_attention_case.config, state)
    found = localizer.detect(recordings(local_attention_case)[0])
    assert_official(local_attention_case, found, 0, "soft", per_class=True)


def _only_last(content: dict[str, Any]) -> dict[str, Any]:
    return {"state_dict": content["state_dict_ema"], "epoch": 1}


def _bare(content: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = content["state_dict_ema"]
    return state


@pytest.mark.parametrize("shape", [_only_last, _bare])
def test_other_shapes_of_checkpoints(
    local_attention_case: Golden, tmp_path: Path, shape: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    path = tmp_path / "model.pth.tar"
    torch.save(shape(checkpoint(local_attention_case)), path)
    state = official.read_checkpoint(path)
    assert state.keys() == {f"module.{name}" for name in local_attention_case.state()}
    official.build(local_attention_case.config, state)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({}, "nothing"),
        ({"epoch": 1}, "epoch"),
        ({"state_dict": {}, "epoch": 1}, "epoch, state_dict"),
        ({"state_dict_ema": {"weight": 1}}, "state_dict_ema"),
        ({"state_dict_ema": {1: torch.ones(1)}}, "state_dict_ema"),
        ({1: torch.ones(1)}, "1"),
        (dict.fromkeys("abcde", 1), "a, b, c and 2 more"),
    ],
)
def test_checkpoint_without_weights(tmp_path: Path, content: dict[Any, Any], found: str) -> None:
    path = tmp_path / "model.pth.tar"
    torch.save(content, path)
    with pytest.raises(ModelError) as error:
        official.read_checkpoint(path)
    wanted = "expected 'state_dict_ema' or 'state_dict', or tensors by name"
    assert str(error.value) == f"{path}: {wanted}, but found {found}"


@pytest.mark.parametrize("new", [True, False])
def test_pickle_bomb(local_attention_case: Golden, tmp_path: Path, new: bool) -> None:
    path, trace = tmp_path / "epoch_035.pth.tar", tmp_path / "trace"
    torch.save(checkpoint(local_attention_case, bomb=Bomb(trace)), path, _use_new_zipfile_serialization=new)
    with pytest.raises(ModelError, match=r"epoch_035\.pth\.tar: is damaged, or holds more than tensors"):
        official.read_checkpoint(path)
    assert not trace.exists()


def test_configuration_is_not_changed(local_attention_case: Golden) -> None:
    config = copy.deepcopy(local_attention_case.config)
    official.localizer(config, local_attention_case.state())
    assert config == local_attention_case.config
