"""What is to be done for a video, given what is in the folder of features already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from untrimmed.data.features import checked_dimension
from untrimmed.data.features.numpy_file import NpyFile
from untrimmed.data.features.validation import checked_shape
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.video.extraction.one_video import SHOTS, Outcome, Task


def plan_one(
    video_id: str, path: str, out: Path, dimension: int, every: Task, *, shots: bool
) -> tuple[Task | None, Outcome | None]:
    """Return what is to be done for one video, if anything, and what is known of it already, if anything.

    Args:
        video_id: its name, which is that of its files in the folder.
        path: of the video.
        out: the folder with features.
        dimension: of the features.
        every: what all tasks have in common.
        shots: whether cuts are wanted.

    Raises:
        ConfigError: if there are features of another precision.
    """
    features, cuts = out / f"{video_id}.npy", out / SHOTS / f"{video_id}.csv"
    try:
        rows = _rows_there(features, dimension, half=every.half)
    except FeatureError as error:
        return None, Outcome(id=video_id, path=path, error=f"{error}: remove this file, and run the same again")
    cuts_missing = shots and not cuts.exists()
    known = None if rows is None else Outcome(id=video_id, path=path, rows=rows, was_there=not cuts_missing)
    if rows is not None and not cuts_missing:
        return None, known
    task = replace(
        every,
        id=video_id,
        path=path,
        features=str(features) if rows is None else None,
        cuts=str(cuts) if cuts_missing else None,
    )
    return task, known


def _rows_there(path: Path, dimension: int, *, half: bool) -> int | None:
    """Return how many rows of features a file has; `None` if there is no such file.

    Raises:
        FeatureError: if it is damaged, or no features of this dimension.
        ConfigError: if they are of another precision.
    """
    if not path.exists():
        return None
    file = NpyFile(path)
    return checked_rows(file.shape(""), file.rows("", 0, 0).dtype, str(path), dimension, half=half)


def checked_rows(shape: tuple[int, ...], dtype: np.dtype[Any], place: str, dimension: int, *, half: bool) -> int:
    """Return how many rows features have that were made before.

    Raises:
        FeatureError: if they are no features of this dimension.
        ConfigError: if they are of another precision.
    """
    checked_dimension(checked_shape(shape, place), dimension, place)
    expected = np.dtype(np.float16 if half else np.float32)
    if dtype != expected:
        option = "leave --half out" if half else "use --half"
        raise ConfigError(f"{place}: holds {dtype}, but would be {expected} now; choose another --out, or {option}")
    return shape[0]
