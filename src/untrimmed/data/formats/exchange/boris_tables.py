"""BORIS' exports of events as tables, CSV or TSV: "aggregated events" and "tabular events", of BORIS 7 and 8.

Aggregated events have a row for each mark, with `Behavior`, `Behavior type` (STATE or POINT), `Start (s)`, `Stop (s)`,
and the file in `Media file name`, `Media file` or, in version 8, `Source` as `player #1:PATH`. Tabular events have a
row for each start and stop, in `Time`, told apart by `Status` (version 7, below some lines about the observation) or
`Behavior type` (version 8). Lengths and frame rates are in `Media duration (s)` or `Total length`, and `FPS (frame/s)`
or `FPS`. Times contain the offset of the observation, in `Time offset (s)`.

Points have no length and are left out. Scores, as in `formats.exchange.boris`, stand in the comment of the start. What
is written are aggregated events as version 8 has them. Checked against exports in BORIS' own tests (tabular events of
version 7), rows of aggregated events of version 7 in a public repository, and the names of the columns in the source of
version 8.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from untrimmed.data.files import write_atomically
from untrimmed.data.formats.exchange.boris import is_score, milliseconds, rows_of, score_comment
from untrimmed.data.formats.exchange.naming import lasting_id, video_id
from untrimmed.data.formats.exchange.source import FaultError, Options, Source
from untrimmed.data.formats.exchange.timeline import LONGEST, Document, Mark, Timeline
from untrimmed.data.formats.plain_text import one_line
from untrimmed.data.formats.reading import shown

_MEDIA = ("media file name", "media file", "media file path", "source")
_LENGTH = ("media duration (s)", "total length", "total duration")
_RATE = ("fps (frame/s)", "fps")
_PREAMBLE = 1000  # rows about the observation, at most, before the header
_NUMBER = re.compile(r"-?\d{1,15}([.,]\d{1,15})?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,5}):(\d\d):(\d\d(?:[.,]\d{1,6})?)", re.ASCII)
_HEADER = (
    "Observation id",
    "Observation date",
    "Description",
    "Observation type",
    "Source",
    "Time offset (s)",
    "Coding duration",
    "Media duration (s)",
    "FPS (frame/s)",
    "Subject",
    "Observation duration by subject by observation",
    "Behavior",
    "Behavioral category",
    "Behavior type",
    "Start (s)",
    "Stop (s)",
    "Duration (s)",
    "Media file name",
    "Image index start",
    "Image index stop",
    "Image file path start",
    "Image file path stop",
    "Comment start",
    "Comment stop",
)

_Row = Mapping[str, str]


def read_boris_table(source: Source, _: Options) -> Document:
    """Read aggregated or tabular events.

    Raises:
        FaultError: if they cannot be understood.
    """
    preamble, rows = _rows(source)
    notes: Counter[str] = Counter()
    timelines: dict[str, list[Mark]] = {}
    facts: dict[str, tuple[float | None, float | None]] = {}
    pending: dict[tuple[str, str, str, str], tuple[float, str]] = {}
    for number, row in rows:
        label = row["behavior"].strip()
        if not label:
            continue
        id_ = _video(row, preamble, source, number)
        timelines.setdefault(id_, [])
        facts.setdefault(id_, (_fact(row, _LENGTH), _fact(row, _RATE)))
        offset = _time(row.get("time offset (s)", "") or "0", number, "Time offset (s)")
        kind = (row.get("behavior type") or row.get("status") or "").strip().upper()
        if kind == "POINT" or (kind == "" and "time" in row):
            notes[f"events of {shown(label)}, which are points without length, left out"] += 1
        elif "start (s)" in row:
            start, end = (_time(row[name], number, name) for name in ("start (s)", "stop (s)"))
            if start > end:
                raise FaultError(f"row {number}: {shown(label)} ends before it starts")
            timelines[id_].append(Mark(start - offset, end - offset, label, is_score(row.get("comment start", ""))))
        else:
            time = _time(row["time"], number, "time") - offset
            key = (id_, row.get("observation id", ""), row.get("subject", ""), label)
            if kind == "START":
                notes["starts of states without a stop left out"] += key in pending
                pending[key] = time, row.get("comment", "")
            elif kind == "STOP" and (begun := pending.pop(key, None)) is not None:
                if begun[0] > time:
                    raise FaultError(f"row {number}: {shown(label)} ends before it starts")
                timelines[id_].append(Mark(begun[0], time, label, is_score(begun[1])))
            else:
                notes["stops of states without a start left out" if kind == "STOP" else f"rows that are {kind!r}"] += 1
    notes["starts of states without a stop left out"] += len(pending)
    return Document(
        tuple(Timeline(id_, tuple(marks), *facts[id_]) for id_, marks in timelines.items()),
        notes=tuple(f"{text}: {number:,}" for text, number in notes.items() if number),
    )


def write_boris_table(document: Document, path: Path, options: Options) -> None:
    """Write aggregated events, with tabs if the file is called `.tsv`.

    Raises:
        OSError: if the file cannot be written.
    """
    write_atomically(path, boris_table_text(document, "\t" if path.suffix.lower() == ".tsv" else ",", options))


def boris_table_text(document: Document, delimiter: str, options: Options) -> str:
    """Return aggregated events, as BORIS 8 exports them."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(_HEADER)
    for timeline in document.timelines:
        file = options.file_of(timeline.video)
        duration = "NA" if timeline.duration is None else repr(timeline.duration)
        rate = "NA" if timeline.rate is None else repr(timeline.rate)
        for mark, row in rows_of(timeline):
            start, end = milliseconds(mark)
            values = {
                "Observation id": timeline.video,
                "Observation type": "Media file(s)",
                "Source": f"player #1:{file}",
                "Time offset (s)": "0.0",
                "Coding duration": "NA",
                "Media duration (s)": duration,
                "FPS (frame/s)": rate,
                "Subject": f"overlap {row}" if row else "No focal subject",
                "Observation duration by subject by observation": "NA",
                "Behavior": mark.label,
                "Behavior type": "STATE",
                "Start (s)": f"{start / 1000:.3f}",
                "Stop (s)": f"{end / 1000:.3f}",
                "Duration (s)": f"{(end - start) / 1000:.3f}",
                "Media file name": file,
                "Image index start": "NA",
                "Image index stop": "NA",
                "Comment start": score_comment(mark.score),
            }
            writer.writerow([values.get(name, "") for name in _HEADER])
    return text.getvalue()


