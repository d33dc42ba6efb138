from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_models import SMALL
from untrimmed.detection.streaming.schedule import Schedule
from untrimmed.errors import ConfigError
from untrimmed.model.chunks import reaches
from untrimmed.model.config import ModelConfig
from untrimmed.time_grid import TimeGrid

MODEL = ModelConfig(**SMALL)
grids = st.builds(
    TimeGrid,
    st.floats(0.5, 40),
    st.one_of(st.floats(0.5, 100), st.integers(1, 64)),
    st.sampled_from([10.0, 29.97, 50.0]),
)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    grid = draw(grids)
    least = grid.window / 2 / grid.rate
    latency = draw(st.one_of(st.none(), st.floats(1, 50).map(lambda times: times * least)))
    return Schedule.of(MODEL, grid, latency, None)


@given(schedules(), st.integers(0, 2), st.integers(0, 400))
def test_every_moment_is_read_once_and_in_time(schedule: Schedule, level: int, moment: int) -> None:
    stride, position = schedule.strides[level], moment * schedule.strides[level]
    runs = range(schedule.hop, position + 100 * schedule.hop + schedule.reach, schedule.hop)
    counts = [schedule.read(clips)[level] for clips in runs]
    assert counts == sorted(counts)
    run = next(clips for clips, count in zip(runs, counts, strict=True) if count > moment)
    assert position < run  # it has arrived
    complete = position + schedule.reaches[level] < run
    if schedule.latency is None:
        assert complete
        return
    age = schedule.grid.end(run) - schedule.grid.to_seconds(float(position))
    assert age <= schedule.latency + 1e-9
    if not complete:  # it could not have waited for the next run
        following = schedule.grid.end(run + schedule.hop) - schedule.grid.to_seconds(float(position))
        assert following > schedule.latency - 1e-4 * stride


@given(schedules(), st.integers(1, 500))
def test_the_window_holds_what_is_read_and_no_later_run_needs_more(schedule: Schedule, run: int) -> None:
    before, now, later = (schedule.read(clips * schedule.hop) for clips in (run - 1, run, run + 1))
    first, following = schedule.first_clip(before, now), schedule.first_clip(now, later)
    assert first % schedule.strides[-1] == 0
    for old, new, stride, reach in zip(before, now, schedule.strides, schedule.reaches, strict=True):
        if new > old:
            assert first <= max(0, old * stride - reach)
    if later > now:
        assert following >= max(0, schedule.horizon(now)) // schedule.strides[-1] * schedule.strides[-1]
    assert schedule.horizon(now) <= schedule.horizon(later)


def test_contexts_of_the_default_architecture() -> None:
    # Projection 2; stem 2 (1 + 9); blocks 19 strides of their input each; heads 3 strides.
    schedule = Schedule.of(ModelConfig(), TimeGrid(4, 16, 30), 5.0, None)
    assert schedule.reaches == (22 + 3, 41 + 6, 79 + 12, 155 + 24, 307 + 48, 611 + 96)
    assert schedule.contexts[0] == pytest.approx((25 * 4 + 8) / 30)


def test_hops() -> None:
    grid = TimeGrid(5, 10, 10)  # a clip every half second, of one second
    assert Schedule.of(MODEL, grid, 10.0, None).hop == 5
    assert Schedule.of(MODEL, grid, 10.0, 2.0).hop == 4
    assert Schedule.of(MODEL, grid, 0.5, None).hop == 1
    assert Schedule.of(MODEL, grid, None, None).hop == max(reaches(MODEL))


@pytest.mark.parametrize(
    ("latency", "hop", "message"),
    [
        (0.4, None, "latency is 0.4 s, but has to be at least 0.5 s"),
        (-1.0, None, "latency is -1.0 s"),
        (float("nan"), None, "latency is nan s"),
        (float("inf"), None, "latency is inf s"),
        (5.0, 0.3, "hop is 0.3 s, but has to be at least a clip, which is 0.5 s"),
        (None, float("inf"), "hop is inf s"),
        (2.0, 3.0, "hop is 3.0 s, but a latency of 2.0 s allows 2 s at the most"),
    ],
)
def test_refused(latency: float | None, hop: float | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Schedule.of(MODEL, TimeGrid(5, 10, 10), latency, hop)
