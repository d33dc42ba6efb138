from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.detection.streaming.rows import RowBuffer


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=40))
def test_rows_are_those_that_came(steps: list[tuple[int, int]]) -> None:
    buffer, every = RowBuffer(2), np.zeros((0, 2), np.float32)
    most = 0
    for more, kept in steps:
        rows = np.arange(2 * len(every), 2 * (len(every) + more), dtype=np.float64).reshape(-1, 2)
        every = np.concatenate([every, rows.astype(np.float32)])
        buffer.add(rows)
        most = max(most, buffer.stop - buffer.start)
        assert buffer.stop == len(every)
        np.testing.assert_array_equal(buffer.rows(buffer.start, buffer.stop), every[buffer.start :])
        buffer.forget(len(every) - kept)
        assert len(every) - buffer.start <= max(kept, 0) or buffer.start == max(0, len(every) - kept)
        assert buffer.capacity <= max(16, 4 * most)


def test_memory_is_given_back_after_a_large_piece() -> None:
    buffer = RowBuffer(1)
    buffer.add(np.zeros((100_000, 1)))
    buffer.forget(99_990)
    for _ in range(400_000 // 1000):
        buffer.add(np.zeros((1000, 1)))
        buffer.forget(buffer.stop - 10)
    assert buffer.capacity < 10_000
