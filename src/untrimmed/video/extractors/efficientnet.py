"""EfficientNet-Lite0 on single pictures: what is to be seen.

The Lite variant of EfficientNet (Tan and Le, ICML 2019): no squeeze-and-excitation, ReLU6 for the activations, stem and
head of fixed width. The weights are ImageNet's, and the state dict keeps the names of the PyTorch port they come from.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from untrimmed.video.extractors.folding import FoldedConvolution, fold

SIZE = 224
"""Height and width of the pictures."""
DIMENSION = 1280
"""Of the features, which lie between 0 and 6."""
MEAN, DEVIATION = 127.0, 128.0
"""Pixels go in as `(pixel - MEAN) / DEVIATION`."""

_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""Blocks of each stage, and the stride of its first one. Widths and kernel sizes are those of the weights."""


class EfficientNetLite0(nn.Module):
    """Prepared pictures `[B, 3, 224, 224]`, channels last, to features `[B, 1280]`; batch norms are folded."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights from the state dict of the package."""
        super().__init__()
        strides = [stride if i == 0 else 1 for blocks, stride in _STAGES for i in range(blocks)]
        self.stem = FoldedConvolution(*fold(state["_conv_stem.weight"], state, "_bn0"), stride=2, relu6=True)
        self.blocks = nn.Sequential(*(InvertedResidual(state, f"_blocks.{i}", s) for i, s in enumerate(strides)))
        self.head = FoldedConvolution(*fold(state["_conv_head.weight"], state, "_bn1"), relu6=True)
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Compute the features that ImageNet's classifier reads."""
        return self.head(self.blocks(self.stem(pictures))).mean((2, 3))


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow; added to its input where the shapes allow."""

    def __init__(self, state: Mapping[str, Tensor], name: str, stride: int) -> None:
        super().__init__()
        depthwise, project = state[f"{name}._depthwise_conv.weight"], state[f"{name}._project_conv.weight"]
        expand = state.get(f"{name}._expand_conv.weight")
        self.expand = (
            nn.Identity() if expand is None else FoldedConvolution(*fold(expand, state, f"{name}._bn0"), relu6=True)
        )
        self.depthwise = FoldedConvolution(
            *fold(depthwise, state, f"{name}._bn1"), stride=stride, groups=len(depthwise), relu6=True
        )
        self.project = FoldedConvolution(*fold(project, state, f"{name}._bn2"))
        self.skips = stride == 1 and expand is not None and expand.shape[1] == project.shape[0]

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W] -> [B, C', H / stride, W / stride]`."""
        out = self.project(self.depthwise(self.expand(x)))
        return out.add_(x) if self.skips else out
