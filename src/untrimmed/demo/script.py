"""What happens in a clip: a plan that is a pure function of a seed and the number of the clip.

Two clips that follow each other in a split share out the eight actions, in an order of their own; where two figures
are seen together, each does what the other one does not. So the classes are balanced, and no clip shows two instances
of one class at a time. Nothing else of one clip depends on another one. Every fourth clip is held out; its colours and
the kind of place it plays in are none that the other clips show.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.splitting import TRAIN, VALIDATE
from untrimmed.demo.look import Look, looks
from untrimmed.demo.motions import LABELS, Event
from untrimmed.demo.scene import HEIGHT, RATE, WIDTH, Actor, Camera, Drifter, Script, held_out

Random = np.random.Generator

PLACES = {TRAIN: ("meadow", "room", "stage", "beach", "gym"), VALIDATE: ("street", "dusk")}
"""Kinds of backdrops, none of which is in both splits."""

_REACH = 0.58  # how far a figure goes to each side of its pelvis, in heights of its body: the foot of a kick ...
_ABOVE, _BELOW = 1.30, 0.05  # ... above the ground the hands of a jump, and below it the shadow
_SLIGHTLY = 0.08  # too short a way for a walk, unless a step would be shorter than ...
_LEAST_WAY = 0.18  # ... what can be seen
_HORIZON = 0.72 * HEIGHT  # no figure stands further away


def annotations_of(scripts: Sequence[Script]) -> Annotations:
    """Return what is true of clips."""
    videos = {s.id: Video(s.id, s.duration, s.subset, float(RATE), s.instances) for s in scripts}
    return Annotations(videos, LABELS)


def clip_plan(seed: int, number: int, *, seconds: float | None = None) -> Script:
    """Write the script of a clip, from nothing but its seed and number.

    Args:
        seed: of the data set, from 0.
        number: of the clip, from 0.
        seconds: where to cut it off; actions that would go beyond are left out. `None`: when all figures are done.
    """
    unseen = held_out(number)
    of_split = number // 4 if unseen else number - number // 4
    random = np.random.default_rng([seed, number, 0])  # the backdrop's ends with 1
    camera = _camera(random)
    parts = _parts(np.random.default_rng([seed, of_split // 2, 2 + unseen]))
    if of_split % 2:
        parts.reverse()
    if of_split // 2 % 4 != 1:  # two figures in every fourth pair of clips
        parts = parts[:1]
    actors = [
        _actor(random, doing, seated, look, _lane(camera, which, len(parts)))
        for which, ((doing, seated), look) in enumerate(
            zip(parts, looks(random, len(parts), unseen=unseen), strict=True)
        )
    ]
    duration = max(actor.events[-1].end for actor in actors) + random.uniform(0.8, 1.6)
    if seconds is not None and seconds < duration:
        duration = seconds
        actors = [replace(a, events=tuple(e for e in a.events if e.end <= duration - 0.1)) for a in actors]
    return Script(
        seed=seed,
        number=number,
        duration=math.floor(duration * RATE) / RATE,
        actors=tuple(sorted(actors, key=lambda actor: actor.ground)),
        camera=camera,
        drifters=tuple(_drifter(random) for _ in range(random.integers(1, 4))),
        place=str(random.choice(PLACES[VALIDATE if unseen else TRAIN])),
        light=random.uniform(0.85, 1.1),
    )


def _camera(random: Random) -> Camera:
    return Camera(
        zoom=random.uniform(1.0, 1.05),
        zoom_change=float(random.choice([0.0, 0.04])),
        pan=(random.uniform(0, 12), random.uniform(0, 4)),
        shake=float(random.choice([0.0, 0.4, 0.8])),
        phases=(random.uniform(0, 2 * math.pi), random.uniform(0, 2 * math.pi), random.uniform(0, 2 * math.pi)),
    )


def _drifter(random: Random) -> Drifter:
    kind = random.choice(["balloon", "bird", "ball", "leaf"])
    return Drifter(
        kind=kind,
        x=random.uniform(0, WIDTH),
        y=random.uniform(0.62, 0.72) * HEIGHT if kind == "ball" else random.uniform(0.08, 0.35) * HEIGHT,
        speed=float(random.choice([-1, 1])) * random.uniform(12, 45),
        size=random.uniform(8, 16),
        hue=random.random(),
        phase=random.uniform(0, 2 * math.pi),
    )


def _parts(random: Random) -> list[tuple[list[str], bool]]:
    """Share out all actions, in an order in which they can be done, to two who sit or do not when they begin."""
    while_seated = [str(kind) for kind in random.permutation(["wave", "raise_arms"])[: random.integers(0, 3)]]
    others = sorted(set(LABELS) - {*while_seated, "sit_down", "stand_up"})
    upright = [str(kind) for kind in random.permutation(others)]
    seated = bool(random.random() < 0.3)
    if seated:
        deck = [*while_seated, "stand_up", *upright, "sit_down"]
    else:
        at = int(random.integers(0, len(upright) + 1))
        deck = [*upright[:at], "sit_down", *while_seated, "stand_up", *upright[at:]]
    half = len(deck) // 2
    return [(deck[:half], seated), (deck[half:], _seated_after(deck[:half], seated))]


def _seated_after(kinds: list[str], seated: bool) -> bool:
    """Return whether a figure that sat or stood before sits after these actions."""
    for kind in kinds:
        seated = kind == "sit_down" or (seated and kind != "stand_up")
    return seated


def _lane(camera: Camera, which: int, count: int) -> tuple[float, float, float, float]:
    """Return the part of the picture that a figure stays in: all of it, or the left or right one of two."""
    left, top, right, bottom = camera.always_shown
    wide = (right - left) * (1.0 if count == 1 else 0.7)  # two may come close, and sometimes cover a hand
    left = left if which == 0 else right - wide
    return left, top, left + wide, bottom


def _actor(
    random: Random, doing: list[str], seated: bool, look: Look, lane: tuple[float, float, float, float]
) -> Actor:
    """Make a figure that does these actions and stays in its lane with all of its limbs."""
    left, top, right, bottom = lane
    largest = min((bottom - top) / (_ABOVE + _BELOW), (right - left) / 2 / (_REACH + 0.15))
    size = largest * random.uniform(0.85, 1.0)
    room = (right - left) / 2 / size - _REACH
    shift = random.uniform(-0.25, 0.25) * room
    lowest, highest = max(top + _ABOVE * size, _HORIZON), bottom - _BELOW * size
    return Actor(
        place=(left + right) / 2 + shift * size,
        ground=random.uniform(0.6 * lowest + 0.4 * highest, highest),
        size=size,
        build=random.uniform(0.85, 1.25),
        liveliness=random.uniform(0.4, 1.6),
        phase=random.uniform(0, 2 * math.pi),
        events=tuple(_events(random, doing, seated, room - abs(shift))),
        seated=seated,
        look=look,
    )


def _events(random: Random, doing: list[str], seated: bool, room: float) -> Iterator[Event]:
    """Make the events of a figure that has so much room to both sides, in heights of its body."""
    now, x = random.uniform(0.4, 1.5), random.uniform(-0.5, 0.5) * room
    for kind in doing:
        action = _action(random, kind, room)
        first, last = max(-room, -room - action.to), min(room, room - action.to)  # where it may begin
        before = None
        shorter = action.to + min(0.0, last - x) + max(0.0, first - x)
        still_clear = not action.to or abs(shorter) > _LEAST_WAY
        if first - _SLIGHTLY <= x <= last + _SLIGHTLY and still_clear:
            if action.to:  # shorter steps will do
                action = replace(action, to=shorter)
            if random.random() < 0.3:
                before = _distractor(random, seated, random.uniform(first, last) - x)
        else:
            far, near = (first, last) if x > last else (last, first)
            before = _walk(random, far + random.uniform(0, 0.5) * (near - far) - x)
        for event in (action,) if before is None else (before, action):
            placed = replace(event, start=now, end=now + event.end, seated=seated, x=x, to=x + event.to)
            yield placed
            now, x, seated = placed.end + random.uniform(0.5, 1.6), placed.to, placed.stays_seated


def _action(random: Random, kind: str, room: float) -> Event:
    """Make an action that begins at 0 s and 0, and has so much room to both sides of the figure's place."""
    pace, repeats, to, held = random.uniform(0.8, 1.25), 1, 0.0, 0.0
    match kind:
        case "wave":
            seconds = random.uniform(1.8, 3.2)
            repeats = max(2, round(seconds * 1.5 * pace))
        case "raise_arms":
            seconds, held = random.uniform(1.8, 3.2), random.uniform(-1, 1)
        case "sit_down" | "stand_up":
            seconds = 1.3 / pace
        case "step_left" | "step_right":
            repeats = int(random.integers(2, 4))
            seconds = 0.65 * repeats / pace
            way = min(random.uniform(0.14, 0.22) * repeats, 1.8 * room)
            to = -way if kind == "step_left" else way
        case "jump" | "kick":
            repeats = int(random.integers(1, 4))
            seconds = 0.85 * repeats / pace
        case _:
            raise AssertionError(kind)
    return Event(kind, 0.0, seconds, to=to, side=_side(random), repeats=repeats, reach=random.random(), held=held)


def _walk(random: Random, way: float) -> Event:
    return Event("walk", 0.0, 0.6 + abs(way) / random.uniform(0.6, 0.95), to=way, reach=random.random())


def _distractor(random: Random, seated: bool, way: float) -> Event:
    """Make a walk that goes so far, or let the figure scratch its head where it is."""
    if not seated and abs(way) > 0.3 and random.random() < 0.6:
        return _walk(random, way)
    seconds = random.uniform(1.2, 2.2)
    repeats = max(2, round(seconds * random.uniform(2, 4)))
    return Event("scratch", 0.0, seconds, side=_side(random), repeats=repeats)


def _side(random: Random) -> int:
    return int(random.choice([-1, 1]))
