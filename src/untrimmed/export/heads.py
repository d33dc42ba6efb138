"""Both heads in ONNX operators, over all levels in one pass, as `untrimmed.model.heads` has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from untrimmed.export.graph import BOOL, Graph
from untrimmed.export.layers import Layers, Level, Positions
from untrimmed.model.heads import ClassificationHead, RegressionHead
from untrimmed.model.network import ActionFormer


@dataclass(frozen=True)
class Joined:
    """All levels side by side, with gaps of zeros in between (see `untrimmed.model.heads.join`).

    Attributes:
        features: `[B, J, C]`.
        at: which of the J positions are valid.
        inside: `[1, J, 1]`, zero in the gaps; `None` where `at` says so already.
        sizes: how many positions each level and each gap has.
        levels: how many levels there are.
        gap: whether there are gaps.
    """

    features: str
    at: Positions
    inside: str | None
    sizes: str
    levels: int
    gap: bool

    def split(self, graph: Graph, x: str) -> list[str]:
        """Return the levels of what was made of the features."""
        parts = self.levels * (2 if self.gap else 1)
        if parts == 1:
            return [x]
        split: list[str] = graph.add("Split", x, self.sizes, outputs=parts, axis=1)
        return split[:: 2 if self.gap else 1]


def _join(layers: Layers, levels: Sequence[Level], gap: int, *, exact: bool) -> Joined:
    graph, one = layers.graph, layers.graph.constant([1])
    lengths = [graph.length(x) for x, _ in levels]

    def ones(length: str) -> str:
        shape = graph.add("Concat", one, length, one, axis=0)
        return str(graph.add("Expand", graph.constant(1.0, np.float32), shape))

    def beside(parts: Sequence[str]) -> str:
        if gap:
            parts = [graph.add("Pad", part, graph.constant([0, 0, 0, 0, gap, 0])) for part in parts]
        return str(graph.add("Concat", *parts, axis=1))

    features, factor = beside([x for x, _ in levels]), beside([at.factor for _, at in levels])
    at = Positions(graph.add("Cast", graph.add("Squeeze", factor, graph.constant([2])), to=BOOL), factor)
    sizes = [size for length in lengths for size in ((length, graph.constant([gap])) if gap else (length,))]
    return Joined(
        layers.mask(features, at) if exact else features,
        at,
        None if exact else beside([ones(length) for length in lengths]),
        graph.add("Concat", *sizes, axis=0),
        len(levels),
        gap > 0,
    )


def _tower(layers: Layers, head: ClassificationHead | RegressionHead, joined: Joined) -> list[str]:
    """What a head gives for each level."""
    graph = layers.graph
    with graph.scope("tower"):
        x = layers.stack(head.tower, joined.features, joined.at, joined.inside)
    with graph.scope("output"):
        x = layers.masked_convolution(head.output, x, joined.at, hidden=True)
    return joined.split(graph, x)


def heads(layers: Layers, model: ActionFormer, levels: Sequence[Level]) -> tuple[str, str]:
    """`[B, N, classes]` and `[B, N, 2]`."""
    graph, config = layers.graph, model.config
    joined = _join(layers, levels, config.head_kernel // 2, exact=config.padding == "exact")
    with graph.scope("classification"):
        logits = graph.add("Concat", *_tower(layers, model.classification, joined), axis=1)
    with graph.scope("regression"):
        parts = zip(_tower(layers, model.regression, joined), model.regression.scales, strict=True)
        scaled = [
            graph.add("Mul", part, graph.weight(f"scale.{i}", scale.get_parameter("scale")))
            for i, (part, scale) in enumerate(parts)
        ]
        offsets = graph.add("Relu", graph.add("Concat", *scaled, axis=1))
    return logits, offsets
