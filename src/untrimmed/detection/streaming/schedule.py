"""When the moments of a stream are read, and when detections leave: arithmetic on times, without features.

The model runs each time that a *hop* of clips has arrived. In such a run a moment of a level is read if it is complete,
which means that everything its outputs depend on has arrived; or if it cannot wait, because in the next run it would be
more than the latency old. So each moment is read once: complete where the latency allows it, else with between
`latency - hop` and `latency` of what comes after it.

The same limit holds for ends of detections. As a detection ends at or after its moment, the moment has been read when
the detection has to leave.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from untrimmed.errors import ConfigError
from untrimmed.model.chunks import needs_whole_video, reaches
from untrimmed.model.config import ModelConfig
from untrimmed.time_grid import TimeGrid

HOPS = 4
"""Hops that a latency has where nothing else is said: a moment then has at least three quarters of it as context."""
_ROUNDING = 1e-6
"""Clips by which a limit is moved, so that what falls on it is early and not, by a rounding, late."""


@dataclass(frozen=True)
class Schedule:
    """When what is read. Positions are on the feature grid; L levels.

    Attributes:
        grid: where the clips lie in time.
        strides: `[L]`, of the levels, in clips.
        reaches: `[L]`, clips to either side that a moment of each level depends on.
        latency: in seconds; `None` is no limit.
        hop: clips from one run of the model to the next.
    """

    grid: TimeGrid
    strides: tuple[int, ...]
    reaches: tuple[int, ...]
    latency: float | None
    hop: int

    @classmethod
    def of(cls, config: ModelConfig, grid: TimeGrid, latency: float | None, hop: float | None) -> Schedule:
        """Make the schedule of a model.

        Args:
            config: of the model.
            grid: where the clips lie in time.
            latency: in seconds; `None` is no limit.
            hop: seconds from one run to the next; left out, a part of the latency, or the context of the coarsest level
                if that is not limited.

        Raises:
            ConfigError: if the model needs the whole video, or latency or hop cannot be.
        """
        reason = needs_whole_video(config)
        if reason is not None:
            raise ConfigError(f"this model cannot take a stream, because {reason}; detect in whole recordings instead")
        known, clip = reaches(config), grid.stride / grid.rate
        if hop is not None and not clip <= hop * (1 + 1e-9) < math.inf:
            raise ConfigError(f"hop is {hop} s, but has to be at least a clip, which is {clip:g} s")
        if latency is None:
            clips = max(known) if hop is None else int(hop / clip + _ROUNDING)
            return cls(grid, config.strides, known, None, max(1, clips))
        half = grid.window / 2 / grid.rate
        if not half <= latency * (1 + 1e-9) < math.inf:
            raise ConfigError(
                f"latency is {latency} s, but has to be at least {half:g} s: what happens in a clip has its time in "
                "the middle of it, and the clip has arrived half of it later"
            )
        most = int((latency - half) / clip + _ROUNDING) + 1  # with more, a moment would be too old when it is there
        wanted = latency / HOPS if hop is None else hop
        clips = max(1, int(wanted / clip + _ROUNDING))
        if clips > most:
            if hop is not None:
                raise ConfigError(f"hop is {hop} s, but a latency of {latency} s allows {most * clip:g} s at the most")
            clips = most
        return cls(grid, config.strides, known, latency, clips)

    @property
    def reach(self) -> int:
        """Clips to either side that any output depends on."""
        return max(self.reaches)

    @property
    def contexts(self) -> tuple[float, ...]:
        """Seconds after a moment of each level that have to have arrived, for its outputs to be complete."""
        grid = self.grid
        return tuple((reach * grid.stride + grid.window / 2) / grid.rate for reach in self.reaches)

    def limit(self, clips: int) -> float:
        """Position before which a moment, or an end, is too old in the run after that with so many clips."""
        if self.latency is None:
            return -math.inf
        return self.grid.to_grid(self.grid.end(clips + self.hop) - self.latency) + _ROUNDING

    def read(self, clips: int) -> list[int]:
        """How many moments of each level are read when so many clips have arrived, those of earlier runs included."""
        late = min(clips, math.ceil(max(self.limit(clips), 0)))
        return [
            -(-max(clips - reach, late, 0) // stride) for stride, reach in zip(self.strides, self.reaches, strict=True)
        ]

    def horizon(self, read: Sequence[int]) -> int:
        """First position that any moment not yet read looks at, when so many of each level are read.

        At the start of a stream it is negative: there is nothing, but segments may begin there.
        """
        places = zip(read, self.strides, self.reaches, strict=True)
        return min(count * stride - reach for count, stride, reach in places)

    def first_clip(self, before: Sequence[int], now: Sequence[int]) -> int:
        """First clip that the model is given, to read the moments from `before` to `now`: one that all levels have."""
        places = zip(before, now, self.strides, self.reaches, strict=True)
        needed = min((old * stride - reach for old, new, stride, reach in places if new > old), default=0)
        return max(0, needed) // self.strides[-1] * self.strides[-1]
