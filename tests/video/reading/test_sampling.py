from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from untrimmed.video.reading.sampling import ROUNDING, sample


@dataclass(frozen=True, eq=False)
class Shown:
    seconds: float
    duration: float
    number: int


def shown(times: list[float], duration: float) -> list[Shown]:
    return [Shown(time, duration, i) for i, time in enumerate(times)]


def by_definition(pictures: list[Shown], rate: float) -> list[int]:
    """Look for each sampled frame's picture among all of them."""
    tolerance = min(ROUNDING, 0.25 / rate)
    end = pictures[-1].seconds + pictures[-1].duration
    middles = list(itertools.takewhile(lambda m: m < end, ((k + 0.5) / rate for k in itertools.count())))
    return [
        max((p.number for p in pictures if p.seconds <= middle + tolerance), default=0)
        for middle in middles or [0.5 / rate]
    ]


def numbers(pictures: list[Shown], rate: float) -> list[int]:
    return [picture.number for picture in sample(pictures, rate)]


times = st.lists(st.integers(-500, 8000), min_size=1, max_size=40).map(lambda ms: [m / 1000 for m in sorted(ms)])
rates = st.sampled_from([0.5, 1, 4, 12.5, 16, 25, 30000 / 1001, 30, 1000])


@given(times, rates, st.sampled_from([0.001, 0.04, 0.5]))
@example([0.0], 25, 0.001)
@example([-3.0], 25, 0.001)
@example([7.0], 1, 0.04)
def test_it_is_the_definition(when: list[float], rate: float, duration: float) -> None:
    pictures = shown(when, duration)
    assert numbers(pictures, rate) == by_definition(pictures, rate)


@pytest.mark.parametrize("rate", [Fraction(1), Fraction(25), Fraction(30000, 1001), Fraction(120), Fraction(400)])
@pytest.mark.parametrize("digits", [3, 6, 12])
def test_its_own_rate_gives_every_picture_once(rate: Fraction, digits: int) -> None:
    when = [float(round(i / rate, digits)) for i in range(1000)]
    assert numbers(shown(when, float(1 / rate)), float(rate)) == list(range(1000))


@pytest.mark.parametrize("factor", [2, 3])
def test_an_integral_part_of_the_rate_picks_at_equal_distances(factor: int) -> None:
    # Where factor is 2, pictures begin in the very middles; rounded to milliseconds, a third of them a little later.
    rate = 30
    for digits in (3, 9):
        when = [round(i / rate, digits) for i in range(300)]
        assert numbers(shown(when, 1 / rate), rate / factor) == list(range(factor // 2, 300, factor))


def test_a_higher_rate_repeats() -> None:
    assert numbers(shown([0, 0.04, 0.08], 0.04), 100) == [0] * 4 + [1] * 4 + [2] * 4


def test_pictures_that_stand_still_are_repeated_as_long() -> None:
    assert numbers(shown([0, 0.1, 3.1], 0.4), 10) == [0, *[1] * 30, *[2] * 4]


def test_before_the_first_picture_it_is_the_first() -> None:
    assert numbers(shown([1.0, 1.5], 0.5), 4) == [0] * 6 + [1] * 2


def test_what_is_shown_before_zero_is_left_out() -> None:
    assert numbers(shown([-0.8, -0.4, 0.0, 0.4], 0.4), 5) == [2, 2, 3, 3]


def test_there_is_at_least_one_sampled_frame() -> None:
    assert numbers(shown([0.0, 0.01], 0.01), 1) == [1]
    assert numbers(shown([-9.0], 0.01), 1) == [0]


def test_without_pictures_there_is_none() -> None:
    assert numbers([], 25) == []


def test_of_pictures_at_the_same_time_the_last_is_shown() -> None:
    assert numbers(shown([0.0, 0.0, 0.0, 0.1, 0.1], 0.1), 10) == [2, 4]


def test_no_more_than_two_pictures_are_held() -> None:
    alive: list[weakref.ref[Shown]] = []

    def pictures() -> Iterator[Shown]:
        for i in range(50):
            picture = Shown(i / 10, 0.1, i)
            alive.append(weakref.ref(picture))
            yield picture
            del picture

    most = 0
    for _ in sample(pictures(), 10):
        most = max(most, sum(reference() is not None for reference in alive))
    assert most <= 2
