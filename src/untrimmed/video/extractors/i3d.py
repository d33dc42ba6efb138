"""I3D, the inflated Inception of Carreira and Zisserman (CVPR 2017), on pictures and on optical flow.

The architecture and the published names are those of the PyTorch port whose weights, `rgb_imagenet.pt` and
`flow_imagenet.pt`, most features of the benchmarks were made with.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from untrimmed.data.features.numpy_file import NpyFile
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.convolutions import Convolution, Size, padded_same
from untrimmed.video.extractors.published import Backbone, PublishedExtractor
from untrimmed.video.extractors.weights import Renaming, load_published, read_weights
from untrimmed.video.view import Pictures, View

DIMENSION = 1024
GRID = TimeGrid(stride=4, window=16, rate=30.0)
"""As the features of THUMOS14 that the field uses."""
SIZE, SHORT_SIDE = 224, 256
VIEW = View(SIZE, SIZE, SHORT_SIDE)
LARGEST_FLOW = 20.0
"""Pixels per frame at which optical flow is cut off, before it is scaled to [-1, 1]."""

_MIXED = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}
"""Inputs of each Inception block, and the outputs of its six convolutions."""

_RENAMING: Renaming = [
    (r"^logits\..*", ""),
    (r"^Conv3d_1a_7x7\.", "stem.0."),
    (r"^Conv3d_2b_1x1\.", "stem.2."),
    (r"^Conv3d_2c_3x3\.", "stem.3."),
    (r"^Mixed_(\d\w)\.b0\.", r"mixed.\1.branches.0.0."),
    (r"^Mixed_(\d\w)\.b(\d)a\.", r"mixed.\1.branches.\2.0."),
    (r"^Mixed_(\d\w)\.b(\d)b\.", r"mixed.\1.branches.\2.1."),
    (r"\.conv3d\.", ".conv."),
    (r"\.bn\.", ".norm."),
]


class I3D(nn.Module):
    """`[B, C, T, H, W]`, three colours or two directions of flow in [-1, 1], to `[B, 1024]`.

    Time is divided by 8, height and width by 32; what is left is averaged.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _convolution(channels, 64, 7, 2),
            _MaxPool((1, 3, 3), (1, 2, 2)),
            _convolution(64, 64, 1),
            _convolution(64, 192, 3),
            _MaxPool((1, 3, 3), (1, 2, 2)),
        )
        self.mixed = nn.ModuleDict({name: _Inception(inputs, sizes) for name, (inputs, sizes) in _MIXED.items()})
        self.pools = nn.ModuleDict({"4b": _MaxPool((3, 3, 3), (2, 2, 2)), "5b": _MaxPool((2, 2, 2), (2, 2, 2))})

    def forward(self, x: Tensor) -> Tensor:
        """Return the average over time and space of what the last block gives."""
        x = self.stem(x)
        for name, block in self.mixed.items():
            if name in self.pools:
                x = self.pools[name](x)
            x = block(x)
        return x.mean(dim=(2, 3, 4))


