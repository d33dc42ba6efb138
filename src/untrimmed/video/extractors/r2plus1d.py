"""R(2+1)D (Tran and others, CVPR 2018): every 3-D convolution is one in space and one in time.

Two depths. 18 layers as torchvision has them: `r2plus1d_18`. 34 layers as TSP (Alwassel and others, 2021), the features
of ActivityNet, and the IG-65M port have them: their batch normalisations have Caffe2's epsilon. The two also differ in
how wide the convolution in space is where a stage begins: torchvision takes for both pairs of a block the width of the
first one.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.convolutions import Convolution
from untrimmed.video.extractors.published import Backbone, PublishedExtractor
from untrimmed.video.extractors.weights import Renaming, load_published, read_weights
from untrimmed.video.view import View

DIMENSION = 512
GRID = TimeGrid(stride=16, window=16, rate=15.0)
"""As TSP's features of ActivityNet."""
SIZE, SHORT_SIDE = 112, 128
MEAN, DEVIATION = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
"""Residual blocks of each stage, by the number of layers."""

_RENAMING: Renaming = [
    (r"^features\.", ""),
    (r"^fc\d?\..*", ""),
    (r"^layer(\d)\.", r"stages.\1."),
    (r"\.conv1\.0\.", ".first."),
    (r"\.conv1\.1\.", ".first.4."),
    (r"\.conv2\.0\.", ".second."),
    (r"\.conv2\.1\.", ".second.4."),
    (r"(stem|first|second)\.0\.", r"\1.space.conv."),
    (r"(stem|first|second)\.1\.", r"\1.space.norm."),
    (r"(stem|first|second)\.3\.", r"\1.time.conv."),
    (r"(stem|first|second)\.4\.", r"\1.time.norm."),
    (r"\.downsample\.0\.", ".skip.conv."),
    (r"\.downsample\.1\.", ".skip.norm."),
]


class R2Plus1D(nn.Module):
    """`[B, 3, T, H, W]` to `[B, 512]`. Time is divided by 8, height and width by 16; what is left is averaged."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.stem = _Pair(3, 45, 64, size=7, stride=2, epsilon=_epsilon(layers), time_stride=1)
        self.stages = nn.ModuleDict()
        inputs = 64
        for stage, count in enumerate(BLOCKS[layers], start=1):
            outputs = 32 * 2**stage
            blocks = [_Block(inputs if i == 0 else outputs, outputs, layers) for i in range(count)]
            self.stages[str(stage)] = nn.Sequential(*blocks)
            inputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return the average over time and space of what the last stage gives."""
        x = self.stem(x)
        for stage in self.stages.values():
            x = stage(x)
        return x.mean(dim=(2, 3, 4))


class _Pair(nn.Module):
    """A convolution in space and one in time, each with batch normalisation; ReLU between them, and behind if asked."""

    def __init__(
        self,
        inputs: int,
        middle: int,
        outputs: int,
        *,
        size: int = 3,
        stride: int = 1,
        time_stride: int = 1,
        relu: bool = True,
        epsilon: float,
    ) -> None:
        super().__init__()
        self.space = Convolution(inputs, middle, (1, size, size), (1, stride, stride), epsilon=epsilon)
        self.time = Convolution(middle, outputs, (3, 1, 1), (time_stride, 1, 1), relu=relu, epsilon=epsilon)

    def forward(self, x: Tensor) -> Tensor:
        return self.time(self.space(x))


class _Block(nn.Module):
    """Two pairs and a skip connection; it halves time and space where the width grows."""

    def __init__(self, inputs: int, outputs: int, layers: int) -> None:
        super().__init__()
        epsilon = _epsilon(layers)
        stride = 1 if inputs == outputs else 2
        middle = _middle(inputs, outputs)
        self.first = _Pair(inputs, middle, outputs, stride=stride, time_stride=stride, epsilon=epsilon)
        middle = middle if layers == 18 else _middle(outputs, outputs)
        self.second = _Pair(outputs, middle, outputs, relu=False, epsilon=epsilon)
        self.skip: nn.Module = nn.Identity()
        if stride != 1:
            self.skip = Convolution(inputs, outputs, (1, 1, 1), (stride,) * 3, relu=False, epsilon=epsilon)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.second(self.first(x)) + self.skip(x))


def _middle(inputs: int, outputs: int) -> int:
    """Width between the two convolutions at which they have as many weights as one 3 x 3 x 3 convolution."""
    return (inputs * outputs * 27) // (inputs * 9 + 3 * outputs)


def _epsilon(layers: int) -> float:
    return 1e-5 if layers == 18 else 1e-3


class R2Plus1DExtractor(PublishedExtractor):
    """R(2+1)D with 18 or 34 layers, whichever the weights are for.

    The video's shorter side is scaled to 128, and 112 x 112 are cut out of the middle.
    """

    backbone = Backbone("r2plus1d", DIMENSION, GRID, View(SIZE, SIZE, SHORT_SIDE), MEAN, DEVIATION)

    @classmethod
    def load(cls, weights: Path, grid: TimeGrid) -> tuple[R2Plus1D, dict[str, Tensor]]:
        """See `PublishedExtractor`."""
        return _load(weights)


def _load(weights: Path) -> tuple[R2Plus1D, dict[str, Tensor]]:
    """Make the network that the weights are for."""
    published = read_weights(weights)
    # Only the deeper one has a third block in its first stage.
    layers = 34 if any(name.removeprefix("features.").startswith("layer1.2.") for name in published) else 18
    with torch.device("meta"):
        network = R2Plus1D(layers)
    return network, load_published(network, published, _RENAMING, weights, "r2plus1d")
