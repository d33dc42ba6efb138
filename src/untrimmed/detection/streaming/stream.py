"""Detecting in a recording while it is being made: rows go in, detections come out.

**Latency.** A detection that ends at `e` leaves when `e + latency` seconds have arrived, at the latest, and is never
taken back or changed. The model looks at a window that slides along; `schedule` says which moments are read in which
run. Rows may come in pieces of any size: runs are timed by how many clips have arrived, and not by calls, so what
leaves is the same for any pieces, to the last bit.

**What is the same as in the whole recording.** A moment whose context has arrived when it is read has the outputs that
it has in the whole recording, to rounding; `Stream.contexts` says how many seconds each level needs. Candidates wait
until they have to leave, and are suppressed by better ones, whether these still wait or have left (see `suppressing`).
Candidates that are linked by overlaps have the scores of the whole recording if their moments were complete, and all of
them had been read when the first had to leave. Without a latency all have: every moment is complete, and a detection
leaves when nothing that is still to come can change it. In this a candidate is taken to begin no earlier, and end no
later, than what its outputs depend on: a boundary that the model does not see is none.

**What cannot be the same.** There are no best `max_detections` of a stream, so all leave that score `min_score` or
more; and `candidates_per_level` are the best of a run instead of the whole recording.

**Memory** does not grow with the stream: rows are held as far back as moments not yet read depend on, candidates while
they wait, and those that have left as long as one still to come may overlap with them. Candidates that end beyond what
their moment sees leave as if they ended there. Without a latency, candidates wait as long as they are linked by
overlaps to what is still to come, which may be until the end of the recording.

**Who comes late.** If a better candidate for the same action is read after another has left, it keeps its full score:
what has left weakens only worse ones. So it is as in the whole recording but for the score of the one that was too
early. To weaken the later one instead, so that an action is reported once, costs much: see docs/streaming.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from untrimmed import segments as geometry
from untrimmed.data.detections import Detection, Detections
from untrimmed.data.features import check_features, checked_dimension
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.confidence import Confidence
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.decode import decode
from untrimmed.detection.streaming.reading import Reader, Reading, Run
from untrimmed.detection.streaming.schedule import Schedule
from untrimmed.detection.streaming.waiting import WaitingRoom
from untrimmed.errors import ConfigError
from untrimmed.model.config import ModelConfig

NAME = "the stream"
"""What messages call it."""


@dataclass(frozen=True, eq=False)
class StreamSettings:
    """What a stream takes of its localizer.

    Attributes:
        model: configuration of the network.
        inputs: how rows become features.
        detection: decoding and suppression.
        labels: the classes.
        run: what the network is run by.
        confidence: which detections count, where that is known.
    """

    model: ModelConfig
    inputs: InputConfig
    detection: DetectionConfig
    labels: tuple[str, ...]
    run: Run
    confidence: Confidence | None = None


class Stream:
    """One recording while it is being made; a context manager. `Localizer.stream` makes it."""

    def __init__(
        self, settings: StreamSettings, *, latency: float | None, rate: float | None = None, hop: float | None = None
    ) -> None:
        """Begin a stream; see `Localizer.stream`.

        Raises:
            ConfigError: if the model has to see recordings as a whole, it needs a rate and none is given, or latency or
                hop cannot be.
        """
        inputs = settings.inputs
        if inputs.resample is not None:
            raise ConfigError(
                "this model cannot take a stream, because inputs.resample brings every recording to "
                f"{inputs.resample} rows, whatever its length; detect in whole recordings instead"
            )
        self._settings, self._inputs = settings, inputs
        self._grid = inputs.grid(rate, 0, NAME)
        self._schedule = Schedule.of(settings.model, self._grid, latency, hop)
        self._reader: Reader | None = None
        self._waiting = WaitingRoom(settings.detection)
        self._arrived = 0  # rows
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finished, self._reader = True, None

    @property
    def latency(self) -> float | None:
        """Seconds after its end at which a detection has left; `None` is no limit."""
        return self._schedule.latency

    @property
    def hop(self) -> float:
        """Seconds from one run of the model to the next."""
        return self._schedule.hop * self._grid.stride / self._grid.rate

    @property
    def contexts(self) -> tuple[float, ...]:
        """Seconds after a moment that its outputs depend on, for each level, finest first.

        A level is read as in the whole recording if its context is `latency - hop` or less.
        """
        return self._schedule.contexts

    @property
    def time(self) -> float:
        """Seconds that have arrived."""
        rows = self._arrived
        if not rows:
            return 0.0
        if self._inputs.kind == "signals":
            return rows / self._grid.rate
        return ((rows - 1) * self._grid.stride / self._inputs.downsample + self._grid.window) / self._grid.rate

    @property
    def held(self) -> int:
        """For how many rows and candidates there is memory; with a latency, it does not grow with the stream."""
        return len(self._waiting) + (0 if self._reader is None else self._reader.rows.capacity)

    def add(self, rows: NDArray[Any]) -> list[Detection]:
        """Take the next rows, and return the detections that leave now, best first in each run of the model.

        Args:
            rows: features `[n, D]`, or samples `[n, channels]` for a model of signals; a single one may be `[D]`.

        Raises:
            FeatureError: if they have another dimension than the model takes, or are not finite; nothing of them is
                taken then.
            ConfigError: if the stream has finished.
        """
        if self._finished:
            raise ConfigError("this stream has finished: begin another one by Localizer.stream")
        rows = np.asarray(rows)
        if rows.ndim == 1:
            rows = rows[None]
        if rows.ndim == 2 and not len(rows):
            return []
        check_features(rows, NAME)
        reader = self._opened(rows)
        reader.add(rows)
        self._arrived += len(rows)
        left: list[Detection] = []
        arrived = reader.clips
        while reader.next_run <= arrived:
            clips = reader.next_run
            left += self._after(reader.read_next(), clips, self._schedule.limit(clips), math.inf)
        return left

    def finish(self, *, duration: float | None = None) -> list[Detection]:
        """End the stream, and return all detections that have not left, best first.

        Args:
            duration: of the recording, in seconds; these detections are clipped to it. By default the end of the last
                clip.

        Raises:
            ConfigError: if the stream has finished before, or there is no such duration.
        """
        if self._finished:
            raise ConfigError("this stream has finished: begin another one by Localizer.stream")
        if duration is not None and not 0 < duration < math.inf:
            raise ConfigError(f"duration is {duration}, but has to be a positive number of seconds")
        self._finished = True
        reader, self._reader = self._reader, None
        if reader is None or not reader.clips:
            return []
        clips = reader.clips
        end = self._grid.end(clips) if duration is None else duration
        return self._after(reader.read_rest(), clips, math.inf, end)

    def over(self, pieces: Iterable[NDArray[Any]]) -> Iterator[Detection]:
        """Add pieces as they come, finish after the last one, and yield each detection when it leaves.

        Args:
            pieces: as `add` takes them.

        Raises:
            UntrimmedError: as `add`.
        """
        for piece in pieces:
            yield from self.add(piece)
        yield from self.finish()

    def _opened(self, rows: NDArray[Any]) -> Reader:
        """Return what reads rows such as these, made when the first come."""
        columns, inputs = rows.shape[1], self._inputs
        if inputs.kind == "signals":
            inputs.check_signals(rows.shape, NAME)
        if self._reader is None:
            checked_dimension((len(rows), inputs.dimension(columns)), self._settings.model.input_dim, NAME)
            self._reader = Reader(self._schedule, inputs, columns, self._settings.run)
        elif columns != self._reader.rows.columns:
            checked_dimension((len(rows), columns), self._reader.rows.columns, NAME)
        return self._reader

    def _after(self, reading: Reading | None, clips: int, limit: float, end: float) -> list[Detection]:
        """Decode what a run has read, when so many clips had arrived, and let those leave that are due."""
        if reading is not None:
            (candidates,) = decode(reading.predictions, reading.lengths, self._settings.detection).to_host()
            self._waiting.add(candidates, reading.origin, reading.horizon, clips - 1 + self._schedule.reach)
        horizon = math.inf if limit == math.inf else self._schedule.horizon(self._schedule.read(clips))
        left = self._waiting.leave(limit, horizon)
        if not len(left.scores):
            return []
        seconds = geometry.clip(self._grid.to_seconds(left.segments), end)
        found = Detections("", seconds, left.scores, left.labels, self._settings.labels)
        return list(found if self._settings.confidence is None else self._settings.confidence.select(found))
