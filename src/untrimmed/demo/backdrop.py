"""The places that the clips play in, painted once for each clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from untrimmed.demo.colours import Colour, hsv
from untrimmed.demo.figure import Point
from untrimmed.demo.scene import HEIGHT, WIDTH, Script

Random = np.random.Generator

MARGIN = 50
"""Pixels that a backdrop goes on beyond each side of the picture, for the camera to move in."""
HORIZON = 0.60
"""Height at which the ground begins, from the top, as a share of the picture's."""
_DETAIL = 2  # painted so many times larger and shrunk, for smooth edges: the units below are half pixels
_WIDE, _HIGH = (WIDTH + 2 * MARGIN) * _DETAIL, (HEIGHT + 2 * MARGIN) * _DETAIL
_GROUND = int((HEIGHT * HORIZON + MARGIN) * _DETAIL)
_WHITE = (250, 250, 247)


def backdrop(script: Script) -> Image.Image:
    """Paint the place of a clip, `MARGIN` larger than the picture on all sides."""
    random = np.random.default_rng([script.seed, script.number, 1])
    canvas = _Canvas()
    _PLACES[script.place](canvas, random)
    small = canvas.image.reduce(_DETAIL)
    shade = script.light * (1 + 0.05 * _smooth_noise(random, small.height, small.width))
    grain = random.normal(0, 1.5, (small.height, small.width, 1))
    pixels = np.asarray(small, dtype=np.float32) * shade[..., None] + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _smooth_noise(random: Random, height: int, width: int) -> NDArray[np.float32]:
    """Return what light and shade make of an even wall, about -1 to 1, `[height, width]`."""
    coarse = (random.random((7, 9)) * 255).astype(np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float32) / 127.5 - 1


