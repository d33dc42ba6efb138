"""Detections as a label track of Audacity (`.txt`): a line `start<TAB>end<TAB>label` each, in seconds."""

from __future__ import annotations

from untrimmed.data.detections import Detections
from untrimmed.data.formats.plain_text import one_line


def audacity(detections: Detections) -> str:
    """Return the detections of one video as a label track, in the order of their starts; times in microseconds.

    Labels stand there without scores, so that the track, corrected by hand, can serve as annotations.
    """
    rows = sorted((max(0.0, each.start), max(0.0, each.end), one_line(each.label)) for each in detections)
    return "".join(f"{start:.6f}\t{end:.6f}\t{label}\n" for start, end, label in rows)
