"""What a clip shows: figures and what they do, the camera, the place, and what moves in the background."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from untrimmed.data.annotations import Instance
from untrimmed.data.splitting import TRAIN, VALIDATE
from untrimmed.demo.figure import Pose
from untrimmed.demo.look import Look
from untrimmed.demo.motions import LABELS, Event, fidgeted, moved, posture

WIDTH, HEIGHT = 320, 240
"""Of the pictures, in pixels."""
RATE = 20
"""Pictures per second."""


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
        events: in their order, without overlaps, each from where the one before ended.
        seated: whether it sits when the clip begins.
        look: its colours.
    """

    place: float
    ground: float
    size: float
    build: float
    liveliness: float
    phase: float
    events: tuple[Event, ...]
    seated: bool
    look: Look

    def pose(self, seconds: float) -> Pose:
        """Return how it stands at a time of the clip."""
        seated, x = self.seated, self.events[0].x if self.events else 0.0
        for event in self.events:
            if seconds < event.start:
                break
            before = self._idle(event.seated, event.x, seconds)
            after = self._idle(event.stays_seated, event.to, seconds)
            if seconds < event.end:
                return moved(before, after, event, seconds)
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
        zoom_change: how far the zoom goes to and fro, as a share of it.
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
        """Return magnification, and the world's point at the left and top of the picture, in pixels."""
        a, b, c = self.phases
        zoom = self.zoom * (1 + self.zoom_change * math.sin(0.38 * seconds + a))
        x = self.pan[0] * math.sin(0.45 * seconds + b) + self.shake * _tremble(seconds, a)
        y = self.pan[1] * math.sin(0.33 * seconds + c) + self.shake * _tremble(seconds, b)
        return zoom, WIDTH / 2 * (1 - 1 / zoom) + x, HEIGHT / 2 * (1 - 1 / zoom) + y

    @property
    def always_shown(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the part of the world that is in the picture at all times, in pixels."""
        away = 1 - 1 / (self.zoom * (1 + self.zoom_change))
        left = WIDTH / 2 * away + self.pan[0] + self.shake
        top = HEIGHT / 2 * away + self.pan[1] + self.shake
        return left, top, WIDTH - left, HEIGHT - top


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
    """All that a clip shows, from which `drawing.draw` makes its picture at any time.

    Attributes:
        seed: of the data set.
        number: of the clip.
        duration: in seconds, a whole number of pictures.
        actors: the one furthest away first.
        camera: how they are framed.
        drifters: what moves behind them.
        place: the kind of backdrop.
        light: its brightness; 1 is usual.
    """

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
