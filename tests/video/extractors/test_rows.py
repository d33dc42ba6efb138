from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.rows import Network, Rows, Vectors
from untrimmed.video.view import Picture

SMALL = st.integers(1, 7)


def picture(number: int) -> Picture:
    return np.full((1, 1, 3), number, np.uint8)


class Neighbours(Network):
    """A vector holds the numbers of a picture and of all its neighbours."""

    def __init__(self, step: int, reach: int) -> None:
        self.step, self.reach, self.dimension = step, reach, 2 * reach + 1

    def vectors(self, pictures: list[Picture]) -> Vectors:
        assert len(pictures) == self.step + 2 * self.reach
        numbers = [int(each[0, 0, 0]) for each in pictures]
        return np.array([numbers[i : i + self.dimension] for i in range(self.step)], np.float32)


def plain_rows(n: int, stride: int, window: int, reach: int) -> Vectors:
    """The definition, all pictures at once."""
    numbers = np.arange(1, n + 1, dtype=np.float32)
    around = np.pad(numbers, reach, mode="edge") if n else np.zeros(2 * reach)
    vectors = np.array([around[i : i + 2 * reach + 1] for i in range(n)] or [np.zeros(2 * reach + 1)], np.float32)
    window = min(window, len(vectors))
    starts = range(0, len(vectors) - window + 1, stride)
    return np.array([vectors[start : start + window].mean(0) for start in starts], np.float32)


@given(st.integers(0, 60), SMALL, SMALL, SMALL, st.integers(0, 5), st.integers(1, 9))
@example(n=10, stride=5, window=1, step=1, reach=0, each=1)  # the vectors between two windows are of no row
def test_rows_are_the_means_of_their_windows(
    n: int, stride: int, window: int, step: int, reach: int, each: int
) -> None:
    rows = Rows(Neighbours(step, reach), stride, window)
    found: list[Vectors] = []
    for number in range(1, n + 1):
        rows.add(picture(number))
        if rows.ready >= each:
            found.append(rows.take(each))
    rows.end()
    found.append(rows.take(rows.ready))
    expected = plain_rows(n, stride, window, reach)
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-6)
    assert len(expected) == max(1, TimeGrid(stride, window, 1).clips(n))
    assert rows.ready == 0


@given(SMALL, SMALL, SMALL, st.integers(0, 5))
def test_nothing_is_kept_that_is_not_needed(stride: int, window: int, step: int, reach: int) -> None:
    rows = Rows(Neighbours(step, reach), stride, window)
    for number in range(200):
        rows.add(picture(number))
        rows.take(rows.ready)
        assert len(rows._pictures) < step + 2 * reach
        assert len(rows._vectors) < max(window, stride) + step
