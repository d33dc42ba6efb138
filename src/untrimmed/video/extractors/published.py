"""Extractors of networks whose authors publish a file with the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from untrimmed.model.devices import Precision
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.clips import clip_grid
from untrimmed.video.extractors.convolutions import ConvolutionalExtractor
from untrimmed.video.extractors.weights import absolute
from untrimmed.video.view import View


@dataclass(frozen=True)
class Backbone:
    """How a published network is used.

    Attributes:
        kind: what its name begins with, as in `i3d:WEIGHTS`.
        dimension: D of its features.
        grid: where nothing else is asked for.
        view: of the pictures.
        mean: of each colour, in a picture of values from 0 to 1.
        deviation: of each colour.
    """

    kind: str
    dimension: int
    grid: TimeGrid
    view: View
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class PublishedExtractor(ConvolutionalExtractor):
    """A published network, with the weights of a file.

    Attributes:
        backbone: how it is used.
    """

    backbone: ClassVar[Backbone]

    def __init__(
        self,
        weights: Path,
        *,
        stride: float | None = None,
        window: float | None = None,
        rate: float | None = None,
        device: str = "auto",
        precision: Precision = "auto",
    ) -> None:
        """Load the weights.

        Args:
            weights: the file.
            stride: sampled frames from one clip to the next; as `backbone.grid` if left out.
            window: sampled frames of a clip; the same.
            rate: sampled frames per second; the same.
            device: where to compute.
            precision: in which to compute.

        Raises:
            ConfigError: if an option is out of range, or there is no such device.
            ModelError: if the file is missing, damaged, or for another network.
        """
        used = self.backbone
        grid = clip_grid(used.kind, used.grid, stride=stride, window=window, rate=rate)
        network, state = self.load(weights, grid)
        super().__init__(
            absolute(used.kind, weights),
            network,
            state,
            dimension=used.dimension,
            grid=grid,
            view=used.view,
            mean=used.mean,
            deviation=used.deviation,
            device=device,
            precision=precision,
        )

    @classmethod
    @abstractmethod
    def load(cls, weights: Path, grid: TimeGrid) -> tuple[nn.Module, Mapping[str, Tensor]]:
        """Make the network that the weights are for; also returns the weights, by our names.

        Raises:
            ConfigError: if the network cannot look at clips of this grid.
            ModelError: if the file is missing, damaged, or for another network.
        """
