from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from untrimmed.data.crops import CropConfig, cut, random_crop, visible

# Quarters, so that no share of a length is a matter of rounding.
QUARTERS = st.integers(-20, 400).map(lambda number: number / 4)
SHARES = st.sampled_from([0.25, 0.5, 0.75, 1.0])


@st.composite
def instances(draw: st.DrawFn) -> np.ndarray:
    pairs = draw(st.lists(st.tuples(QUARTERS, QUARTERS), max_size=6))
    return np.array([sorted(pair) for pair in pairs], dtype=np.float64).reshape(-1, 2)


@st.composite
def configs(draw: st.DrawFn) -> CropConfig:
    ratio = draw(st.none() | st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted).map(tuple))
    return CropConfig(max_length=draw(st.integers(1, 100)), ratio=ratio, min_visible=draw(SHARES))


def slow_visible(segment: np.ndarray, start: int, stop: int, share: float) -> bool:
    """Count the sixteenths of a clip that lie in the crop."""
    ticks = np.arange(round(segment[0] * 16), round(segment[1] * 16))
    return len(ticks) > 0 and np.mean((ticks >= start * 16) & (ticks < stop * 16)) >= share


def slow_cut(
    segments: np.ndarray, labels: np.ndarray, start: int, stop: int, share: float
) -> tuple[list[list[float]], list[int]]:
    kept = [i for i, segment in enumerate(segments) if slow_visible(segment, start, stop, share)]
    cut_ = [[max(segments[i][0], start) - start, min(segments[i][1], stop) - start] for i in kept]
    return cut_, [int(labels[i]) for i in kept]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"ratio": (0.9, 0.5)}, r"ratio is \[0.9, 0.5\], but the first number has to be the smaller one"),
        ({"ratio": (0.0, 0.5)}, "greater than 0"),
        ({"ratio": (0.5, 1.1)}, "less than or equal to 1"),
        ({"max_length": 0}, "greater than 0"),
        ({"min_visible": 0}, "greater than 0"),
        ({"trunc_thresh": 0.5}, "trunc_thresh"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        CropConfig(**settings)


@given(length=st.integers(1, 150), segments=instances(), config=configs(), seed=st.integers(0, 99))
def test_crop_is_within_the_video_and_as_long_as_asked(
    length: int, segments: np.ndarray, config: CropConfig, seed: int
) -> None:
    start, stop = random_crop(length, segments, config, np.random.default_rng(seed))
    assert 0 <= start < stop <= length
    assert stop - start <= config.max_length
    if length > config.max_length:
        assert stop - start == config.max_length
    elif config.ratio is None:
        assert (start, stop) == (0, length)
    else:
        shortest, longest = config.ratio
        assert max(1, round(shortest * length)) <= stop - start <= max(1, round(longest * length))


@given(length=st.integers(1, 150), segments=instances(), config=configs(), seed=st.integers(0, 99))
def test_crop_shows_an_instance_where_half_of_all_crops_do(
    length: int, segments: np.ndarray, config: CropConfig, seed: int
) -> None:
    start, stop = random_crop(length, segments, config, np.random.default_rng(seed))
    size = stop - start
    seen = [visible(segments, at, at + size, config.min_visible).any() for at in range(length - size + 1)]
    if np.mean(seen) >= 0.5:  # then 200 tries miss one with a probability of 2**-200
        assert visible(segments, start, stop, config.min_visible).any()


def test_a_crop_that_shows_an_instance_is_looked_for() -> None:
    config = CropConfig(max_length=10)
    segments = np.array([[88.0, 94.0]])
    found = [random_crop(100, segments, config, np.random.default_rng(seed)) for seed in range(50)]
    assert all(visible(segments, *crop, 0.5).all() for crop in found)
    assert len(set(found)) > 5
    assert {start for start, _ in found} <= set(range(81, 91))


def test_videos_without_instances_are_cropped_anywhere() -> None:
    config = CropConfig(max_length=10)
    starts = {random_crop(30, np.empty((0, 2)), config, np.random.default_rng(seed))[0] for seed in range(300)}
    assert starts == set(range(21))


def test_a_video_whose_instances_no_crop_shows_is_cropped_all_the_same() -> None:
    start, stop = random_crop(30, np.array([[0.0, 29.0]]), CropConfig(max_length=10), np.random.default_rng(0))
    assert stop - start == 10
    assert not visible(np.array([[0.0, 29.0]]), start, stop, 0.5).any()


@pytest.mark.parametrize("segments", [np.empty((0, 2)), np.array([[0.0, 1.0]]), np.array([[5.0, 9.0]])])
@pytest.mark.parametrize("config", [CropConfig(), CropConfig(ratio=(0.1, 0.2)), CropConfig(max_length=1)])
def test_one_clip_videos(segments: np.ndarray, config: CropConfig) -> None:
    assert random_crop(1, segments, config, np.random.default_rng(0)) == (0, 1)


def test_every_length_of_the_ratio_occurs_and_both_ends_of_the_video() -> None:
    config = CropConfig(ratio=(0.5, 1.0))
    crops = [random_crop(8, np.empty((0, 2)), config, np.random.default_rng(seed)) for seed in range(300)]
    assert {stop - start for start, stop in crops} == {4, 5, 6, 7, 8}
    assert {start for start, _ in crops} == {0, 1, 2, 3, 4}


def test_same_random_numbers_same_crop() -> None:
    segments, config = np.array([[40.0, 50.0]]), CropConfig(max_length=20)
    assert random_crop(100, segments, config, np.random.default_rng(3)) == random_crop(
        100, segments, config, np.random.default_rng(3)
    )


@given(segments=instances(), start=st.integers(0, 60), size=st.integers(1, 60), share=SHARES)
def test_visible_and_cut_against_the_slow_reference(segments: np.ndarray, start: int, size: int, share: float) -> None:
    labels = np.arange(len(segments))
    stop = start + size
    expected = [slow_visible(segment, start, stop, share) for segment in segments]
    assert visible(segments, start, stop, share).tolist() == expected
    cut_segments, cut_labels = cut(segments, labels, start, stop, share)
    assert (cut_segments.tolist(), cut_labels.tolist()) == slow_cut(segments, labels, start, stop, share)


@given(segments=instances(), start=st.integers(0, 60), size=st.integers(1, 60), share=st.floats(0.01, 1))
def test_cut_instances_lie_in_the_crop(segments: np.ndarray, start: int, size: int, share: float) -> None:
    labels = np.arange(len(segments))
    cut_segments, cut_labels = cut(segments, labels, start, start + size, share)
    assert cut_segments.shape == (len(cut_labels), 2)
    assert (cut_segments >= 0).all()
    assert (cut_segments <= size).all()
    assert (cut_segments[:, 0] < cut_segments[:, 1]).all()
    whole = (segments[:, 0] >= start) & (segments[:, 1] <= start + size) & (segments[:, 0] < segments[:, 1])
    assert set(np.flatnonzero(whole)) <= set(cut_labels)


@pytest.mark.parametrize(("share", "kept"), [(0.25, True), (0.5, True), (0.500001, False), (1.0, False)])
def test_the_visible_part_counts_exactly(share: float, kept: bool) -> None:
    assert visible(np.array([[8.0, 12.0]]), 0, 10, share).tolist() == [kept]


@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_instances_without_length_show_nothing(share: float) -> None:
    assert visible(np.array([[5.0, 5.0], [0.0, 0.0], [20.0, 20.0]]), 0, 10, share).tolist() == [False] * 3


def test_cutting_changes_nothing_in_place() -> None:
    segments, labels = np.array([[2.0, 12.0]]), np.array([1])
    cut(segments, labels, 1, 10, 0.5)
    assert segments.tolist() == [[2.0, 12.0]]
    assert labels.tolist() == [1]
