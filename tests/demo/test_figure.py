from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from untrimmed.demo.figure import (
    ANKLE,
    FOREARM,
    SEATED,
    SHIN,
    STANDING,
    THIGH,
    UPPER_ARM,
    Joints,
    Point,
    Pose,
    joints,
)

poses = st.builds(
    Pose,
    x=st.floats(-2, 2),
    height=st.floats(0.05, 0.8),
    lean=st.floats(-0.4, 0.4),
    turn=st.floats(-1, 1),
    nod=st.floats(-0.05, 0.05),
    left_arm=st.floats(-1, 3),
    left_elbow=st.floats(-2, 2.5),
    right_arm=st.floats(-1, 3),
    right_elbow=st.floats(-2, 2.5),
    left_foot=st.floats(-0.5, 0.5),
    left_foot_height=st.floats(0, 0.5),
    right_foot=st.floats(-0.5, 0.5),
    right_foot_height=st.floats(0, 0.5),
    splay=st.floats(0, 1),
)


def points_of(bones: Joints) -> list[Point]:
    limbs = (bones.left_arm, bones.right_arm, bones.left_leg, bones.right_leg)
    return [bones.pelvis, bones.neck, bones.head, *(point for limb in limbs for point in limb)]


@given(poses)
def test_no_limb_is_longer_than_its_bones(pose: Pose) -> None:
    bones = joints(pose)
    for arm in (bones.left_arm, bones.right_arm):
        assert math.dist(arm.root, arm.middle) <= UPPER_ARM + 1e-9
        assert math.dist(arm.middle, arm.end) <= FOREARM + 1e-9
    for leg in (bones.left_leg, bones.right_leg):
        assert math.dist(leg.root, leg.middle) <= THIGH + 1e-9
        assert math.dist(leg.middle, leg.end) <= SHIN + 1e-9


@given(poses)
def test_arms_seen_from_the_front_have_their_full_length(pose: Pose) -> None:
    bones = joints(pose._replace(turn=0.0))
    for arm in (bones.left_arm, bones.right_arm):
        assert math.isclose(math.dist(arm.root, arm.middle), UPPER_ARM)
        assert math.isclose(math.dist(arm.middle, arm.end), FOREARM)


@given(poses)
def test_a_foot_within_reach_is_where_it_is_asked_for(pose: Pose) -> None:
    bones = joints(pose)
    for leg, foot, height in (
        (bones.left_leg, pose.left_foot, pose.left_foot_height),
        (bones.right_leg, pose.right_foot, pose.right_foot_height),
    ):
        asked = (pose.x + foot, ANKLE + height)
        if math.dist(leg.root, asked) <= THIGH + SHIN:
            assert math.dist(leg.end, asked) < 1e-9
        else:  # stretched out, towards it
            assert math.isclose(math.dist(leg.root, leg.end), THIGH + SHIN)
            assert math.isclose(math.dist(leg.root, leg.end) + math.dist(leg.end, asked), math.dist(leg.root, asked))


@given(poses)
def test_left_and_right_are_built_alike(pose: Pose) -> None:
    other = Pose(
        x=-pose.x,
        height=pose.height,
        lean=-pose.lean,
        turn=-pose.turn,
        nod=-pose.nod,
        left_arm=pose.right_arm,
        left_elbow=pose.right_elbow,
        right_arm=pose.left_arm,
        right_elbow=pose.left_elbow,
        left_foot=-pose.right_foot,
        left_foot_height=pose.right_foot_height,
        right_foot=-pose.left_foot,
        right_foot_height=pose.left_foot_height,
        splay=pose.splay,
    )
    bones = joints(pose)
    swapped = Joints(*bones[:3], bones.right_arm, bones.left_arm, bones.right_leg, bones.left_leg)
    for (x, y), point in zip(points_of(swapped), points_of(joints(other)), strict=True):
        assert math.dist((-x, y), point) < 1e-9


def test_who_stands_or_sits_has_both_feet_on_the_ground() -> None:
    for pose in (STANDING, SEATED):
        bones = joints(pose)
        assert math.isclose(bones.left_leg.end[1], ANKLE)
        assert math.isclose(bones.right_leg.end[1], ANKLE)
    assert joints(SEATED).head[1] < 0.75 * joints(STANDING).head[1]
