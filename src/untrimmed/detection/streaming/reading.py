"""Reading the moments of a stream: the model runs on a window that slides along, and each moment is read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from untrimmed.data.inputs import InputConfig
from untrimmed.detection.streaming.rows import RowBuffer
from untrimmed.detection.streaming.schedule import Schedule
from untrimmed.model.network import Predictions

Run = Callable[[Tensor], tuple[Predictions, list[int]]]
"""Runs the model on features `[T, D]`; also returns how many moments each level has, padding included."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read in one run.

    Attributes:
        predictions: of the moments that were read now, of one video; their times count from `origin`.
        lengths: how many they are of each level.
        origin: clip of the stream that they count from.
        horizon: position in the stream before which nothing that was read now could look.
    """

    predictions: Predictions
    lengths: list[int]
    origin: int
    horizon: int


class Reader:
    """Takes rows, and reads moments when a run is due; holds the rows that moments not yet read depend on.

    Attributes:
        rows: those that are held.
        read: how many moments of each level have been read.
    """

    def __init__(self, schedule: Schedule, inputs: InputConfig, columns: int, run: Run) -> None:
        """Begin.

        Args:
            schedule: when what is read.
            inputs: how rows become features; not resampled.
            columns: of the rows.
            run: what the model is run by.
        """
        self.rows = RowBuffer(columns)
        self.read = [0] * len(schedule.strides)
        self._schedule, self._inputs, self._run = schedule, inputs, run
        self._runs = 0

    @property
    def clips(self) -> int:
        """How many clips have arrived."""
        return self._inputs.clips(self.rows.stop) if self._inputs.rows(0, 1)[1] <= self.rows.stop else 0

    @property
    def next_run(self) -> int:
        """Clips that have to have arrived for the next run."""
        return (self._runs + 1) * self._schedule.hop

    def add(self, rows: NDArray[Any]) -> None:
        """Take the next rows `[n, D]`."""
        self.rows.add(rows)

    def read_next(self) -> Reading | None:
        """Read what is due in the next run, as if no more clips had arrived than that needs; `None` if nothing is."""
        clips = self.next_run
        self._runs += 1
        return self._read(clips, self._schedule.read(clips))

    def read_rest(self) -> Reading | None:
        """Read what has not been read, at the end of the stream; `None` if there is nothing."""
        clips = self.clips
        return self._read(clips, [-(-clips // stride) for stride in self._schedule.strides])

    def _read(self, clips: int, upto: list[int]) -> Reading | None:
        before, self.read = self.read, upto
        if before == upto:
            return None
        schedule = self._schedule
        origin = schedule.first_clip(before, upto)
        first, last = self._inputs.rows(origin, clips)
        # A copy: a view would be overwritten by the rows that come next, while a device may still be reading it.
        features = self._inputs.features(self.rows.rows(first, last).copy(), "the stream")
        predictions, lengths = self._run(torch.from_numpy(np.require(features, requirements=["C", "W"])))
        places = zip([0, *accumulate(lengths)], before, upto, schedule.strides, strict=False)
        chosen = torch.cat(
            [
                torch.arange(at + old - origin // stride, at + new - origin // stride)
                for at, old, new, stride in places
                if new >= old
            ]
        ).to(predictions.moments.device)
        self.rows.forget(self._inputs.rows(self._kept(upto), clips)[0])
        return Reading(
            predictions=Predictions(
                predictions.logits[:1, chosen],
                predictions.offsets[:1, chosen],
                predictions.valid[:1, chosen],
                predictions.moments[chosen],
            ),
            lengths=[new - old for old, new in zip(before, upto, strict=True)],
            origin=origin,
            horizon=schedule.horizon(before),
        )

    def _kept(self, read: list[int]) -> int:
        """First clip that a later run may be given."""
        coarsest = self._schedule.strides[-1]
        return max(0, self._schedule.horizon(read)) // coarsest * coarsest
