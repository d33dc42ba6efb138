"""How the pictures of a video are brought to the size that a backbone takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""`[height, width, 3]`, RGB."""

Pictures = tuple[Picture | None, ...]
"""One sampled frame as each view shows it; `None` where the view leaves this frame out."""


@dataclass(frozen=True, slots=True)
class View:
    """A size in which pictures are asked for.

    Attributes:
        height: of the picture, in pixels, after the video's rotation has been applied.
        width: of the picture.
        short_side: the picture is scaled, keeping its proportions, until its shorter side has so many pixels, and
            `height` x `width` are cut out of its middle. `None`: it is scaled to `height` x `width` out of proportion.
        every: only every so manieth sampled frame is shown: of the frames `i * every` to `(i + 1) * every - 1` the one
            in the middle, `i * every + every // 2`.
    """

    height: int
    width: int
    short_side: int | None = None
    every: int = 1

    def __post_init__(self) -> None:
        assert min(self.height, self.width, self.every) > 0
        assert self.short_side is None or self.short_side >= max(self.height, self.width)

    def shows(self, frame: int) -> bool:
        """Whether the sampled frame of this number is shown."""
        return frame % self.every == self.every // 2
