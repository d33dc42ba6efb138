"""The whole network as an ONNX model: features and `valid` in, raw predictions out.

It reads as `untrimmed.model` does, part by part; the tests hold the two together over every switch of the architecture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from untrimmed.export.attention import attention
from untrimmed.export.graph import FLOAT, INT64, Graph
from untrimmed.export.heads import heads
from untrimmed.export.layers import Layers, Level, Positions
from untrimmed.model.blocks import ConvolutionBlock, Downsample, TransformerBlock
from untrimmed.model.encoder import Encoder, Projection, sinusoid
from untrimmed.model.layers import MaskedConvolution
from untrimmed.model.neck import IdentityNeck, TopDownNeck
from untrimmed.model.network import ActionFormer

if TYPE_CHECKING:
    import onnx


def to_onnx(
    model: ActionFormer, metadata: Mapping[str, str] | None = None, *, products: bool = False
) -> onnx.ModelProto:
    """Write a model as ONNX, in fp32, for any length and any batch.

    Its inputs are `features` `[B, T, D]` and `valid` `[B, T]`; its outputs `logits` `[B, N, C]`, `offsets` `[B, N, 2]`,
    `moments` `[N, 4]` and `valid_moments` `[B, N]` (see `Predictions`), of which those at padded moments are arbitrary.

    Args:
        model: what is exported.
        metadata: what is told in the file besides.
        products: write convolutions as matrix products (see `untrimmed.export.layers`).

    Raises:
        MissingExtraError: if onnx is not installed.
    """
    graph, config = Graph(), model.config
    layers = Layers(graph, products)
    at = Positions.of(graph, "valid")
    there = graph.add("Unsqueeze", "valid", graph.constant([2]))
    features = graph.add("Where", there, "features", graph.constant(0.0, np.float32))  # what is padded may be NaN
    with graph.scope("encoder"):
        levels = _encoder(layers, model.encoder, features, at, config.width)
    with graph.scope("neck"):
        levels = _neck(layers, model.neck, levels)
    logits, offsets = heads(layers, model, levels)
    moments = [
        _moments(graph, x, stride, of_level)
        for (x, _), stride, of_level in zip(levels, config.strides, config.ranges, strict=True)
    ]
    valid = graph.add("Concat", *(each.valid for _, each in levels), axis=1)
    return graph.model(
        [("features", np.float32, ["B", "T", config.input_dim]), ("valid", np.bool_, ["B", "T"])],
        [
            ("logits", logits, np.float32, ["B", "N", int(config.num_classes or 0)]),
            ("offsets", offsets, np.float32, ["B", "N", 2]),
            ("moments", graph.add("Concat", *moments, axis=0), np.float32, ["N", 4]),
            ("valid_moments", valid, np.bool_, ["B", "N"]),
        ],
        dict(metadata or {}),
    )


def _encoder(layers: Layers, encoder: Encoder, features: str, at: Positions, width: int) -> list[Level]:
    graph = layers.graph
    with graph.scope("projection"):
        x = _projection(layers, encoder.projection, features, at)
    if encoder.base_length is not None:
        with graph.scope("position"):
            table = graph.weight("table", _table(encoder.base_length, width))
            added = _positions(graph, table, encoder.base_length, x, None if encoder.padding == "official" else at)
            x = graph.add("Add", x, layers.mask(added, at))
    levels: list[Level] = []
    for i, block in enumerate(encoder.stem):
        with graph.scope(f"stem.{i}"):
            x, at = _block(layers, block, x, at)
        levels.append((x, at))
    if not encoder.every_block:
        levels = [(x, at)]
    for i, block in enumerate(encoder.branch):
        with graph.scope(f"branch.{i}"):
            x, at = _block(layers, block, x, at)
        levels.append((x, at))
    return levels


def _projection(layers: Layers, projection: Projection, x: str, at: Positions) -> str:
    graph, first = layers.graph, 0
    parts = []
    for i, stream in enumerate(projection.streams):
        assert isinstance(stream, MaskedConvolution)
        dims = projection.dims[i]
        with graph.scope(f"stream.{i}"):
            part = graph.slice(x, first, first + dims, 2)
            parts.append(layers.masked_convolution(stream, part, at))
        first += dims
    if parts:
        x = layers.mask(graph.add("Concat", *parts, axis=2), at)
    return layers.stack(projection.stack, x, at)


def _table(period: int, width: int) -> Tensor:
    """Sinusoids of so many positions, `[period, width]`."""
    return sinusoid(torch.tensor([period]), period, width, period)[0]


def _positions(graph: Graph, table: str, period: int, x: str, at: Positions | None) -> str:
    """`sinusoid` of the videos' own lengths, or of the padded length where `at` is `None`: `[B or 1, T, C]`."""
    zero, half, one, last = (graph.constant(value, np.float32) for value in (0.0, 0.5, 1.0, period - 1.0))
    lengths = graph.add("Cast", graph.length(x), to=FLOAT)
    if at is not None:
        lengths = graph.add("Max", graph.add("ReduceSum", at.factor, graph.constant([1]), keepdims=0), one)  # [B, 1]
    step = graph.add("Min", graph.add("Div", graph.constant(float(period), np.float32), lengths), one)
    centres = graph.add("Add", graph.add("Cast", _numbers(graph, x), to=FLOAT), half)
    place = graph.add("Sub", graph.add("Mul", graph.add("Unsqueeze", centres, graph.constant([0])), step), half)
    place = graph.add("Clip", place, zero, last)  # [B or 1, T]
    low = graph.add("Floor", place)
    high = graph.add("Min", graph.add("Add", low, one), last)
    below, above = (graph.add("Gather", table, graph.add("Cast", index, to=INT64)) for index in (low, high))
    share = graph.add("Unsqueeze", graph.add("Sub", place, low), graph.constant([2]))
    return str(graph.add("Add", below, graph.add("Mul", share, graph.add("Sub", above, below))))


