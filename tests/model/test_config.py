from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer

EGO4D: dict[str, Any] = {"num_classes": 110, "window": 9, "position": "sinusoid", "downsampling_blocks": 7}
ACTIVITYNET: dict[str, Any] = {"num_classes": 1, "width": 256, "window": (7,) * 5 + (None,), "position": "sinusoid"}
EPIC: dict[str, Any] = {"input_dims": 2304, "window": 9, "regression_ranges": "overlapping"}


@pytest.mark.parametrize(
    ("settings", "millions"),
    [
        pytest.param({"input_dims": 2048, "num_classes": 20}, 29.25, id="thumos14_i3d"),
        pytest.param(ACTIVITYNET | {"input_dims": 2048}, 8.12, id="activitynet_i3d"),
        pytest.param(ACTIVITYNET | {"input_dims": 512}, 6.94, id="activitynet_tsp"),
        pytest.param(EPIC | {"num_classes": 97}, 29.76, id="epic_verb"),
        pytest.param(EPIC | {"num_classes": 300}, 30.08, id="epic_noun"),
        pytest.param(EGO4D | {"input_dims": 2304, "downsampling_blocks": 6}, 32.95, id="ego4d_slowfast"),
        pytest.param(EGO4D | {"input_dims": 1536}, 34.93, id="ego4d_omnivore"),
        pytest.param(EGO4D | {"input_dims": 256, "width": 384}, 18.68, id="ego4d_egovlp"),
        pytest.param(
            EGO4D | {"input_dims": 2560, "width": 768, "attention_heads": 12}, 78.93, id="ego4d_slowfast_egovlp"
        ),
        pytest.param(
            EGO4D | {"input_dims": 1792, "width": 768, "attention_heads": 12}, 77.16, id="ego4d_omnivore_egovlp"
        ),
        pytest.param(
            EGO4D
            | {
                "input_dims": (2304, 1536, 256),
                "stream_widths": (256, 384, 384),
                "width": 1024,
                "attention_heads": 16,
            },
            134.05,
            id="ego4d_slowfast_omnivore_egovlp",
        ),
    ],
)
def test_parameters_are_as_many_as_published(settings: dict[str, Any], millions: float) -> None:
    with torch.device("meta"):
        model = ActionFormer(ModelConfig(**settings))
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == millions


def test_defaults() -> None:
    config = ModelConfig()
    assert config.levels == 6
    assert config.strides == (1, 2, 4, 8, 16, 32)
    assert config.windows == (19,) * 6
    assert config.ranges == ((0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000))


def test_overlapping_ranges() -> None:
    config = ModelConfig(regression_ranges="overlapping")
    assert config.ranges == ((0, 4), (2, 8), (4, 16), (8, 32), (16, 64), (32, 10000))


def test_overlapping_ranges_of_eight_levels() -> None:
    config = ModelConfig(regression_ranges="overlapping", downsampling_blocks=7)
    assert config.ranges[5:] == ((32, 128), (64, 256), (128, 10000))


def test_every_block_is_a_level() -> None:
    config = ModelConfig(pyramid="every_block")
    assert config.levels == 7
    assert config.strides == (1, 1, 2, 4, 8, 16, 32)
    assert config.ranges == ((0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 128), (128, 10000))


def test_factor_4() -> None:
    config = ModelConfig(factor=4, downsampling_blocks=3)
    assert config.strides == (1, 4, 16, 64)
    assert config.ranges == ((0, 4), (4, 16), (16, 64), (64, 10000))


@pytest.mark.parametrize("ranges", ["adjacent", "overlapping"])
def test_one_level_is_trained_on_everything(ranges: str) -> None:
    config = ModelConfig(downsampling_blocks=0, regression_ranges=ranges)
    assert config.ranges == ((0, 10000),)


def test_ranges_of_ones_own() -> None:
    config = ModelConfig(downsampling_blocks=1, regression_ranges=((0, 5), (3, 100)))
    assert config.ranges == ((0, 5), (3, 100))


def test_input_dim_is_that_of_all_streams() -> None:
    assert ModelConfig(input_dims=7).input_dim == 7
    assert ModelConfig(input_dims=(7, 5), stream_widths=(256, 256)).input_dim == 12
    assert ModelConfig(stream_widths=(256, 256)).input_dims is None  # to be read off the data


def test_lists_of_a_file_become_tuples() -> None:
    given = {"window": [9, None], "downsampling_blocks": 1, "regression_ranges": [[0, 4], [4, 99]]}
    config = TypeAdapter(ModelConfig).validate_python(given)
    assert config.window == (9, None)
    assert config.regression_ranges == ((0, 4), (4, 99))


