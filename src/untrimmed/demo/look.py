"""What the figures look like: their colours, none of which are shared by the clips to train on and those held out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from untrimmed.demo.backdrop import Colour, hsv


@dataclass(frozen=True, slots=True)
class Wardrobe:
    """What looks are put together from; shirts are hues."""

    skins: tuple[Colour, ...]
    hairs: tuple[Colour, ...]
    shirts: tuple[float, ...]
    trousers: tuple[Colour, ...]
    shoes: tuple[Colour, ...]


SEEN = Wardrobe(
    skins=((250, 214, 180), (198, 140, 98), (110, 74, 52)),
    hairs=((60, 40, 32), (206, 160, 84), (34, 32, 36)),
    shirts=(0.0, 0.36, 0.07, 0.60),
    trousers=((52, 66, 104), (70, 70, 76), (96, 74, 58)),
    shoes=((245, 245, 240), (60, 44, 40)),
)
UNSEEN = Wardrobe(
    skins=((232, 182, 140), (150, 100, 68)),
    hairs=((130, 76, 44), (168, 168, 172)),
    shirts=(0.14, 0.78, 0.48, 0.92),
    trousers=((36, 92, 92), (112, 64, 92), (142, 134, 116)),
    shoes=((40, 40, 44), (214, 90, 70)),
)


@dataclass(frozen=True, slots=True)
class Look:
    """The colours of a figure."""

    skin: Colour
    hair: Colour
    shirt: Colour
    trousers: Colour
    shoes: Colour
    long_hair: bool


@lru_cache(maxsize=16)
def look(number: int, *, unseen: bool) -> Look:
    """Return the look of this number; those of consecutive numbers have shirts of different colours."""
    random = np.random.default_rng([number, unseen])
    wardrobe = UNSEEN if unseen else SEEN

    def pick(colours: tuple[Colour, ...]) -> Colour:
        return colours[int(random.integers(len(colours)))]

    hue = wardrobe.shirts[number % len(wardrobe.shirts)] + random.uniform(-0.02, 0.02)
    return Look(
        skin=pick(wardrobe.skins),
        hair=pick(wardrobe.hairs),
        shirt=hsv(hue, random.uniform(0.5, 0.72), random.uniform(0.72, 0.9)),
        trousers=pick(wardrobe.trousers),
        shoes=pick(wardrobe.shoes),
        long_hair=bool(random.random() < 0.4),
    )
