"""From the vectors that a network makes of single pictures to the rows of features: the means over windows of them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from untrimmed.video.view import Picture

Vectors = NDArray[np.float32]
"""`[n, D]`."""


class Network(ABC):
    """Makes a vector of each picture, from it and its neighbours.

    Attributes:
        dimension: D of the vectors.
        step: pictures that get their vectors at once. Always so many, because libraries prepare for each new shape.
        reach: pictures to either side that a vector depends on.
    """

    dimension: int
    step: int
    reach: int

    @abstractmethod
    def vectors(self, pictures: list[Picture]) -> Vectors:
        """Compute `[step, D]` from `reach + step + reach` pictures: of those in the middle."""


class Rows:
    """The pictures of one video on their way through a network, until they are rows.

    Row `i` is the mean of the vectors `[i * stride, i * stride + window)`; a video shorter than a window has one row
    of all there are. Before the first picture and behind the last one stand copies of it, as far as the network looks.
    Keeps no more pictures than the network takes, and no more vectors than are waiting to be rows.
    """

    def __init__(self, network: Network, stride: int, window: int) -> None:
        self._network, self._stride, self._window = network, stride, window
        self._pictures: list[Picture] = []
        self._vectors = np.zeros((0, network.dimension), np.float32)
        self._seen, self._done, self._taken = 0, 0, 0
        self._ended = False

    def add(self, picture: Picture) -> None:
        """Take the next picture."""
        if not self._seen:
            self._pictures = [picture] * self._network.reach
        self._seen += 1
        self._pictures.append(picture)
        if len(self._pictures) == self._size:
            self._compute(self._network.step)

    def end(self) -> None:
        """Take notice that there are no more pictures."""
        self._ended = True
        while self._done < self._seen:
            self._pictures += self._pictures[-1:] * (self._size - len(self._pictures))
            self._compute(min(self._seen - self._done, self._network.step))
        if not self._seen:  # a video so short that none of its frames was shown
            self._vectors = np.zeros((1, self._network.dimension), np.float32)
        if not self._taken:
            self._window = min(self._window, len(self._vectors))

    @property
    def ready(self) -> int:
        """How many rows can be taken."""
        # Before the end a row waits until all vectors before the next one are there, to be dropped with it.
        needed = self._window if self._ended else max(self._window, self._stride)
        return max(0, (len(self._vectors) - needed) // self._stride + 1)

    def take(self, count: int) -> Vectors:
        """Take the next rows, `[count, D]`; not more than are ready."""
        if not count:
            return self._vectors[:0]
        windows = np.lib.stride_tricks.sliding_window_view(self._vectors, self._window, axis=0)
        rows: Vectors = windows[:: self._stride][:count].mean(-1)
        self._vectors = self._vectors[count * self._stride :]
        self._taken += count
        return rows

    @property
    def _size(self) -> int:
        return self._network.step + 2 * self._network.reach

    def _compute(self, count: int) -> None:
        made = self._network.vectors(self._pictures)[:count]
        self._vectors = np.concatenate([self._vectors, made])
        self._pictures = self._pictures[self._network.step :]
        self._done += count
