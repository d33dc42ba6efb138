from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import Golden
from untrimmed.model.config import ModelConfig
from untrimmed.model.moments import level_lengths, pyramid_moments


@pytest.mark.parametrize(
    ("length", "expected"),
    [(1, [1, 1, 1, 1]), (2, [2, 1, 1, 1]), (5, [5, 3, 2, 1]), (8, [8, 4, 2, 1]), (9, [9, 5, 3, 2])],
)
def test_level_lengths(length: int, expected: list[int]) -> None:
    assert level_lengths(length, [1, 2, 4, 8]) == expected


@given(length=st.integers(1, 200), strides=st.lists(st.sampled_from([1, 2, 4, 8, 16, 64]), min_size=1, max_size=5))
def test_moments_by_their_definition(length: int, strides: list[int]) -> None:
    ranges = [(4.0 * i, 4.0 * i + 8) for i in range(len(strides))]
    expected = [
        [float(i * stride), low, high, float(stride)]
        for stride, (low, high) in zip(strides, ranges, strict=True)
        for i in range(math.ceil(length / stride))
    ]
    assert pyramid_moments(length, strides, ranges).tolist() == expected


def test_every_moment_is_at_a_clip_of_the_video() -> None:
    moments = pyramid_moments(77, (1, 2, 4), ((0, 4), (4, 8), (8, 1e4)))
    assert moments[:, 0].min() == 0
    assert moments[:, 0].max() == 76


def test_moments_are_the_golden_points(golden: Golden) -> None:
    ranges = [(low, high) for low, high in golden.config["model"]["regression_range"]]
    strides = [2**i for i in range(len(ranges))]
    assert torch.equal(pyramid_moments(golden.length, strides, ranges), golden.levels(0, "points"))


def test_a_level_without_range_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        pyramid_moments(8, (1, 2), ((0, 4),))


def test_seven_levels_of_every_block() -> None:
    config = ModelConfig(pyramid="every_block")
    moments = pyramid_moments(64, config.strides, config.ranges)
    rows = moments[moments[:, 0] == 0, 1:].tolist()
    assert rows == [
        [0, 4, 1],
        [4, 8, 1],
        [8, 16, 2],
        [16, 32, 4],
        [32, 64, 8],
        [64, 128, 16],
        [128, 10000, 32],
    ]
