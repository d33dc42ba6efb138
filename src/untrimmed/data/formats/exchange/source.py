"""A file as a reader gets it: looked at once, of bounded size, with faults that say where they are."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from untrimmed.data.formats.exchange.timeline import LONGEST
from untrimmed.data.formats.reading import is_number, read_json, read_text, shown
from untrimmed.errors import AnnotationError

LARGEST = 256 * 2**20
"""Bytes of a file, unpacked, that are read at most."""


@dataclass(frozen=True, slots=True)
class Media:
    """What a recording's file says.

    Attributes:
        duration: seconds.
        rate: frames per second.
    """

    duration: float | None = None
    rate: float | None = None


@dataclass(frozen=True)
class Options:
    """What the caller knows and a file may not say.

    Attributes:
        rate: frames per second, wherever a file counts frames; goes before what files say.
        file: finds the name of a recording's file, without folders, by its id.
        media: looks into a recording's file; asked only where something is missing.
    """

    rate: float | None = None
    file: Callable[[str], str | None] = field(default=lambda _: None)
    media: Callable[[str], Media | None] = field(default=lambda _: None)

    def rate_of(self, video: str, stated: float | None = None) -> float | None:
        """Return the frame rate that a recording's frames are counted at: the caller's, the file's, or the video's."""
        if self.rate is not None or stated is not None:
            return stated if self.rate is None else self.rate
        media = self.media(video)
        return None if media is None else media.rate

    def file_of(self, video: str) -> str:
        """Return the name of a recording's file, or its id where the file is not known."""
        return self.file(video) or video


class FaultError(ValueError):
    """Something is not as it should be; whoever knows the file says which it is."""


class Source:
    """A file, or a folder, which readers look into; what they share is read once."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def suffix(self) -> str:
        """The suffix of its name, small, without `.gz`."""
        return Path(self.path.name.lower().removesuffix(".gz")).suffix

    @property
    def stem(self) -> str:
        """Its name without suffixes: what a recording is called of which the file does not say a name."""
        name = self.path.name
        return Path(name[:-3] if name.lower().endswith(".gz") else name).stem

    @cached_property
    def text(self) -> str:
        """Its text.

        Raises:
            AnnotationError: if it cannot be read, or is too large.
        """
        refuse_large(self.path)
        text = read_text(self.path)
        if "\0" in text:
            raise AnnotationError(f"{self.path}: has zero bytes in it, as no text has; save it again as UTF-8")
        return text

    @cached_property
    def json(self) -> Any:
        """Its content, which has to be JSON.

        Raises:
            AnnotationError: if it cannot be read, is too large, or is no JSON.
        """
        refuse_large(self.path)
        return read_json(self.path)

    def looks_like_json(self) -> bool:
        """Whether its name says that it is JSON; only then is it read as such to find out its format."""
        return self.path.is_file() and self.suffix in (".json", ".boris")


def refuse_large(path: Path) -> None:
    """Return if a file is not too large to be read, also unpacked.

    Raises:
        AnnotationError: if it is, or cannot be read.
    """
    try:
        size = path.stat().st_size
        if size <= LARGEST and path.suffix.lower() == ".gz":
            size = _unpacked_size(path)
    except FileNotFoundError:
        raise AnnotationError(f"{path}: there is no such file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise AnnotationError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if size > LARGEST:
        raise AnnotationError(
            f"{path}: larger than {LARGEST >> 20} MB, which no file of annotations should be; split it, or name another"
        )


def _unpacked_size(path: Path) -> int:
    """Return how large a packed file is, or a number larger than `LARGEST`; a bomb is not unpacked."""
    size = 0
    with gzip.open(path) as file:
        while size <= LARGEST and (part := file.read(2**20)):
            size += len(part)
    return size


def as_object(value: object, place: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        FaultError: if it is none.
    """
    if not isinstance(value, dict):
        raise FaultError(f"{place} is {shown(value)}, expected an object")
    return value


def as_list(value: object, place: str) -> list[Any]:
    """Return a JSON list.

    Raises:
        FaultError: if it is none.
    """
    if not isinstance(value, list):
        raise FaultError(f"{place} is {shown(value)}, expected a list")
    return value


def as_text(value: object, place: str) -> str:
    """Return a text with something in it, as it stands.

    Raises:
        FaultError: if it is none.
    """
    if not (isinstance(value, str) and value.strip()):
        raise FaultError(f"{place} is {shown(value)}, expected a text")
    return value


def as_number(value: object, place: str) -> float:
    """Return a number that a time or a score can be.

    Raises:
        FaultError: if it is none.
    """
    if not (is_number(value) and abs(value) <= LONGEST):
        raise FaultError(f"{place} is {shown(value)}, expected a number")
    return float(value)


def positive(value: object) -> float | None:
    """Return a number that can be a duration or a rate, else nothing: such facts can be done without."""
    return float(value) if is_number(value) and 0 < value <= LONGEST else None
