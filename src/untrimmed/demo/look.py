"""What the figures look like: their colours, none of which are shared by the clips to train on and those held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from untrimmed.demo.colours import Colour, shaded


@dataclass(frozen=True, slots=True)
class Wardrobe:
    """What looks are put together from."""

    skins: tuple[Colour, ...]
    hairs: tuple[Colour, ...]
    shirts: tuple[Colour, ...]
    trousers: tuple[Colour, ...]
    shoes: tuple[Colour, ...]


SEEN = Wardrobe(
    skins=((250, 214, 180), (198, 140, 98), (110, 74, 52)),
    hairs=((60, 40, 32), (206, 160, 84), (34, 32, 36)),
    shirts=((206, 80, 72), (84, 162, 106), (230, 142, 72), (78, 124, 196)),
    trousers=((52, 66, 104), (70, 70, 76), (96, 74, 58)),
    shoes=((245, 245, 240), (60, 44, 40)),
)
UNSEEN = Wardrobe(
    skins=((232, 182, 140), (150, 100, 68)),
    hairs=((130, 76, 44), (168, 168, 172)),
    shirts=((232, 198, 92), (152, 106, 194), (72, 172, 168), (216, 110, 152)),
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


def looks(random: np.random.Generator, count: int, *, unseen: bool) -> list[Look]:
    """Dress figures that are seen together, of which no two wear shirts of the same colour."""
    wardrobe = UNSEEN if unseen else SEEN

    def pick(colours: tuple[Colour, ...]) -> Colour:
        return colours[int(random.integers(len(colours)))]

    return [
        Look(
            skin=pick(wardrobe.skins),
            hair=pick(wardrobe.hairs),
            shirt=shaded(wardrobe.shirts[int(which)], random.uniform(0.94, 1.06)),
            trousers=pick(wardrobe.trousers),
            shoes=pick(wardrobe.shoes),
            long_hair=bool(random.random() < 0.4),
        )
        for which in random.permutation(len(wardrobe.shirts))[:count]
    ]
