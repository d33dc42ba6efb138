"""Colours."""

from __future__ import annotations

import colorsys

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Return a colour; a hue goes round, the others are brought back to 0 to 1."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(1.0, max(0.0, saturation)), min(1.0, max(0.0, value)))
    return round(255 * red), round(255 * green), round(255 * blue)


def shaded(colour: Colour, shade: float) -> Colour:
    """Return a colour made darker, or lighter with a shade above 1."""
    return (
        min(255, round(colour[0] * shade)),
        min(255, round(colour[1] * shade)),
        min(255, round(colour[2] * shade)),
    )