class _Inception(nn.Module):
    """Four branches side by side: a 1-convolution, twice a 1- and a 3-convolution, pooling and a 1-convolution."""

    def __init__(self, inputs: int, sizes: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                nn.Sequential(_convolution(inputs, sizes[0], 1)),
                nn.Sequential(_convolution(inputs, sizes[1], 1), _convolution(sizes[1], sizes[2], 3)),
                nn.Sequential(_convolution(inputs, sizes[3], 1), _convolution(sizes[3], sizes[4], 3)),
                nn.Sequential(_MaxPool((3, 3, 3), (1, 1, 1)), _convolution(inputs, sizes[5], 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class _MaxPool(nn.Module):
    """Pooling with "SAME" padding. The padding is zeros, which change nothing, since nothing here is negative."""

    def __init__(self, kernel: Size, stride: Size) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(padded_same(x, self.kernel, self.stride), self.kernel, self.stride)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> Convolution:
    return Convolution(inputs, outputs, (kernel,) * 3, (stride,) * 3, same=True, epsilon=1e-3)


class I3DExtractor(PublishedExtractor):
    """I3D on pictures: `rgb_imagenet.pt`.

    The video's shorter side is scaled to 256, and 224 x 224 are cut out of the middle.
    """

    backbone = Backbone("i3d", DIMENSION, GRID, VIEW, mean=(0.5,) * 3, deviation=(0.5,) * 3)

    @classmethod
    def load(cls, weights: Path, grid: TimeGrid) -> tuple[I3D, dict[str, Tensor]]:
        """See `PublishedExtractor`."""
        return _load(weights, 3, cls.backbone.kind)


class I3DFlowExtractor(PublishedExtractor):
    """I3D on optical flow that was computed elsewhere: `flow_imagenet.pt`.

        >>> extractor = I3DFlowExtractor(Path("flow_imagenet.pt"))
        >>> rows = np.concatenate(list(extractor.features(extractor.frames_of(Path("flows/v1.npy")))))

    A video's flow is a `.npy` file `[F, H, W, 2]` of floats: F steps from frame to frame, to the right and down, in
    pixels of pictures whose shorter side is 256 (at least 224, the middle of which is cut out). It is cut off at 20
    pixels. `rate` is that of the flow, which cannot be sampled anew.
    """

    backbone = Backbone("i3d-flow", DIMENSION, GRID, VIEW, mean=(0.0,) * 2, deviation=(LARGEST_FLOW / 255,) * 2)

    @classmethod
    def load(cls, weights: Path, grid: TimeGrid) -> tuple[I3D, dict[str, Tensor]]:
        """See `PublishedExtractor`."""
        return _load(weights, 2, cls.backbone.kind)

    def frames_of(self, path: Path) -> Iterator[Pictures]:
        """Read the flow of one video, for `features`: `[224, 224, 2]`, step by step, so that memory does not grow.

        Raises:
            FeatureError: if the file cannot be read, is not `[F, H, W, 2]`, is too small, or is not finite.
        """
        with NpyFile(path) as file:
            shape = file.shape("")
            if len(shape) != 4 or shape[3] != 2 or 0 in shape:
                raise FeatureError(f"{path}: is {list(shape)}, but flow [F, H, W, 2] is expected")
            if min(shape[1:3]) < SIZE:
                raise FeatureError(
                    f"{path}: the flow is {shape[1]} x {shape[2]}, but {SIZE} x {SIZE} are cut out of it. Compute it "
                    f"on pictures whose shorter side is {SHORT_SIDE}"
                )
            top, left = (shape[1] - SIZE) // 2, (shape[2] - SIZE) // 2
            for start in range(shape[0]):
                step = file.rows("", start, start + 1)[0, top : top + SIZE, left : left + SIZE]
                if step.dtype.kind != "f" or not np.isfinite(step).all():
                    raise FeatureError(
                        f"{path}: flow has to be finite floats, in pixels, but step {start} is {step.dtype} or has NaN "
                        "or infinite values. Compute it again"
                    )
                flow: NDArray[Any] = step.astype(np.float32)
                yield (flow,)

    def encode(self, clips: NDArray[Any]) -> NDArray[np.float32]:
        """Compute features `[B, 1024]` of flow `[B, T, 224, 224, 2]`.

        Raises:
            ConfigError: if it is no flow but pictures.
        """
        if clips.shape[-1] != 2:
            raise ConfigError(
                f"extractor {self.name!r} takes optical flow, .npy files [F, H, W, 2], and no pictures. "
                "For these say i3d:PATH, with rgb_imagenet.pt"
            )
        return super().encode(clips.clip(-LARGEST_FLOW, LARGEST_FLOW))


def _load(weights: Path, channels: int, kind: str) -> tuple[I3D, dict[str, Tensor]]:
    published = read_weights(weights)
    with torch.device("meta"):
        network = I3D(channels)
    return network, load_published(network, published, _RENAMING, weights, kind)
