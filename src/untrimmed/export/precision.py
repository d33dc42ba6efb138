"""Smaller forms of an exported model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from untrimmed.errors import ConfigError, MissingExtraError
from untrimmed.export.graph import FLOAT

if TYPE_CHECKING:
    import onnx

Precision = Literal["fp32", "fp16", "int8"]
LARGEST = float(np.finfo(np.float16).max)
OUTPUTS = ("classification.output.", "regression.output.")
"""Parts that int8 leaves as they are: in 8 bits scores would tie and boundaries be rounded."""


def in_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store weights in 16 bits; they are computed with in 32, to which the runtime brings them when it opens the file.

    So the file is half as large, and runs on every processor: onnxruntime multiplies in 16 bits on few of them. What
    has one dimension, such as the scales of a LayerNorm, stays in 32 bits.

    Raises:
        ConfigError: if a weight is too large for 16 bits.
    """
    import onnx  # noqa: PLC0415
    from onnx import helper, numpy_helper  # noqa: PLC0415

    small = onnx.ModelProto()
    small.CopyFrom(model)
    casts = []
    for weight in small.graph.initializer:
        if weight.data_type != FLOAT or len(weight.dims) < 2:
            continue
        array = numpy_helper.to_array(weight)
        if array.size and np.abs(array).max() > LARGEST:
            raise ConfigError(f"precision is fp16, but {weight.name} holds {np.abs(array).max():g}; take fp32 or int8")
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(array.astype(np.float16), f"{name}.fp16"))
        casts.append(helper.make_node("Cast", [weight.name], [name], f"{name}.fp32", to=FLOAT))
    nodes = [*casts, *small.graph.node]
    del small.graph.node[:]
    small.graph.node.extend(nodes)
    return small


def in_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Multiply matrices in 8 bits: weights with a scale for each column, activations with one found at every run.

    Weights take 7 bits of the 8, since processors without VNNI would overflow. What is no product with a weight stays
    in 32 bits, and so do the heads' last layers.

    Raises:
        MissingExtraError: if onnxruntime is not installed.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx", "precision int8") from error
    import onnx  # noqa: PLC0415
    from onnx import helper  # noqa: PLC0415

    prepared = onnx.ModelProto()
    prepared.CopyFrom(model)
    metadata = {each.key: each.value for each in model.metadata_props}
    # Says that there is nothing to prepare, which onnxruntime would otherwise advise on stderr.
    helper.set_model_props(prepared, metadata | {"onnx.quant.pre_process": "onnxruntime.quant"})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        quantize_dynamic(
            prepared,
            path,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[node.name for node in model.graph.node if node.name.startswith(OUTPUTS)],
        )
        small = onnx.load(path)
    helper.set_model_props(small, metadata)
    return small
