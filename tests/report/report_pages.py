"""Small pages, and hostile ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.detections import Detections
from untrimmed.detection.level_scores import LevelScores
from untrimmed.report.contents import Contents
from untrimmed.report.results import Results, assess

LABELS = ("jump", "run")
TIOUS = (0.3, 0.5, 0.7)
Row = tuple[float, float, str, float]

HOSTILE = (
    "</script><script>window.broken = 1</script>",
    '<img src=x onerror="window.broken = 2">',
    "\"'`&amp;&#60;b&#62; {{ 7 * 7 }} {% raw %}",
    "<!--<script>",
    "line\u2028and\u2029paragraph\nnew\ttab \\ \\u003c",
    "\u202egnp.exe\u202c אבג עברית",
    "",
    " ",
    "lone \ud800 surrogate",
    "nul \x00 and bell \x07",
    "javascript:alert(1)",
    "very " * 200 + "long",
    "unbroken" * 100,
    "走る 🏃‍♀️",
)
"""Names that try to be more than text."""


def annotations(
    videos: Mapping[str, Sequence[tuple[float, float, str]]], labels: Sequence[str] = LABELS, duration: float = 20.0
) -> Annotations:
    """Make videos of instances `(start, end, label)`."""
    return Annotations(
        {id_: Video(id_, duration, "test", 25.0, tuple(Instance(*i) for i in items)) for id_, items in videos.items()},
        tuple(labels),
    )


def detections(videos: Mapping[str, Sequence[Row]], labels: Sequence[str] = LABELS) -> dict[str, Detections]:
    """Make detections of rows `(start, end, label, score)`."""
    return {
        id_: Detections(
            id_,
            np.array([row[:2] for row in rows], np.float64).reshape(-1, 2),
            np.array([row[3] for row in rows], np.float64),
            np.array([labels.index(row[2]) for row in rows], np.int64),
            tuple(labels),
        )
        for id_, rows in videos.items()
    }


def example() -> Results:
    """Two videos: at tIoU 0.5 the first has a right, a wrong and a missed one each, the second is perfect."""
    truth = annotations({"one": [(2, 6, "jump"), (10, 14, "run")], "two": [(1, 5, "run")]})
    found = detections(
        {"one": [(2, 6.5, "jump", 0.9), (7, 8, "run", 0.85), (2.2, 6, "jump", 0.1)], "two": [(1, 5, "run", 0.8)]}
    )
    return assess(truth, found, TIOUS)


def levels(moments: int = 20, classes: int = len(LABELS), count: int = 3) -> tuple[LevelScores, ...]:
    """Make scores of a pyramid, a second from moment to moment at the finest level."""
    random = np.random.default_rng(0)
    made = []
    for level in range(count):
        n = -(-moments // 2**level)
        seconds = np.arange(n) * 2.0**level + 0.5
        made.append(LevelScores(seconds, random.uniform(size=(n, classes)).astype(np.float32), 2.0**level))
    return tuple(made)


def page(results: Results | None = None, **more: Any) -> Contents:
    """Make the contents of a page that shows all videos in detail."""
    results = results or example()
    values: dict[str, Any] = {"title": "my run", "shown": results.most_telling(1000)}
    return Contents(results=results, **(values | more))


def hostile() -> Contents:
    """Make a page on which every name is hostile."""
    labels = HOSTILE
    names = [f"{name}{i}" if name else "" for i, name in enumerate(HOSTILE)]
    truth = annotations({name: [(1, 5, label)] for name, label in zip(names, labels, strict=True)}, labels)
    found = detections({name: [(1, 5, label, 0.9)] for name, label in zip(names, labels, strict=True)}, labels)
    return page(
        assess(truth, found, TIOUS),
        title=HOSTILE[0],
        subtitle=HOSTILE[1],
        levels={name: levels(classes=len(labels)) for name in names},
        level_labels=labels,
        facts=dict(zip(names, labels, strict=True)),
        notes=HOSTILE,
    )
