"""What an array has to be to count as features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.errors import FeatureError

NUMBERS = "fiub"
"""Kinds of numpy types that can be features: floats, whole numbers and truth values."""

BLOCK = 2**18
"""Numbers of which it is looked at a time whether they are finite: few enough to stay in a processor's cache."""


def checked_shape(shape: tuple[int, ...], place: str) -> tuple[int, int]:
    """Return the shape of features, `(T, D)`.

    Raises:
        FeatureError: if it is not two-dimensional or has no rows or no columns.
    """
    if len(shape) != 2:
        raise FeatureError(
            f"{place}: the array has {len(shape)} axes, {list(shape)}, but features are [T, D], one row for each clip. "
            "Remove the axes of length 1, or average over space, and save it again"
        )
    if 0 in shape:
        raise FeatureError(f"{place}: the array is empty, {list(shape)}. Extract the features of this video again")
    return shape[0], shape[1]


def checked_dimension(shape: tuple[int, int], expected: int | None, place: str) -> None:
    """Compare the dimension of `[T, D]` features with the expected one; `None` expects nothing.

    Raises:
        FeatureError: if it differs.
    """
    if expected is not None and shape[1] != expected:
        raise FeatureError(
            f"{place}: the features are {list(shape)}, which is {shape[1]} dimensions, but {expected} are expected."
            f"{transposition_hint(shape, expected) or ' Use features of the same extractor.'}"
        )


def transposition_hint(shape: tuple[int, int], expected: int) -> str:
    """Return a sentence for a message about features of a wrong shape that look stored `[D, T]`, else nothing."""
    return " They look stored as [D, T]: transpose them to [T, D]." if shape[0] == expected else ""


def row_range(start: int, stop: int | None, length: int, place: str) -> tuple[int, int]:
    """Return the rows `(start, stop)` that a slice of `length` rows takes; `stop` may lie beyond the end.

    Raises:
        FeatureError: if that is no row at all.
    """
    assert start >= 0, start
    end = length if stop is None else min(stop, length)
    if start >= end:
        raise FeatureError(f"{place}: rows {start} to {stop} were asked for, but it has rows 0 to {length}")
    return start, end


def as_features(array: NDArray[Any], place: str = "features", first_row: int = 0) -> NDArray[np.float32]:
    """Return an array of numbers as features: a new, writable array `[T, D]` of finite float32.

    `place` is named in messages; `first_row` is the number of the array's first row in its file, also for messages.

    Raises:
        FeatureError: if the array is not two-dimensional, is empty, or holds anything but finite numbers.
    """
    _check_kind(array, place)
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is reported as such
        features = np.array(array, dtype=np.float32, order="C", subok=False)
    _check_finite(features, place, first_row)
    return features


def check_features(array: NDArray[Any], place: str = "features") -> NDArray[Any]:
    """Return an array as it is, if it can be features; there is no copy of it. `place` is named in messages.

    Raises:
        FeatureError: if `as_features` would refuse it.
    """
    _check_kind(array, place)
    _check_finite(array, place)
    return array


def _check_kind(array: NDArray[Any], place: str) -> None:
    """Refuse what is not an array `[T, D]` of numbers."""
    checked_shape(array.shape, place)
    if array.dtype.kind not in NUMBERS:
        raise FeatureError(f"{place}: the array holds {array.dtype}, but features are numbers, float32 or float16")


def _check_finite(array: NDArray[Any], place: str, first_row: int = 0) -> None:
    """Refuse numbers that are not finite as float32. A block of rows is looked at at a time, which needs no memory."""
    rows = max(1, BLOCK // array.shape[1])
    values, bad_rows = 0, list[int]()
    for start in range(0, len(array), rows):
        with np.errstate(over="ignore"):
            finite = np.isfinite(array[start : start + rows].astype(np.float32, copy=False))
        if not finite.all():
            values += finite.size - int(np.count_nonzero(finite))
            bad_rows += (start + np.flatnonzero(~finite.all(axis=1))).tolist()
    if values:
        raise FeatureError(
            f"{place}: {values} of {array.size} values are NaN or infinite, in {len(bad_rows)} rows, the first of "
            f"which is row {first_row + bad_rows[0]}. Extract the features of this video again"
        )
