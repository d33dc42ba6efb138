"""How an array on disk becomes features on a time grid."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from untrimmed.data.annotations import Video
from untrimmed.data.features import FeatureDescription, FeatureStore, checked_dimension, row_range
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.time_grid import TimeGrid

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Columns = tuple[Annotated[int, Field(ge=0)], ...] | tuple[str, ...]

OF_SIGNALS = ("channels", "offset", "scale", "stream_rates", "stream_names", "time_column", "time_unit", "max_gap")
"""Settings without effect on features."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class InputConfig:
    """What the rows of an array stand for, and what is done with them before the model sees them.

    Raises:
        pydantic.ValidationError: (a `ValueError`) if a value is out of range, or has no effect on this kind of input.
    """

    kind: Literal["features", "signals"] = "features"
    """Features, a row for each clip; or raw signals, a row for each sample, which are cut into windows here."""
    stride: Positive | None = None
    """Frames (of signals: samples) from one clip to the next. Left out: what `features.json` says."""
    window: Positive | None = None
    """Frames (of signals: samples) that a clip covers. Left out: what `features.json` says."""
    rate: Positive | None = None
    """Frames per second. Left out: what `features.json` says, else the `fps` of each video in the annotations."""
    channels: Columns | None = None
    """Columns of the signals to use: numbers, the first is 0; or names, which the columns of tables are found by.
    Left out: all; training on tables stores their names. An array has no names: of it they are all columns, in order.
    """
    normalise: Literal["none", "standard"] = "none"
    """`standard`: training finds the mean and the standard deviation of each used channel over all its recordings,
    stores them as `offset` and `scale`, and the model always uses these."""
    offset: tuple[Number, ...] | None = None
    """What is subtracted from each used channel of the signals, before it is divided by its scale."""
    scale: tuple[Positive, ...] | None = None
    """What each used channel of the signals is divided by, to bring channels of different units to a like size."""
    stream_rates: tuple[Positive | None, ...] | None = None
    """Samples per second of each stream of signals as it is on disk, brought to `rate` by interpolation; null where a
    time column or `features.json` says. Left out: what these say, else `rate`."""
    stream_names: tuple[str, ...] | None = None
    """Names of several streams of signals. Left out: those of their folders; training stores them."""
    time_column: str | None = None
    """Name of the column of tables that holds the time; `none` if all columns are channels. Left out: the column that
    is named like one."""
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """Unit of the time column. Left out: what its name says, as in `time_ms`, else seconds."""
    max_gap: Positive | None = None
    """Seconds without a sample that are bridged by a straight line; longer gaps are an error. Left out: one second, or
    ten samples where these take longer."""
    downsample: Count = 1
    """Use every so manieth row of the features."""
    resample: Count | None = None
    """Interpolate the features of every video to so many rows."""

    def __post_init__(self) -> None:
        if self.kind == "features":
            for name in (*OF_SIGNALS, *(["normalise"] if self.normalise != "none" else [])):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} has an effect on kind 'signals' only; leave it out, or set the kind")
            return
        if self.downsample != 1 or self.resample is not None:
            raise ValueError("downsample and resample have an effect on kind 'features' only; set the stride instead")
        for key, value in (("stride", self.stride), ("window", self.window)):
            if value is None or value != int(value):
                raise ValueError(f"{key} is {value}, but kind 'signals' needs a whole number of samples")
        if self.channels is not None and len(set(self.channels)) != max(1, len(self.channels)):
            raise ValueError(f"channels is {list(self.channels)}, but has to name at least one, and each only once")
        for key, numbers in (("offset", self.offset), ("scale", self.scale)):
            if numbers is not None and self.channels is not None and len(numbers) != len(self.channels):
                raise ValueError(f"{key} has {len(numbers)} numbers, but channels names {len(self.channels)}")
        if self.normalise == "standard" and (self.offset is None) != (self.scale is None):
            key = "scale" if self.offset is None else "offset"
            raise ValueError(f"normalise is 'standard', which finds offset and scale; leave out {key}, or normalise")

    @property
    def unfitted(self) -> bool:
        """Whether the mean and the standard deviation of the channels are still to be found."""
        return self.normalise == "standard" and self.scale is None

    @property
    def of_one_stream(self) -> InputConfig:
        """The configuration for a stream that has the channels of all, where it is about several."""
        alone = self.stream_rates is None or len(self.stream_rates) == 1
        return self if alone else dataclasses.replace(self, stream_rates=None)

    def completed(self, description: FeatureDescription | None, place: str = "features.json") -> InputConfig:
        """Return this configuration with what it leaves open filled in from a description read from `place`.

        The description is of the array on disk; of signals that gives the rate alone, since their windows are cut here.

        Raises:
            ConfigError: if both name a value and the values differ.
        """
        if description is None:
            return self
        if self.kind == "signals":
            description.refuse_contradiction(place, rate=self.rate)
            return dataclasses.replace(self, rate=self.rate or description.rate)
        description.refuse_contradiction(place, stride=self.stride, window=self.window, rate=self.rate)
        return dataclasses.replace(
            self,
            stride=self.stride or description.stride,
            window=self.window or description.window,
            rate=self.rate or description.rate,
        )

    def clips(self, rows: int, name: str = "the array") -> int:
        """Return how many clips, T, an array with so many rows gives.

        Raises:
            FeatureError: if a signal is shorter than a window; the message names `name`.
        """
        if self.kind == "features":
            return self.resample or -(-rows // self.downsample)
        stride, window = self._samples()
        if rows < window:
            raise FeatureError(
                f"{name}: the recording has {rows} samples, which is shorter than a window of {window}. "
                "Leave it out, or set a smaller inputs.window"
            )
        return (rows - window) // stride + 1

    def dimension(self, columns: int) -> int:
        """Return D of the features that an array with so many columns gives."""
        if self.kind == "features":
            return columns
        _, window = self._samples()
        return window * (columns if self.channels is None else len(self.channels))

    def features(
        self, array: NDArray[Any], name: str = "the array", start: int = 0, stop: int | None = None
    ) -> NDArray[np.float32]:
        """Make features `[T, D]` of an array `[S, D]` of features or `[S, channels]` of samples.

        A window of signals becomes one row, channel after channel: all samples of the first, then of the second.
        With `start` and `stop` it is these clips alone, and no other row is looked at, unless features are resampled.

        Raises:
            FeatureError: if a signal is shorter than a window or lacks a channel; the message names `name`.
        """
        if self.kind == "signals":
            self.check_signals(array.shape, name)
        clips = self.clips(len(array), name)
        stop = clips if stop is None else stop
        if self.resample is not None:
            every = array[:: self.downsample].astype(np.float32, copy=False)
            return _interpolated(every, self.resample)[start:stop]
        first, last = self.rows(start, stop)
        rows: NDArray[np.float32] = array[first:last].astype(np.float32, copy=False)
        return self._windows(rows, stop - start) if self.kind == "signals" else rows[:: self.downsample]

    def grid(self, rate: float | None, rows: int, name: str = "the video") -> TimeGrid:
        """Return where the clips lie in time, for an array with so many rows on disk.

        `rate` is the video's own, in frames per second; the configuration's goes before it.

        Raises:
            ConfigError: if the stride, the window or the rate is known from nowhere.
        """
        rate = self.rate or rate
        if self.stride is None or self.window is None:
            key = "stride" if self.stride is None else "window"
            raise ConfigError(f"inputs.{key} is not known. Set it, or state {key!r} in the folder's features.json")
        if rate is None:
            raise ConfigError(
                f"{name}: the frame rate is not known. Set inputs.rate, or state 'rate' in the folder's features.json "
                "or the video's 'fps' in the annotations"
            )
        grid = TimeGrid(self.stride, self.window, rate).every(self.downsample)
        if self.resample is None:
            return grid
        return grid.resampled(-(-rows // self.downsample), self.resample)

    def rows(self, start: int, stop: int) -> tuple[int, int]:
        """Return which rows of the array, `(from, to)`, the clips `start` to `stop` are made of, without resampling."""
        assert self.resample is None
        if self.kind == "features":
            return start * self.downsample, (stop - 1) * self.downsample + 1
        stride, window = self._samples()
        return start * stride, (stop - 1) * stride + window

    def _samples(self) -> tuple[int, int]:
        """Return stride and window in samples."""
        assert self.stride is not None
        assert self.window is not None
        return int(self.stride), int(self.window)

    def used(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the used channels of signals `[S, channels]`, as they are."""
        return array if self._channel_numbers is None else array[:, self._channel_numbers]

    def check_signals(self, shape: tuple[int, ...], name: str) -> None:
        """Make sure that signals `[S, channels]` have all channels that are used.

        Raises:
            FeatureError: if they lack one, or it is not known what to subtract from each, or divide it by.
        """
        columns = shape[1]
        if self.channels is not None:
            numbers = self._channel_numbers
            if numbers is None and len(self.channels) != columns:
                raise FeatureError(
                    f"{name}: the signals are {list(shape)}, without names, so inputs.channels has to name all "
                    f"{columns} columns in their order, but it names {len(self.channels)}: "
                    f"{', '.join(map(str, self.channels))}"
                )
            if numbers is not None and max(numbers) >= columns:
                raise FeatureError(
                    f"{name}: the signals are {list(shape)}, so channels 0 to {columns - 1}, but inputs.channels asks "
                    f"for {max(numbers)}. Correct it, or transpose signals stored as [C, S]"
                )
            columns = len(self.channels)
        for key, values in (("offset", self.offset), ("scale", self.scale)):
            if values is not None and len(values) != columns:
                found = f"{columns} channels, but inputs.{key} has {len(values)} numbers"
                raise FeatureError(f"{name}: the signals have {found}. Name one for each channel that is used")

    @property
    def _channel_numbers(self) -> list[int] | None:
        """Columns of an array that are used; `None` is all of them."""
        numbers = [channel for channel in self.channels or () if isinstance(channel, int)]
        return numbers or None

    def _windows(self, array: NDArray[Any], clips: int) -> NDArray[np.float32]:
        """Cut signals `[S, channels]`, scaled, into flattened windows `[T, channels * window]`."""
        array = self.used(array)
        if self.offset is not None:
            array = array - np.array(self.offset, dtype=np.float32)
        if self.scale is not None:
            array = array / np.array(self.scale, dtype=np.float32)
        stride, window = self._samples()
        windows = np.lib.stride_tricks.sliding_window_view(array, window, axis=0)[::stride]  # [T, channels, window]
        return windows.reshape(clips, -1).astype(np.float32, copy=False)


def _interpolated(features: NDArray[np.float32], to: int) -> NDArray[np.float32]:
    """Interpolate `[S, D]` linearly to `[to, D]`.

    Row `i` of the result lies at `(i + 1/2) * S / to - 1/2`: the first and last half rows of both cover the same time
    (torch's `align_corners=False`). What lies before the first or after the last row takes its value.
    """
    last = len(features) - 1
    position = ((np.arange(to) + 0.5) * len(features) / to - 0.5).clip(0, last)
    below = position.astype(np.int64)
    weight = (position - below).astype(np.float32)[:, None]
    return features[below] * (1 - weight) + features[np.minimum(below + 1, last)] * weight


@dataclasses.dataclass(frozen=True)
class Inputs:
    """Features of videos on their time grid: a store, and what is made of its arrays.

    `config` is completed from the store's description. `expected_dimension` is the model's, where that is known.

    Raises:
        ConfigError: if the configuration or the expected dimension contradicts the store's description.
    """

    store: FeatureStore
    config: InputConfig
    expected_dimension: int | None = None

    def __post_init__(self) -> None:
        description = self.store.description
        place = f"{self.store.name}: features.json"
        object.__setattr__(self, "config", self.config.completed(description, place))
        if description is not None and self.config.kind == "features":
            description.refuse_contradiction(place, dimension=self.expected_dimension)

    @property
    def dimensions(self) -> tuple[int, ...]:
        """D of each stream of features, read off the first video; there is one stream unless several are joined.

        Raises:
            FeatureError: if the features of the first video cannot be read.
        """
        if self.config.kind == "features":
            return self.store.dimensions
        return (self.config.dimension(self.store.dimension),)

    @property
    def dimension(self) -> int:
        """D, all streams together (see `dimensions`)."""
        return sum(self.dimensions)

    def length(self, video: Video) -> int:
        """Return T without reading the features, where the format allows.

        Raises:
            FeatureError: if they are missing, their header is damaged, or they are shorter than a window.
        """
        return self.config.clips(self.store.length(video.id), self._name(video))

    def grid(self, video: Video) -> TimeGrid:
        """Return where the clips of a video lie in time, without reading its features.

        Raises:
            FeatureError: if they are missing, or their header is damaged.
            ConfigError: if the stride, the window or the rate is known from nowhere.
        """
        return self.config.grid(video.rate, self.store.length(video.id), self._name(video))

    def features(self, video: Video, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Read the features of a video, `[T, D]`, or its clips `start` to `stop`; `stop` may lie beyond the end.

        Only the rows that these clips are made of are read, unless the features are resampled.

        Raises:
            FeatureError: if they are missing, damaged, not finite, shorter than a window, or of another dimension.
        """
        name = self._name(video)
        if self.config.resample is not None or (start == 0 and stop is None):
            features = self._checked(self.store.read(video.id), name)
            first, last = row_range(start, stop, len(features), name)
            return features[first:last]
        first, last = row_range(start, stop, self.length(video), name)
        return self._checked(self.store.read(video.id, *self.config.rows(first, last)), name)

    def read(self, video: Video) -> tuple[NDArray[np.float32], TimeGrid]:
        """Read the features of a video, `[T, D]`, and its grid.

        Raises:
            FeatureError: as from `features`.
            ConfigError: as from `grid`.
        """
        name = self._name(video)
        array = self.store.read(video.id)
        return self._checked(array, name), self.config.grid(video.rate, len(array), name)

    def _checked(self, array: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        """Make features of an array, and compare their dimension with the expected one."""
        features = self.config.features(array, name)
        checked_dimension((features.shape[0], features.shape[1]), self.expected_dimension, name)
        return features

    def _name(self, video: Video) -> str:
        return f"{self.store.name}: video {video.id!r}"
