r"""Label tracks of Audacity (`.txt`), as its manual describes them: a line `start<TAB>end<TAB>label` each, in seconds.

::

    2.150000	2.150000	a label of a point: no action
    3.400000	6.100000	a label of a region: an action
    \	6928.456055	6928.456055

Lines that begin with a backslash hold the frequencies of a spectral selection, and are ignored. Several label tracks
stand one behind the other in one file: they are read as one. Checked against the samples in Audacity's manual.
"""

from __future__ import annotations

import re

from untrimmed.data.check.report import count
from untrimmed.data.formats.audacity import label_track
from untrimmed.data.formats.exchange.naming import video_id
from untrimmed.data.formats.exchange.source import FaultError, Options, Source, as_number
from untrimmed.data.formats.exchange.timeline import Document, Mark, Timeline, most_common
from untrimmed.data.formats.plain_text import NAMELESS, one_line
from untrimmed.data.formats.reading import shown

_NUMBER = re.compile(r"-?\d{1,12}([.,]\d{1,12})?", re.ASCII)


def read_audacity(source: Source, _: Options) -> Document:
    """Read a label track.

    Raises:
        FaultError: if it is none.
    """
    marks: list[Mark] = []
    points: list[str] = []
    silent = 0
    for number, line in enumerate(re.split(r"\r\n|\n|\r", source.text), 1):
        if not line.strip() or line.startswith("\\"):
            continue
        start, end, text = _fields(line, number)
        label = one_line(text)
        if label == NAMELESS and NAMELESS not in text:
            silent += 1
        elif start == end:
            points.append(label)
        elif start > end:
            raise FaultError(f"line {number}: {shown(label)} ends before it starts; swap the two times")
        else:
            marks.append(Mark(start, end, label))
    notes = []
    if points:
        notes.append(f"{count(len(points), 'label')} of points left out, which have no length: {most_common(points)}")
    if silent:
        notes.append(f"{count(silent, 'label')} without text left out")
    return Document((Timeline(video_id(source.stem), tuple(marks)),), notes=tuple(notes))


def write_audacity(document: Document, _: Options) -> str:
    """Return one recording as a label track, in the order of the starts; times in microseconds."""
    return label_track((mark.start, mark.end, mark.label) for t in document.timelines for mark in t.marks)


def recognises_audacity(source: Source) -> bool:
    """Whether a file is called `.txt`, and begins with a line of a label track, or is empty."""
    if source.suffix != ".txt":
        return False
    first = source.text.lstrip("\r\n").partition("\n")[0]
    return not first.strip() or re.match(rf"{_NUMBER.pattern}\t{_NUMBER.pattern}(\t|\r?$)", first) is not None


def _fields(line: str, number: int) -> tuple[float, float, str]:
    values = line.split("\t", 2)
    if len(values) < 2 or not all(_NUMBER.fullmatch(value.strip()) for value in values[:2]):
        raise FaultError(f"line {number} is {shown(line)}, expected start, end and label with tabs between them")
    start, end = (as_number(float(value.strip().replace(",", ".")), f"line {number}: a time") for value in values[:2])
    return start, end, values[2] if len(values) > 2 else ""
