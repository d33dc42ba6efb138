"""The one place where the feature grid and seconds are converted into each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from untrimmed.errors import ConfigError

Number = TypeVar("Number", float, Any)
"""A float, a numpy array or a torch tensor."""


@dataclass(frozen=True, slots=True)
class TimeGrid:
    """Where the clips of a video lie in time.

    Clip `i` covers the frames `[i * stride, i * stride + window)` of a recording with `rate` frames per second, and
    stands for its centre, `(i * stride + window / 2) / rate` seconds. `stride` and `window` are in frames (or sensor
    samples) and need not be whole numbers: a resampled video has a fractional stride.

    Raises:
        ConfigError: if stride, window or rate is not a positive, finite number.
    """

    stride: float
    window: float
    rate: float

    def __post_init__(self) -> None:
        for name in ("stride", "window", "rate"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ConfigError(f"time grid: {name} is {value}, but has to be a positive number")

    def to_seconds(self, position: Number) -> Number:
        """Seconds at a position on the feature grid."""
        return (position * self.stride + self.window / 2) / self.rate

    def to_grid(self, seconds: Number) -> Number:
        """Position on the feature grid at a time in seconds."""
        return (seconds * self.rate - self.window / 2) / self.stride

    def clips(self, frames: int) -> int:
        """How many whole windows fit into a recording of so many frames."""
        return max(0, int((frames - self.window) // self.stride) + 1)

    def end(self, clips: int) -> float:
        """Seconds at which the last of so many clips ends."""
        return ((clips - 1) * self.stride + self.window) / self.rate

    def every(self, step: int) -> TimeGrid:
        """Return the grid of every `step`-th clip."""
        return TimeGrid(self.stride * step, self.window, self.rate)

    def resampled(self, clips: int, to: int) -> TimeGrid:
        """Return the grid after `clips` clips have been interpolated to `to`: the window becomes the stride."""
        stride = ((clips - 1) * self.stride + self.window) / to
        return TimeGrid(stride, stride, self.rate)
