"""The extractors around a model of the hub: one for clips, one for single pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from untrimmed.errors import ConfigError
from untrimmed.model.devices import Precision, autocast, pick_device
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.clips import ClipExtractor, PictureExtractor, clip_grid
from untrimmed.video.extractors.extractor import Extractor, fingerprint_of
from untrimmed.video.extractors.hub.loading import HubModel, load_hub_model

SPAN = 64 / 30
"""Seconds that a clip covers if no rate is asked for, whatever its number of frames: 16 frames, every 4th of 30 per
second, as VideoMAE was trained; 32, every 2nd, as ViViT."""
STRIDES_IN_A_CLIP = 4
PICTURES = TimeGrid(stride=2, window=4, rate=8.0)
"""For models of single pictures: four rows a second, each the mean over half a second."""


def open_hub_extractor(
    name: str,
    *,
    stride: float | None = None,
    window: float | None = None,
    rate: float | None = None,
    device: str = "auto",
    precision: Precision = "auto",
) -> Extractor:
    """Make the extractor of a model of the hub.

    Args:
        name: on the hub, such as `MCG-NJU/videomae-base`, or a folder.
        stride: sampled frames from one row to the next; a quarter of the window if left out, for models of pictures 2.
        window: sampled frames of a clip; the model's own number if left out. For models of pictures: frames that a row
            is the mean of; 4 if left out.
        rate: sampled frames per second; if left out, such that a clip covers 64/30 seconds, for models of pictures 8.
        device: where to compute.
        precision: in which to compute.

    Raises:
        ConfigError: if an option is out of range or does not fit the model, or there is no such device.
        ModelError: if there is no such model, or it cannot be used.
        MissingExtraError: if transformers is not installed.
    """
    place = pick_device(device)
    model = load_hub_model(name)
    asked = {"stride": stride, "window": window, "rate": rate}
    if model.kind.frames is None:
        return HubPictureExtractor(model, clip_grid(f"hf:{model.name}", PICTURES, **asked), place, precision)
    frames = _frames(model, window)
    usual = TimeGrid(max(1, frames // STRIDES_IN_A_CLIP), frames, frames / SPAN)
    return HubClipExtractor(model, clip_grid(f"hf:{model.name}", usual, **asked), place, precision)


def _frames(model: HubModel, asked: float | None) -> int:
    """Return how many frames a clip has."""
    assert model.kind.frames is not None
    own = int(model.config[model.kind.frames])
    if asked is None or asked == own:
        return own
    multiple = None if model.kind.multiple is None else int(model.config[model.kind.multiple])
    if multiple is None or asked <= 0 or asked % multiple:
        expected = f"{own}, as the model was trained" if multiple is None else f"a multiple of {multiple}"
        raise ConfigError(f"hf:{model.name}: window is {asked:g} frames, but has to be {expected}. Leave it out")
    return int(asked)


class _Network:
    """A model on its device."""

    def __init__(self, model: HubModel, device: torch.device, precision: Precision) -> None:
        self._vectors, self._device, self._precision = model.kind.vectors, device, precision
        self._network = model.network.to(device)
        self._scale = torch.tensor(model.preprocessing.scale, device=device)
        self._shift = torch.tensor(model.preprocessing.shift, device=device)

    @torch.inference_mode()
    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Make vectors `[B, D]` of pictures `[B, H, W, 3]` or clips `[B, T, H, W, 3]`."""
        x: Tensor = torch.from_numpy(pictures).to(self._device) * self._scale + self._shift
        with autocast(self._device, self._precision):
            vectors = self._vectors(self._network, x.movedim(-1, -3))
        return vectors.float().cpu().numpy()


class HubClipExtractor(ClipExtractor):
    """A video model: VideoMAE, V-JEPA 2, TimeSformer, ViViT, X-CLIP."""

    def __init__(self, model: HubModel, grid: TimeGrid, device: torch.device, precision: Precision) -> None:
        super().__init__(
            *_facts(model, grid), grid, model.preprocessing.view, batch_size=1 if device.type == "cpu" else 8
        )
        self._encode = _Network(model, device, precision)

    def encode(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Make features `[B, D]` of clips `[B, T, H, W, 3]`."""
        return self._encode(clips)


class HubPictureExtractor(PictureExtractor):
    """A model of single pictures: DINOv2, DINOv3, SigLIP, CLIP."""

    def __init__(self, model: HubModel, grid: TimeGrid, device: torch.device, precision: Precision) -> None:
        super().__init__(
            *_facts(model, grid), grid, model.preprocessing.view, batch_size=8 if device.type == "cpu" else 64
        )
        self._encode = _Network(model, device, precision)

    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Make vectors `[B, D]` of pictures `[B, H, W, 3]`."""
        return self._encode(pictures)


def _facts(model: HubModel, grid: TimeGrid) -> tuple[str, str, int]:
    """Return name, fingerprint and dimension."""
    pooling: Any = model.kind.vectors.__name__
    fingerprint = fingerprint_of(model.network.state_dict(), model.kind.model, pooling, grid, model.preprocessing)
    return f"hf:{model.name}", fingerprint, model.dimension
