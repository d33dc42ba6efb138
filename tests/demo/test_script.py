from __future__ import annotations

import math
from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.splitting import TRAIN, VALIDATE
from untrimmed.demo.figure import HEAD, joints
from untrimmed.demo.look import SEEN, UNSEEN, Wardrobe
from untrimmed.demo.motions import DISTRACTORS, LABELS
from untrimmed.demo.scene import HEIGHT, RATE, WIDTH, Script, held_out
from untrimmed.demo.script import PLACES, annotations_of, clip_plan

seeds, numbers = st.integers(0, 2**32), st.integers(0, 200)
WHOLE = 32  # clips, of which whole turns of all kinds go into both splits: 24 and 8


@given(seeds, numbers)
def test_a_script_is_a_function_of_its_seed_and_number(seed: int, number: int) -> None:
    script = clip_plan(seed, number)
    assert script == clip_plan(seed, number)
    assert script.instances != clip_plan(seed + 1, number).instances
    assert script.instances != clip_plan(seed, number + 1).instances


@given(seeds, numbers)
def test_events_follow_each_other_within_the_clip(seed: int, number: int) -> None:
    script = clip_plan(seed, number)
    assert script.duration == script.frames / RATE
    for actor in script.actors:
        assert actor.events[0].start >= 0.4
        assert actor.events[-1].end <= script.duration - 0.7
        assert actor.events[0].seated == actor.seated
        for one, other in pairwise(actor.events):
            assert other.start - one.end >= 0.5, "what lies between is no shorter than half a second"
            assert other.x == one.to
            assert other.seated == one.stays_seated
        for event in actor.events:
            assert 0.65 < event.end - event.start < 4
            assert event.kind in LABELS or event.kind in DISTRACTORS
            if event.kind == "walk":
                assert abs(event.to - event.x) >= 0.08
            elif not event.kind.startswith("step"):
                assert event.to == event.x


@given(seeds, numbers)
def test_nobody_does_what_one_cannot_do_sitting_or_standing(seed: int, number: int) -> None:
    for actor in clip_plan(seed, number).actors:
        for event in actor.events:
            if event.kind == "stand_up":
                assert event.seated
            elif event.kind not in {"wave", "raise_arms", "scratch"}:
                assert not event.seated


@given(seeds, numbers)
def test_steps_go_where_their_names_say(seed: int, number: int) -> None:
    ways = {"step_left": -1, "step_right": 1}
    for actor in clip_plan(seed, number).actors:
        for event in actor.events:
            if event.kind in ways:
                assert 0.18 < ways[event.kind] * (event.to - event.x) < 0.7


@given(seeds, numbers)
def test_the_instances_are_the_events_that_have_a_label(seed: int, number: int) -> None:
    script = clip_plan(seed, number)
    events = [e for actor in script.actors for e in actor.events if e.kind in LABELS]
    assert sorted((e.start, e.end, e.kind) for e in events) == [(i.start, i.end, i.label) for i in script.instances]
    assert len({i.label for i in script.instances}) == len(script.instances), "one of a class at most"


@given(seeds)
@settings(max_examples=20)
def test_classes_are_balanced_in_both_splits(seed: int) -> None:
    scripts = [clip_plan(seed, number) for number in range(WHOLE)]
    for subset in (TRAIN, VALIDATE):
        counts = Counter(i.label for s in scripts if s.subset == subset for i in s.instances)
        assert set(counts) == set(LABELS)
        assert len(set(counts.values())) == 1


@given(seeds)
@settings(max_examples=20)
def test_both_splits_have_clips_in_which_two_act_at_once(seed: int) -> None:
    overlaps = Counter()
    for script in (clip_plan(seed, number) for number in range(2 * WHOLE)):
        for one, other in combinations(script.instances, 2):
            overlaps[script.subset] += max(one.start, other.start) < min(one.end, other.end)
    assert overlaps[TRAIN] >= 4
    assert overlaps[VALIDATE] >= 1


