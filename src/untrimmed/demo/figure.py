"""A figure of a person: what a pose is, and where it puts the joints.

All lengths are in heights of the body. `x` goes to the right of the picture and `y` up from the ground; the left arm is
the one on the left of the picture.
"""

from __future__ import annotations

import math
from typing import NamedTuple

Point = tuple[float, float]

THIGH = SHIN = 0.235
UPPER_ARM, FOREARM = 0.17, 0.155
TORSO = 0.30
HEAD = 0.088
"""Radius of the head."""
ANKLE = 0.035
"""Height of the ankle of a foot on the ground."""
SHOULDERS, HIPS = 0.105, 0.058
"""Half of their widths, seen from the front."""


class Pose(NamedTuple):
    """How a figure stands at one time; angles are in radians.

    Attributes:
        x: of the pelvis, from the figure's place.
        height: of the pelvis above the ground.
        lean: of the trunk, positive to the right.
        turn: 0 faces the viewer, 1 is a profile that looks to the right, -1 one to the left.
        nod: how far the head is out of line, to the right.
        left_arm: angle of the upper arm: 0 hangs down, pi/2 points outwards (in profile forwards), pi up.
        left_elbow: angle of the forearm against the upper arm, positive goes on outwards (in profile forwards).
        left_foot: where the left ankle is, from below the pelvis, ...
        left_foot_height: ... and how high above that of a standing foot.
        splay: how much of a leg's bending shows as a knee that points outwards, 0 to 1.
    """

    x: float = 0.0
    height: float = 0.485
    lean: float = 0.0
    turn: float = 0.0
    nod: float = 0.0
    left_arm: float = 0.12
    left_elbow: float = 0.05
    right_arm: float = 0.12
    right_elbow: float = 0.05
    left_foot: float = -0.075
    left_foot_height: float = 0.0
    right_foot: float = 0.075
    right_foot_height: float = 0.0
    splay: float = 0.1

    def towards(self, other: Pose, share: float) -> Pose:
        """Return the pose that lies this share of the way to another one."""
        return Pose(*(a + share * (b - a) for a, b in zip(self, other, strict=True)))


class Limb(NamedTuple):
    """An arm (shoulder, elbow, hand) or a leg (hip, knee, ankle)."""

    root: Point
    middle: Point
    end: Point


class Joints(NamedTuple):
    """Where the joints of a figure are, from the ground below its place."""

    pelvis: Point
    neck: Point
    head: Point
    left_arm: Limb
    right_arm: Limb
    left_leg: Limb
    right_leg: Limb


STANDING = Pose()
SEATED = Pose(
    height=0.11,
    left_arm=0.45,
    left_elbow=-0.55,
    right_arm=0.45,
    right_elbow=-0.55,
    left_foot=-0.03,
    right_foot=0.03,
    splay=1.0,
)
"""On the ground with crossed legs."""


def joints(pose: Pose) -> Joints:
    """Return where a pose puts the joints."""
    pelvis = (pose.x, pose.height)
    up = (math.sin(pose.lean), math.cos(pose.lean))
    across = (up[1], -up[0])
    front = 1 - abs(pose.turn)
    neck = _along(pelvis, up, TORSO)
    head = _along(neck, up, HEAD + 0.045)
    head = (head[0] + pose.nod + 0.02 * pose.turn, head[1])
    shoulder = SHOULDERS * (0.25 + 0.75 * front)
    hip = HIPS * (0.2 + 0.8 * front)
    chest = _along(neck, up, -0.035)
    return Joints(
        pelvis,
        neck,
        head,
        _arm(_along(chest, across, -shoulder), pose.left_arm, pose.left_elbow, -front + pose.turn),
        _arm(_along(chest, across, shoulder), pose.right_arm, pose.right_elbow, front + pose.turn),
        _leg(pose, (pelvis[0] - hip, pelvis[1]), pose.left_foot, pose.left_foot_height, -1),
        _leg(pose, (pelvis[0] + hip, pelvis[1]), pose.right_foot, pose.right_foot_height, 1),
    )


def _along(point: Point, direction: Point, length: float) -> Point:
    return point[0] + direction[0] * length, point[1] + direction[1] * length


def _arm(shoulder: Point, angle: float, bend: float, outwards: float) -> Limb:
    """Return an arm; `outwards` is 1 or -1, the side that positive angles go to, or between them while it turns."""
    elbow = _along(shoulder, (math.sin(angle) * outwards, -math.cos(angle)), UPPER_ARM)
    return Limb(shoulder, elbow, _along(elbow, (math.sin(angle + bend) * outwards, -math.cos(angle + bend)), FOREARM))


def _leg(pose: Pose, hip: Point, foot: float, foot_height: float, side: int) -> Limb:
    """Return a leg between hip and ankle, whose knee bends outwards, or in profile forwards.

    Seen from the front, a knee that bends towards the viewer stays on the line: thigh and shin only look shorter.
    """
    ankle = (pose.x + foot, ANKLE + foot_height)
    down = (ankle[0] - hip[0], ankle[1] - hip[1])
    distance = max(math.hypot(*down), 1e-6)
    if distance > THIGH + SHIN:  # out of reach: the foot comes along
        down = (down[0] * (THIGH + SHIN) / distance, down[1] * (THIGH + SHIN) / distance)
        ankle, distance = (hip[0] + down[0], hip[1] + down[1]), THIGH + SHIN
    bend = math.sqrt(max(0.0, THIGH**2 - (distance / 2) ** 2))
    across = (-down[1] / distance, down[0] / distance)  # to the right of a leg that hangs down
    shown = bend * (side * pose.splay * (1 - abs(pose.turn)) + pose.turn)
    knee = (hip[0] + down[0] / 2 + across[0] * shown, hip[1] + down[1] / 2 + across[1] * shown)
    return Limb(hip, knee, ankle)
