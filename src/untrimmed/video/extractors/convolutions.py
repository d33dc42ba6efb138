"""What the 3-D convolutional backbones are made of, and how they are run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from untrimmed.model.devices import Precision, computes_in_bf16, pick_device
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.clips import ClipExtractor
from untrimmed.video.extractors.extractor import fingerprint_of
from untrimmed.video.view import View

Size = tuple[int, int, int]
"""Along time, height and width."""


class Convolution(nn.Module):
    """A 3-D convolution without bias, its batch normalisation, and ReLU if asked for; `[B, C, T, H, W]` in and out.

    Padded by half a kernel on all sides, or, with `same`, as TensorFlow does: as much as makes the output
    `ceil(size / stride)` long, the odd one at the end.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        stride: Size = (1, 1, 1),
        *,
        relu: bool = True,
        same: bool = False,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        padding = (0, 0, 0) if same else (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        # A single tap is the same with any dilation, and torch computes it ten times as fast with one on a CPU.
        dilation = 2 if kernel == stride == (1, 1, 1) else 1
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding, dilation, bias=False)
        self.norm: nn.Module = nn.BatchNorm3d(outputs, eps=epsilon)
        self.kernel, self.stride, self.relu, self.same = kernel, stride, relu, same

    def forward(self, x: Tensor) -> Tensor:
        """Apply all three."""
        x = self.norm(self._convolve(padded_same(x, self.kernel, self.stride) if self.same else x))
        return F.relu_(x) if self.relu else x

    def _convolve(self, x: Tensor) -> Tensor:
        if self.kernel[0] == 1 or (*self.kernel[1:], *self.stride[1:]) != (1, 1, 1, 1):
            return self.conv(x)
        # Over time alone it is a 2-D convolution of [B, C, T, H * W], much faster on a CPU.
        weight, bias, (stride, _, _), padding = self.conv.weight, self.conv.bias, self.stride, self.kernel[0] // 2
        y = F.conv2d(x.flatten(3), weight.flatten(3), bias, (stride, 1), (padding, 0))
        return y.unflatten(3, x.shape[3:])

    def fold(self) -> None:
        """Make one convolution of it and its batch normalisation: the same in eval mode, to rounding."""
        norm = self.norm
        assert isinstance(norm, nn.BatchNorm3d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            self.conv.weight, None, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        self.conv.weight, self.conv.bias = weight, bias
        self.norm = nn.Identity()


def padded_same(x: Tensor, kernel: Size, stride: Size) -> Tensor:
    """Pad `[B, C, T, H, W]` with zeros as TensorFlow's "SAME" does."""
    sides: list[int] = []
    for size, taps, step in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // step) - 1) * step + taps - size, 0)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides) if any(sides) else x


def fold_all(network: nn.Module) -> None:
    """Fold every convolution of a network."""
    for module in network.modules():
        if isinstance(module, Convolution):
            module.fold()


class ConvolutionalExtractor(ClipExtractor):
    """A frozen 3-D convolutional network as an extractor.

    The network takes `[B, C, T, H, W]`, `(value / 255 - mean) / deviation`, and gives `[B, D]`.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        state: Mapping[str, Tensor],
        *,
        dimension: int,
        grid: TimeGrid,
        view: View,
        mean: Sequence[float],
        deviation: Sequence[float],
        device: str,
        precision: Precision,
    ) -> None:
        """Fold the network's norms and bring it to its device.

        Args:
            name: see `Extractor`.
            network: with its weights.
            state: the weights, for the fingerprint.
            dimension: D.
            grid: see `Extractor`.
            view: of the pictures.
            mean: of each colour, in a picture of values from 0 to 1.
            deviation: of each colour.
            device: where to compute.
            precision: in which to compute.

        Raises:
            ConfigError: if there is no such device here.
        """
        place = pick_device(device)
        bf16 = precision == "bf16" or (precision == "auto" and computes_in_bf16(place))
        kind = type(network).__name__
        fingerprint = fingerprint_of(state, kind, dimension, grid, view, tuple(mean), tuple(deviation))
        super().__init__(name, fingerprint, dimension, grid, view, batch_size=2 if place.type == "cpu" else 16)
        self._mean = 255 * torch.tensor(mean, device=place)
        self._deviation = 255 * torch.tensor(deviation, device=place)
        self._dtype = torch.bfloat16 if bf16 else torch.float32
        fold_all(network)
        self._network = network.to(place, self._dtype).eval().requires_grad_(False)
        self._network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # torch has it since 1.5

    @torch.inference_mode()
    def encode(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute features `[B, D]` of clips `[B, T, H, W, C]`."""
        x = torch.from_numpy(clips).to(self._mean.device)
        x = ((x - self._mean) / self._deviation).to(self._dtype)
        return self._network(x.permute(0, 4, 1, 2, 3)).float().cpu().numpy()
