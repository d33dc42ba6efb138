"""What happens in a clip: a plan that is a pure function of a seed and the number of the clip.

Nothing of one clip depends on another one. Every figure goes once through all actions in an order of its own, so the
classes are balanced. Every fourth clip is held out; its colours and the kind of place it plays in are none that the
other clips show.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.demo.figure import Pose
from untrimmed.demo.motions import LABELS, Event, fidgeted, moved, posture

WIDTH, HEIGHT = 320, 240
"""Of the pictures, in pixels."""
RATE = 20
"""Pictures per second."""
TRAIN, VALIDATE = "train", "val"

Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Actor:
    """A figure and what it does.

    Attributes:
        place: where it stands at 0, in pixels from the left of the unmoved picture.
        ground: where its feet are, in pixels from the top.
        size: height of the body in pixels.
        build: how stout it is; 1 is usual.
        liveliness: how much it fidgets.
        phase: of its fidgeting.
        events: in their order, without overlaps.
        seated: whether it sits when the clip begins.
        look: number of its look, see `look.look`.
        unseen: whether it has the colours of the clips that are held out.
    """

    place: float
    ground: float
    size: float
    build: float
    liveliness: float
    phase: float
    events: tuple[Event, ...]
    seated: bool
    look: int
    unseen: bool

    def pose(self, seconds: float) -> Pose:
        """Return how it stands at a time of the clip."""
        seated, x = self.seated, self.events[0].x if self.events else 0.0
        for event in self.events:
            if seconds < event.start:
                break
            if seconds < event.end:
                return moved(self._idle(event.seated, event.x, seconds), event, seconds)
            seated, x = event.stays_seated, event.to
        return self._idle(seated, x, seconds)

    def _idle(self, seated: bool, x: float, seconds: float) -> Pose:
        pose = posture(seated)._replace(x=x)
        return fidgeted(pose, seconds, self.phase, self.liveliness * (0.5 if seated else 1.0))


@dataclass(frozen=True, slots=True)
class Camera:
    """How the picture is framed: a slow pan and zoom, and the shaking of a hand.

    Attributes:
        zoom: mean magnification.
        zoom_change: how far the zoom goes to and fro.
        pan: how far the picture goes to and fro, in pixels, across and down.
        shake: in pixels.
        phases: of these movements.
    """

    zoom: float
    zoom_change: float
    pan: tuple[float, float]
    shake: float
    phases: tuple[float, float, float]

    def view(self, seconds: float) -> tuple[float, float, float]:
        """Return magnification, and the world's point in the middle of the picture, in pixels."""
        a, b, c = self.phases
        zoom = self.zoom * (1 + self.zoom_change * math.sin(0.38 * seconds + a))
        x = self.pan[0] * math.sin(0.45 * seconds + b) + self.shake * _tremble(seconds, a)
        y = self.pan[1] * math.sin(0.33 * seconds + c) + self.shake * _tremble(seconds, b)
        return zoom, WIDTH / 2 + x, HEIGHT / 2 + y


def _tremble(seconds: float, phase: float) -> float:
    return 0.6 * math.sin(9.1 * seconds + phase) + 0.4 * math.sin(23.3 * seconds + 2.7 * phase)


@dataclass(frozen=True, slots=True)
class Drifter:
    """Something that moves in the background.

    Attributes:
        kind: what it is.
        x: where it is at 0 s, in pixels.
        y: its height in the picture, in pixels from the top.
        speed: in pixels per second, to the right.
        size: in pixels.
        hue: of its colour, 0 to 1.
        phase: of its movement up and down.
    """

    kind: Literal["balloon", "bird", "ball", "leaf"]
    x: float
    y: float
    speed: float
    size: float
    hue: float
    phase: float


@dataclass(frozen=True)
class Script:
    """All that a clip shows, from which `drawing.draw` makes its picture at any time."""

    seed: int
    number: int
    duration: float
    actors: tuple[Actor, ...]
    camera: Camera
    drifters: tuple[Drifter, ...]
    place: str
    light: float

    @property
    def id(self) -> str:
        """Name of the clip."""
        return f"clip{self.number:03d}"

    @property
    def subset(self) -> str:
        """`TRAIN` or `VALIDATE`."""
        return VALIDATE if held_out(self.number) else TRAIN

    @property
    def frames(self) -> int:
        """How many pictures it has."""
        return round(self.duration * RATE)

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """The actions of all figures, by their start."""
        events = (event for actor in self.actors for event in actor.events if event.kind in LABELS)
        return tuple(sorted((Instance(e.start, e.end, e.kind) for e in events), key=lambda i: (i.start, i.end)))