def _numbers(graph: Graph, x: str) -> str:
    """0 to T - 1, `[T]`."""
    size = graph.add("Squeeze", graph.length(x), graph.constant([0]))
    return str(graph.add("Range", graph.constant(0), size, graph.constant(1)))


def _block(layers: Layers, block: nn.Module, x: str, at: Positions) -> Level:
    if isinstance(block, ConvolutionBlock):
        return _convolution_block(layers, block, x, at)
    assert isinstance(block, TransformerBlock)
    graph, stride, official = layers.graph, block.attention.stride, block.padding == "official"
    after = at.every(graph, stride)
    skip = layers.max_pool(x, at, stride, block.padding) if stride > 1 else x
    with graph.scope("attention_norm"):
        normed = layers.norm(block.attention_norm, x)
    with graph.scope("attention"):
        branch = attention(layers, block.attention, normed if official else layers.mask(normed, at), at)
    if official:
        skip, branch = layers.mask(skip, after), layers.mask(branch, after)
    x = layers.residual(block.attention_branch, skip, branch, "attention")
    with graph.scope("mlp"):
        up, _, _, down, _ = block.mlp
        with graph.scope("norm"):
            branch = layers.norm(block.mlp_norm, x)
        with graph.scope("up"):
            branch = graph.add("Gelu", layers.convolve(up, branch))  # type: ignore[arg-type]
        with graph.scope("down"):
            branch = layers.convolve(down, branch)  # type: ignore[arg-type]
    x = layers.residual(block.mlp_branch, x, layers.mask(branch, after) if official else branch, "mlp")
    if block.downsample is None:
        return x, after
    assert isinstance(block.downsample, Downsample)
    with graph.scope("downsample"):
        return _downsample(layers, block.downsample, x, after)


def _downsample(layers: Layers, layer: Downsample, x: str, at: Positions) -> Level:
    after = at.every(layers.graph, layer.factor)
    if layer.convolution is not None:
        return layers.masked_convolution(layer.convolution, x, at), after
    if layer.kind == "average":
        return layers.average_pool(x, at, layer.factor), after
    return layers.max_pool(x, at, layer.factor, "exact"), after


def _convolution_block(layers: Layers, block: ConvolutionBlock, x: str, at: Positions) -> Level:
    graph, after = layers.graph, at.every(layers.graph, block.stride)
    with graph.scope("first"):
        branch = graph.add("Relu", layers.masked_convolution(block.first, x, at))
    with graph.scope("second"):
        branch = layers.masked_convolution(block.second, branch, after)
    if block.skip is not None:
        with graph.scope("skip"):
            x = layers.masked_convolution(block.skip, x, at)
    return graph.add("Relu", graph.add("Add", x, branch)), after


def _neck(layers: Layers, neck: IdentityNeck | TopDownNeck, levels: Sequence[Level]) -> list[Level]:
    graph = layers.graph
    out = [x for x, _ in levels]
    if isinstance(neck, TopDownNeck):
        for i, lateral in enumerate(neck.laterals):
            with graph.scope(f"lateral.{i}"):
                out[i] = layers.masked_convolution(lateral, out[i], levels[i][1])  # type: ignore[arg-type]
        for i in reversed(range(len(neck.ratios))):
            out[i] = graph.add("Add", out[i], _repeated(graph, out[i + 1], neck.ratios[i], like=out[i]))
        for i, convolution in enumerate(neck.convolutions):
            with graph.scope(f"convolution.{i}"):
                out[i] = layers.masked_convolution(convolution, out[i], levels[i][1])  # type: ignore[arg-type]
    for i, norm in enumerate(neck.norms):
        with graph.scope(f"norm.{i}"):
            out[i] = layers.norm(norm, out[i])
    return [(x, at) for x, (_, at) in zip(out, levels, strict=True)]


def _repeated(graph: Graph, x: str, times: int, like: str) -> str:
    """Each moment so many times, `[B, T, C] -> [B, T', C]`, T' that of `like`."""
    if times == 1:
        return x
    beside = graph.add("Concat", *[x] * times, axis=2)
    width = graph.add("Shape", x, start=2, end=3)
    repeated = graph.add("Reshape", beside, graph.add("Concat", graph.constant([0, -1]), width, axis=0))
    return graph.slice(repeated, 0, graph.length(like), 1)


def _moments(graph: Graph, x: str, stride: int, of_level: tuple[float, float]) -> str:
    """The moments of a level, `[T, 4]`."""
    times = graph.add("Mul", graph.add("Cast", _numbers(graph, x), to=FLOAT), graph.constant(float(stride), np.float32))
    column = graph.add("Unsqueeze", times, graph.constant([1]))
    rest = graph.constant([0.0, *of_level, stride], np.float32)
    return str(graph.add("Add", graph.add("Mul", column, graph.constant([1.0, 0, 0, 0], np.float32)), rest))
