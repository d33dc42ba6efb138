"""What is asked of the features of a data set, wherever they are."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features.array_file import ArrayFile
from untrimmed.data.features.description import FeatureDescription
from untrimmed.data.features.validation import as_features, check_features, checked_shape, row_range
from untrimmed.errors import FeatureError


class FeatureStore(ABC):
    """The features of many videos, `[T, D]` each, by video id.

    A store can be pickled, and used in several processes at once.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Where the features are, for messages."""

    @property
    @abstractmethod
    def description(self) -> FeatureDescription | None:
        """What made the features, where that is known."""

    @abstractmethod
    def ids(self) -> tuple[str, ...]:
        """Return the ids of all videos that there are features of, sorted."""

    @abstractmethod
    def __contains__(self, video_id: object) -> bool:
        """Whether there are features of this video."""

    @abstractmethod
    def shape(self, video_id: str) -> tuple[int, int]:
        """Return T and D of a video without reading its features, where the format allows.

        Raises:
            FeatureError: if there are no features of this video, or they cannot be read.
        """

    @abstractmethod
    def read(self, video_id: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Read the features of a video, `[T, D]`, or the rows `start` to `stop` of them; a new, writable array.

        `stop` may lie beyond the end.

        Raises:
            FeatureError: if there are no features of this video or in this range; if the file is damaged, cut short or
                pickled; if the array is not two-dimensional; if a value that is read is not a finite number.
        """

    def view(self, video_id: str) -> NDArray[Any]:
        """Return the features of a video, `[T, D]` of any numbers, without a copy where the format allows.

        For very long videos: what comes of a `.npy` file is memory-mapped.

        Raises:
            FeatureError: as from `read`.
        """
        return self.read(video_id)

    def length(self, video_id: str) -> int:
        """Return T of a video (see `shape`)."""
        return self.shape(video_id)[0]

    @property
    def dimensions(self) -> tuple[int, ...]:
        """D of each stream of features, taken from the first video; there is one stream unless several are joined."""
        return (self.shape(self.ids()[0])[1],)

    @property
    def dimension(self) -> int:
        """D, all streams together, taken from the first video."""
        return sum(self.dimensions)


class FileStore(FeatureStore):
    """Features in files, in any layout for which `_array` finds the file of a video."""

    @abstractmethod
    def _array(self, video_id: str) -> AbstractContextManager[tuple[ArrayFile, str]]:
        """Open the file that the features of a video are in, and name its array."""

    def shape(self, video_id: str) -> tuple[int, int]:
        """Return T and D of a video, from the header of its array."""
        with self._array(video_id) as (file, array):
            return checked_shape(file.shape(array), _place(file, video_id))

    def read(self, video_id: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Read rows `start` to `stop` of the features of a video."""
        with self._array(video_id) as (file, array):
            place = _place(file, video_id)
            length, _ = checked_shape(file.shape(array), place)
            first, last = row_range(start, stop, length, place)
            return as_features(file.rows(array, first, last), place, first)

    def view(self, video_id: str) -> NDArray[Any]:
        """Return the features of a video as its file holds them."""
        with self._array(video_id) as (file, array):
            place = _place(file, video_id)
            length, _ = checked_shape(file.shape(array), place)
            return check_features(file.rows(array, 0, length), place)


def _place(file: ArrayFile, video_id: str) -> str:
    return f"{file.path}: video {video_id!r}"


def missing(where: str, video_id: str, expected: str, names: Iterable[str]) -> FeatureError:
    """Return the error that `where` has no array or file `expected` for a video, but these `names`."""
    near = difflib.get_close_matches(expected, names, n=1)
    nearest = f"; the nearest name is {near[0]!r}" if near else ""
    return FeatureError(
        f"{where}: no features of video {video_id!r}: there is no {expected!r}{nearest}. "
        "Extract or copy its features, or correct the prefix of the names or the id in the annotations"
    )