@given(seeds, numbers)
def test_clips_held_out_show_no_place_and_no_wardrobe_of_the_others(seed: int, number: int) -> None:
    script = clip_plan(seed, number)
    assert script.subset == (VALIDATE if held_out(number) else TRAIN)
    assert script.place in PLACES[script.subset]
    wardrobe = UNSEEN if held_out(number) else SEEN
    for actor in script.actors:
        assert actor.look.skin in wardrobe.skins
        assert actor.look.hair in wardrobe.hairs
        assert actor.look.trousers in wardrobe.trousers
        assert actor.look.shoes in wardrobe.shoes
        assert min(math.dist(actor.look.shirt, shirt) for shirt in wardrobe.shirts) < 20
    assert len({actor.look.shirt for actor in script.actors}) == len(script.actors)


def test_the_splits_share_no_place_and_no_colour() -> None:
    assert not set(PLACES[TRAIN]) & set(PLACES[VALIDATE])
    for part in ("skins", "hairs", "shirts", "trousers", "shoes"):
        for seen in getattr(SEEN, part):
            for unseen in getattr(UNSEEN, part):
                assert math.dist(seen, unseen) > (50 if part == "shirts" else 20)


@pytest.mark.parametrize("wardrobe", [SEEN, UNSEEN])
def test_two_shirts_can_be_told_apart(wardrobe: Wardrobe) -> None:
    assert all(math.dist(*pair) > 60 for pair in combinations(wardrobe.shirts, 2))


@given(seeds, numbers)
@settings(max_examples=40)
def test_figures_stay_inside_the_picture(seed: int, number: int) -> None:
    script = clip_plan(seed, number)
    for i in range(0, script.frames, 3):
        zoom, left, top = script.camera.view(i / RATE)
        for actor in script.actors:
            bones = joints(actor.pose(i / RATE))
            ends = (bones.left_arm.end, bones.right_arm.end, bones.left_leg.end, bones.right_leg.end)
            for point, radius in ((bones.head, 1.15 * HEAD), *((end, 0.031 * actor.build) for end in ends)):
                x = (actor.place + point[0] * actor.size - left) * zoom
                y = (actor.ground - point[1] * actor.size - top) * zoom
                edge = radius * actor.size * zoom
                assert edge <= x <= WIDTH - edge
                assert edge <= y <= HEIGHT - edge


@given(seeds, numbers, st.floats(0.5, 8))
def test_a_clip_that_is_cut_off_has_the_actions_that_end_before(seed: int, number: int, seconds: float) -> None:
    whole, cut = clip_plan(seed, number), clip_plan(seed, number, seconds=seconds)
    assert cut.duration == cut.frames / RATE
    assert seconds - 1 / RATE <= cut.duration <= seconds
    assert cut.instances == tuple(i for i in whole.instances if i.end <= seconds - 0.1)
    assert all(i.end <= cut.duration for i in cut.instances)
    assert [actor.place for actor in cut.actors] == [actor.place for actor in whole.actors]


def test_a_clip_that_is_cut_off_behind_its_end_is_whole() -> None:
    assert clip_plan(0, 5, seconds=1000) == clip_plan(0, 5)


def test_annotations_say_what_the_scripts_do() -> None:
    scripts = [clip_plan(1, number) for number in range(8)]
    annotations = annotations_of(scripts)
    assert annotations.labels == LABELS
    for script in scripts:
        video = annotations[script.id]
        assert (video.duration, video.subset, video.rate) == (script.duration, script.subset, RATE)
        assert video.instances == script.instances
    other = annotations_of([clip_plan(2, number) for number in range(8)])
    assert other != annotations, "so clips of another seed can be noticed"


def test_names_are_unique() -> None:
    scripts: list[Script] = [clip_plan(0, number) for number in range(1200)]
    assert len({script.id for script in scripts}) == 1200
