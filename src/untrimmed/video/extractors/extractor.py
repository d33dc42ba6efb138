"""What every extractor is: a frozen backbone with its sampling, named and fingerprinted."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from untrimmed.data.features import FeatureDescription
from untrimmed.time_grid import TimeGrid
from untrimmed.video.view import Pictures, View


class Extractor(ABC):
    """A frozen video backbone with its sampling.

    The video is sampled at `grid.rate` frames per second; row `i` of the features stands for the sampled frames
    `[i * stride, i * stride + window)` of the grid.

    Attributes:
        name: what `untrimmed extract --extractor` takes to make it.
        fingerprint: changes with its weights, its sampling and its preprocessing, and with nothing else.
        dimension: D of the features.
        grid: stride and window in sampled frames, and the sampling rate in frames per second.
        views: the sizes in which it wants every sampled frame.
    """

    name: str
    fingerprint: str
    dimension: int
    grid: TimeGrid
    views: tuple[View, ...]

    @abstractmethod
    def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
        """Make features of one video's sampled frames, in pieces `[n, D]` in their order.

        Reads the frames as it goes and keeps only what it still needs, so that memory does not grow with the video's
        length. A video with one frame or more has one row or more.
        """

    @property
    def description(self) -> FeatureDescription:
        """What `features.json` says of features made by it."""
        return FeatureDescription(
            dimension=self.dimension,
            extractor=self.name,
            fingerprint=self.fingerprint,
            stride=self.grid.stride,
            window=self.grid.window,
            rate=self.grid.rate,
        )


def fingerprint_of(weights: Mapping[str, Tensor], *facts: object) -> str:
    """Return 16 hexadecimal digits that change with weights (name, shape, type, values) and with the facts' `repr`."""
    digest = hashlib.sha256(repr(facts).encode())
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
