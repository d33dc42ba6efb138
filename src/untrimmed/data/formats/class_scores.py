"""Scores of the classes of whole videos, as video classifiers publish them, to be fused with detections.

::

    {"class": ["Archery", ...], "results": {"<video id>": [0.01, ...]}}
    {"results": {"<video id>": [{"label": "Archery", "score": 0.93}, ...]}}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.formats.reading import is_number, read_json, shown
from untrimmed.errors import AnnotationError


@dataclass(frozen=True, eq=False)
class ClassScores:
    """The score of each of K classes for each video, `[K]`, not negative, by video id."""

    labels: tuple[str, ...]
    videos: Mapping[str, NDArray[np.float64]]


def read_class_scores(path: str | Path, labels: Sequence[str] | None = None) -> ClassScores:
    """Read class scores; `labels` names the classes of a file that has only lists of numbers.

    Raises:
        AnnotationError: if the file cannot be read, a score is no number from 0 up, or a list has another length than
            there are classes.
    """
    path = Path(path)
    content = read_json(path)
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise AnnotationError(f'{path}: no key "results" with the class scores of each video, as in ActivityNet files')
    stated = content.get("class", content.get("classes", labels))
    if stated is None:
        rows = [row for row in results.values() if isinstance(row, list)]
        stated = sorted({str(entry["label"]) for row in rows for entry in row if _is_named(entry)})
    names = tuple(map(str, stated))
    if not names:
        raise AnnotationError(f'{path}: the names of the classes are not known; state them as "class": [...]')
    return ClassScores(names, {str(id_): _row(path, id_, row, names) for id_, row in results.items()})


def _row(path: Path, id_: str, row: Any, names: tuple[str, ...]) -> NDArray[np.float64]:
    """Return the scores of a video, `[K]`."""
    place = f"{path}: video {id_!r}"
    if not isinstance(row, list):
        raise AnnotationError(f"{place}: expected a list of scores, found {shown(row)}")
    if row and all(_is_named(entry) for entry in row):
        given = {str(entry["label"]): entry["score"] for entry in row}
        if unknown := given.keys() - set(names):
            raise AnnotationError(f'{place}: {sorted(unknown)[0]!r} is none of the {len(names)} classes in "class"')
        row = [given.get(name, 0.0) for name in names]
    if len(row) != len(names):
        raise AnnotationError(f"{place}: {len(row)} scores, but there are {len(names)} classes")
    for score in row:
        if not is_number(score) or score < 0:
            raise AnnotationError(f"{place}: {shown(score)} is no score; expected are numbers from 0 up")
    return np.array(row, dtype=np.float64)


def _is_named(entry: object) -> bool:
    return isinstance(entry, dict) and {"label", "score"} <= entry.keys()
