"""The rows of a stream that are still needed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class RowBuffer:
    """Rows `[n, D]` that come at one end and are forgotten at the other; numbered from the first that ever came.

    Takes at most four times the memory of the rows that it holds, and a little time for each row, whatever the pieces.

    Attributes:
        start: number of the first row that is held.
        stop: behind the last one.
    """

    def __init__(self, columns: int) -> None:
        self.start = self.stop = 0
        self._array = np.empty((16, columns), np.float32)
        self._first = 0  # place of row `start`

    @property
    def columns(self) -> int:
        """D."""
        return self._array.shape[1]

    @property
    def capacity(self) -> int:
        """How many rows there is memory for."""
        return len(self._array)

    def add(self, rows: NDArray[Any]) -> None:
        """Append rows `[n, D]`; they are copied."""
        held, count = self.stop - self.start, len(rows)
        if self._first + held + count > len(self._array):
            array = self._array
            if 2 * (held + count) > len(array) or 8 * (held + count) < len(array):
                array = np.empty((max(16, 4 * (held + count)), array.shape[1]), np.float32)
            array[:held] = self._array[self._first : self._first + held].copy()
            self._array, self._first = array, 0
        self._array[self._first + held : self._first + held + count] = rows
        self.stop += count

    def rows(self, start: int, stop: int) -> NDArray[np.float32]:
        """Return rows by their numbers, a view that is good until rows are added."""
        assert self.start <= start <= stop <= self.stop, (self.start, start, stop, self.stop)
        shift = self._first - self.start
        return self._array[start + shift : stop + shift]

    def forget(self, before: int) -> None:
        """Forget the rows before this one, if they have come."""
        count = min(before, self.stop) - self.start
        if count > 0:
            self.start += count
            self._first += count
