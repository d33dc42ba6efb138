from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from small_models import SMALL, moved
from untrimmed.detection.onnx_network import OnnxNetwork
from untrimmed.errors import ConfigError
from untrimmed.export.checking import differences
from untrimmed.export.folder import onnx_file
from untrimmed.export.network import to_onnx
from untrimmed.export.precision import Precision, in_fp16, in_int8
from untrimmed.model.network import ActionFormer

RANGES = ((0, 4.3), (3, 3001.5), (5, 1e6))  # not to be had in 16 bits
WIDE = SMALL | {"width": 64, "attention_heads": 4, "window": 5, "regression_ranges": RANGES}


@pytest.fixture(scope="module")
def model() -> ActionFormer:
    return moved(WIDE)


@pytest.mark.parametrize(("precision", "nearer", "smaller"), [("fp16", 0.02, 0.6), ("int8", 0.5, 0.5)])
def test_smaller_forms(model: ActionFormer, precision: Precision, nearer: float, smaller: float) -> None:
    content = onnx_file(model, precision)
    onnx.checker.check_model(onnx.load_from_string(content))
    assert len(content) < smaller * len(onnx_file(model))
    for found in differences(OnnxNetwork(model.config, content), model, (1, 2, 40, 200)):
        assert 0 < found.logits < nearer
        assert found.offsets < nearer


def test_fp16_changes_weights_only(model: ActionFormer) -> None:
    whole = to_onnx(model)
    small = in_fp16(whole)
    kinds = {each.name: each.data_type for each in small.graph.initializer}
    assert kinds["encoder.stem.0.mlp.up.weight.fp16"] == onnx.TensorProto.FLOAT16
    assert kinds["encoder.stem.0.mlp.up.bias"] == onnx.TensorProto.FLOAT
    casts = [node.op_type for node in small.graph.node].count("Cast")
    assert len(small.graph.node) - len(whole.graph.node) == casts - [n.op_type for n in whole.graph.node].count("Cast")
    assert all(each.data_type != onnx.TensorProto.FLOAT16 for each in whole.graph.initializer)  # left as it was


def test_a_weight_that_is_too_large_for_fp16() -> None:
    model = moved(WIDE)
    with torch.no_grad():
        model.classification.output.weight[0, 0, 0] = 1e5
    with pytest.raises(ConfigError, match=r"fp16, but classification\.output\.weight holds 100000; take fp32 or int8"):
        onnx_file(model, "fp16")


def test_int8_multiplies_in_8_bits_but_for_the_outputs(model: ActionFormer, capfd: pytest.CaptureFixture[str]) -> None:
    small = in_int8(to_onnx(model, {"told": "this"}, products=True))
    kinds = [node.op_type for node in small.graph.node]
    assert kinds.count("MatMulInteger") == 2 + 3 * 6 + 2 * 2  # projection, blocks, towers
    left = [node.input[1] for node in small.graph.node if node.op_type == "MatMul"]
    assert [name for name in left if name.endswith("weight")] == [
        "classification.output.weight",
        "regression.output.weight",
    ]
    assert {each.key: each.value for each in small.metadata_props} == {"told": "this"}
    weights = [onnx.numpy_helper.to_array(each) for each in small.graph.initializer if each.data_type == 3]  # int8
    assert max(int(np.abs(each.astype(int)).max()) for each in weights if each.ndim == 2) <= 64  # 7 bits
    assert capfd.readouterr() == ("", "")
