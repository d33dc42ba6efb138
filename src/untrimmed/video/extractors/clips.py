"""Cutting the stream of sampled pictures into clips, for networks that see a clip as one input."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from untrimmed.errors import ConfigError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.extractor import Extractor
from untrimmed.video.view import Picture, Pictures, View

Item = TypeVar("Item")


class ClipExtractor(Extractor):
    """An extractor whose row `i` is made of the pictures `[i * stride, i * stride + window)` and of nothing else.

    A subclass gives `encode`. A network that takes every m-th frame of a longer span has a lower rate instead: 16
    frames, every 4th at 30 frames per second, are 16 frames at 7.5 per second.

    Attributes:
        batch_size: clips that `encode` gets at once; the last batch of a video may have fewer.
    """

    def __init__(
        self, name: str, fingerprint: str, dimension: int, grid: TimeGrid, view: View, batch_size: int
    ) -> None:
        """Keep the facts; `grid` is one that `clip_grid` made, or is whole in another way.

        Raises:
            ConfigError: if the batch size is not positive.
        """
        assert grid.stride == int(grid.stride)
        assert grid.window == int(grid.window)
        assert view.every == 1
        if batch_size < 1:
            raise ConfigError(f"{name}: batch_size is {batch_size}, but has to be 1 or more")
        self.name, self.fingerprint, self.dimension = name, fingerprint, dimension
        self.grid, self.views, self.batch_size = grid, (view,), batch_size

    @abstractmethod
    def encode(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Make features `[B, D]` of clips `[B, window, height, width, 3]`, each from its own pictures alone."""

    def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
        """Make features, a batch of clips at a time; keeps a batch of clips and a window of pictures.

        Gives `max(1, grid.clips(n))` rows of n pictures: a video that is shorter than a window is filled up with its
        last picture.
        """
        clips = windows(shown(frames), int(self.grid.window), int(self.grid.stride))
        for batch in batches(clips, self.batch_size):
            yield self.encode(stacked(batch))


class PictureExtractor(Extractor):
    """An extractor that sees each picture by itself; row `i` is the mean over the pictures of its window.

    A picture is seen once, however many windows it is in.

    Attributes:
        batch_size: pictures that `encode` gets at once; the last batch of a video may have fewer.
    """

    def __init__(
        self, name: str, fingerprint: str, dimension: int, grid: TimeGrid, view: View, batch_size: int
    ) -> None:
        """Keep the facts; `grid` is one that `clip_grid` made."""
        assert view.every == 1
        self.name, self.fingerprint, self.dimension = name, fingerprint, dimension
        self.grid, self.views, self.batch_size = grid, (view,), batch_size

    @abstractmethod
    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Make vectors `[B, D]` of pictures `[B, height, width, 3]`, each by itself."""

    def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
        """Make features, a batch of rows at a time, with as many rows as a `ClipExtractor`."""
        window, stride = int(self.grid.window), int(self.grid.stride)
        # Pictures between two windows are not looked at: without them, the windows lie side by side.
        wanted = (picture for i, picture in enumerate(shown(frames)) if i % stride < window)
        vectors = (row for batch in batches(wanted, self.batch_size) for row in self.encode(np.stack(batch)))
        for rows in batches(windows(vectors, window, min(stride, window)), self.batch_size):
            yield np.stack([np.mean(row, axis=0) for row in rows])


def clip_grid(
    name: str,
    default: TimeGrid,
    *,
    stride: float | None = None,
    window: float | None = None,
    rate: float | None = None,
) -> TimeGrid:
    """Return the grid of an extractor `name` that looks at whole clips: the default with what else is asked for.

    Raises:
        ConfigError: if stride or window is no whole number of frames, or one of the three is not positive.
    """
    asked = {"stride": stride, "window": window, "rate": rate}
    grid = replace(default, **{what: value for what, value in asked.items() if value is not None})
    for what, value in (("stride", grid.stride), ("window", grid.window)):
        if value != int(value):
            raise ConfigError(
                f"{name}: {what} is {value:g}, but has to be a whole number of sampled frames. Round it, or change rate"
            )
    # In one type each: 4.0 is the same stride as 4, and has to give the same fingerprint.
    return TimeGrid(int(grid.stride), int(grid.window), float(grid.rate))


def shown(frames: Iterable[Pictures]) -> Iterator[Picture]:
    """Pass on the pictures of the only view, which leaves no frame out."""
    for (picture,) in frames:
        assert picture is not None
        yield picture


def windows(items: Iterable[Item], window: int, stride: int) -> Iterator[tuple[Item, ...]]:
    """Cut a stream into windows of so many items, one every `stride` items; holds no more than one window.

    Fewer items than a window make one all the same, filled up with the last item; no items make none.
    """
    held: deque[Item] = deque(maxlen=window)
    count = 0
    for count, item in enumerate(items, start=1):
        held.append(item)
        if count >= window and (count - window) % stride == 0:
            yield tuple(held)
    if 0 < count < window:
        yield tuple(held) + (held[-1],) * (window - count)


def batches(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """Group a stream into batches of so many items; the last may have fewer."""
    rest = iter(items)
    while batch := tuple(islice(rest, size)):
        yield batch


def stacked(clips: tuple[tuple[Picture, ...], ...]) -> NDArray[np.uint8]:
    """Make one array `[B, window, height, width, 3]` of B clips."""
    pictures = np.stack([picture for clip in clips for picture in clip])
    return pictures.reshape(len(clips), -1, *pictures.shape[1:])
