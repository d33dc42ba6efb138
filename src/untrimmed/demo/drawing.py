"""Making pictures of a script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from untrimmed.demo.backdrop import MARGIN, backdrop
from untrimmed.demo.colours import Colour, hsv, shaded
from untrimmed.demo.figure import HEAD, Joints, Limb, Point, Pose, joints
from untrimmed.demo.look import Look
from untrimmed.demo.scene import HEIGHT, WIDTH, Actor, Drifter, Script
from untrimmed.video.view import Picture

_DETAIL = 3
"""What moves is drawn so many times larger and shrunk, for smooth edges and movements of less than a pixel."""


def draw(script: Script, seconds: float) -> Picture:
    """Draw what a script shows at a time, `[240, 320, 3]`."""
    zoom, left, top = script.camera.view(seconds)
    box = (left + MARGIN, top + MARGIN, left + WIDTH / zoom + MARGIN, top + HEIGHT / zoom + MARGIN)
    picture = _painted(script).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box)
    for drifter in script.drifters:
        _draw_drifter(picture, drifter, seconds, zoom, (left, top))
    for actor in script.actors:
        _draw_actor(picture, actor, seconds, zoom, (left, top))
    return np.asarray(picture)


@lru_cache(maxsize=2)
def _painted(script: Script) -> Image.Image:
    return backdrop(script)


class _Patch:
    """A part of a picture, magnified to draw on with points in pixels of the picture, and put back."""

    def __init__(self, picture: Image.Image, box: tuple[float, float, float, float]) -> None:
        left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
        right, bottom = min(picture.width, math.ceil(box[2])), min(picture.height, math.ceil(box[3]))
        self.corner = left, top
        self.empty = right <= left or bottom <= top
        if self.empty:
            return
        self.picture = picture
        size = (right - left) * _DETAIL, (bottom - top) * _DETAIL
        self.image = picture.crop((left, top, right, bottom)).resize(size, Image.Resampling.NEAREST)
        self.pen = ImageDraw.Draw(self.image, "RGBA")

    def put_back(self) -> None:
        """Shrink the part and put it where it came from."""
        self.picture.paste(self.image.reduce(_DETAIL), self.corner)

    def at(self, point: Point) -> Point:
        """Return a point of the picture in pixels of the part."""
        return (point[0] - self.corner[0]) * _DETAIL, (point[1] - self.corner[1]) * _DETAIL

    def disc(self, centre: Point, radius: float, colour: tuple[int, ...], squeeze: float = 1.0) -> None:
        """Draw a disc, or an ellipse that is `squeeze` times as high as wide."""
        x, y = self.at(centre)
        across, down = radius * _DETAIL, radius * squeeze * _DETAIL
        self.pen.ellipse((x - across, y - down, x + across, y + down), colour)

    def polygon(self, points: Sequence[Point], colour: tuple[int, ...]) -> None:
        """Fill a polygon."""
        self.pen.polygon([self.at(point) for point in points], colour)

    def limb(self, a: Point, b: Point, radius_a: float, radius_b: float, colour: Colour) -> None:
        """Draw a rounded bar from `a` to `b`."""
        length = math.hypot(b[0] - a[0], b[1] - a[1])
        if length > 1e-6:
            nx, ny = (a[1] - b[1]) / length, (b[0] - a[0]) / length
            self.polygon(
                [
                    (a[0] + nx * radius_a, a[1] + ny * radius_a),
                    (b[0] + nx * radius_b, b[1] + ny * radius_b),
                    (b[0] - nx * radius_b, b[1] - ny * radius_b),
                    (a[0] - nx * radius_a, a[1] - ny * radius_a),
                ],
                colour,
            )
        self.disc(a, radius_a, colour)
        self.disc(b, radius_b, colour)

    def cap(self, centre: Point, radius: float, colour: Colour, tilt: float) -> None:
        """Fill the upper part of a circle, tilted to the left by so many degrees."""
        x, y = self.at(centre)
        reach = radius * _DETAIL
        self.pen.chord((x - reach, y - reach, x + reach, y + reach), 192 - tilt, 348 - tilt, colour)

    def smile(self, centre: Point, radius: float, colour: Colour) -> None:
        """Draw the lower part of a circle."""
        x, y = self.at(centre)
        reach = radius * _DETAIL
        self.pen.arc((x - reach, y - reach, x + reach, y + reach), 25, 155, colour, width=_DETAIL)


def _draw_drifter(picture: Image.Image, drifter: Drifter, seconds: float, zoom: float, corner: Point) -> None:
    x = (drifter.x + drifter.speed * seconds + MARGIN) % (WIDTH + 2 * MARGIN) - MARGIN  # comes back out of sight
    y = drifter.y + 4 * math.sin(1.3 * seconds + drifter.phase)
    if drifter.kind == "ball":
        y = drifter.y - 2 * drifter.size * abs(math.sin(2.6 * seconds + drifter.phase))
    x, y, size = (x - corner[0]) * zoom, (y - corner[1]) * zoom, drifter.size * zoom
    patch = _Patch(picture, (x - 1.5 * size, y - 1.5 * size, x + 1.5 * size, y + 3 * size))
    if patch.empty:
        return
    colour = hsv(drifter.hue, 0.6, 0.85)
    match drifter.kind:
        case "balloon":
            patch.limb((x, y + size), (x + 0.2 * size, y + 2.6 * size), 0.5, 0.5, (120, 120, 120))
            patch.disc((x, y), 0.8 * size, colour, 1.2)
            patch.disc((x - 0.25 * size, y - 0.35 * size), 0.16 * size, (255, 255, 255, 150), 1.4)
        case "bird":
            flap = 0.5 * size * math.sin(9 * seconds + drifter.phase)
            for side in (-1, 1):
                patch.limb((x, y), (x + side * size, y - flap), 0.14 * size, 0.06 * size, (70, 74, 84))
        case "ball":
            angle = drifter.speed * seconds / (0.7 * drifter.size)
            patch.disc((x, (drifter.y - corner[1]) * zoom + 0.7 * size), 0.6 * size, (0, 0, 0, 60), 0.25)
            patch.disc((x, y), 0.7 * size, colour)
            for turn in (0.0, math.pi):
                spot = x + 0.4 * size * math.cos(angle + turn), y + 0.4 * size * math.sin(angle + turn)
                patch.disc(spot, 0.18 * size, (250, 250, 250))
        case "leaf":
            angle = 2 * seconds + drifter.phase
            tip = x + 0.6 * size * math.cos(angle), y + 0.4 * size * math.sin(angle)
            patch.limb((2 * x - tip[0], 2 * y - tip[1]), tip, 0.28 * size, 0.08 * size, hsv(drifter.hue, 0.5, 0.6))
    patch.put_back()


def _draw_actor(picture: Image.Image, actor: Actor, seconds: float, zoom: float, corner: Point) -> None:
    pose = actor.pose(seconds)
    bones = joints(pose)
    size = actor.size * zoom
    place, ground = (actor.place - corner[0]) * zoom, (actor.ground - corner[1]) * zoom

    def at(point: Point) -> Point:
        return place + point[0] * size, ground - point[1] * size

    limbs = (bones.left_arm, bones.right_arm, bones.left_leg, bones.right_leg)
    points = [at(point) for point in (bones.head, bones.pelvis, *(p for limb in limbs for p in limb))]
    border = 0.14 * size
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    patch = _Patch(picture, (min(xs) - border, min(ys) - border, max(xs) + border, max(*ys, ground) + 0.08 * size))
    if patch.empty:
        return
    wide = 0.16 + 0.1 * max(0.0, 0.4 - pose.height)
    patch.disc(at((pose.x, 0.0)), wide * size, (0, 0, 0, 60), 0.22)
    placed = Joints(at(bones.pelvis), at(bones.neck), at(bones.head), *(Limb(at(a), at(b), at(c)) for a, b, c in limbs))
    _draw_body(patch, placed, pose, actor.look, size, size * actor.build)
    patch.put_back()


def _draw_body(patch: _Patch, body: Joints, pose: Pose, look: Look, size: float, stout: float) -> None:
    """Draw a body whose joints are points of the picture: the side that is turned away first."""
    profile = abs(pose.turn) > 0.3
    right_is_near = pose.turn >= 0
    legs = [body.left_leg, body.right_leg] if right_is_near else [body.right_leg, body.left_leg]
    arms = [body.left_arm, body.right_arm] if right_is_near else [body.right_arm, body.left_arm]
    far = 0.82 if profile else 1.0
    if profile:
        _draw_arm(patch, arms[0], look, stout, far)
    if look.long_hair:
        x, y = body.head
        patch.disc((x - 0.3 * HEAD * size * pose.turn, y + 0.35 * HEAD * size), 1.12 * HEAD * size, look.hair, 1.12)
    for leg, shade in zip(legs, (far, 1.0), strict=True):
        _draw_leg(patch, leg, look, stout, shade, pose.turn)
    _draw_trunk(patch, body, look, stout, profile)
    _draw_head(patch, body, pose, look, size)
    for arm in arms[1:] if profile else arms:
        _draw_arm(patch, arm, look, stout, 1.0)


def _draw_leg(patch: _Patch, leg: Limb, look: Look, stout: float, shade: float, turn: float) -> None:
    trousers, shoes = shaded(look.trousers, shade), shaded(look.shoes, shade)
    toe = (leg.end[0] + 0.045 * stout * turn, leg.end[1] + 0.012 * stout)
    patch.limb((leg.end[0] - 0.008 * stout * turn, toe[1]), toe, 0.027 * stout, 0.022 * stout, shoes)
    patch.limb(leg.root, leg.middle, 0.052 * stout, 0.042 * stout, trousers)
    patch.limb(leg.middle, leg.end, 0.041 * stout, 0.029 * stout, trousers)


def _draw_arm(patch: _Patch, arm: Limb, look: Look, stout: float, shade: float) -> None:
    patch.limb(arm.middle, arm.end, 0.028 * stout, 0.023 * stout, shaded(look.skin, shade))
    patch.disc(arm.end, 0.031 * stout, shaded(look.skin, shade))
    patch.limb(arm.root, arm.middle, 0.037 * stout, 0.033 * stout, shaded(look.shirt, 0.92 * shade))


def _draw_trunk(patch: _Patch, body: Joints, look: Look, stout: float, profile: bool) -> None:
    left, right = body.left_arm.root, body.right_arm.root
    hips = body.left_leg.root, body.right_leg.root
    patch.limb(hips[0], hips[1], 0.055 * stout, 0.055 * stout, look.trousers)
    patch.limb(body.neck, body.head, 0.028 * stout, 0.028 * stout, shaded(look.skin, 0.9))
    edge = 0.052 * stout if profile else 0.038 * stout
    belly = 0.058 * stout
    patch.limb(hips[0], left, belly, edge, look.shirt)
    patch.limb(hips[1], right, belly, edge, look.shirt)
    patch.limb(hips[0], hips[1], belly, belly, look.shirt)
    patch.limb(left, right, edge, edge, look.shirt)
    patch.polygon([left, right, hips[1], hips[0]], look.shirt)


def _draw_head(patch: _Patch, body: Joints, pose: Pose, look: Look, size: float) -> None:
    x, y = body.head
    radius = HEAD * size
    patch.disc((x, y), radius, look.skin, 1.08)
    patch.cap((x, y - 0.06 * radius), 1.08 * radius, look.hair, 60 * pose.turn)
    for side in (-1, 1):
        eye = x + radius * (0.36 * side * (1 - 0.6 * abs(pose.turn)) + 0.5 * pose.turn)
        patch.disc((eye, y + 0.12 * radius), 0.1 * radius, (44, 36, 34), 1.2)
    patch.smile((x + 0.55 * radius * pose.turn, y + 0.4 * radius), 0.3 * radius, shaded(look.skin, 0.55))
