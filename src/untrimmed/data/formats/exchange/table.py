"""Tables of marks, CSV or TSV, as people make them in a spreadsheet and scripts write them: one mark a row.

::

    video,start,end,label,score                  video	start_frame	end_frame	label	fps
    monday.mp4,12.5,14,jump,0.93                 monday	312	350	jump	25

They are those of `formats.interval_table`, whose column names, times (seconds, `mm:ss`, `hh:mm:ss`) and rules hold, and
may have further columns: a score for each mark; subset, `video_duration` and frame rate of the recording. Times may
also be numbers of frames, in columns like `start_frame` and `end_frame`, or `start (frames)`: counted from 0, the end
being the first frame behind the mark. The frame rate is then that of the row, or the caller's. There is no standard to
follow: the tests use samples of our own, as spreadsheets save them.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from untrimmed.data.files import write_atomically
from untrimmed.data.formats.exchange.naming import lasting_id, video_id
from untrimmed.data.formats.exchange.source import FaultError, Options, Source
from untrimmed.data.formats.exchange.timeline import LONGEST, Document, Mark, Timeline
from untrimmed.data.formats.interval_table import (
    COLUMNS,
    LONGEST_LABEL,
    RowFaultError,
    Table,
    has_column,
    header_of,
    open_table,
    plain_name,
    read_row,
    refuse_rows,
    scale_of,
    seconds,
    unit_of,
)
from untrimmed.data.formats.plain_text import one_line
from untrimmed.data.formats.reading import Problem, shown

_FACTS = {
    "score": ("score",),
    "subset": ("subset", "split", "partition"),
    "duration": ("videoduration", "videolength"),  # a mere "duration" may be that of the action
    "rate": ("rate", "fps", "framerate", "framespersecond"),
}
_FRAMES = {
    "start": ("startframe", "framestart", "firstframe", "beginframe", "startframes"),
    "end": ("endframe", "frameend", "lastframe", "stopframe", "endframes"),
}
_IN_FRAMES = re.compile(r"[(\[]\s*frames?(\s+(numbers?|no\.?|index|indices))?\s*[)\]]", re.IGNORECASE)
_NUMBER = re.compile(r"-?(\d{1,30}(\.\d{0,330})?|\.\d{1,330})(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
HEADER = 100_000
"""Characters in which the first row has to end."""
_WHOLE = re.compile(r"\d{1,15}(\.0+)?", re.ASCII)


def read_table(source: Source, options: Options) -> Document:
    """Read a table.

    Raises:
        AnnotationError: if it cannot be understood; the message shows the first few rows with faults.
        FaultError: if frames are counted, and no frame rate is known.
    """
    table = open_table(source.path, others=_FACTS, instead=_FRAMES, text=_in_frames(source.text))
    counts_frames = _counts_frames(table)
    timelines: dict[str, list[Timeline]] = {}
    named: dict[str, str] = {}
    problems: list[Problem] = []
    for number, record in table.records:
        try:
            timeline = _timeline(table, number, record, options, counts_frames=counts_frames)
            if timeline is None:
                continue
            name = record[table.where["video"]].strip()
            if named.setdefault(timeline.video, name) != name:
                both = f"{named[timeline.video]!r} and {name!r} would both be video {timeline.video!r}"
                raise RowFaultError(f"row {number}", f"{both}; give their files different names")
        except RowFaultError as fault:
            problems.append(fault.problem)
            continue
        timelines.setdefault(timeline.video, []).append(timeline)
    refuse_rows(source.path, problems)
    return Document(tuple(_together(rows) for rows in timelines.values()))


def write_table(document: Document, path: Path, _: Options) -> None:
    """Write a table, with tabs if the file is called `.tsv`.

    Raises:
        OSError: if the file cannot be written.
    """
    write_atomically(path, table_text(document, "\t" if path.suffix.lower() == ".tsv" else ","))


def table_text(document: Document, delimiter: str) -> str:
    """Return a table; columns stand there only if a recording has something to say in them."""
    there = {
        "score": document.scored,
        "subset": any(t.subset for t in document.timelines),
        "video_duration": any(t.duration is not None for t in document.timelines),
        "fps": any(t.rate is not None for t in document.timelines),
    }
    columns = [name for name, is_there in there.items() if is_there]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(["video", "start", "end", "label", *columns])
    for timeline in document.timelines:
        known = {"subset": timeline.subset, "video_duration": _digits(timeline.duration), "fps": _digits(timeline.rate)}
        rows = [(_digits(m.start), _digits(m.end), m.label, _digits(m.score)) for m in timeline.marks]
        for *times_and_label, score in rows or [("", "", "", "")]:
            values = {"score": score, **known}
            writer.writerow([timeline.video, *times_and_label, *(values[name] for name in columns)])
    return text.getvalue()


def recognises_table(source: Source) -> bool:
    """Whether the first row of a `.csv` or `.tsv` file names the columns of a table."""
    if source.suffix not in (".csv", ".tsv") or not source.path.is_file():
        return False
    header = header_of(_in_frames(source.text[:HEADER]))
    return all(has_column(header, (*names, *_FRAMES.get(name, ()))) for name, names in COLUMNS.items())


def table_label(label: str) -> str:
    """Return a label as a table can hold it."""
    return one_line(label, LONGEST_LABEL)


def table_video(id_: str) -> str:
    """Return the id that a recording's name in a table will be read as."""
    return one_line(lasting_id(one_line(id_)))


