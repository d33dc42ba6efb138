"""What the readers of all formats have in common."""

from __future__ import annotations

import gzip
import json
import math
import reprlib
import zlib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from untrimmed.errors import AnnotationError

MOST_CLASSES = 10_000
"""A class number from here on is taken for a mistake: every number below it gets a name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a part of a file cannot be used."""

    place: str
    message: str
    about_one_instance: bool = False
    """Whether the rest of the file would make sense without this instance."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def refuse(path: Path, problems: Sequence[Problem]) -> None:
    """Raise an error that shows the first problem and says how many more there are, or return if there is none.

    Raises:
        AnnotationError: if there are problems.
    """
    if problems:
        more = f" (and {len(problems) - 1} more: run `untrimmed check`)" if len(problems) > 1 else ""
        raise AnnotationError(f"{path}: {problems[0]}{more}")


def shown(value: object) -> str:
    """Return a value for a message, shortened."""
    return reprlib.repr(value)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a finite number that a float can hold (JSON's whole numbers may be larger)."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


def class_name(number: int) -> str:
    """Return the name of a class of which only the number is known."""
    return f"class {number}"


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file; one that ends in `.gz` is decompressed.

    Also read is UTF-16 that begins with its mark, as "Unicode text" from spreadsheets does.

    Raises:
        AnnotationError: if there is no such file, or it is damaged, or not text.
    """
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".gz":
            content = gzip.decompress(content)
        if content.startswith(b"PK\x03\x04"):
            raise AnnotationError(f"{path}: is an archive, such as a workbook; save the table in it as CSV in UTF-8")
        return content.decode(encoding_of(content))
    except FileNotFoundError:
        raise AnnotationError(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise AnnotationError(
            f"{path}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise AnnotationError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def encoding_of(content: bytes) -> str:
    """Return what a text is written in, by its first bytes: UTF-16 with its mark, or UTF-8 with or without one."""
    return "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        AnnotationError: if it cannot be read, is not JSON, or has a key twice in one object (one would be lost).
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(f"{path}: not usable as JSON: {error}") from None


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {twice!r} is there twice; rename or remove one")
    return content
