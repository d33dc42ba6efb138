"""Tables of labels, as people make them in a spreadsheet: one action a row.

::

    video,start,end,label
    monday.mp4,12.5,14,jump
    monday.mp4,1:02,1:05.5,throw
    tuesday.mp4,,,

A time is in seconds, or `mm:ss`, or `hh:mm:ss`; or in another unit that the column's name ends in, as `start (ms)` and
`start_min` do. A row with a video and nothing else says that the video has no actions.
Columns stand in any order and may have other usual names (`filename`, `begin`, `t-end`, `class`, ...); further columns
are ignored. Columns are separated by commas, semicolons or tabs; where it is no comma, decimals may have one.
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from untrimmed.data.annotations import Instance
from untrimmed.data.formats.reading import Problem, encoding_of, read_text, shown
from untrimmed.errors import AnnotationError

COLUMNS = {
    "video": ("video", "file", "filename", "videoid", "videofile", "videoname", "path"),
    "start": ("start", "begin", "tstart", "starttime", "begintime", "onset", "from"),
    "end": ("end", "stop", "tend", "endtime", "stoptime", "offset", "to"),
    "label": ("label", "class", "action", "name", "labelname", "classname", "activity", "event"),
}
"""Names of each column, lower case and without anything but letters and digits."""

Columns = Mapping[str, tuple[str, ...]]
"""Names of columns that tables have, by our name of it, in the form of `plain_name`."""

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)
_WHOLE = re.compile(r"\d+", re.ASCII)
_IN_BRACKETS = re.compile(r"[(\[]([^()\[\]]*)[)\]]")  # as in "start (s)"
_AT_THE_END = re.compile(r"(?<=\w)[\s_.-]+([a-z]+)$")  # as in "start_ms"
UNITS = {
    1.0: ("s", "sec", "secs", "second", "seconds"),
    1e-3: ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    1e-6: ("us", "\u00b5s", "\u03bcs", "microsecond", "microseconds"),
    60.0: ("min", "mins", "minute", "minutes"),
    3600.0: ("h", "hr", "hrs", "hour", "hours"),
}
"""Units of times, by their length in seconds."""
_LONGEST_HEADER = 100_000  # characters, and bytes
LONGEST_LABEL = 200
"""Characters of a label."""
MOST_SHOWN = 5
"""Problems that a message shows; of the others it says how many there are."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table of labels.

    Attributes:
        number: of the row, as a spreadsheet counts: the header is row 1.
        video: name of the video, as it is written.
        instance: what it says; `None`: the video has no actions. Blanks around and between the words of its label are
            as they are written.
        columns: how the table calls the columns `video`, `start`, `end` and `label`, for messages.
    """

    number: int
    video: str
    instance: Instance | None
    columns: Mapping[str, str]

    def place(self, column: str) -> str:
        """Say where in the table one of its four values stands."""
        return _place(self.number, self.columns[column])


def read_interval_table(path: str | Path) -> list[Row]:
    """Read a table of labels; the rows in their order, without blank ones.

    Raises:
        AnnotationError: if the file cannot be read, lacks a column, or rows of it cannot be understood; the message
            shows the first few of these, with row and column.
    """
    path = Path(path)
    table = open_table(path)
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, record in table.records:
        try:
            row = read_row(table, number, record)
        except RowFaultError as fault:
            problems.append(fault.problem)
            continue
        if row is not None:
            rows.append(row)
    refuse_rows(path, problems)
    return rows


def is_interval_table(path: str | Path) -> bool:
    """Whether a file's first row names the columns of a table of labels. With a score, it is one of detections.

    Only the beginning is looked at; whether the rest can be read is another question.
    """
    try:
        with Path(path).open("rb") as file:
            begin = file.read(_LONGEST_HEADER)
        start = begin.decode(encoding_of(begin), errors="replace")
        delimiter, _, body = _delimiter(start)
    except OSError:
        return False
    header = _first_line(body, delimiter)
    return _known_columns(header) == len(COLUMNS) and "score" not in map(plain_name, header)


def refuse_rows(path: Path, problems: Sequence[Problem]) -> None:
    """Raise an error that shows the first few problems, a line each, or return if there is none.

    Raises:
        AnnotationError: if there are problems.
    """
    if not problems:
        return
    lines = [f"{path}: {problem}" for problem in problems[:MOST_SHOWN]]
    rest = len(problems) - len(lines)
    if rest:
        lines.append(f"{path}: and {rest} more like these")
    raise AnnotationError("\n".join(lines))


def _place(number: int, column: str) -> str:
    return f"row {number}, column {column!r}"


class RowFaultError(ValueError):
    """A row cannot be understood."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.problem = Problem(place, message, about_one_instance=True)


@dataclass(frozen=True)
class Table:
    """A file, with its header understood.

    Attributes:
        delimiter: what separates the columns.
        header: the values of the first row.
        where: the index of each column that is known.
        names: what the header calls it.
        scales: seconds of the unit that the columns `start` and `end` are in.
        records: the rows that are not blank, with their numbers, as a spreadsheet counts.
    """

    delimiter: str
    header: Sequence[str]
    where: Mapping[str, int]
    names: Mapping[str, str]
    scales: Mapping[str, float]
    records: Sequence[tuple[int, list[str]]]


