"""Detections as a label track of Audacity (`.txt`): a line `start<TAB>end<TAB>label` each, in seconds."""

from __future__ import annotations

from collections.abc import Iterable

from untrimmed.data.detections import Detections
from untrimmed.data.formats.plain_text import one_line


def audacity(detections: Detections) -> str:
    """Return the detections of one video as a label track, in the order of their starts; times in microseconds.

    Labels stand there without scores, so that the track, corrected by hand, can serve as annotations.
    """
    return label_track((each.start, each.end, each.label) for each in detections)


def label_track(marks: Iterable[tuple[float, float, str]]) -> str:
    """Return marks, each from a start to an end in seconds, as `audacity` does."""
    rows = sorted((max(0.0, start), max(0.0, end), one_line(label)) for start, end, label in marks)
    return "".join(f"{start:.6f}\t{end:.6f}\t{label}\n" for start, end, label in rows)
