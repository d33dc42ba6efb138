"""How the figure moves: the pose that each event gives at each of its times.

Of the eight actions six are pairs that share their poses and differ in motion alone: who sits down goes through the
poses of standing up in reverse, a step to the left played backwards is one to the right, and arms that wave pass
the poses in which raised arms are held still.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from untrimmed.demo.figure import SEATED, STANDING, Pose

LABELS = ("jump", "kick", "raise_arms", "sit_down", "stand_up", "step_left", "step_right", "wave")
"""The actions, in the order of their class numbers."""
DISTRACTORS = ("scratch", "walk")
"""What a figure does beside them, without a label."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a figure does.

    Attributes:
        kind: one of `LABELS` or `DISTRACTORS`.
        start: in seconds of the clip; at `start` and at `end` the figure stands or sits as it does between events.
        end: in seconds.
        seated: whether the figure sits when it begins.
        x: where the figure is when it begins, in heights of its body from its place, to the right.
        to: where it is when it ends.
        side: the arm or leg that is used, -1 on the left of the picture, 1 on the right.
        repeats: how many jumps, kicks or steps; of a wave, to and fro.
        reach: how far the arm, leg or body goes, 0 to 1.
        held: of raised arms, where they are held between the turning points of a wave, -1 to 1.
    """

    kind: str
    start: float
    end: float
    seated: bool = False
    x: float = 0.0
    to: float = 0.0
    side: int = 1
    repeats: int = 1
    reach: float = 0.5
    held: float = 0.0

    @property
    def stays_seated(self) -> bool:
        """Whether the figure sits when it ends."""
        return self.kind == "sit_down" or (self.seated and self.kind != "stand_up")


def posture(seated: bool) -> Pose:
    """Return the pose between events, but for what `fidgeted` adds."""
    return SEATED if seated else STANDING


def fidgeted(pose: Pose, seconds: float, phase: float, liveliness: float) -> Pose:
    """Return a pose with the small movements of someone who is doing nothing in particular."""

    def sway(rate: float, shift: float) -> float:
        return liveliness * math.sin(2 * math.pi * rate * seconds + phase + shift)

    return pose._replace(
        x=pose.x + 0.008 * sway(0.31, 0.0),
        height=pose.height - 0.004 * (1 + sway(0.27, 2.0)),
        lean=pose.lean + 0.025 * sway(0.23, 1.0),
        nod=pose.nod + 0.01 * sway(0.41, 3.0),
        left_arm=pose.left_arm + 0.06 * sway(0.37, 4.0),
        left_elbow=pose.left_elbow + 0.10 * sway(0.53, 5.0),
        right_arm=pose.right_arm + 0.06 * sway(0.43, 0.5),
        right_elbow=pose.right_elbow + 0.10 * sway(0.47, 1.5),
    )


def moved(before: Pose, after: Pose, event: Event, seconds: float) -> Pose:
    """Return the pose at a time of an event.

    Args:
        before: the pose that the figure would have at this time if the event had not begun ...
        after: ... and if it were over; so it does not stop fidgeting all at once.
        event: what it does.
        seconds: of the clip, from `event.start` to `event.end`.
    """
    done = min(1.0, max(0.0, (seconds - event.start) / (event.end - event.start)))
    if event.stays_seated != event.seated:
        return _change_of_posture(before, after, event, done)
    return _MOTIONS[event.kind](before, event, done)


def _eased(share: float) -> float:
    """Go from 0 to 1 and begin and end gently; symmetric in time."""
    share = min(1.0, max(0.0, share))
    return share * share * (3 - 2 * share)


def _plateau(event: Event, done: float, ramp: float = 0.4) -> float:
    """Rise from 0 to 1 within `ramp` seconds, and fall again before the end."""
    seconds = event.end - event.start
    ramp = min(ramp, seconds / 3)
    return _eased(min(done, 1 - done) * seconds / ramp)


def _with_arm(pose: Pose, side: int, arm: float, elbow: float) -> Pose:
    if side < 0:
        return pose._replace(left_arm=arm, left_elbow=elbow)
    return pose._replace(right_arm=arm, right_elbow=elbow)


def _wave(base: Pose, event: Event, done: float) -> Pose:
    return _with_arms_up(base, event, done, math.sin(2 * math.pi * event.repeats * done))


def _raise_arms(base: Pose, event: Event, done: float) -> Pose:
    """The arms are held in one of the poses that a wave passes."""
    return _with_arms_up(base, event, done, event.held)


def _with_arms_up(base: Pose, event: Event, done: float, swing: float) -> Pose:
    """Both arms above the head; with `swing` from -1 to 1, they point to one side or to the other."""
    up, swing = 2.35 + 0.25 * event.reach, swing * (0.8 + 0.2 * event.reach) * event.side
    arms = base._replace(
        left_arm=up + 0.45 * swing,
        left_elbow=0.2 + 0.55 * swing,
        right_arm=up - 0.45 * swing,
        right_elbow=0.2 - 0.55 * swing,
    )
    return base.towards(arms, _plateau(event, done))


def _change_of_posture(before: Pose, after: Pose, event: Event, done: float) -> Pose:
    """To sit down or to stand up; one is the other in reverse."""
    half_way = before.towards(after, 0.5)._replace(left_arm=0.8, right_arm=0.8, lean=0.12 * event.side)
    share = _eased(done)
    return before.towards(half_way, share).towards(half_way.towards(after, share), share)


def _steps(base: Pose, event: Event, done: float) -> Pose:
    """Sideways: one foot opens, the body follows, the other foot closes; hands on the hips."""
    length = (event.to - event.x) / event.repeats
    place, share = divmod(min(done * event.repeats, event.repeats - 1e-9), 1.0)
    opening, closing = _eased(share / 0.6), _eased((share - 0.4) / 0.6)
    body = place + _eased(share)
    first, second = place + opening, place + closing
    left, right = (first, second) if length < 0 else (second, first)
    lifts = math.sin(math.pi * min(1.0, share / 0.6)), math.sin(math.pi * max(0.0, (share - 0.4) / 0.6))
    left_lift, right_lift = lifts if length < 0 else lifts[::-1]
    hands = base._replace(left_arm=0.75, left_elbow=-1.65, right_arm=0.75, right_elbow=-1.65)
    pose = base.towards(hands, _plateau(event, done, 0.3))
    return pose._replace(
        x=base.x + length * body,
        height=pose.height - 0.035 * math.sin(math.pi * share),
        left_foot=pose.left_foot + length * (left - body),
        right_foot=pose.right_foot + length * (right - body),
        left_foot_height=0.04 * left_lift,
        right_foot_height=0.04 * right_lift,
    )


def _jump(base: Pose, event: Event, done: float) -> Pose:
    share = done * event.repeats % 1.0 if done < 1 else 1.0
    crouch = base._replace(height=base.height - 0.10, left_arm=0.5, right_arm=0.5, splay=0.6)
    if share < 0.3:
        return base.towards(crouch, _eased(share / 0.3))
    if share > 0.75:
        return crouch.towards(base, _eased((share - 0.75) / 0.25))
    flight = (share - 0.3) / 0.45
    rise = 4 * flight * (1 - flight)
    lift = (0.12 + 0.10 * event.reach) * rise
    stretched = base._replace(height=base.height, left_arm=2.5, right_arm=2.5, splay=0.2)
    pose = crouch.towards(stretched, _eased(min(1.0, 2.2 * min(flight, 1 - flight))))
    return pose._replace(height=pose.height + lift, left_foot_height=lift, right_foot_height=lift)


def _kick(base: Pose, event: Event, done: float) -> Pose:
    share = done * event.repeats % 1.0 if done < 1 else 1.0
    out = math.sin(math.pi * share) ** 2
    angle = (0.9 + 0.5 * event.reach) * out
    foot, height = 0.075 + 0.42 * math.sin(angle), 0.42 * (1 - math.cos(angle))
    arms = base._replace(left_arm=0.9, right_arm=0.9, lean=-0.16 * event.side * out)
    pose = base.towards(arms, _plateau(event, done, 0.3))
    if event.side < 0:
        return pose._replace(left_foot=-foot, left_foot_height=height)
    return pose._replace(right_foot=foot, right_foot_height=height)


def _scratch(base: Pose, event: Event, done: float) -> Pose:
    itching = 0.12 * math.sin(2 * math.pi * event.repeats * done)
    up = _with_arm(base, event.side, 2.2, 2.25 + itching)._replace(nod=base.nod + 0.012 * event.side)
    return base.towards(up, _plateau(event, done))


def _walk(base: Pose, event: Event, done: float) -> Pose:
    """In profile; the foot on the ground stays where it is."""
    seconds, way = event.end - event.start, event.to - event.x
    heading = 1 if way > 0 else -1
    turn = _plateau(event, done, 0.35)
    travelled = abs(way) * done
    length = 0.30 + 0.12 * event.reach  # from one touch of the ground by a foot to the next one by the other
    gait = _plateau(event, done, min(0.3, seconds / 4))

    def foot(shift: float) -> tuple[float, float]:
        phase = (travelled / (2 * length) + shift) % 1.0
        if phase < 0.5:  # on the ground
            return length * (0.5 - 2 * phase), 0.0
        swing = 2 * phase - 1
        return length * (_eased(swing) - 0.5), 0.07 * math.sin(math.pi * swing)

    (near, near_lift), (far, far_lift) = foot(0.25), foot(0.75)
    return base._replace(
        x=base.x + way * done,
        height=base.height + gait * (0.015 - 0.022 * (1 - math.cos(2 * math.pi * travelled / length)) / 2),
        turn=turn * heading,
        lean=base.lean + 0.06 * heading * gait,
        left_arm=base.left_arm + gait * (-1.6 * far - 0.1),
        left_elbow=base.left_elbow + gait * 0.35,
        right_arm=base.right_arm + gait * (-1.6 * near - 0.1),
        right_elbow=base.right_elbow + gait * 0.35,
        left_foot=base.left_foot + gait * (far * heading - base.left_foot),
        right_foot=base.right_foot + gait * (near * heading - base.right_foot),
        left_foot_height=gait * far_lift,
        right_foot_height=gait * near_lift,
    )


_MOTIONS: Mapping[str, Callable[[Pose, Event, float], Pose]] = {
    "jump": _jump,
    "kick": _kick,
    "raise_arms": _raise_arms,
    "scratch": _scratch,
    "step_left": _steps,
    "step_right": _steps,
    "walk": _walk,
    "wave": _wave,
}
