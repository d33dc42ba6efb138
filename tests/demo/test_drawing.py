from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.demo.drawing import draw
from untrimmed.demo.scene import HEIGHT, RATE, WIDTH, Camera, Drifter, Script
from untrimmed.demo.script import PLACES, clip_plan

scripts = st.builds(clip_plan, st.integers(0, 1000), st.integers(0, 100))
few = settings(max_examples=15)
STILL = Camera(1.0, 0.0, (0.0, 0.0), 0.0, (0.0, 0.0, 0.0))
MOVING = Camera(1.0, 0.04, (12.0, 4.0), 0.8, (4.0, 1.0, 2.0))


def figures_of(script: Script, seconds: float) -> np.ndarray:
    """Where a picture shows a figure or its shadow, `[240, 320]`."""
    return (draw(script, seconds) != draw(replace(script, actors=()), seconds)).any(axis=2)


@few
@given(scripts, st.floats(0, 10))
def test_a_picture_is_a_function_of_script_and_time(script: Script, seconds: float) -> None:
    picture = draw(script, seconds)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8
    draw(clip_plan(0, 0), 1.0)
    draw(script, seconds + 1)
    draw(clip_plan(0, 1), 1.0)
    np.testing.assert_array_equal(draw(replace(script), seconds), picture)


def test_another_process_draws_the_same() -> None:
    moments = [(number, seconds) for number in (2, 3, 5) for seconds in (0.0, 4.7)]
    code = (
        "import hashlib\n"
        "from untrimmed.demo.drawing import draw\n"
        "from untrimmed.demo.script import clip_plan\n"
        f"for number, seconds in {moments}:\n"
        "    print(hashlib.sha256(draw(clip_plan(7, number), seconds)).hexdigest())\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )
    ours = [hashlib.sha256(draw(clip_plan(7, number), seconds)).hexdigest() for number, seconds in moments]
    assert told.stdout.split() == ours
    assert len(set(ours)) == len(ours)


@few
@given(scripts)
def test_no_figure_is_cut_off_by_the_frame(script: Script) -> None:
    for actor in script.actors:
        for event in actor.events:
            for done in (0.35, 0.5, 0.7):
                shown = figures_of(script, event.start + done * (event.end - event.start))
                assert not shown[0].any()
                assert not shown[:, 0].any()
                assert not shown[:, -1].any()
                assert not shown[-1].any()


@few
@given(scripts, st.floats(0, 10))
def test_figures_are_as_high_as_they_are_said_to_be(script: Script, seconds: float) -> None:
    for actor in script.actors:
        rows = figures_of(replace(script, actors=(actor,), camera=STILL), seconds).any(axis=1).nonzero()[0]
        assert rows.min() >= actor.ground - 1.3 * actor.size - 1
        assert rows.max() <= actor.ground + 0.06 * actor.size + 1
        assert rows.max() - rows.min() > 0.4 * actor.size, "even seated"
        idle = replace(actor, events=(), seated=False, liveliness=0.0)
        rows = figures_of(replace(script, actors=(idle,), camera=STILL), seconds).any(axis=1).nonzero()[0]
        assert math.isclose(rows.max() - rows.min(), 1.03 * actor.size, rel_tol=0.04)


@few
@given(scripts, st.floats(0, 10))
def test_a_figure_is_of_one_piece(script: Script, seconds: float) -> None:
    """But for who is in the air above a shadow, every row between the head and the ground shows some of it."""
    for actor in script.actors:
        jumps = [e for e in actor.events if e.kind == "jump" and e.start <= seconds <= e.end]
        rows = figures_of(replace(script, actors=(actor,)), seconds).any(axis=1).nonzero()[0]
        if not jumps:
            assert rows.max() - rows.min() + 1 == len(rows)


@few
@given(scripts)
def test_actions_are_to_be_seen(script: Script) -> None:
    script = replace(script, camera=STILL, drifters=())
    for actor in script.actors:
        alone = replace(script, actors=(actor,))
        for event in actor.events:
            middle = (event.start + event.end) / 2
            before, during = figures_of(alone, event.start - 0.1), figures_of(alone, middle)
            assert (before != during).sum() > 0.003 * actor.size**2


def test_who_is_nearer_covers_who_is_further_away() -> None:
    script = replace(clip_plan(0, 0), camera=STILL, drifters=(), actors=())
    far, near = (replace(clip_plan(0, n).actors[0], place=160.0, ground=g, size=130.0) for n, g in ((0, 205), (3, 215)))
    both, only_near = (draw(replace(script, actors=actors), 0.0) for actors in ((far, near), (near,)))
    where = figures_of(replace(script, actors=(near,)), 0.0)
    same = (both == only_near).all(axis=2)
    assert same[where].mean() > 0.9, "all but its edges and its shadow"


@pytest.mark.parametrize("place", [place for places in PLACES.values() for place in places])
def test_every_place_fills_the_picture_whatever_the_camera_does(place: str) -> None:
    script = replace(clip_plan(0, 0), place=place, camera=MOVING, drifters=(), actors=(), light=1.0)
    pictures = [draw(script, seconds) for seconds in (0.0, 5.0, 10.0, 15.0)]
    assert all(picture.std() > 8 for picture in pictures)
    for picture in pictures:  # beyond the backdrop's edges there would be black
        edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
        assert edges.max(axis=1).min() > 10
    assert not (pictures[0] == pictures[1]).all(), "the camera moves"


@pytest.mark.parametrize("kind", ["balloon", "bird", "ball", "leaf"])
@pytest.mark.parametrize("direction", [-1, 1])
def test_what_drifts_by_comes_and_goes_out_of_sight(kind: str, direction: int) -> None:
    speed = 45.0 * direction
    base = replace(clip_plan(0, 1), camera=replace(MOVING, phases=(4.712, math.pi / 2 * direction, 0.0)), actors=())
    height = 160.0 if kind == "ball" else 60.0
    drifter = Drifter(kind, WIDTH / 2, height, speed, 16.0, 0.1, 0.0)
    script, empty = replace(base, drifters=(drifter,)), replace(base, drifters=())
    seen = [bool((draw(script, i / 10) != draw(empty, i / 10)).any()) for i in range(120)]
    assert seen[0]
    assert seen.count(False) > 1
    changes = [i for i in range(1, len(seen)) if seen[i] != seen[i - 1]]
    assert len(changes) == 2, "it leaves, and comes back on the other side"
    for i in changes:  # little of it at a time
        for seconds in (i / 10, (i - 1) / 10):
            assert (draw(script, seconds) != draw(empty, seconds)).any(axis=2).sum() < 250


def test_the_time_between_two_pictures_is_short_enough_to_see_where_a_step_goes() -> None:
    """No figure moves further between two pictures than a fifth of its width, so directions can be seen."""
    for number in range(8):
        for actor in clip_plan(0, number).actors:
            for event in actor.events:
                if event.kind.startswith("step"):
                    xs = [actor.pose(event.start + i / RATE).x for i in range(int((event.end - event.start) * RATE))]
                    assert max(abs(b - a) for a, b in pairwise(xs)) < 0.05
