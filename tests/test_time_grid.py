from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.errors import ConfigError
from untrimmed.time_grid import TimeGrid

positive = st.floats(0.5, 64)
grids = st.builds(TimeGrid, positive, positive, positive)
whole_grids = st.builds(TimeGrid, st.integers(1, 32), st.integers(1, 64), positive)


def test_by_hand() -> None:
    grid = TimeGrid(stride=4, window=16, rate=30)
    assert grid.to_seconds(0.0) == pytest.approx(8 / 30)  # the centre of the first clip
    assert grid.to_seconds(10.0) == pytest.approx((40 + 8) / 30)
    assert grid.clips(15) == 0
    assert grid.clips(16) == 1
    assert grid.clips(19) == 1
    assert grid.clips(20) == 2
    assert grid.end(2) == pytest.approx(20 / 30)


@given(grids, st.floats(-100, 1000))
def test_there_and_back(grid: TimeGrid, position: float) -> None:
    assert grid.to_grid(grid.to_seconds(position)) == pytest.approx(position, abs=1e-6)


def test_converts_arrays_and_tensors() -> None:
    import torch

    grid = TimeGrid(4, 16, 30)
    segments = np.array([[0.0, 2.5], [3.0, 8.0]])
    expected = [[grid.to_seconds(position) for position in segment] for segment in segments.tolist()]
    assert grid.to_seconds(segments).tolist() == expected
    np.testing.assert_allclose(grid.to_seconds(torch.from_numpy(segments)).numpy(), expected)
    np.testing.assert_allclose(grid.to_grid(np.array(expected)), segments)


@given(whole_grids, st.integers(0, 500))
def test_clips_are_those_that_fit(grid: TimeGrid, frames: int) -> None:
    assert grid.clips(frames) == sum(i * grid.stride + grid.window <= frames for i in range(501))


@given(whole_grids, st.integers(1, 500))
def test_the_last_clip_ends_in_the_recording(grid: TimeGrid, clips: int) -> None:
    frames = round(grid.end(clips) * grid.rate)
    assert grid.clips(frames) == clips
    assert grid.clips(frames - 1) == clips - 1


@given(grids, st.integers(1, 5), st.integers(0, 100))
def test_every_keeps_the_times(grid: TimeGrid, step: int, position: int) -> None:
    assert grid.every(step).to_seconds(float(position)) == pytest.approx(grid.to_seconds(float(position * step)))


@given(grids, st.integers(1, 500), st.integers(1, 500))
def test_resampling_keeps_the_extent(grid: TimeGrid, clips: int, to: int) -> None:
    resampled = grid.resampled(clips, to)
    assert resampled.stride == resampled.window
    assert resampled.end(to) == pytest.approx(grid.end(clips))
    assert resampled.to_seconds(-0.5) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ["stride", "window", "rate"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_bad_numbers_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"time grid: {name} is {value}, but has to be a positive number"):
        dataclasses.replace(TimeGrid(4, 16, 30), **{name: value})
