"""What all file formats of features have in common: named arrays, of which a part can be read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from untrimmed.errors import FeatureError


class ArrayFile(ABC):
    """An open file of arrays. Every array has a name, which is `""` where a file holds one array without a name.

    Raises:
        FeatureError: from every method, if the file is missing, damaged, cut short, or not of its format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""

    @abstractmethod
    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array, from its header alone where the format allows."""

    @abstractmethod
    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return the rows `start` to `stop` of an array; they have to be within it."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def place(self, name: str) -> str:
        """Return where an array is, for messages."""
        return f"{self.path}: array {name!r}" if name else str(self.path)

    def sole_array(self, key: str | None) -> str:
        """Return the name of the array `key`, or of the only one.

        Raises:
            FeatureError: if there is no such array, or no key to choose among several.
        """
        names = self.names
        if key is None:
            if len(names) == 1:
                return names[0]
            raise FeatureError(f"{self.path}: it holds {listed(names)}; say which one the features are with key")
        if key not in names:
            raise FeatureError(f"{self.path}: there is no array {key!r}; it holds {listed(names)}. Correct the key")
        return key


def listed(names: tuple[str, ...], most: int = 5) -> str:
    """Return names as a phrase: all of a few, else the first and how many more."""
    if not names:
        return "no arrays"
    if names == ("",):
        return "one array without a name"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} {'array' if len(names) == 1 else 'arrays'}: {', '.join(map(repr, names[:most]))}{more}"


@contextmanager
def reading(place: str, *faults: type[Exception]) -> Iterator[None]:
    """Make one FeatureError of whatever a library raises over a file that it cannot read.

    Raises:
        FeatureError: naming `place`, for an `OSError` and each of the `faults`.
    """
    caught: tuple[type[Exception], ...] = (OSError, *faults)
    try:
        yield
    except FeatureError:
        raise
    except caught as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FeatureError(
            f"{place}: cannot be read ({reason}). If the file is damaged or cut short, copy or extract it again"
        ) from error
