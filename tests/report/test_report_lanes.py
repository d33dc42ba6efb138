from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.report.lanes import lanes

segments = st.lists(
    st.builds(lambda start, length: (float(start), float(start + length)), st.integers(0, 9), st.integers(0, 4)),
    max_size=12,
).map(lambda rows: np.array(rows, np.float64).reshape(-1, 2))


def collide(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a == b or (a[0] < b[1] and b[0] < a[1])


def slow(rows: list[tuple[float, float]]) -> list[int]:
    placed: list[int] = []
    for i, row in enumerate(rows):
        lane = 0
        while any(placed[j] == lane and collide(rows[j], row) for j in range(i)):
            lane += 1
        placed.append(lane)
    return placed


@given(segments)
def test_is_the_slow_definition(rows: np.ndarray) -> None:
    assert lanes(rows).tolist() == slow([(float(start), float(end)) for start, end in rows])


@given(segments, st.integers(0, 12))
def test_nothing_moves_when_the_last_are_hidden(rows: np.ndarray, keep: int) -> None:
    assert lanes(rows[:keep]).tolist() == lanes(rows)[:keep].tolist()


def test_touching_bars_share_a_lane() -> None:
    assert lanes(np.array([(0, 2), (2, 4), (1, 3), (4, 4), (4, 4)], np.float64)).tolist() == [0, 0, 1, 0, 1]
