from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.video.reading.clock import (
    LONGEST_GAP,
    LONGEST_GAP_BEYOND,
    LONGEST_GAP_IN_A_BROADCAST,
    LONGEST_UNDECLARED_GAP,
    Clock,
)


def placed(clock: Clock, *stamps: float | None, duration: float | None = None) -> list[float]:
    return [round(clock.place(stamp, duration)[0], 6) for stamp in stamps]


def test_timestamps_that_rise_stand_as_they_are() -> None:
    clock = Clock(2.0, 25)
    assert placed(clock, 0.5, 0.54, 0.54, 1.9, 7.0) == [0.5, 0.54, 0.54, 1.9, 7.0]
    assert clock.jumps == 0


def test_a_video_may_begin_before_zero() -> None:
    assert placed(Clock(2.0, 25), -0.08, -0.04, 0.0) == [-0.08, -0.04, 0.0]


def test_a_duration_is_taken_as_it_is() -> None:
    clock = Clock(10.0, 25)
    assert clock.place(0.0, 0.1) == (0.0, 0.1)
    assert clock.place(0.1, 3.0) == (0.1, 3.0)
    assert clock.end == pytest.approx(3.1)


@pytest.mark.parametrize("duration", [None, 0.0, -1.0, 1e9, float("inf"), float("nan")])
def test_without_a_duration_that_can_be_it_is_the_usual_gap(duration: float | None) -> None:
    clock = Clock(10.0, 25)
    assert clock.place(0.0, duration) == (0.0, 0.04)  # by the declared rate
    placed(clock, 0.1, 0.2, 5.0)
    assert clock.place(5.1, duration)[1] == pytest.approx(0.1)
    assert clock.end == pytest.approx(5.2)


@pytest.mark.parametrize(("rate", "gap"), [(50.0, 0.02), (None, 0.04), (0.0, 0.04), (1e-9, 0.04)])
def test_frames_without_timestamps_follow_at_the_usual_gap(rate: float | None, gap: float) -> None:
    assert placed(Clock(None, rate), None, None, None) == [0.0, gap, 2 * gap]


def test_a_missing_timestamp_between_others_is_filled_in() -> None:
    clock = Clock(None, None)
    assert placed(clock, 0.0, 0.1, None, 0.3) == [0.0, 0.1, 0.2, 0.3]
    assert clock.jumps == 0


def test_a_second_recording_that_begins_again_follows_the_first() -> None:
    clock = Clock(None, 10)
    assert placed(clock, 0.0, 0.1, 0.2, 0.0, 0.1, 0.3) == [0.0, 0.1, 0.2, 0.3, 0.4, 0.6]
    assert clock.jumps == 1


def test_one_wrong_timestamp_does_not_move_the_others() -> None:
    for wrong in (0.0, -1e9, 1e9, 95443.7):
        clock = Clock(2.0, 10)
        assert placed(clock, 1.0, 1.1, 1.2, wrong, 1.4, 1.5) == [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]
        assert clock.jumps == 1


@pytest.mark.parametrize(
    ("declared_end", "broadcast", "longest"),
    [
        (1e7, False, LONGEST_GAP),
        (1.0, False, LONGEST_GAP_BEYOND),
        (None, False, LONGEST_UNDECLARED_GAP),
        (1e7, True, LONGEST_GAP_IN_A_BROADCAST),
    ],
)
def test_a_picture_may_stand_still_for_so_long(declared_end: float | None, broadcast: bool, longest: float) -> None:
    stands = Clock(declared_end, 10, broadcast=broadcast)
    assert placed(stands, 0.0, longest, longest + 0.1) == [0.0, longest, longest + 0.1]
    assert stands.jumps == 0
    jumps = Clock(declared_end, 10, broadcast=broadcast)
    assert placed(jumps, 0.0, longest + 0.1, longest + 0.2) == [0.0, 0.1, 0.2]
    assert jumps.jumps == 1


def test_a_recording_with_times_of_day_begins_at_zero() -> None:
    assert placed(Clock(None, 10), 50000.0, 50000.1) == [0.0, pytest.approx(0.1)]


stamps = st.lists(st.none() | st.floats(-1e12, 1e12) | st.integers(0, 100).map(lambda i: i / 25), max_size=60)


@given(stamps, st.none() | st.floats(-1e12, 1e12), st.none() | st.floats(-1e6, 1e6), st.booleans())
def test_whatever_the_timestamps_seconds_never_go_back_nor_far_ahead(
    given_stamps: list[float | None], end: float | None, rate: float | None, broadcast: bool
) -> None:
    clock = Clock(end, rate, broadcast=broadcast)
    before = None
    for stamp in given_stamps:
        seconds, duration = clock.place(stamp, stamp)
        assert 0 < duration <= LONGEST_GAP
        assert clock.end == seconds + duration
        if before is not None:
            assert before <= seconds <= before + LONGEST_GAP
        before = seconds
