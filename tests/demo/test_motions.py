from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.demo.figure import Pose, joints
from untrimmed.demo.motions import DISTRACTORS, LABELS, Event, fidgeted, moved, posture

KINDS = (*LABELS, *DISTRACTORS)
shares = st.floats(0, 1)


@st.composite
def events(draw: st.DrawFn, kinds: tuple[str, ...] = KINDS) -> Event:
    kind = draw(st.sampled_from(kinds))
    way = {"step_left": -1, "step_right": 1, "walk": draw(st.sampled_from([-1, 1]))}.get(kind, 0)
    start, x = draw(st.floats(0, 50)), draw(st.floats(-0.5, 0.5))
    return Event(
        kind,
        start,
        start + draw(st.floats(1.0, 3.0)),
        seated=kind == "stand_up" or (kind in {"wave", "raise_arms", "scratch"} and draw(st.booleans())),
        x=x,
        to=x + way * draw(st.floats(0.2, 0.7)),
        side=draw(st.sampled_from([-1, 1])),
        repeats=draw(st.integers(1, 4)),
        reach=draw(shares),
        held=draw(st.floats(-1, 1)),
    )


def at(event: Event, done: float, liveliness: float = 0.0) -> Pose:
    """The pose of a figure when this share of an event is over; without fidgeting, unless asked for."""
    seconds = event.start + done * (event.end - event.start)
    before, after = (
        fidgeted(posture(seated)._replace(x=x), seconds, 0.0, liveliness)
        for seated, x in ((event.seated, event.x), (event.stays_seated, event.to))
    )
    return moved(before, after, event, seconds)


def apart(one: Pose, two: Pose) -> float:
    return max(abs(a - b) for a, b in zip(one, two, strict=True))


@given(events(), st.floats(0, 1.6))
def test_an_event_begins_and_ends_in_what_the_figure_does_between_events(event: Event, liveliness: float) -> None:
    first = fidgeted(posture(event.seated)._replace(x=event.x), event.start, 0.0, liveliness)
    last = fidgeted(posture(event.stays_seated)._replace(x=event.to), event.end, 0.0, liveliness)
    assert apart(at(event, 0.0, liveliness), first) < 1e-6
    assert apart(at(event, 1.0, liveliness), last) < 1e-6


@given(events())
def test_an_event_is_seen_from_its_start_to_its_end(event: Event) -> None:
    early = max(0.15, 0.2 / (event.end - event.start))  # a fifth of a second, or more of one that is drawn out
    assert apart(at(event, early), at(event, 0.0)) > 0.02
    assert apart(at(event, 1 - early), at(event, 1.0)) > 0.02


@given(events(), shares)
def test_nothing_moves_in_jerks(event: Event, done: float) -> None:
    step = 0.001 / (event.end - event.start)
    now, soon = joints(at(event, done)), joints(at(event, min(1.0, done + step)))
    for one, other in zip((*now[:3], *sum(now[3:], ())), (*soon[:3], *sum(soon[3:], ())), strict=True):
        assert math.dist(one, other) < 0.02  # heights of the body, in a thousandth of a second


@given(events(("sit_down",)), shares)
def test_standing_up_is_sitting_down_backwards(down: Event, done: float) -> None:
    up = replace(down, kind="stand_up", seated=True)
    assert apart(at(up, done), at(down, 1 - done)) < 1e-6


@given(events(("step_left",)), shares)
def test_a_step_to_the_right_is_one_to_the_left_backwards(left: Event, done: float) -> None:
    right = replace(left, kind="step_right", x=left.to, to=left.x)
    assert apart(at(right, done), at(left, 1 - done)) < 1e-6


@given(events(("raise_arms",)))
def test_raised_arms_are_held_in_a_pose_that_a_wave_passes(raised: Event) -> None:
    raised = replace(raised, end=raised.start + 2)
    wave = replace(raised, kind="wave", repeats=4)
    passed = 0.5 + math.asin(raised.held) / (2 * math.pi * wave.repeats)
    assert apart(at(raised, 0.5), at(wave, passed)) < 1e-6
    assert apart(at(raised, 0.4), at(raised, 0.6)) < 1e-9, "it is held"


@given(events(("step_left", "step_right", "walk")))
def test_who_steps_or_walks_goes_one_way(event: Event) -> None:
    direction = 1 if event.to > event.x else -1
    places = [direction * at(event, i / 40).x for i in range(41)]
    assert places == sorted(places)


@given(events(("jump",)), shares)
def test_the_feet_leave_the_ground_only_in_a_jump(event: Event, done: float) -> None:
    pose = at(event, done)
    assert 0 <= pose.left_foot_height == pose.right_foot_height <= 0.22
    assert max(at(event, i / 200).left_foot_height for i in range(200)) > 0.1


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"jump"}))
def test_one_foot_at_least_stays_on_the_ground(kind: str) -> None:
    to = {"step_left": -0.3, "step_right": 0.3, "walk": 0.6}.get(kind, 0.0)
    event = Event(kind, 0.0, 2.0, kind == "stand_up", 0.0, to, repeats=2)
    poses = [at(event, i / 100) for i in range(101)]
    assert all(min(pose.left_foot_height, pose.right_foot_height) < 0.02 for pose in poses)


def test_the_poses_of_other_actions_differ() -> None:
    """A jump, a kick and raised arms cannot be taken for each other, nor for sitting down, at their middle."""
    middles = [joints(at(Event(kind, 0.0, 1.0), 0.5)) for kind in ("jump", "kick", "raise_arms", "sit_down")]
    for i, one in enumerate(middles):
        for other in middles[:i]:
            assert max(math.dist(one[k][2], other[k][2]) for k in range(3, 7)) > 0.15
