"""Self-attention in ONNX operators, by blocks where it has a window, as `untrimmed.model.attention` has it."""

from __future__ import annotations

import numpy as np

from untrimmed.export.graph import BOOL, END, Graph
from untrimmed.export.layers import Layers, Positions
from untrimmed.model.attention import BLOCK
from untrimmed.model.blocks import SelfAttention
from untrimmed.model.layers import MaskedConvolution

NEVER = np.finfo(np.float32).min / 2
"""Score of a key that is not there: finite, so that a row without any key is not NaN."""


def attention(layers: Layers, layer: SelfAttention, x: str, at: Positions) -> str:
    """`[B, T, C] -> [B, ceil(T / stride), C]`; the input has to be zero at the padded positions."""
    graph = layers.graph
    parts = []
    for i, linear in enumerate(layer.projections):
        with graph.scope(("query", "key", "value")[i]):
            part = x
            if layer.convolutions:
                convolution = layer.convolutions[i]
                assert isinstance(convolution, MaskedConvolution)
                with graph.scope("convolution"):
                    part = layers.masked_convolution(convolution, x, at, hidden=True)
                with graph.scope("norm"):
                    part = layers.norm(layer.norms[i], part)
            parts.append(layers.convolve(linear, part))  # type: ignore[arg-type]
    query, key, value = parts
    keys = at.every(graph, layer.stride)
    width = layer.output.weight.shape[0] // layer.heads
    query = graph.add("Mul", query, graph.constant(width**-0.5, np.float32))
    if layer.window is None:
        out = _dense(graph, query, key, value, layer.heads, width, keys)
    else:
        out = _local(graph, query, key, value, layer, width, keys)
    with graph.scope("output"):
        return layers.convolve(layer.output, out)


def _dense(graph: Graph, query: str, key: str, value: str, heads: int, width: int, at: Positions) -> str:
    shape = graph.constant([0, -1, heads, width])
    query, key, value = (
        graph.add("Transpose", graph.add("Reshape", x, shape), perm=perm)
        for x, perm in ((query, [0, 2, 1, 3]), (key, [0, 2, 3, 1]), (value, [0, 2, 1, 3]))
    )
    allowed = graph.add("Unsqueeze", at.valid, graph.constant([1, 2]))
    added = graph.add("Where", allowed, graph.constant(0.0, np.float32), graph.constant(NEVER, np.float32))
    scores = graph.add("Softmax", graph.add("Add", graph.add("MatMul", query, key), added), axis=-1)
    out = graph.add("Transpose", graph.add("MatMul", scores, value), perm=[0, 2, 1, 3])
    return str(graph.add("Reshape", out, graph.constant([0, -1, heads * width])))


def _local(graph: Graph, query: str, key: str, value: str, layer: SelfAttention, width: int, at: Positions) -> str:
    assert layer.window is not None
    half, heads = layer.window // 2, layer.heads
    block = max(half, BLOCK)
    length = graph.length(query)
    tail = graph.add("Mod", graph.add("Neg", length), graph.constant([block]))
    by_heads = graph.constant([0, 0, 0, heads, width])
    query = graph.add("Reshape", _in_blocks(graph, query, block, tail, around=0), by_heads)
    query = graph.add("Transpose", query, perm=[0, 1, 3, 2, 4])  # [B, blocks, heads, block, C / heads]
    key, value = (
        graph.add("Transpose", graph.add("Reshape", _windows(graph, x, half, block, tail), by_heads), perm=perm)
        for x, perm in ((key, [0, 1, 3, 4, 2]), (value, [0, 1, 3, 2, 4]))
    )
    scores = graph.add("Add", graph.add("MatMul", query, key), _bias(graph, layer, half, block, tail, at))
    out = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), value)
    out = graph.add("Transpose", out, perm=[0, 1, 3, 2, 4])
    out = graph.add("Reshape", out, graph.constant([0, -1, heads * width]))
    return graph.slice(out, 0, length, 1)


def _in_blocks(graph: Graph, x: str, block: int, tail: str, *, around: int) -> str:
    """`[B, T, C] -> [B, blocks, block, C]`, with `around` positions of zeros before and behind, and a tail."""
    front, behind = graph.constant([0, around, 0, 0]), graph.add("Add", tail, graph.constant([around]))
    pads = graph.add("Concat", front, behind, graph.constant([0]), axis=0)
    padded = graph.add("Pad", x, pads)
    shape = graph.add("Shape", x, start=2, end=3)
    return str(graph.add("Reshape", padded, graph.add("Concat", graph.constant([0, -1, block]), shape, axis=0)))


def _windows(graph: Graph, x: str, half: int, block: int, tail: str) -> str:
    """What each block sees, `[B, blocks, block + 2 * half, C]`: itself, and half a window of its two neighbours."""
    blocks = _in_blocks(graph, x, block, tail, around=block)  # one of zeros before the first, one behind the last
    before = graph.slice(graph.slice(blocks, 0, -2, 1), block - half, END, 2)
    own = graph.slice(blocks, 1, -1, 1)
    behind = graph.slice(graph.slice(blocks, 2, END, 1), 0, half, 2)
    return str(graph.add("Concat", before, own, behind, axis=2))


def _bias(graph: Graph, layer: SelfAttention, half: int, block: int, tail: str, at: Positions) -> str:
    """What is added to the scores, `[B, blocks, heads or 1, block, block + 2 * half]`."""
    place = np.arange(block + 2 * half)[None, :] - np.arange(block)[:, None]
    near = graph.constant((place >= 0) & (place <= 2 * half), np.bool_)
    real = graph.add("Cast", _windows(graph, at.factor, half, block, tail), to=BOOL)  # [B, blocks, keys, 1]
    real = graph.add("Unsqueeze", graph.add("Squeeze", real, graph.constant([3])), graph.constant([2, 3]))
    added = graph.constant(0.0, np.float32)
    if layer.bias is not None:
        added = graph.weight("relative", layer.bias[:, place.clip(0, 2 * half)])
    return str(graph.add("Where", graph.add("And", near, real), added, graph.constant(NEVER, np.float32)))
