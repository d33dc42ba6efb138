"""The default extractor: what is seen and what moves, from two small networks whose weights come with packages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from untrimmed.errors import ConfigError
from untrimmed.model.devices import Precision, computes_in_bf16, pick_device
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors import efficientnet, motion, transnet
from untrimmed.video.extractors.extractor import Extractor, fingerprint_of
from untrimmed.video.extractors.packaged import efficientnet_weights, transnet_weights
from untrimmed.video.extractors.rows import Network, Rows, Vectors
from untrimmed.video.view import Picture, Pictures, View

Parts = Literal["both", "appearance", "motion"]

RATE, STRIDE = 10.0, 2
"""Sampled frames per second, and from one row to the next."""
APPEARANCE_RATE = 5.0
"""Pictures per second that the appearance network looks at, or few more."""
APPEARANCE_BATCH = 4
"""Pictures in a batch. Always so many, so that the library prepares itself for one shape only."""
MOTION_CHUNK = 64
"""Frames whose motion is computed at once, besides those that they look back and ahead to."""
MOTION_SCALE = (25.0, 12.0, 2.0, 4.0)
"""Of mean, deviation, maximum and negated minimum, so that a channel's deviation within a video is about one."""


class DefaultExtractor(Extractor):
    """EfficientNet-Lite0 on single pictures beside the first stage of TransNetV2 on their sequence.

    Row `i` is the mean over the frames of its window: 1280 dimensions of appearance, then 256 of motion.
    """

    def __init__(
        self,
        *,
        stride: float | None = None,
        window: float | None = None,
        rate: float | None = None,
        device: str = "auto",
        precision: Precision = "auto",
        parts: Parts = "both",
    ) -> None:
        """Load the weights.

        Args:
            stride: sampled frames from one row to the next, a whole number; 2 if left out.
            window: sampled frames that a row is the mean of, a whole number; as `stride` if left out.
            rate: sampled frames per second; 10 if left out.
            device: where to compute.
            precision: in which to compute.
            parts: which of the two networks to use.

        Raises:
            ConfigError: if an option is out of range, or there is no such device.
            ModelError: if the package of a network's weights is not installed.
        """
        stride = _whole("stride", STRIDE if stride is None else stride)
        window = _whole("window", stride if window is None else window)
        self.grid = TimeGrid(stride, window, RATE if rate is None else float(rate))
        self.name = "default" if parts == "both" else f"default-{parts}"
        place = pick_device(device)
        bf16 = precision == "bf16" or (precision == "auto" and computes_in_bf16(place))
        dtype = torch.bfloat16 if bf16 else torch.float32
        self._parts: list[Appearance | Motion] = []
        if parts != "motion":
            self._parts.append(Appearance(_every(stride, window, self.grid.rate), place, dtype))
        if parts != "appearance":
            self._parts.append(Motion(place))
        self.views = tuple(part.view for part in self._parts)
        self.dimension = sum(part.dimension for part in self._parts)
        self.fingerprint = fingerprint_of(
            {f"{i}.{key}": tensor for i, part in enumerate(self._parts) for key, tensor in part.state.items()},
            (self.grid, self.views, parts, MOTION_SCALE),
        )

    def features(self, frames: Iterable[Pictures]) -> Iterator[Vectors]:
        """Make features of one video's sampled frames, in pieces `[n, D]` in their order."""
        rows = [
            Rows(part, int(self.grid.stride) // part.view.every, int(self.grid.window) // part.view.every)
            for part in self._parts
        ]
        for pictures in frames:
            for picture, of_part in zip(pictures, rows, strict=True):
                if picture is not None:
                    of_part.add(picture)
            if ready := min(of_part.ready for of_part in rows):
                yield np.concatenate([of_part.take(ready) for of_part in rows], axis=1)
        for of_part in rows:
            of_part.end()
        if ready := min(of_part.ready for of_part in rows):
            yield np.concatenate([of_part.take(ready) for of_part in rows], axis=1)


class Appearance(Network):
    """EfficientNet-Lite0 in constant batches."""

    dimension = efficientnet.DIMENSION
    step, reach = APPEARANCE_BATCH, 0

    def __init__(self, every: int, device: torch.device, dtype: torch.dtype) -> None:
        self.state = efficientnet_weights()
        self.view = View(efficientnet.SIZE, efficientnet.SIZE, every=every)
        self._device, self._dtype = device, dtype
        self._network = efficientnet.EfficientNetLite0(self.state).to(device, dtype)

    @torch.inference_mode()
    def vectors(self, pictures: list[Picture]) -> Vectors:
        """Compute `[4, 1280]`, of pictures `[224, 224, 3]`."""
        x = _images(pictures, self._device)
        x = x.sub_(efficientnet.MEAN).div_(efficientnet.DEVIATION).to(self._dtype)
        return self._network(x).float().cpu().numpy()


class Motion(Network):
    """What moves, from TransNetV2's first stage, in chunks that overlap.

    It is the small difference of two large numbers, so it is computed in fp32 whatever the rest is.
    """

    dimension = motion.DIMENSION
    step, reach = MOTION_CHUNK, motion.REACH

    def __init__(self, device: torch.device) -> None:
        self.state = transnet_weights()
        self.view = View(transnet.HEIGHT, transnet.WIDTH)
        self._device = device
        self._network = motion.Motion(self.state).to(device)
        self._scale = torch.tensor(MOTION_SCALE, device=device).repeat_interleave(self.dimension // len(MOTION_SCALE))

    @torch.inference_mode()
    def vectors(self, pictures: list[Picture]) -> Vectors:
        """Compute `[64, 256]`, of the pictures `[27, 48, 3]` in the middle."""
        return (self._network(_images(pictures, self._device).div_(255)) * self._scale).cpu().numpy()


def _images(pictures: list[Picture], device: torch.device) -> Tensor:
    """`[B, 3, H, W]` in channels-last memory, values as they are."""
    return torch.from_numpy(np.stack(pictures)).to(device).float().permute(0, 3, 1, 2)


def _whole(name: str, value: float) -> int:
    if not (math.isfinite(value) and value >= 1 and value == int(value)):
        raise ConfigError(f"default extractor: {name} is {value}, but has to be a whole number of sampled frames")
    return int(value)


def _every(stride: int, window: int, rate: float) -> int:
    """How manieth frame to look at, so that each window has the same number of them, and a second about five."""
    steps = math.gcd(stride, window)
    return max(n for n in range(1, steps + 1) if steps % n == 0 and (n == 1 or rate / n >= APPEARANCE_RATE))
