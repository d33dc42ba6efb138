"""What an array has to be to count as features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.errors import FeatureError

NUMBERS = "fiub"
"""Kinds of numpy types that can be features: floats, whole numbers and truth values."""


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
    checked_shape(array.shape, place)
    if array.dtype.kind not in NUMBERS:
        raise FeatureError(f"{place}: the array holds {array.dtype}, but features are numbers, float32 or float16")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is reported as such
        features = np.array(array, dtype=np.float32, order="C", subok=False)
    finite = np.isfinite(features)
    if not finite.all():
        bad_rows = ~finite.all(axis=1)
        raise FeatureError(
            f"{place}: {features.size - np.count_nonzero(finite)} of {features.size} values are NaN or infinite, in "
            f"{np.count_nonzero(bad_rows)} rows, the first of which is row {first_row + int(bad_rows.argmax())}. "
            "Extract the features of this video again"
        )
    return features