def _counts_frames(table: Table) -> bool:
    """Whether times are numbers of frames.

    Raises:
        FaultError: if only one of the two columns says so.
    """
    frames = {column: plain_name(table.names[column]) in names for column, names in _FRAMES.items()}
    if frames["start"] != frames["end"]:
        one, other = sorted(_FRAMES, key=lambda column: not frames[column])
        raise FaultError(
            f"column {table.names[one]!r} counts frames, but column {table.names[other]!r} does not; have both in "
            "frames, or both in seconds"
        )
    return frames["start"]


def _in_frames(text: str) -> str:
    """Return a table's text with `start (frames)` in its first row called `start frames`."""
    end = text.find("\n", len(text) - len(text.lstrip()))
    end = len(text) if end < 0 else end
    return _IN_FRAMES.sub("frames", text[:end]) + text[end:]


def _timeline(
    table: Table, number: int, record: Sequence[str], options: Options, *, counts_frames: bool
) -> Timeline | None:
    """Return what a row says.

    Raises:
        RowFaultError: if it cannot be understood.
        FaultError: if frames are counted, and no frame rate is known.
    """
    rate = _positive(table, number, record, "rate")
    row = read_row(table, number, record, _whole if counts_frames else None, points=True)
    if row is None:
        return None
    id_ = video_id(row.video)
    if not id_:
        raise RowFaultError(row.place("video"), f"{shown(row.video)} names no video")
    duration = _positive(table, number, record, "duration")
    subset = _value(table, record, "subset")
    if row.instance is None:
        return Timeline(id_, (), duration, rate, subset)
    start, end = row.instance.start, row.instance.end
    if counts_frames:
        counted = options.rate_of(id_, rate)
        if counted is None:
            raise FaultError(
                f"row {number}: times are in frames, and the frame rate of video {id_!r} is not known; say it by "
                "--rate, or in a column fps"
            )
        start, end = start / counted, end / counted
    mark = Mark(start, end, " ".join(row.instance.label.split()), _number(table, number, record, "score"))
    return Timeline(id_, (mark,), duration, rate, subset)


def _together(rows: Sequence[Timeline]) -> Timeline:
    """Return what several rows say of one recording; facts may stand in one of them or in all."""
    marks = tuple(mark for row in rows for mark in row.marks)
    facts: dict[str, object] = {}
    for name in ("duration", "rate", "subset"):
        values = dict.fromkeys(getattr(row, name) for row in rows if getattr(row, name) not in (None, ""))
        if len(values) > 1:
            raise FaultError(
                f"video {rows[0].video!r} has more than one {name}: {', '.join(map(str, list(values)[:3]))}"
            )
        facts[name] = next(iter(values), "" if name == "subset" else None)
    return Timeline(rows[0].video, marks, **facts)  # type: ignore[arg-type]


def _whole(text: str) -> float:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{shown(text)} is no number of a frame; expected a whole number")
    return float(text)


def _value(table: Table, record: Sequence[str], column: str) -> str:
    at = table.where.get(column)
    return "" if at is None or at >= len(record) else record[at].strip()


def _number(table: Table, number: int, record: Sequence[str], column: str) -> float | None:
    text = _value(table, record, column)
    if not text:
        return None
    plain = text.replace(",", ".") if table.delimiter != "," and "." not in text else text
    percents = unit_of(table.names[column]) == "%"
    plain = plain.removesuffix("%").rstrip() if percents else plain
    if not _NUMBER.fullmatch(plain) or not math.isfinite(float(plain)):
        raise RowFaultError(f"row {number}, column {table.names[column]!r}", f"{shown(text)} is no number")
    return float(plain) / 100 if percents else float(plain)


def _positive(table: Table, number: int, record: Sequence[str], column: str) -> float | None:
    text = _value(table, record, column)
    if column == "duration" and text:
        name = table.names[column]
        try:
            value: float | None = seconds(text, decimal_comma=table.delimiter != ",", scale=scale_of(name))
        except ValueError as fault:
            raise RowFaultError(f"row {number}, column {name!r}", str(fault)) from None
    else:
        value = _number(table, number, record, column)
    if value is not None and not 0 < value <= LONGEST:
        raise RowFaultError(f"row {number}, column {table.names[column]!r}", f"{shown(text)} is no {column}")
    return value


def _digits(value: float | None) -> str:
    """Return a number with as many digits as it takes to read it back, without an exponent."""
    return "" if value is None else format(Decimal(repr(float(value))), "f")
