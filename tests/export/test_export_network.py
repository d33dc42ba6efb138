from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch

from small_models import SMALL, moved
from untrimmed.detection.onnx_network import OnnxNetwork
from untrimmed.export.folder import onnx_file
from untrimmed.export.network import to_onnx
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer, Predictions

SHAPES = ((1, 1), (2, 2), (3, 31), (1, 33), (2, 75))
"""Batch and length; blocks of attention have 32 moments."""

SWITCHES: list[dict[str, Any]] = [
    {},
    {"window": 5},
    {"window": None},
    {"window": (3, None, 71)},  # half of it is longer than a block
    {"position": "relative"},
    {"position": "sinusoid", "base_length": 20},
    {"position": "both", "base_length": 40},
    {"encoder": "conv"},
    {"encoder": "conv", "factor": 4},
    {"pyramid": "every_block", "stem_blocks": 2},
    {"neck": "top_down"},
    {"neck": "top_down", "neck_width": 4, "pyramid": "every_block", "stem_blocks": 2, "neck_norm": False},
    {"neck": "top_down", "factor": 4},
    {"neck_norm": False},
    {"factor": 4},
    {"downsampling": "average"},
    {"downsampling": "max"},
    {"downsampling": "average", "qkv_convolution": False, "factor": 4},
    {"qkv_convolution": False},
    {"branch_scale": None},
    {"mlp_ratio": 3, "attention_heads": 1},
    {"projection_norm": False, "projection_layers": 1},
    {"projection_kernel": 5, "head_kernel": 5},
    {"projection_kernel": 1, "head_kernel": 1},
    {"projection_layers": 0, "input_dims": 8},
    {"input_dims": (2, 4), "stream_widths": (3, 5)},
    {"input_dims": (2, 4), "stream_widths": (3, 5), "projection_layers": 0, "position": "sinusoid", "base_length": 20},
    {"head_layers": 1},
    {"head_norm": False, "head_width": 4},
    {"stem_blocks": 0, "downsampling_blocks": 0},
    {"regression_ranges": "overlapping"},
]
OFFICIAL = [
    {},
    {"position": "sinusoid", "base_length": 20},
    {"encoder": "conv"},
    {"pyramid": "every_block", "neck": "top_down"},
    {"downsampling": "average"},
    {"qkv_convolution": False},
    {"head_norm": False},
    {"input_dims": (2, 4), "stream_widths": (3, 5)},
]


def videos(batch: int, length: int, dimension: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Videos of all lengths up to one, with what is no number in the padding."""
    generator = torch.Generator().manual_seed(length)
    lengths = torch.randint(1, length + 1, (batch,), generator=generator)
    lengths[0] = length
    valid = torch.arange(length) < lengths[:, None]
    features = torch.randn(batch, length, dimension, generator=generator)
    return features.masked_fill(~valid[..., None], float("nan")), valid


def assert_same(found: Predictions, expected: Predictions, tolerance: float = 1e-5) -> None:
    assert torch.equal(found.valid, expected.valid)
    assert torch.equal(found.moments, expected.moments)
    assert found.logits.shape == expected.logits.shape
    there = expected.valid
    assert bool(expected.offsets[there].any()) or there.sum() < 20  # else the test would see nothing of them
    torch.testing.assert_close(found.logits[there], expected.logits[there], rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(found.offsets[there], expected.offsets[there], rtol=tolerance, atol=tolerance)


@torch.inference_mode()
def hold_together(model: ActionFormer, exported: OnnxNetwork) -> None:
    for batch, length in SHAPES:
        features, valid = videos(batch, length, model.config.input_dim)
        hidden = features.masked_fill(~valid[..., None], 0)
        assert_same(exported(features, valid), model(hidden, valid))


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_the_graph_is_the_model(switches: dict[str, Any]) -> None:
    model = moved(SMALL | switches)
    hold_together(model, OnnxNetwork(model.config, onnx_file(model)))


@pytest.mark.parametrize("switches", OFFICIAL, ids=str)
def test_with_official_padding(switches: dict[str, Any]) -> None:
    model = moved(SMALL | {"padding": "official", "base_length": 16} | switches)
    hold_together(model, OnnxNetwork(model.config, onnx_file(model)))


@pytest.mark.parametrize("switches", [SWITCHES[0], SWITCHES[8], SWITCHES[12], SWITCHES[22], SWITCHES[25]], ids=str)
def test_convolutions_as_products(switches: dict[str, Any]) -> None:
    model = moved(SMALL | switches)
    exported = to_onnx(model, products=True)
    assert not [node for node in exported.graph.node if node.op_type == "Conv" and attribute(node, "group") == 1]
    hold_together(model, OnnxNetwork(model.config, exported.SerializeToString()))


def attribute(node: onnx.NodeProto, name: str) -> Any:
    return next(onnx.helper.get_attribute_value(each) for each in node.attribute if each.name == name)


@torch.inference_mode()
def test_every_length_around_the_blocks_and_a_long_one() -> None:
    model = moved(SMALL | {"window": 5})
    exported = OnnxNetwork(model.config, onnx_file(model))
    for length in (*range(1, 100, 3), 127, 128, 129, 3000, 20_000):
        features = torch.randn(1, length, 6, generator=torch.Generator().manual_seed(length))
        assert_same(exported(features), model(features), tolerance=1e-4)


@torch.inference_mode()
def test_what_is_said_of_a_video_does_not_depend_on_its_batch() -> None:
    model = moved(SMALL | {"window": 5})
    exported = OnnxNetwork(model.config, onnx_file(model))
    features = torch.randn(1, 19, 6)
    alone = exported(features)
    batch = torch.full((3, 50, 6), 1e6)
    batch[1, :19] = features
    beside = exported(batch, torch.arange(50) < torch.tensor([[50], [19], [1]]))
    there = beside.valid[1]
    torch.testing.assert_close(beside.logits[1, there], alone.logits[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(beside.offsets[1, there], alone.offsets[0], rtol=0, atol=1e-5)


def test_the_file_passes_the_checker_and_says_what_it_takes() -> None:
    model = moved(SMALL | {"padding": "official", "base_length": 16})
    exported = to_onnx(model, {"told": "this"})
    onnx.checker.check_model(exported, full_check=True)
    assert {each.key: each.value for each in exported.metadata_props} == {"told": "this"}

    def shapes(values: Any) -> dict[str, list[str | int]]:
        return {
            each.name: [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim] for each in values
        }

    assert shapes(exported.graph.input) == {"features": ["B", "T", 6], "valid": ["B", "T"]}
    assert shapes(exported.graph.output) == {
        "logits": ["B", "N", 3],
        "offsets": ["B", "N", 2],
        "moments": ["N", 4],
        "valid_moments": ["B", "N"],
    }


def test_weights_are_named_as_in_the_model() -> None:
    names = {each.name for each in to_onnx(moved(SMALL)).graph.initializer}
    assert {"classification.output.weight", "encoder.stem.0.attention.query.convolution.weight"} <= names


def test_sinusoids_of_a_trained_length_are_those_of_the_model() -> None:
    """The table in the file is read at whole positions, and between them for longer videos."""
    config = ModelConfig(**SMALL | {"position": "sinusoid", "base_length": 12})
    model = moved({**SMALL, "position": "sinusoid", "base_length": 12})
    assert config == model.config
    exported = OnnxNetwork(model.config, onnx_file(model))
    with torch.inference_mode():
        for length in (11, 12, 13, 40):
            features = torch.from_numpy(np.zeros((1, length, 6), np.float32))
            assert_same(exported(features), model(features))
