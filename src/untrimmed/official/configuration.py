"""Official configurations, section by section, made into ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.errors import ConfigError
from untrimmed.model.config import ModelConfig
from untrimmed.settings import parse

# (absolute, relative) -> ours
_POSITIONS: dict[tuple[bool, bool], Literal["none", "sinusoid", "relative", "both"]] = {
    (False, False): "none",
    (True, False): "sinusoid",
    (False, True): "relative",
    (True, True): "both",
}

_DEFAULTS: dict[str, dict[str, Any]] = {
    "dataset": {
        "feat_stride": 16,
        "num_frames": 32,
        "default_fps": None,
        "downsample_rate": 1,
        "max_seq_len": 2304,
        "force_upsampling": False,
    },
    "model": {
        "backbone_type": "convTransformer",
        "fpn_type": "identity",
        "backbone_arch": [2, 2, 5],
        "scale_factor": 2,
        "regression_range": [[0, 4], [4, 8], [8, 16], [16, 32], [32, 64], [64, 10000]],
        "n_head": 4,
        "n_mha_win_size": -1,
        "embd_kernel_size": 3,
        "embd_dim": 512,
        "embd_with_ln": True,
        "fpn_dim": 512,
        "fpn_with_ln": True,
        "fpn_start_level": 0,
        "head_dim": 512,
        "head_kernel_size": 3,
        "head_num_layers": 3,
        "head_with_ln": True,
        "use_abs_pe": False,
        "use_rel_pe": False,
    },
    "train_cfg": {
        "cls_prior_prob": 0.01,
        "head_empty_cls": [],
        "dropout": 0.0,
        "droppath": 0.1,
    },
    "test_cfg": {
        "pre_nms_thresh": 0.001,
        "pre_nms_topk": 5000,
        "iou_threshold": 0.1,
        "min_score": 0.01,
        "max_seg_num": 1000,
        "nms_method": "soft",
        "nms_sigma": 0.5,
        "duration_thresh": 0.05,
        "multiclass_nms": True,
        "ext_score_file": None,
        "voting_thresh": 0.75,
    },
}


def model_config(config: Mapping[str, Any]) -> ModelConfig:
    """Translate the `dataset`, `model` and `train_cfg` sections of an official configuration.

    Args:
        config: the official YAML file as a mapping; what it leaves out has the official default.

    Raises:
        ConfigError: if it does not say `input_dim` or `num_classes`, or describes a model that the official code could
            not build.
    """
    data, model, train = (_section(config, name) for name in ("dataset", "model", "train_cfg"))
    dims, width = data["input_dim"], model["embd_dim"]
    several = isinstance(dims, (list, tuple))
    if several != isinstance(width, (list, tuple)):
        raise ConfigError(
            f"official configuration: dataset.input_dim is {dims} and model.embd_dim {width}, but for several streams "
            "both have to be lists"
        )
    if model["fpn_start_level"]:
        raise ConfigError(
            f"official configuration: model.fpn_start_level is {model['fpn_start_level']}, but only 0 works"
        )
    for key, known in (("backbone_type", ("convTransformer", "conv")), ("fpn_type", ("identity", "fpn"))):
        if model[key] not in known:
            raise ConfigError(f"official configuration: model.{key} is {model[key]!r}, but has to be one of {known}")
    if len(model["backbone_arch"]) != 3:
        raise ConfigError(f"official configuration: model.backbone_arch is {model['backbone_arch']}, but has 3 numbers")
    convolutions, stem, branch = model["backbone_arch"]
    windows = model["n_mha_win_size"]
    windows = windows if isinstance(windows, (list, tuple)) else [windows] * (branch + 1)
    attention = model["backbone_type"] == "convTransformer"
    position = _POSITIONS[bool(model["use_abs_pe"]), bool(model["use_rel_pe"]) and max(windows) > 1]
    values = {
        "input_dims": tuple(dims) if several else dims,
        "stream_widths": tuple(width) if several else None,
        "width": sum(width) if several else width,
        "projection_layers": convolutions,
        "projection_kernel": model["embd_kernel_size"],
        "projection_norm": model["embd_with_ln"],
        "position": position if attention else "none",
        "base_length": data["max_seq_len"],
        "encoder": "transformer" if attention else "conv",
        "stem_blocks": stem,
        "downsampling_blocks": branch,
        "factor": model["scale_factor"],
        "attention_heads": model["n_head"],
        "window": tuple(w // 2 * 2 + 1 if w > 1 else None for w in windows),
        "branch_scale": 1e-4 if train["droppath"] > 0 else None,
        "drop_path": train["droppath"],
        "dropout": train["dropout"],
        "neck": "top_down" if model["fpn_type"] == "fpn" else "identity",
        "neck_width": model["fpn_dim"],
        "neck_norm": model["fpn_with_ln"],
        "head_width": model["head_dim"],
        "head_layers": model["head_num_layers"],
        "head_kernel": model["head_kernel_size"],
        "head_norm": model["head_with_ln"],
        "num_classes": data["num_classes"],
        "prior": train["cls_prior_prob"],
        "empty_classes": train["head_empty_cls"],
        "regression_ranges": model["regression_range"],
        "padding": "official",
    }
    return parse(ModelConfig, values, "official configuration")


def detection_config(config: Mapping[str, Any]) -> DetectionConfig:
    """Translate the `test_cfg` section of an official configuration.

    What has no effect there is left out: a voting threshold with per-class suppression, and the setting of the kind of
    suppression that is not used.

    Raises:
        ConfigError: if it holds a value that makes no sense.
    """
    test = _section(config, "test_cfg")
    method, per_class, voting = test["nms_method"], bool(test["multiclass_nms"]), test["voting_thresh"]
    values = {
        "score_threshold": test["pre_nms_thresh"],
        "candidates_per_level": test["pre_nms_topk"],
        "min_duration": test["duration_thresh"],
        "suppression": method,
        "per_class": per_class,
        "sigma": test["nms_sigma"] if method == "soft" else None,
        "tiou": test["iou_threshold"] if method == "hard" else None,
        "min_score": test["min_score"],
        "max_detections": test["max_seg_num"],
        "voting_tiou": voting if not per_class and method != "none" and voting > 0 else None,
    }
    return parse(DetectionConfig, values, "official configuration: test_cfg")


def input_config(config: Mapping[str, Any]) -> InputConfig:
    """Translate the time grid of the `dataset` section of an official configuration.

    Raises:
        ConfigError: if it holds a value that makes no sense.
    """
    data = _section(config, "dataset")
    values = {
        "stride": data["feat_stride"],
        "window": data["num_frames"],
        "rate": data["default_fps"],
        "downsample": data["downsample_rate"],
        "resample": data["max_seq_len"] if data["force_upsampling"] else None,
    }
    return parse(InputConfig, values, "official configuration: dataset")


def _section(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One section with the official defaults filled in; `input_dim` and `num_classes` may stand in two of them."""
    given = _mapping(config, name)
    if name == "dataset":
        for key in ("input_dim", "num_classes"):
            given.setdefault(key, _mapping(config, "model").get(key))
            if given[key] is None:
                raise ConfigError(f"official configuration: dataset.{key} is missing")
    section = _DEFAULTS[name] | given
    for key, default in _DEFAULTS[name].items():
        if not _is_like(section[key], default):
            raise ConfigError(
                f"official configuration: {name}.{key} is {section[key]!r}, but has to be something like {default!r}"
            )
    return section


def _mapping(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    given = config.get(name) or {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"official configuration: {name} is {given!r}, but has to be a section with keys")
    return dict(given)


def _is_like(value: object, default: object) -> bool:
    """Whether a value is of the same kind as the official default; several may stand for one."""
    if default is None:
        return True
    if isinstance(default, list):
        return isinstance(value, (list, tuple)) and all(_is_like(each, default[0]) for each in value if default)
    if isinstance(value, (list, tuple)):
        return bool(value) and all(_is_like(each, default) for each in value)
    return isinstance(value, str if isinstance(default, str) else (int, float))
