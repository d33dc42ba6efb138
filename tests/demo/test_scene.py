from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.demo.scene import HEIGHT, WIDTH, Camera, Script
from untrimmed.demo.script import clip_plan

angles = st.floats(0, 2 * math.pi)
scripts = st.builds(clip_plan, st.integers(0, 10_000), st.integers(0, 200))
cameras = st.builds(
    Camera,
    zoom=st.floats(0.9, 1.3),
    zoom_change=st.floats(0, 0.1),
    pan=st.tuples(st.floats(0, 20), st.floats(0, 10)),
    shake=st.floats(0, 2),
    phases=st.tuples(angles, angles, angles),
)


@given(cameras, st.floats(0, 1000))
def test_what_is_always_shown_is(camera: Camera, seconds: float) -> None:
    zoom, left, top = camera.view(seconds)
    shown = camera.always_shown
    assert left <= shown[0] + 1e-9
    assert top <= shown[1] + 1e-9
    assert left + WIDTH / zoom >= shown[2] - 1e-9
    assert top + HEIGHT / zoom >= shown[3] - 1e-9


def test_a_camera_that_does_not_move_shows_everything() -> None:
    still = Camera(1.0, 0.0, (0.0, 0.0), 0.0, (0.0, 0.0, 0.0))
    assert still.view(7.0) == (1.0, 0.0, 0.0)
    assert still.always_shown == (0.0, 0.0, WIDTH, HEIGHT)


@settings(max_examples=20)
@given(scripts)
def test_a_figure_never_moves_in_jerks(script: Script) -> None:
    """Neither where an event begins or ends: nobody would see more than fidgeting there but for the action."""
    for actor in script.actors:
        borders = [border for event in actor.events for border in (event.start, event.end)]
        for seconds in (*borders, *(i / 3 for i in range(int(3 * script.duration)))):
            one, other = actor.pose(seconds - 0.0005), actor.pose(seconds + 0.0005)
            assert all(abs(a - b) < 0.03 for a, b in zip(one, other, strict=True))


@settings(max_examples=20)
@given(scripts)
def test_a_figure_departs_from_idling_exactly_in_its_events(script: Script) -> None:
    for actor in script.actors:
        idle = actor.pose(0.0)
        for event in actor.events:
            before, after = actor.pose(event.start - 0.3), actor.pose(event.end + 0.3)
            for pose, other in ((before, idle), (after, actor.pose(event.end + 0.01))):
                assert max(abs(a - b) for a, b in zip(pose, other, strict=True)) < 0.7 * actor.liveliness
            idle = after
            while_idle = 0.03 * actor.liveliness  # how far fidgeting goes in a fifth of a second, or less
            for border, sign in ((event.start, 1), (event.end, -1)):
                still, moving = actor.pose(border), actor.pose(border + sign * 0.3)
                assert max(abs(a - b) for a, b in zip(still, moving, strict=True)) > while_idle
