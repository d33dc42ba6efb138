"""SlowFast (Feichtenhofer and others, ICCV 2019): a wide pathway that sees few frames, a narrow one that sees all.

Three of the published networks: 8x8 with 50 layers, 8x8 with 101, and 4x16 with 50, under the names of PyTorchVideo as
well as of PySlowFast. They differ in depth and in the kernel that brings the fast pathway into the slow one, so the
weights tell which one they are for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.errors import ConfigError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.convolutions import Convolution
from untrimmed.video.extractors.published import Backbone, PublishedExtractor
from untrimmed.video.extractors.weights import Renaming, load_published, read_weights
from untrimmed.video.view import View

DIMENSION = 2048 + 256
GRID = TimeGrid(stride=8, window=32, rate=15.0)
"""32 frames, every second one at 30 per second, as they were trained."""
SIZE = 256
MEAN, DEVIATION = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)
NARROWING = 8
"""How many times fewer channels the fast pathway has."""

_SLOW_TAPS = {2: 1, 3: 1, 4: 3, 5: 3}
"""Frames that the first convolution of a block spans in each stage of the slow pathway; 3 in the fast one."""


def _stage_of_pytorchvideo(match: re.Match[str]) -> str:
    return f"stages.{int(match[1]) + 1}.{match[2]}.{match[3]}."


def _fusion_of_pytorchvideo(match: re.Match[str]) -> str:
    return f"fusions.{int(match[1]) + 1}."


_RENAMING: Renaming = [
    (r"^(head|blocks\.6)\..*", ""),
    # PyTorchVideo
    (r"^blocks\.0\.multipathway_blocks\.(\d)\.", r"stems.\1."),
    (r"^blocks\.(\d)\.multipathway_blocks\.(\d)\.res_blocks\.(\d+)\.", _stage_of_pytorchvideo),
    (r"^blocks\.(\d)\.multipathway_fusion\.", _fusion_of_pytorchvideo),
    (r"\.conv_fast_to_slow\.", ".conv."),
    (r"\.branch1_conv\.", ".skip.conv."),
    (r"\.branch1_norm\.", ".skip.norm."),
    (r"\.branch2\.conv_([abc])\.", r".\1.conv."),
    (r"\.branch2\.norm_([abc])\.", r".\1.norm."),
    # PySlowFast
    (r"^s1\.pathway(\d)_stem\.", r"stems.\1."),
    (r"^s(\d)\.pathway(\d)_res(\d+)\.", r"stages.\1.\2.\3."),
    (r"^s(\d)_fuse\.", r"fusions.\1."),
    (r"\.conv_f2s\.", ".conv."),
    (r"\.branch1\.", ".skip.conv."),
    (r"\.branch1_bn\.", ".skip.norm."),
    (r"\.branch2\.([abc])\.", r".\1.conv."),
    (r"\.branch2\.([abc])_bn\.", r".\1.norm."),
    (r"\.bn\.", ".norm."),
]


class SlowFast(nn.Module):
    """`[B, 3, T, H, W]` to `[B, 2304]`: the average over time and space of the slow pathway, then of the fast one.

    Args:
        blocks: in the fourth of five stages, 6 (of 50 layers) or 23 (of 101).
        fusion: frames that the convolution from the fast to the slow pathway spans.
        ratio: frames that the fast pathway sees for each of the slow one; it has to divide T.
    """

    def __init__(self, blocks: int, fusion: int, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.stems = nn.ModuleList([_Stem(64, taps=1), _Stem(64 // NARROWING, taps=5)])
        self.fusions, self.stages = nn.ModuleDict(), nn.ModuleDict()
        width = 64
        for stage, count in {2: 3, 3: 4, 4: blocks, 5: 3}.items():
            fast = width // NARROWING
            self.fusions[str(stage - 1)] = Convolution(fast, 2 * fast, (fusion, 1, 1), (ratio, 1, 1))
            outputs = 64 * 2**stage
            stride = 1 if stage == 2 else 2
            slow_way = _pathway(width + 2 * fast, outputs, count, _SLOW_TAPS[stage], stride)
            fast_way = _pathway(fast, outputs // NARROWING, count, 3, stride)
            self.stages[str(stage)] = nn.ModuleList([slow_way, fast_way])
            width = outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return the pooled features of both pathways."""
        # Both ends are taken, and what lies between them as evenly as whole frames allow: not every n-th frame.
        chosen = torch.linspace(0, x.shape[2] - 1, x.shape[2] // self.ratio).long()
        slow, fast = self.stems[0](x[:, :, chosen]), self.stems[1](x)
        for fusion, (slow_way, fast_way) in zip(self.fusions.values(), self._ways(), strict=True):
            slow, fast = slow_way(torch.cat([slow, fusion(fast)], dim=1)), fast_way(fast)
        return torch.cat([slow.mean(dim=(2, 3, 4)), fast.mean(dim=(2, 3, 4))], dim=1)

    def _ways(self) -> Iterator[tuple[nn.Module, nn.Module]]:
        """Both pathways of each stage."""
        for stage in self.stages.values():
            assert isinstance(stage, nn.ModuleList)
            yield stage[0], stage[1]


class _Stem(Convolution):
    """The first convolution of a pathway, with pooling; height and width are divided by 4."""

    def __init__(self, outputs: int, taps: int) -> None:
        super().__init__(3, outputs, (taps, 7, 7), (1, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(super().forward(x), (1, 3, 3), (1, 2, 2), (0, 1, 1))


class _Bottleneck(nn.Module):
    """Three convolutions, over time, over space, and over channels alone, and a skip connection."""

    def __init__(self, inputs: int, outputs: int, taps: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.a = Convolution(inputs, inner, (taps, 1, 1))
        self.b = Convolution(inner, inner, (1, 3, 3), (1, stride, stride))
        self.c = Convolution(inner, outputs, (1, 1, 1), relu=False)
        self.skip: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.skip = Convolution(inputs, outputs, (1, 1, 1), (1, stride, stride), relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(self.c(self.b(self.a(x))) + self.skip(x))


def _pathway(inputs: int, outputs: int, count: int, taps: int, stride: int) -> nn.Sequential:
    """One stage of one pathway."""
    first = _Bottleneck(inputs, outputs, taps, stride)
    return nn.Sequential(first, *(_Bottleneck(outputs, outputs, taps, 1) for _ in range(count - 1)))


class SlowFastExtractor(PublishedExtractor):
    """SlowFast, whichever of the published networks the weights are for.

    The video's shorter side is scaled to 256, and 256 x 256 are cut out of the middle.
    """

    backbone = Backbone("slowfast", DIMENSION, GRID, View(SIZE, SIZE, SIZE), MEAN, DEVIATION)

    @classmethod
    def load(cls, weights: Path, grid: TimeGrid) -> tuple[SlowFast, dict[str, Tensor]]:
        """See `PublishedExtractor`."""
        network, state = _load(weights)
        if grid.window % network.ratio:
            raise ConfigError(
                f"slowfast: window is {grid.window:g}, but has to be a multiple of {network.ratio}, the frames of the "
                "fast pathway for one of the slow"
            )
        return network, state


def _load(weights: Path) -> tuple[SlowFast, dict[str, Tensor]]:
    """Make the network that the weights are for."""
    published = read_weights(weights)
    with torch.device("meta"):
        network = SlowFast(*_structure(published))
    return network, load_published(network, published, _RENAMING, weights, "slowfast")


def _structure(published: Mapping[str, Tensor]) -> tuple[int, int, int]:
    """Return the arguments of `SlowFast` that fit the weights, or those of the commonest network if none do."""
    deep = any(".res_blocks.22." in name or "_res22." in name for name in published)
    names = ("blocks.0.multipathway_fusion.conv_fast_to_slow.weight", "s1_fuse.conv_f2s.weight")
    kernels = [tuple(published[name].shape[2:3]) for name in names if name in published]
    short = kernels == [(5,)]
    # 4x16 sees every eighth frame in its slow pathway, the other two every fourth.
    return 23 if deep else 6, 5 if short else 7, 8 if short and not deep else 4
