"""Weights as the authors of backbones publish them, with random values, and the layers of what they compute.

Everything here goes by the published names and by torch's plain functions, and shares nothing with the package.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


class Writer:
    """Makes random weights under published names."""

    def __init__(self, seed: int, *, empty: bool = False) -> None:
        self.state: State = {}
        self._generator = torch.Generator().manual_seed(seed)
        self._empty = empty

    def convolution(self, name: str, outputs: int, inputs: int, kernel: Sequence[int]) -> None:
        shape = (outputs, inputs, *kernel)
        if self._empty:  # takes no memory, whatever its shape, and is another than the ones before
            self.state[f"{name}.weight"] = torch.tensor([float(len(self.state))]).expand(shape)
            return
        # Values as a trained network has them: large enough to reach the end, small enough not to grow.
        spread = (2 / (inputs * int(np.prod(kernel)))) ** 0.5
        self.state[f"{name}.weight"] = spread * torch.randn(shape, generator=self._generator)

    def norm(self, name: str, size: int) -> None:
        random = torch.rand(4, size, generator=self._generator)
        self.state[f"{name}.weight"] = 0.8 + 0.4 * random[0]
        self.state[f"{name}.bias"] = 0.2 * random[1] - 0.1
        self.state[f"{name}.running_mean"] = 0.2 * random[2] - 0.1
        self.state[f"{name}.running_var"] = 0.5 + random[3]
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(3)

    def linear(self, name: str, outputs: int, inputs: int) -> None:
        self.state[f"{name}.weight"] = torch.zeros(outputs, inputs)
        self.state[f"{name}.bias"] = torch.zeros(outputs)


def normed(state: State, name: str, x: Tensor, epsilon: float) -> Tensor:
    """Batch normalisation with the statistics of the training."""
    mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    return F.batch_norm(x, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"], False, 0.0, epsilon)


def pictures(frames: int, size: int, seed: int = 0) -> list[tuple[np.ndarray]]:
    """Sampled frames of a video in one view."""
    rng = np.random.default_rng(seed)
    return [(rng.integers(0, 256, (size, size, 3), np.uint8),) for _ in range(frames)]


def network_input(frames: Sequence[tuple[np.ndarray]], mean: Sequence[float], deviation: Sequence[float]) -> Tensor:
    """Frames as a network sees them: `[1, 3, T, H, W]`, normalised."""
    video = torch.from_numpy(np.stack([picture for (picture,) in frames])).double() / 255
    normalised = (video - torch.tensor(mean).double()) / torch.tensor(deviation).double()
    return normalised.float().permute(3, 0, 1, 2)[None]
