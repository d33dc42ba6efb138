"""Truth and detections written as rows, for tests of what is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.detections import Detections

LABELS = ("a", "b", "c")
NAMES = (*LABELS, "unknown")
Row = tuple[float, float, str, float]
"""Start, end, label, score."""


def annotations(videos: Mapping[str, Sequence[tuple[float, float, str]]]) -> Annotations:
    """Videos of 20 s with these instances, of the classes a, b and c."""
    return Annotations(
        {id_: Video(id_, 20.0, instances=tuple(Instance(*i) for i in items)) for id_, items in videos.items()}, LABELS
    )


def detections(videos: Mapping[str, Sequence[Row]], names: tuple[str, ...] = NAMES) -> dict[str, Detections]:
    """Detections with class numbers of their own: places in `names`."""
    return {
        id_: Detections(
            id_,
            np.array([row[:2] for row in rows], np.float64).reshape(-1, 2),
            np.array([row[3] for row in rows], np.float64),
            np.array([names.index(row[2]) for row in rows], np.int64),
            names,
        )
        for id_, rows in videos.items()
    }


def perfect(truth: Annotations, score: float = 0.5) -> dict[str, Detections]:
    """Every instance, detected with the same score."""
    return detections({v.id: [(i.start, i.end, i.label, score) for i in v.instances] for v in truth})


def overlap(instance: Instance, start: float, end: float) -> float:
    """TIoU of an instance and a detection, as its definition says; 1 of equal ones without length."""
    if (instance.start, instance.end) == (start, end):
        return 1.0
    shared = max(0.0, min(end, instance.end) - max(start, instance.start))
    return shared / (end - start + instance.end - instance.start - shared) if shared else 0.0
