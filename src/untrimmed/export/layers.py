"""The layers of the model in ONNX operators; `untrimmed.model.layers` says what each of them does.

A convolution is that of a channels-last image, as in the model: onnxruntime computes the transpositions around it
together with its own change of layout, and is faster so than with 1-D convolutions. For int8, which it has only for
matrix products, a convolution is a product with the neighbours side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from untrimmed.export.graph import END, FLOAT, Graph
from untrimmed.model.convolution import Convolution
from untrimmed.model.layers import ConvolutionStack, MaskedConvolution, Padding, ResidualBranch


@dataclass(frozen=True)
class Positions:
    """Which positions of a level are not padded, as values of the graph.

    Attributes:
        valid: `[B, T]`, bool.
        factor: `[B, T, 1]`, 1 where it is valid, else 0.
    """

    valid: str
    factor: str

    @classmethod
    def of(cls, graph: Graph, valid: str) -> Positions:
        """Make them of a value `[B, T]`."""
        factor = graph.add("Cast", graph.add("Unsqueeze", valid, graph.constant([2])), to=FLOAT)
        return cls(valid, factor)

    def every(self, graph: Graph, stride: int) -> Positions:
        """Those of a level whose stride is `stride` times as large."""
        return self if stride == 1 else Positions.of(graph, graph.slice(self.valid, 0, END, 1, stride))


Level = tuple[str, Positions]
"""Features `[B, T, C]` of a level of the pyramid, and which are not padded."""


@dataclass(frozen=True)
class Layers:
    """What adds layers to a graph.

    Attributes:
        graph: where they are added.
        products: whether convolutions are matrix products.
    """

    graph: Graph
    products: bool = False

    def mask(self, x: str, at: Positions) -> str:
        """Zeros at the padded positions of what is finite."""
        return str(self.graph.add("Mul", x, at.factor))

    def convolve(self, layer: Convolution, x: str) -> str:
        """A convolution of `x` as it is: `[B, T, C] -> [B, ceil(T / stride), C']`."""
        graph, weight = self.graph, layer.weight
        kernel = weight.shape[2]
        if not layer.depthwise and ((kernel == 1 and layer.stride == 1) or self.products):
            return self._product(layer, x)
        image = self._image(x)
        filters = [graph.weight("weight", weight.unsqueeze(2))]
        if layer.bias is not None:
            filters.append(graph.weight("bias", layer.bias))
        out = graph.add(
            "Conv",
            image,
            *filters,
            kernel_shape=[1, kernel],
            strides=[1, layer.stride],
            pads=[0, kernel // 2, 0, kernel // 2],
            group=len(weight) if layer.depthwise else 1,
        )
        return self._features(out)

    def _product(self, layer: Convolution, x: str) -> str:
        """A convolution as one matrix product: each moment beside those that its kernel reaches."""
        graph = self.graph
        kernel = layer.weight.shape[2]
        if kernel > 1:
            x = graph.add("Pad", x, graph.constant([0, kernel // 2, 0, 0, kernel // 2, 0]))
        # Behind the last position of a tap are those that later taps reach.
        ends = [tap - kernel + 1 or END for tap in range(kernel)]
        if kernel * layer.stride > 1:
            taps = [graph.slice(x, tap, end, 1, layer.stride) for tap, end in enumerate(ends)]
            x = graph.add("Concat", *taps, axis=2)
        weight = layer.weight.permute(2, 1, 0).flatten(0, 1)  # [K * C, C']
        out = graph.add("MatMul", x, graph.weight("weight", weight))
        return str(out if layer.bias is None else graph.add("Add", out, graph.weight("bias", layer.bias)))

    def masked_convolution(self, layer: MaskedConvolution, x: str, at: Positions, *, hidden: bool = False) -> str:
        """A convolution that padding does not reach."""
        if layer.padding == "official":
            return self.mask(self.convolve(layer, x), at.every(self.graph, layer.stride))
        return self.convolve(layer, x if hidden else self.mask(x, at))

    def norm(self, layer: nn.Module, x: str) -> str:
        """A LayerNorm, or nothing where there is none."""
        if isinstance(layer, nn.Identity):
            return x
        assert isinstance(layer, nn.LayerNorm)
        scale, bias = self.graph.weight("scale", layer.weight), self.graph.weight("bias", layer.bias)
        return str(self.graph.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=layer.eps))

    def stack(self, layers: ConvolutionStack, x: str, at: Positions, inside: str | None = None) -> str:
        """Convolutions with LayerNorm and ReLU after each.

        `inside` is `[1, T, 1]`, zero in the gaps between levels that stand side by side.
        """
        for i, (convolution, norm) in enumerate(zip(layers.convolutions, layers.norms, strict=True)):
            assert isinstance(convolution, MaskedConvolution)
            with self.graph.scope(f"{i}"):
                x = self.masked_convolution(convolution, x, at, hidden=True)
            with self.graph.scope(f"{i}.norm"):
                x = self.norm(norm, x)
                if layers.padding == "exact":
                    x = self.mask(x, at)
                elif inside is not None:
                    x = self.graph.add("Mul", x, inside)
                x = self.graph.add("Relu", x)
        return x

    def residual(self, layer: ResidualBranch, skip: str, branch: str, name: str) -> str:
        """`skip + scale * branch`."""
        if layer.scale is not None:
            branch = self.graph.add("Mul", branch, self.graph.weight(f"{name}.scale", layer.scale))
        return str(self.graph.add("Add", skip, branch))

    def max_pool(self, x: str, at: Positions, stride: int, padding: Padding) -> str:
        """Maximum over `stride + 1` moments around every `stride`-th, zero at the padded ones."""
        graph = self.graph
        if padding == "exact":
            there = graph.add("Unsqueeze", at.valid, graph.constant([2]))
            x = graph.add("Where", there, x, graph.constant(np.finfo(np.float32).min, np.float32))
        pooled = graph.add("MaxPool", self._image(x), **_pooling(stride))
        return self.mask(self._features(pooled), at.every(graph, stride))

    def average_pool(self, x: str, at: Positions, stride: int) -> str:
        """Mean of the valid moments of `stride + 1` around every `stride`-th."""
        graph = self.graph
        means = [
            self._features(graph.add("AveragePool", self._image(values), count_include_pad=1, **_pooling(stride)))
            for values in (self.mask(x, at), at.factor)
        ]  # of all places, so the ratio is the mean over the valid ones
        least = graph.constant(1.0 / (stride + 1), np.float32)
        return str(graph.add("Div", means[0], graph.add("Max", means[1], least)))

    def _image(self, x: str) -> str:
        """`[B, T, C] -> [B, C, 1, T]`."""
        rows = self.graph.add("Unsqueeze", x, self.graph.constant([1]))
        return str(self.graph.add("Transpose", rows, perm=[0, 3, 1, 2]))

    def _features(self, image: str) -> str:
        """`[B, C, 1, T] -> [B, T, C]`."""
        rows = self.graph.add("Transpose", image, perm=[0, 2, 3, 1])
        return str(self.graph.add("Squeeze", rows, self.graph.constant([1])))


def _pooling(stride: int) -> dict[str, Any]:
    half = stride // 2
    return {"kernel_shape": [1, stride + 1], "strides": [1, stride], "pads": [0, half, 0, half]}