def open_table(
    path: Path,
    *,
    others: Columns = MappingProxyType({}),
    instead: Columns = MappingProxyType({}),
    text: str | None = None,
) -> Table:
    """Read a file, find out what separates its columns, and find the four.

    Args:
        path: of the file.
        others: columns that may be there too.
        instead: columns that stand for those of the four that have the same name, where the file lacks one of these.
        text: of the file, if it has been read before.

    Raises:
        AnnotationError: if it cannot be read as a table, one of the columns is not there, or twice, or times are in a
            unit that is not known.
    """
    text = read_text(path) if text is None else text
    if "\0" in text:
        raise AnnotationError(f"{path}: has zero bytes in it, as no text has; save it again as CSV in UTF-8")
    delimiter, skipped, body = _delimiter(text)
    records = _records(path, body, delimiter, skipped)
    if not records:
        raise AnnotationError(f"{path}: empty; the first row has to name the columns video,start,end,label")
    header = [name.strip() for name in records[0][1]]
    replaced = any(has_column(header, names) and not has_column(header, COLUMNS[n]) for n, names in instead.items())
    columns = {**COLUMNS, **(instead if replaced else {})}
    where = _find_columns(path, header, delimiter, columns)
    where |= _find_columns(
        path, header, delimiter, {n: known for n, known in others.items() if has_column(header, known)}
    )
    names = {name: header[i] for name, i in where.items()}
    try:
        scales = {name: scale_of(names[name]) for name in ("start", "end")}
    except ValueError as fault:
        raise AnnotationError(f"{path}: {fault}") from None
    return Table(delimiter, header, where, names, scales, records[1:])


def header_of(text: str) -> list[str]:
    """Return the values of the first row of a table that is not blank."""
    delimiter, _, body = _delimiter(text)
    return _first_line(body, delimiter)


def has_column(header: Sequence[str], names: Collection[str]) -> bool:
    """Whether one of these names is in the header."""
    return any(plain_name(name) in names for name in header)


def _delimiter(text: str) -> tuple[str, int, str]:
    """Return what separates the columns of a text, how many rows say nothing else, and the text behind them."""
    if stated := re.match(r"sep=([,;\t])\r?\n", text):  # Excel's own way to say it
        return stated[1], 1, text[stated.end() :]
    return max(_DELIMITERS, key=lambda each: _known_columns(_first_line(text, each))), 0, text


def _first_line(text: str, delimiter: str) -> list[str]:
    """Return the values of the first line that is not blank."""
    line = re.split(r"[\r\n]", text[:_LONGEST_HEADER].lstrip(), maxsplit=1)[0]
    return next(csv.reader([line], delimiter=delimiter), [])


def _records(path: Path, text: str, delimiter: str, skipped: int) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, with their numbers."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[tuple[int, list[str]]] = []
    number = skipped
    try:
        for number, record in enumerate(reader, 1 + skipped):
            if any(value.strip() for value in record):
                records.append((number, record))
    except csv.Error as error:
        raise AnnotationError(
            f"{path}: row {number + 1} cannot be read ({error}); is a quotation mark without its partner?"
        ) from None
    return records


def _find_columns(path: Path, header: Sequence[str], delimiter: str, columns: Columns) -> dict[str, int]:
    """Return the index of each of some columns; a column's own name goes before others for it."""
    plain = [plain_name(name) for name in header]
    where: dict[str, int] = {}
    for column, names in columns.items():
        own = [i for i, name in enumerate(plain) if name == column]
        found = own or [i for i, name in enumerate(plain) if name in names]
        if len(found) == 1:
            where[column] = found[0]
            continue
        there = ", ".join(map(shown, header[:8]))
        if found:
            several = ", ".join(repr(header[i]) for i in found)
            fault = f"more than one column for {column!r}: {several}; rename the others"
        else:
            fault = f"no column {column!r} in the first row, which is {there} (separated by {_DELIMITERS[delimiter]})"
        raise AnnotationError(f"{path}: {fault}. Expected are video,start,end,label, in any order")
    return where


def _known_columns(header: Sequence[str]) -> int:
    """How many of the four columns a header has."""
    plain = {plain_name(name) for name in header}
    return sum(not plain.isdisjoint(names) for names in COLUMNS.values())


def plain_name(name: str) -> str:
    """Return a column's name without case, unit, blanks and punctuation."""
    without = _IN_BRACKETS.sub("", name).casefold().strip()
    at_the_end = _AT_THE_END.search(without)
    if at_the_end is not None and any(at_the_end[1] in names for names in UNITS.values()):
        without = without[: at_the_end.start()]
    return "".join(character for character in without if character.isalnum())


def unit_of(name: str) -> str:
    """Return the unit that a column's name ends in, in lower case, or nothing."""
    plain = name.casefold().strip()
    if (in_brackets := _IN_BRACKETS.search(plain)) is not None:
        return in_brackets[1].strip()
    at_the_end = _AT_THE_END.search(plain)
    known = at_the_end is not None and any(at_the_end[1] in names for names in UNITS.values())
    return at_the_end[1] if at_the_end is not None and known else ""


