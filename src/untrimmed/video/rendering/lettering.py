"""Fonts for labels in any script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageFont

from untrimmed.errors import ConfigError

_OF_THE_SYSTEM = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "Arial Unicode.ttf",
    "NotoSansCJK-Regular.ttc",
    "msyh.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "malgun.ttf",
)
"""Looked for where the system keeps its fonts, if the one that Pillow has built in, which is ASCII, is not enough."""

_NOBODY_HAS = "\U0010ffff"
_NOT_DRAWN = {"Cc", "Cf", "Cs", "Mn", "Zl", "Zp", "Zs"}  # controls, joiners, marks on other characters, spaces


@dataclass(frozen=True)
class Lettering:
    """A font, in any size.

    Attributes:
        file: name or path; `None` is the one that Pillow has built in.
        missing: characters of what is to be written that it lacks, and shows as boxes.
    """

    file: str | None = None
    missing: str = ""

    def font(self, size: float) -> ImageFont.FreeTypeFont:
        """Return it in a size, in pixels."""
        if self.file is not None:
            return ImageFont.truetype(self.file, size)
        built_in = ImageFont.load_default(size)
        assert isinstance(built_in, ImageFont.FreeTypeFont)
        return built_in


def choose_lettering(texts: Iterable[str], font: Path | None = None) -> Lettering:
    """Choose a font for texts: the given one; else the built-in or the first one of the system that can write them all.

    If none can, the one that lacks the fewest characters is taken.

    Raises:
        ConfigError: if the given font cannot be read.
    """
    wanted = sorted(set("".join(texts)))
    if font is not None:
        try:
            return Lettering(str(font), _missing(Lettering(str(font)), wanted))
        except OSError as error:
            raise ConfigError(f"{font}: cannot be read as a font ({error}). Name a .ttf, .otf or .ttc file") from error
    best = Lettering(None, _missing(Lettering(), wanted))
    for name in _OF_THE_SYSTEM:
        if not best.missing:
            break
        try:
            other = Lettering(name, _missing(Lettering(name), wanted))
        except OSError:  # not here
            continue
        best = min(best, other, key=lambda lettering: len(lettering.missing))
    return best


def _missing(lettering: Lettering, characters: Iterable[str]) -> str:
    """Return those characters that a font draws as it draws one that no font has."""
    font = lettering.font(20)

    def drawn(character: str) -> tuple[tuple[int, int], bytes]:
        mask = font.getmask(character)
        return mask.size, bytes(mask)

    box = drawn(_NOBODY_HAS)
    visible = (c for c in characters if unicodedata.category(c) not in _NOT_DRAWN)
    return "".join(c for c in visible if drawn(c) == box)