def recognises_boris_table(source: Source) -> bool:
    """Whether a `.csv` or `.tsv` file has the columns of one of BORIS' exports."""
    if source.suffix not in (".csv", ".tsv") or not source.path.is_file():
        return False
    return _delimiter(source.text) is not None


def boris_table_name(name: str) -> str:
    """Return an id that BORIS' tables can hold as it will be read."""
    return one_line(lasting_id(one_line(name)))


def _is_header(row: list[str]) -> bool:
    names = {name.strip().lower() for name in row}
    return "behavior" in names and ({"start (s)", "stop (s)"} <= names or "time" in names)


def _delimiter(text: str) -> str | None:
    """Return what separates the columns, if there are the columns of an export."""
    for line in text[:100_000].splitlines()[:_PREAMBLE]:
        if "behavior" in line.lower():
            for delimiter in (",", "\t", ";"):
                if _is_header(next(csv.reader([line], delimiter=delimiter), [])):
                    return delimiter
    return None


def _rows(source: Source) -> tuple[dict[str, str], Iterator[tuple[int, _Row]]]:
    """Return what stands before the header, by the first value of each row, and the rows behind it."""
    delimiter = _delimiter(source.text)
    if delimiter is None:
        raise FaultError(
            "has no row with the columns Behavior and Start (s), Stop (s) or Time, as exports of BORIS have"
        )
    preamble: dict[str, str] = {}
    header: list[str] = []
    rows: list[tuple[int, _Row]] = []
    number = 0
    try:
        for number, record in enumerate(csv.reader(io.StringIO(source.text, newline=""), delimiter=delimiter), 1):
            if header:
                if any(value.strip() for value in record):
                    rows.append((number, dict(zip(header, [*record, *[""] * len(header)], strict=False))))
            elif _is_header(record):
                header = [name.strip().lower() for name in record]
            elif len(record) > 1:
                preamble.setdefault(record[0].strip().lower(), record[1].strip())
    except csv.Error as error:
        raise FaultError(f"row {number + 1} cannot be read ({error})") from None
    if not header:
        raise FaultError("has no row that names the columns, as exports of BORIS have")
    return preamble, iter(rows)


def _video(row: _Row, preamble: Mapping[str, str], source: Source, number: int) -> str:
    file = next((row[name].strip() for name in _MEDIA if row.get(name, "").strip() not in ("", "NA")), "")
    file = file or preamble.get("player #1", "") or row.get("observation id", "") or preamble.get("observation id", "")
    first = re.sub(r"^player #\d+:", "", re.split(r";(?=player #\d+:)", file)[0].strip())
    id_ = one_line(video_id(first or source.stem))
    if not id_:
        raise FaultError(f"row {number}: {shown(file)} names no video")
    return id_


def _time(text: str, number: int, column: str) -> float:
    text = text.strip()
    if clock := _CLOCK.fullmatch(text):
        return int(clock[1]) * 3600 + int(clock[2]) * 60 + float(clock[3].replace(",", "."))
    if not _NUMBER.fullmatch(text):
        raise FaultError(f"row {number}, column {column!r}: {shown(text)} is no time; expected seconds")
    return float(text.replace(",", "."))


def _fact(row: _Row, names: tuple[str, ...]) -> float | None:
    """Return a length or a frame rate; of several files, which stand there with semicolons, none."""
    text = next((row[name].strip() for name in names if row.get(name, "").strip()), "")
    text = re.sub(r"^player #\d+:", "", text)
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value <= LONGEST else None