class _Canvas:
    """What a place is painted on: above the horizon, and the ground below it."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (_WIDE, _HIGH))
        self._pen = ImageDraw.Draw(self.image)

    def above(self, top: Colour, bottom: Colour) -> None:
        """Fill all above the horizon, from one colour to another."""
        self._fill(0, _GROUND, top, bottom)

    def ground(self, top: Colour, bottom: Colour) -> None:
        """Fill all below the horizon."""
        self._fill(_GROUND, _HIGH, top, bottom)

    def _fill(self, start: int, end: int, top: Colour, bottom: Colour) -> None:
        share = np.linspace(0, 1, end - start)[:, None, None]
        rows = np.array(top) * (1 - share) + np.array(bottom) * share
        self.image.paste(Image.fromarray(np.broadcast_to(rows, (end - start, _WIDE, 3)).astype(np.uint8)), (0, start))

    def box(self, left: float, top: float, wide: float, high: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self._pen.rectangle((left, top, left + wide, top + high), colour)

    def oval(self, x: float, y: float, across: float, down: float, colour: Colour) -> None:
        """Fill an ellipse around a point, so far to each side."""
        self._pen.ellipse((x - across, y - down, x + across, y + down), colour)

    def polygon(self, points: list[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self._pen.polygon(points, colour)

    def line(self, start: Point, end: Point, colour: Colour, width: int) -> None:
        """Draw a line."""
        self._pen.line((*start, *end), colour, width)

    def hills(self, random: Random, height: float, rough: float, colour: Colour) -> None:
        """Fill what is below a line of hills on the horizon."""
        x = np.arange(0, _WIDE + 8, 8)
        waves = [random.uniform([0.8, 0.0], [1.6, 6.0]) for _ in range(4)]
        y = sum(rough / k * np.sin(2 * np.pi * k * x / _WIDE * w[0] + w[1]) for k, w in enumerate(waves, start=1))
        ridge = _GROUND - height * (1 + 0.5 * np.asarray(y))
        line = [(float(a), float(b)) for a, b in zip(x, ridge, strict=True)]
        self.polygon([(0, _GROUND), *line, (_WIDE, _GROUND)], colour)

    def glow(self, beam: list[Point], colour: Colour, strength: int) -> None:
        """Light up a polygon, softly."""
        light = Image.new("L", self.image.size)
        ImageDraw.Draw(light).polygon(beam, strength)
        lit = Image.new("RGB", self.image.size, colour)
        self.image.paste(lit, mask=light.filter(ImageFilter.GaussianBlur(24)))


def _across(random: Random, count: int) -> list[float]:
    """Return places along the picture."""
    return [float(x) for x in random.uniform(0, _WIDE, count)]


def _every(start: float, end: float, step: float) -> list[float]:
    return [float(x) for x in np.arange(start, end, step)]


def _meadow(canvas: _Canvas, random: Random) -> None:
    sky, grass = random.uniform(0.53, 0.6), random.uniform(0.22, 0.33)
    canvas.above(hsv(sky, 0.45, 0.93), hsv(sky, 0.12, 0.98))
    canvas.ground(hsv(grass, 0.5, 0.66), hsv(grass, 0.6, 0.5))
    for x in _across(random, 4):
        y = random.uniform(0.15, 0.5) * _GROUND
        for shift in (-30, 0, 30):
            radius = random.uniform(16, 30)
            canvas.oval(x + shift, y, 1.3 * radius, 0.8 * radius, _WHITE)
    canvas.hills(random, 70, 0.6, hsv(grass + 0.08, 0.3, 0.72))
    canvas.hills(random, 34, 0.8, hsv(grass + 0.04, 0.42, 0.6))
    for x in _across(random, 6):
        height = random.uniform(50, 100)
        canvas.box(x - 4, _GROUND - 0.5 * height, 8, 0.5 * height + 4, (116, 84, 60))
        canvas.oval(x, _GROUND - 0.65 * height, 0.32 * height, 0.35 * height, hsv(grass + 0.03, 0.55, 0.48))


def _room(canvas: _Canvas, random: Random) -> None:
    wall, floor = random.random(), random.uniform(0.05, 0.1)
    canvas.above(hsv(wall, 0.16, 0.92), hsv(wall, 0.2, 0.84))
    canvas.ground(hsv(floor, 0.4, 0.66), hsv(floor, 0.45, 0.52))
    canvas.box(0, _GROUND - 14, _WIDE, 14, hsv(wall, 0.06, 0.97))
    for x in _every(random.uniform(0, 60), _WIDE, 74):
        canvas.line((x, _GROUND), ((x - _WIDE / 2) * 1.7 + _WIDE / 2, _HIGH), hsv(floor, 0.45, 0.5), 2)
    x = random.uniform(0.1, 0.25) * _WIDE
    canvas.box(x - 8, 96, 176, 204, _WHITE)
    canvas.box(x, 104, 160, 188, hsv(0.56, 0.3, 0.95))
    canvas.line((x + 80, 104), (x + 80, 292), _WHITE, 8)
    canvas.line((x, 198), (x + 160, 198), _WHITE, 8)
    for left in (random.uniform(0.45, 0.55) * _WIDE, random.uniform(0.7, 0.85) * _WIDE):
        top, wide, high = random.uniform(90, 170), random.uniform(60, 120), random.uniform(60, 110)
        canvas.box(left - 6, top - 6, wide + 12, high + 12, hsv(floor, 0.5, 0.4))
        canvas.box(left, top, wide, high, hsv(random.random(), 0.35, 0.85))
        canvas.oval(left + wide / 2, top + high / 2, 0.2 * wide, 0.3 * high, hsv(random.random(), 0.5, 0.75))


def _stage(canvas: _Canvas, random: Random) -> None:
    hue, floor = random.choice([0.97, 0.6, 0.36]) + random.uniform(-0.03, 0.03), random.uniform(0.06, 0.09)
    canvas.above(hsv(hue, 0.6, 0.5), hsv(hue, 0.65, 0.34))
    canvas.ground(hsv(floor, 0.5, 0.62), hsv(floor, 0.55, 0.4))
    for x in _every(0, _WIDE, 44):
        canvas.polygon([(x, 0), (x + 20, 0), (x + 14, _GROUND), (x + 4, _GROUND)], hsv(hue, 0.62, 0.42))
    x = random.uniform(0.4, 0.6) * _WIDE
    canvas.glow([(x - 30, 0), (x + 30, 0), (x + 330, _HIGH), (x - 330, _HIGH)], (255, 240, 205), 70)


def _beach(canvas: _Canvas, random: Random) -> None:
    sky = random.uniform(0.5, 0.56)
    canvas.above(hsv(sky, 0.35, 0.97), hsv(0.12, 0.12, 0.99))
    canvas.ground(hsv(0.11, 0.28, 0.9), hsv(0.1, 0.35, 0.78))
    canvas.oval(random.uniform(0.15, 0.85) * _WIDE, random.uniform(110, 180), 30, 30, (255, 228, 150))
    canvas.box(0, _GROUND - 60, _WIDE, 60, hsv(sky + 0.03, 0.5, 0.72))
    for y in (_GROUND - 44, _GROUND - 24, _GROUND - 8):
        for x in _across(random, 7):
            canvas.line((x, y), (x + random.uniform(30, 90), y), hsv(sky, 0.2, 0.95), 3)
    x, y = random.uniform(0.1, 0.9) * _WIDE, _GROUND - 60
    canvas.polygon([(x, y - 58), (x, y - 2), (x + 44, y - 2)], _WHITE)
    canvas.polygon([(x - 30, y + 2), (x + 54, y + 2), (x + 34, y + 18), (x - 18, y + 18)], (150, 74, 60))


def _street(canvas: _Canvas, random: Random) -> None:
    hue = random.uniform(0.55, 0.66)
    canvas.above(hsv(hue, 0.22, 0.9), hsv(hue, 0.08, 0.96))
    canvas.ground(hsv(hue, 0.05, 0.62), hsv(hue, 0.06, 0.48))
    x = -random.uniform(0, 60)
    while x < _WIDE:
        wide, high = random.uniform(90, 170), random.uniform(150, 330)
        wall = hsv(random.choice([0.03, 0.09, 0.6, 0.95]), random.uniform(0.15, 0.32), random.uniform(0.6, 0.85))
        canvas.box(x, _GROUND - high, wide, high, wall)
        for top in _every(_GROUND - high + 16, _GROUND - 40, 44):
            for left in _every(x + 14, x + wide - 24, 34):
                canvas.box(left, top, 18, 26, hsv(hue, 0.25, random.uniform(0.4, 0.9)))
        x += wide
    canvas.box(0, _GROUND, _WIDE, 10, hsv(hue, 0.03, 0.78))


def _gym(canvas: _Canvas, random: Random) -> None:
    wall, floor = random.uniform(0.4, 0.5), random.uniform(0.08, 0.11)
    canvas.above(hsv(wall, 0.12, 0.88), hsv(wall, 0.16, 0.76))
    canvas.ground(hsv(floor, 0.48, 0.8), hsv(floor, 0.5, 0.62))
    for left in (random.uniform(0.05, 0.3) * _WIDE, random.uniform(0.5, 0.75) * _WIDE):
        for y in _every(110, _GROUND - 10, 26):
            canvas.box(left, y, 130, 7, hsv(floor, 0.5, 0.62))
        for x in (left, left + 124):
            canvas.box(x, 96, 8, _GROUND - 96, hsv(floor, 0.52, 0.55))
    canvas.box(0, _GROUND - 8, _WIDE, 8, hsv(wall, 0.3, 0.5))
    for below, hue in ((40, 0.0), (120, 0.6)):
        y = _GROUND + below
        canvas.line((0, y), (_WIDE, y + random.uniform(-12, 12)), hsv(hue, 0.6, 0.75), 6)


def _dusk(canvas: _Canvas, random: Random) -> None:
    hue = random.uniform(0.7, 0.8)
    canvas.above(hsv(hue, 0.5, 0.42), hsv(hue + 0.2, 0.42, 0.86))
    canvas.ground(hsv(hue, 0.28, 0.42), hsv(hue, 0.35, 0.28))
    for x in _across(random, 26):
        canvas.oval(x, random.uniform(0, 0.5) * _GROUND, 2, 2, (238, 232, 250))
    canvas.oval(random.uniform(0.1, 0.9) * _WIDE, random.uniform(110, 180), 26, 26, (250, 242, 222))
    canvas.hills(random, 90, 0.7, hsv(hue, 0.35, 0.5))
    canvas.hills(random, 44, 0.9, hsv(hue, 0.4, 0.36))


_PLACES: Mapping[str, Callable[[_Canvas, Random], None]] = {
    "beach": _beach,
    "dusk": _dusk,
    "gym": _gym,
    "meadow": _meadow,
    "room": _room,
    "stage": _stage,
    "street": _street,
}
