"""Streams of signals on one grid, as a feature store."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features import FeatureStore, row_range
from untrimmed.data.inputs import InputConfig
from untrimmed.data.signals.resampling import check_times, resampled
from untrimmed.data.signals.sources import Source
from untrimmed.data.signals.table import Table
from untrimmed.data.signals.time_column import listed
from untrimmed.errors import FeatureError

IN_MEMORY = 2**28
"""Bytes of samples on the grid that are held, those that were read last: they are asked for more than once."""
MOST_SAMPLES = 2**28
"""Samples of the grid that a recording may have: of two months at 50 a second. More of them are a mistake."""
SAME_LENGTH = 1e-3
"""Part of a step of the grid by which a stream may end early, and still have the sample."""


class SignalStreams(FeatureStore):
    """Streams of signals, resampled onto one grid and joined along the channels: `[S, channels]` of each recording.

    Time 0 is that of the first sample of the first stream with a time column; streams without one begin with it.
    Streams that begin or end at different times are cut to what all have, for a difference of up to a window.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        config: InputConfig,
        rate: float,
        own_rates: Sequence[float],
        labels: Sequence[str],
    ) -> None:
        """Join streams.

        Args:
            sources: the streams.
            config: says which channels are wanted, and what is done about gaps.
            rate: of the grid, samples per second.
            own_rates: samples per second of each stream where it has no times.
            labels: what the streams are called.

        Raises:
            FeatureError: if no recording is in all of them.
        """
        self._sources, self._config, self._rate = tuple(sources), config, rate
        self._own_rates, self._labels = tuple(own_rates), tuple(labels)
        others = [frozenset(source.ids()) for source in sources[1:]]
        self._ids = tuple(id_ for id_ in sources[0].ids() if all(id_ in ids for ids in others))
        if not self._ids:
            raise FeatureError(
                f"{self.name}: no recording is in all of the {len(sources)} streams; "
                f"{', '.join(f'{source.name} has {source.ids()[0]!r}' for source in sources)}. Name the files alike"
            )
        self._known = frozenset(self._ids)
        self._shapes: dict[str, tuple[int, int]] = {}
        self._held: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("_held", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _held=OrderedDict(), _lock=threading.Lock())

    @property
    def name(self) -> str:
        """The names of all streams."""
        return " + ".join(source.name for source in self._sources)

    @property
    def description(self) -> None:
        """Nothing: what the streams say of themselves holds before they are resampled."""

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the recordings that are in all streams."""
        return self._ids

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._known

    def channels(self) -> tuple[str, ...] | None:
        """Return the names of the channels of the first recording, if all streams have names.

        A name that is in several streams has that of its stream before it, as in `gyroscope.x`.

        Raises:
            FeatureError: if the recording cannot be read.
        """
        by_stream = [source.channels(self._ids[0]) for source in self._sources]
        there = Counter(name for names in by_stream for name in names or ())
        if any(names is None for names in by_stream):
            return None
        return tuple(
            f"{label}.{name}" if there[name] > 1 else name
            for label, names in zip(self._labels, by_stream, strict=True)
            for name in names or ()
        )

    def shape(self, video_id: str) -> tuple[int, int]:
        """Return how many samples and channels a recording has on the grid; it is read for that."""
        if video_id not in self._shapes:
            self._on_grid(video_id)
        return self._shapes[video_id]

    def read(self, video_id: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Read the samples `start` to `stop` of a recording."""
        array = self._on_grid(video_id)
        first, last = row_range(start, stop, len(array), f"{self.name}: video {video_id!r}")
        return array[first:last].copy()

    def _on_grid(self, video_id: str) -> NDArray[np.float32]:
        """Return all samples of a recording, from memory if they were read not long ago."""
        with self._lock:
            if video_id in self._held:
                self._held.move_to_end(video_id)
                return self._held[video_id]
        array = self._joined(video_id)
        with self._lock:
            self._shapes[video_id] = (array.shape[0], array.shape[1])
            self._held[video_id] = array
            while len(self._held) > 1 and sum(each.nbytes for each in self._held.values()) > IN_MEMORY:
                self._held.popitem(last=False)
        return array

    def _joined(self, video_id: str) -> NDArray[np.float32]:
        wanted, order = self._wanted(video_id)
        tables = [source.read(video_id, names) for source, names in zip(self._sources, wanted, strict=True)]
        times = self._times(tables)
        count = self._count(times, tables, video_id)
        streams = [resampled(at, table.values, self._rate, count) for at, table in zip(times, tables, strict=True)]
        joined = streams[0] if len(streams) == 1 else np.concatenate(streams, axis=1)
        return joined if order is None else joined[:, order]

    def _wanted(self, video_id: str) -> tuple[list[list[str] | None], list[int] | None]:
        """Return the names of the columns to read of each stream, and the order in which they are wanted afterwards."""
        wanted = [channel for channel in self._config.channels or () if isinstance(channel, str)]
        by_stream = [source.channels(video_id) for source in self._sources]
        if not wanted or any(names is None for names in by_stream):
            return [None] * len(self._sources), None
        columns: list[list[str]] = [[] for _ in self._sources]
        missing = []
        found: list[tuple[int, int]] = []
        for name in wanted:
            places = [
                (stream, column)
                for stream, names in enumerate(by_stream)
                for column in names or ()
                if name in (column, f"{self._labels[stream]}.{column}")
            ]
            if len(places) > 1:
                raise FeatureError(
                    f"{self.name}: video {video_id!r}: channel {name!r} is in several streams. Put the name of its "
                    f"stream before it, as in {self._labels[places[0][0]]}.{places[0][1]}"
                )
            if not places:
                missing.append(name)
                continue
            stream, column = places[0]
            columns[stream].append(column)
            found.append((stream, len(columns[stream]) - 1))
        if missing:
            there = [
                f"{label}.{name}" if len(by_stream) > 1 else name
                for label, names in zip(self._labels, by_stream, strict=True)
                for name in names or ()
            ]
            raise FeatureError(
                f"{self.name}: video {video_id!r}: there is no channel {', '.join(map(repr, missing))}, but "
                f"{listed(there)}. Name the columns as inputs.channels does, or as in the recordings of the training"
            )
        for stream, names in enumerate(columns):
            if not names:  # it is read all the same: the recording ends where the shortest does
                names.append((by_stream[stream] or ("",))[0])
        first = np.cumsum([0, *(len(names) for names in columns)])
        return list(columns), [int(first[stream]) + at for stream, at in found]

    def _times(self, tables: Sequence[Table]) -> list[NDArray[np.float64]]:
        """Return the times of the samples of each stream, in seconds after the recording begins."""
        limit = self._config.max_gap or max(1.0, 10 / self._rate)
        for table in tables:
            if table.times is not None:
                check_times(table.times, table.place, limit, self._rate)
        begin = next((table.times[0] for table in tables if table.times is not None), 0.0)
        return [
            np.arange(len(table.values)) / rate if table.times is None else table.times - begin
            for table, rate in zip(tables, self._own_rates, strict=True)
        ]

    def _count(self, times: Sequence[NDArray[np.float64]], tables: Sequence[Table], video_id: str) -> int:
        """Return how many samples of the grid all streams have.

        Raises:
            FeatureError: if they begin or end at too different times, or it cannot be so many.
        """
        assert self._config.window is not None
        window = self._config.window / self._rate
        begins, ends = [at[0] for at in times], [at[-1] for at in times]
        for what, seconds in (("begin", begins), ("end", ends)):
            if max(seconds) - min(seconds) > window:
                found = ", ".join(f"{at:.4g} s in {table.place}" for at, table in zip(seconds, tables, strict=True))
                raise FeatureError(
                    f"video {video_id!r}: the streams {what} at different times: {found}. They are cut to the shortest "
                    f"for a difference of a window, {window:g} s; are they of one recording, by one clock?"
                )
        if min(ends) * self._rate > MOST_SAMPLES:
            raise FeatureError(
                f"video {video_id!r}: lasts {min(ends):.4g} s by its time column, which is too long at inputs.rate "
                f"{self._rate:g}. Is the time in seconds? Else set inputs.time_unit to ms, us or ns"
            )
        return max(1, int(min(ends) * self._rate + SAME_LENGTH) + 1)