def held_out(number: int) -> bool:
    """Whether a clip is for validation: every fourth is."""
    return number % 4 == 3


def annotations_of(scripts: list[Script]) -> Annotations:
    """Return what is true of clips."""
    videos = {s.id: Video(s.id, s.duration, s.subset, float(RATE), s.instances) for s in scripts}
    return Annotations(videos, LABELS)


PLACES = {TRAIN: ("meadow", "room", "stage", "beach"), VALIDATE: ("street", "gym", "dusk")}
"""Kinds of backdrops, none of which is in both splits."""


def clip_plan(seed: int, number: int, *, seconds: float | None = None) -> Script:
    """Write the script of a clip, from nothing but its seed and number.

    Args:
        seed: of the data set.
        number: of the clip, from 0.
        seconds: where to cut it off; actions that would go beyond are left out. `None`: when all figures are done.
    """
    unseen = held_out(number)
    of_split = number // 4 if unseen else number - number // 4
    shared = np.random.default_rng([seed, int(unseen), of_split // 2])  # by two clips, which share out the actions
    deck, seated = _deck(shared)
    half = len(deck) // 2
    halves = [(deck[:half], seated), (deck[half:], _seated_after(deck[:half], seated))]
    pair = of_split // 2 % 4 == 1
    random = np.random.default_rng([seed, number, 0])
    actors: list[Actor] = []
    for which in range(2 if pair else 1):
        doing, sits = halves[(of_split + which) % 2]
        actors.append(_actor(random, doing, sits, which if pair else None, actors, unseen))
    last = max(actor.events[-1].end for actor in actors)
    duration = math.ceil((last + random.uniform(0.8, 1.6)) * RATE) / RATE
    if seconds is not None and seconds < duration:
        duration = seconds
        actors = [replace(a, events=tuple(e for e in a.events if e.end <= duration - 0.1)) for a in actors]
    camera = Camera(
        zoom=random.uniform(1.0, 1.08),
        zoom_change=random.choice([0.0, 0.05]),
        pan=(random.uniform(0, 16), random.uniform(0, 5)),
        shake=random.choice([0.0, 0.4, 0.8]),
        phases=tuple(random.uniform(0, 2 * math.pi, 3).tolist()),
    )
    places = PLACES[VALIDATE if held_out(number) else TRAIN]
    return Script(
        seed=seed,
        number=number,
        duration=duration,
        actors=tuple(sorted(actors, key=lambda actor: actor.ground)),
        camera=camera,
        drifters=tuple(_drifter(random) for _ in range(random.integers(1, 4))),
        place=str(random.choice(places)),
        light=random.uniform(0.85, 1.1),
    )


def _drifter(random: Random) -> Drifter:
    kind = random.choice(["balloon", "bird", "ball", "leaf"])
    return Drifter(
        kind=kind,
        x=random.uniform(0, WIDTH),
        y=random.uniform(0.62, 0.72) * HEIGHT if kind == "ball" else random.uniform(0.08, 0.35) * HEIGHT,
        speed=random.choice([-1, 1]) * random.uniform(12, 45),
        size=random.uniform(8, 16),
        hue=random.random(),
        phase=random.uniform(0, 2 * math.pi),
    )


def _actor(
    random: Random, doing: list[str], seated: bool, which: int | None, others: list[Actor], unseen: bool
) -> Actor:
    """Make a figure that does these actions: alone, or the left (0) or right (1) one of two."""
    size = random.uniform(130, 180) if which is None else random.uniform(120, 150)
    place = WIDTH * (random.uniform(0.45, 0.55) if which is None else random.uniform(0.25, 0.29) + 0.46 * which)
    room = WIDTH * (0.26 if which is None else 0.14) / size
    taken = [event for other in others for event in other.events]
    events = tuple(_events(random, doing, seated, room, taken))
    return Actor(
        place=place,
        ground=HEIGHT * 0.62 + 0.42 * size * random.uniform(0.9, 1.05) + 6,
        size=size,
        build=random.uniform(0.85, 1.25),
        liveliness=random.uniform(0.4, 1.6),
        phase=random.uniform(0, 2 * math.pi),
        events=events,
        seated=seated,
        look=int(random.integers(0, 250)) * 4 + int(random.integers(0, 2)) + 2 * (which or 0),
        unseen=unseen,
    )


def _deck(random: Random) -> tuple[list[str], bool]:
    """Return all actions in an order in which they can be done, and whether the figure sits at first."""
    seated = [str(kind) for kind in random.permutation(["wave", "raise_arm"])[: random.integers(0, 3)]]
    upright = [
        str(kind) for kind in random.permutation([k for k in LABELS if k not in (*seated, "sit_down", "stand_up")])
    ]
    if random.random() < 0.3:
        return [*seated, "stand_up", *upright, "sit_down"], True
    at = int(random.integers(0, len(upright) + 1))
    return [*upright[:at], "sit_down", *seated, "stand_up", *upright[at:]], False


def _seated_after(kinds: list[str], seated: bool) -> bool:
    """Return whether a figure that sat or stood before sits after these actions."""
    for kind in kinds:
        seated = kind == "sit_down" or (seated and kind != "stand_up")
    return seated


def _events(random: Random, doing: list[str], seated: bool, room: float, taken: list[Event]) -> Iterator[Event]:
    """Make the events of a figure that has so much room to both sides, in heights of its body.

    No action begins or ends while another figure does the same: two of a class at one time could not be told apart.
    """
    now, x = random.uniform(0.4, 1.5), random.uniform(-0.5, 0.5) * room
    for kind in doing:
        draft = _action(random, kind, now, x, seated)
        if abs(draft.to) > room:  # no room for the steps: walk to the other side before
            yield (walk := _walk(random, now, x, -math.copysign(random.uniform(0.4, 0.9) * room, draft.to)))
            now, x = walk.end + random.uniform(0.5, 1.2), walk.to
        elif random.random() < 0.3:
            distractor = _distractor(random, now, x, seated, room)
            yield distractor
            now, x = distractor.end + random.uniform(0.5, 1.2), distractor.to
        event = _action(random, kind, now, x, seated)
        for other in sorted(taken, key=lambda each: each.start):
            if other.kind == kind and other.start < event.end + 0.5 and event.start < other.end + 0.5:
                shift = other.end + 0.5 - event.start
                event = replace(event, start=event.start + shift, end=event.end + shift)
        yield event
        now, x, seated = event.end + random.uniform(0.5, 1.7), event.to, event.stays_seated


def _action(random: Random, kind: str, start: float, x: float, seated: bool) -> Event:
    """Make an action that begins at a time and a place."""
    side, reach, pace = int(random.choice([-1, 1])), random.random(), random.uniform(0.8, 1.25)
    repeats, to = 1, x
    match kind:
        case "wave":
            seconds = random.uniform(1.5, 3.0)
            repeats = max(2, round(seconds * 1.9 * pace))
        case "raise_arm":
            seconds = random.uniform(1.5, 3.0)
            repeats = int(random.integers(0, 5))
        case "sit_down" | "stand_up":
            seconds = 1.3 / pace
        case "step_left" | "step_right":
            repeats = int(random.integers(2, 4))
            seconds = 0.65 * repeats / pace
            to = x + random.uniform(0.14, 0.22) * repeats * (-1 if kind == "step_left" else 1)
        case "jump":
            repeats = int(random.integers(1, 4))
            seconds = 0.85 * repeats / pace
        case "kick":
            repeats = int(random.integers(1, 4))
            seconds = 0.85 * repeats / pace
        case _:
            raise AssertionError(kind)
    return Event(kind, start, start + seconds, seated, x, to, side, repeats, reach)


def _walk(random: Random, start: float, x: float, to: float) -> Event:
    seconds = 0.5 + abs(to - x) / random.uniform(0.6, 0.95)
    return Event("walk", start, start + seconds, False, x, to, 1, 1, random.random())


def _distractor(random: Random, start: float, x: float, seated: bool, room: float) -> Event:
    to = random.uniform(-0.9, 0.9) * room
    if not seated and abs(to - x) > 0.45 and random.random() < 0.6:
        return _walk(random, start, x, to)
    seconds = random.uniform(1.2, 2.2)
    repeats = max(2, round(seconds * random.uniform(2, 4)))
    return Event("scratch", start, start + seconds, seated, x, x, int(random.choice([-1, 1])), repeats, 0.5)