def test_configuration_is_frozen_and_compares_by_value() -> None:
    config = ModelConfig()
    assert config == ModelConfig()
    assert hash(config) == hash(ModelConfig())
    with pytest.raises(FrozenInstanceError):
        config.width = 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        # Contradictions
        ({"input_dims": (8, 4)}, "stream_widths has to say how wide each becomes"),
        ({"input_dims": (8, 4), "stream_widths": (512,)}, r"stream_widths is \[512\], but has to be 2 numbers"),
        ({"input_dims": (8, 4), "stream_widths": (256, 255)}, "add up to the width, 512"),
        ({"input_dims": 8, "stream_widths": (512,)}, "stream_widths is for several streams"),
        ({"projection_kernel": 4}, "projection_kernel is 4, but has to be odd"),
        ({"head_kernel": 2}, "head_kernel is 2, but has to be odd"),
        ({"window": 18}, "window is 18, but has to be odd and at least 3, or null for all moments"),
        ({"window": 1}, "window is 1, but has to be odd and at least 3"),
        ({"window": (19,) * 5 + (8,)}, "window is 8, but has to be odd"),
        ({"window": (19,) * 5}, "window has 5 numbers, but the pyramid has 6 levels"),
        ({"regression_ranges": ((0, 4),)}, "regression_ranges has 1, but there are 6 levels"),
        ({"width": 510}, "width is 510, but has to be a multiple of the 4 attention_heads"),
        ({"encoder": "conv", "position": "sinusoid"}, "position is 'sinusoid', but encoder 'conv' has no positional"),
        ({"position": "relative", "window": None}, "position is 'relative', which needs attention with a window"),
        ({"position": "both", "window": (None,) * 6}, "position is 'both', which needs attention with a window"),
        ({"neck_width": 256}, "neck_width is 256, but neck 'identity' keeps the width, 512"),
        ({"pyramid": "every_block", "stem_blocks": 0}, "'every_block', which needs at least one stem block"),
        (
            {"encoder": "conv", "downsampling": "max"},
            "downsampling is 'max', but encoder 'conv' has only 'convolution'",
        ),
        ({"num_classes": 3, "empty_classes": (0, 3)}, r"empty_classes \[0, 3\] go beyond the 3 classes"),
        ({"num_classes": 3, "empty_classes": (-1,)}, r"empty_classes \[-1\] go beyond the 3 classes"),
        # Values out of range
        ({"input_dims": 0}, "input_dims"),
        ({"input_dims": (8, 0), "stream_widths": (256, 256)}, "input_dims"),
        ({"width": 0}, "width"),
        ({"width": 3.5}, "width"),
        ({"projection_layers": -1}, "projection_layers"),
        ({"projection_kernel": 0}, "projection_kernel"),
        ({"position": "absolute"}, "'none', 'sinusoid', 'relative' or 'both'"),
        ({"base_length": 0}, "base_length"),
        ({"encoder": "lstm"}, "'transformer' or 'conv'"),
        ({"stem_blocks": -1}, "stem_blocks"),
        ({"downsampling_blocks": -1}, "downsampling_blocks"),
        ({"pyramid": "all"}, "'stem' or 'every_block'"),
        ({"factor": 1}, "factor"),
        ({"factor": 3}, "factor"),
        ({"downsampling": "mean"}, "'convolution', 'average' or 'max'"),
        ({"attention_heads": 0}, "attention_heads"),
        ({"window": -19}, "window"),
        ({"mlp_ratio": 0}, "mlp_ratio"),
        ({"branch_scale": 0}, "branch_scale"),
        ({"drop_path": 1}, "drop_path"),
        ({"drop_path": -0.1}, "drop_path"),
        ({"dropout": 1}, "dropout"),
        ({"neck": "fpn"}, "'identity' or 'top_down'"),
        ({"neck": "top_down", "neck_width": 0}, "neck_width"),
        ({"head_width": 0}, "head_width"),
        ({"head_layers": 0}, "head_layers"),
        ({"num_classes": 0}, "num_classes"),
        ({"prior": 0}, "prior"),
        ({"prior": 1}, "prior"),
        ({"regression_ranges": "disjoint"}, "'adjacent' or 'overlapping'"),
        ({"padding": "same"}, "'exact' or 'official'"),
        # Not a setting
        ({"widht": 512}, "widht"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelConfig(**settings)
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(ModelConfig).validate_python(settings)


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_settings_that_are_not_refused_can_be_run(layers: int) -> None:
    """Without a projection, the features have to have the model's width, or the configuration has to be refused."""
    try:
        config = ModelConfig(
            input_dims=6, num_classes=2, width=8, projection_layers=layers, stem_blocks=1, downsampling_blocks=1
        )
    except ValidationError:
        assert layers == 0
    else:
        ActionFormer(config)(torch.zeros(1, 5, 6))


def test_projection_may_be_left_out_when_the_width_is_that_of_the_features() -> None:
    config = ModelConfig(input_dims=8, num_classes=2, width=8, projection_layers=0, downsampling_blocks=1)
    assert ActionFormer(config)(torch.zeros(1, 5, 8)).logits.shape == (1, 8, 2)


def test_for_data() -> None:
    config = ModelConfig(width=64).for_data(24, 3)
    assert (config.input_dims, config.num_classes, config.width) == (24, 3, 64)
    assert config.for_data(24, 3) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_dims": 8}, r"model\.input_dims is 8 in the configuration, but the data have 24"),
        ({"num_classes": 2}, r"model\.num_classes is 2 in the configuration, but the data have 3"),
        ({"empty_classes": (3,)}, r"empty_classes \[3\] go beyond the 3 classes"),
    ],
)
def test_for_data_that_contradict(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ModelConfig(**settings).for_data(24, 3)
