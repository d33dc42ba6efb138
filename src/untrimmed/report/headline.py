"""The numbers at the top of the page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from untrimmed.report.contents import Contents

DASH = "\u2013"
"""Stands where there is no number."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number and what it is of, as they are printed."""

    value: str
    caption: str


def headline(contents: Contents) -> tuple[Figure, ...]:
    """Return the figures at the top of the page; the first is the one that counts."""
    return tuple(_figures(contents))


def _figures(contents: Contents) -> Iterator[Figure]:
    results = contents.results
    score, tious = results.score, results.tious
    over = f"tIoU {tious[0]:g}" if len(tious) == 1 else f"tIoU {tious[0]:g} to {tious[-1]:g}"
    yield Figure(percent(None if score is None else score.average), f"average mAP, %, over {over}")
    at = tious[results.tiou]
    yield Figure(percent(None if score is None else score.by_tiou[results.tiou]), f"mAP, %, at tIoU {at:g}")
    instances = sum(len(video.instances) for video in results.truth)
    yield Figure(f"{len(results.truth):,}", _plural("video", len(results.truth)))
    yield Figure(f"{instances:,}", _plural("instance", instances))
    classes = 0 if score is None else len(score.labels)
    yield Figure(f"{classes:,}", _plural("class", classes, "classes"))
    yield Figure(*duration(sum(video.duration for video in results.truth)))
    if contents.history.epochs:
        epochs = int(contents.history.epochs[-1])
        yield Figure(f"{epochs:,}", _plural("epoch", epochs))
    if contents.parameters is not None:
        yield Figure(*_short(contents.parameters))


def percent(value: float | None, decimals: int = 1) -> str:
    """Write a part of 1 in percent, without the sign; a dash where there is none."""
    return DASH if value is None or not math.isfinite(value) else f"{100 * value:.{decimals}f}"


def duration(seconds: float) -> tuple[str, str]:
    """Return a time in the unit that suits it, and the unit."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f}", f"{unit} in all"
    return f"{seconds:.1f}", "seconds in all"


def _short(count: int) -> tuple[str, str]:
    for size, name in ((1e6, "million parameters"), (1e3, "thousand parameters")):
        if count >= size:
            return f"{count / size:.1f}", name
    return str(count), "parameters"


def _plural(word: str, count: int, many: str = "") -> str:
    return word if count == 1 else many or f"{word}s"