def scale_of(name: str) -> float:
    """Return how many seconds the unit of a column of times has; seconds where its name says none.

    Raises:
        ValueError: if it is not known.
    """
    unit = unit_of(name)
    if not unit or ":" in unit:  # as in "start (hh:mm:ss)"
        return 1.0
    for scale, names in UNITS.items():
        if unit in names:
            return scale
    if unit.startswith("frame"):
        raise ValueError(f"column {name!r} counts frames; `untrimmed convert --rate` makes a table in seconds of it")
    units = ", ".join(names[0] for names in UNITS.values())
    raise ValueError(
        f"column {name!r} is in {unit!r}, which is no unit of time here: expected is one of {units}, hh:mm:ss, or none "
        "where times are in seconds"
    )


def read_row(
    table: Table,
    number: int,
    record: Sequence[str],
    time: Callable[[str], float] | None = None,
    *,
    points: bool = False,
) -> Row | None:
    """Understand a row; `None` if nothing stands in its four columns.

    Args:
        table: that it is of.
        number: of the row.
        record: its values.
        time: makes seconds of the text of a time, or raises a `ValueError`; left out: `seconds`.
        points: whether an action may have no length.

    Raises:
        RowFaultError: if it cannot be.
    """
    decimal_comma = table.delimiter != ","
    count = len(table.header)
    if any(value.strip() for value in record[count:]):
        message = f"{len(record)} values, but there are {count} columns; put text with a separator in it in quotes"
        raise RowFaultError(f"row {number}", message)
    values = {column: record[i].strip() if i < len(record) else "" for column, i in table.where.items()}
    if not any(values.values()):
        return None

    place = {column: _place(number, name) for column, name in table.names.items()}
    if not values["video"]:
        raise RowFaultError(place["video"], "is empty; every row has to name its video")
    if not (values["start"] or values["end"] or values["label"]):
        return Row(number, values["video"], None, table.names)
    if not values["label"]:
        message = "is empty; say what happens, or if nothing does, leave start and end empty too"
        raise RowFaultError(place["label"], message)
    if (fault := _label_fault(values["label"])) is not None:
        raise RowFaultError(place["label"], f"{shown(values['label'])} {fault}")
    times = []
    for column in ("start", "end"):
        try:
            text, scale = values[column], table.scales[column]
            times.append(time(text) if time else seconds(text, decimal_comma=decimal_comma, scale=scale))
        except ValueError as fault:
            raise RowFaultError(place[column], str(fault)) from None
    start, end = times
    if start > end or (start == end and not points):
        order = "ends before it starts" if start > end else "has no length"
        found = f"{values['label']!r} from {values['start']} to {values['end']}"
        raise RowFaultError(place["end"], f"{shown(values['end'])}: {found} {order}; correct one of the two times")
    return Row(number, values["video"], Instance(start, end, record[table.where["label"]]), table.names)


def _label_fault(label: str) -> str | None:
    """Return why a text is no name of a class."""
    if len(label.splitlines()) > 1 or len(label) > LONGEST_LABEL:
        return "is too long for a label, or has several lines; is a quotation mark without its partner?"
    if any(unicodedata.category(character) == "Cc" for character in label if character != "\t"):
        return "has characters that cannot be printed; write it anew"
    return None


def seconds(text: str, *, decimal_comma: bool = False, scale: float = 1.0) -> float:
    """Return a time in seconds of `12.5`, `1:02.5` or `0:01:02.5`.

    Args:
        text: the time.
        decimal_comma: whether a comma may stand for the point.
        scale: seconds of the unit of a plain number.

    Raises:
        ValueError: if it is none; the message says why.
    """
    if not text:
        raise ValueError("is empty; a time is in seconds, or mm:ss, or hh:mm:ss")
    plain = text.replace(",", ".") if decimal_comma and "." not in text else text
    if re.fullmatch(r"[-\u2212][\d:.]+", plain):
        raise ValueError(f"{shown(text)} is negative; times are counted from the beginning of the video")
    *larger, last = plain.split(":")
    if len(larger) > 2 or not all(map(_WHOLE.fullmatch, larger)) or not _SECONDS.fullmatch(last):
        has_comma = "," in plain and not decimal_comma
        comma = "; decimals have a point here, since commas separate the columns" if has_comma else ""
        raise ValueError(f"{shown(text)} is no time; it has to be in seconds, or mm:ss, or hh:mm:ss{comma}")
    parts = [float(part) for part in (*larger, last)]
    if any(part >= 60 for part in parts[1:]):
        raise ValueError(f"{shown(text)} is no time: minutes and seconds after a colon have to be below 60")
    value = sum(part * 60**power for power, part in enumerate(reversed(parts)))
    if scale != 1:
        if larger:
            raise ValueError(f"{shown(text)} has colons, but its column says that times are plain numbers")
        value = value * scale if scale > 1 else value / round(1 / scale)
    if not math.isfinite(value):
        raise ValueError(f"{shown(text)} is no time: it is too large")
    return value
