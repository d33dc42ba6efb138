"""Labels as one line of plain text, for formats in which a line break or a control character would mean something."""

from __future__ import annotations

import unicodedata

NAMELESS = "(no name)"
"""What stands for a label of which nothing can be shown."""

_ISOLATES_AND_OVERRIDES = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""They turn the direction of the text that follows, also of what is not the label's any more."""


def one_line(label: str, longest: int | None = None) -> str:
    """Return a label as one line that can be shown, never empty.

    Line breaks, tabs and control characters become spaces, runs of spaces one space; half characters (lone surrogates),
    which no file can hold, become U+FFFD. Characters that turn the direction of all text after them are left out; what
    Arabic, Persian or Indic scripts and emoji need within a word stays.

    Args:
        label: any text.
        longest: with more characters than that the end is cut off, and `…` put there.
    """
    text = "".join(map(_shown, label))
    text = " ".join(text.split())
    if not any(unicodedata.category(character)[0] not in "CZ" for character in text):
        return NAMELESS
    if longest is not None and len(text) > longest:
        return text[: longest - 1].rstrip() + "…"
    return text


def _shown(character: str) -> str:
    if ord(character) in _ISOLATES_AND_OVERRIDES:
        return ""
    match unicodedata.category(character):
        case "Cc" | "Zl" | "Zp" | "Zs":
            return " "
        case "Cs":
            return "\ufffd"
        case _:
            return character
