"""EPIC-KITCHENS-100's own CSV files, as its authors publish them (epic-kitchens/epic-kitchens-100-annotations).

::

    EPIC_100_train.csv, EPIC_100_validation.csv
        narration_id,...,video_id,...,start_timestamp,stop_timestamp,...,verb_class,...,noun_class,...
        P01_11_0,...,P01_11,...,00:00:00.00,00:00:01.89,...,0,...,2,...
    EPIC_100_test_timestamps.csv       the same without classes: its videos are read, without instances
    EPIC_100_verb_classes.csv          id,key,...          97 verbs
    EPIC_100_noun_classes.csv          id,key,...          300 nouns
    EPIC_100_video_info.csv            video_id,duration,fps,...

A segment is annotated with a verb and a noun, so the same files give three data sets, one for each task. For `verb` and
`noun`, labels are the keys of the class list in the order of their ids, whether they occur or not: class numbers are
the official ones. For `action`, labels are pairs of ids like `0,2`, those that occur, in the order of the official
action number, verb * 300 + noun.

Columns may stand in any order; further ones are ignored. As published, one segment of the validation set ends behind
the end of its video: it stays as it is. A video of which no segment file says anything is not part of the data set.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.formats.interval_table import seconds
from untrimmed.data.formats.reading import MOST_CLASSES, read_text, shown
from untrimmed.errors import AnnotationError

Task = Literal["verb", "noun", "action"]

SUBSETS = {
    "training": "EPIC_100_train.csv",
    "validation": "EPIC_100_validation.csv",
    "test": "EPIC_100_test_timestamps.csv",
}
"""The published files of segments, by the name that their subset gets."""

_VERBS = "EPIC_100_verb_classes.csv"
_NOUNS = "EPIC_100_noun_classes.csv"
_VIDEOS = "EPIC_100_video_info.csv"
_TIMES = ("narration_id", "video_id", "start_timestamp", "stop_timestamp")
_CLASSES = ("verb_class", "noun_class")
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_TIMESTAMP = re.compile(r"\d+:\d\d:\d\d(\.\d+)?", re.ASCII)
_LONGEST_HEADER = 10_000  # bytes


def read_epic_kitchens(
    segments: str | Path | Mapping[str, str | Path],
    task: Task,
    *,
    lists: str | Path | None = None,
    strict: bool = True,
) -> Annotations:
    """Read the segments of EPIC-KITCHENS-100 as instances of verbs, nouns or actions.

    Args:
        segments: a folder with the published files; or one file of segments, whose name says its subset (see `SUBSETS`;
            of another name, the subset is called after the file); or files of segments by name of their subset.
        task: which of the three data sets.
        lists: folder with both class lists and the information about videos; left out: where the segments are.
        strict: whether to refuse segments that end before they start; otherwise they are left out.

    Raises:
        AnnotationError: if a file cannot be read or understood; naming file, row and column.
    """
    files = _segment_files(segments)
    folder = next(iter(files.values())).parent if lists is None else Path(lists)
    source = next(iter(files.values())) if len(files) == 1 else folder
    classes = {"verb_class": _read_classes(folder / _VERBS), "noun_class": _read_classes(folder / _NOUNS)}
    known = _read_videos(folder / _VIDEOS)

    subsets: dict[str, str] = {}
    found: dict[str, list[_Segment]] = {}
    for subset, path in files.items():
        for id_, of_video in _read_segments(path, subset, classes, known, strict=strict).items():
            if id_ in subsets:
                other = f"subset {subsets[id_]!r} ({files[subsets[id_]]})"
                raise AnnotationError(f"{path}: video {id_!r} is in {other} too; take it out of one of the two")
            subsets[id_], found[id_] = subset, of_video

    labels = _labels(task, classes, (segment for of_video in found.values() for segment in of_video))
    videos = {
        id_: Video(id_, known[id_][0], subsets[id_], known[id_][1], tuple(s.instance(task, labels) for s in of_video))
        for id_, of_video in found.items()
    }
    return Annotations(videos, tuple(labels.values()), str(source))


def is_epic_kitchens(path: str | Path) -> bool:
    """Whether this is a folder with files of segments, or the first row of a file names their columns."""
    path = Path(path)
    if path.is_dir():
        return any((path / name).is_file() for name in SUBSETS.values())
    try:
        with path.open("rb") as file:
            start = file.readline(_LONGEST_HEADER).decode("utf-8-sig", errors="replace")
    except OSError:
        return False
    return set(_TIMES) <= {name.strip() for name in start.split(",")}


def parse_action(label: str) -> tuple[int, int] | None:
    """Return verb and noun of an action's label like `0,2`, or `None` if it is none."""
    verb, comma, noun = label.partition(",")
    if not (comma and _WHOLE.fullmatch(verb) and _WHOLE.fullmatch(noun)):
        return None
    return int(verb), int(noun)


@dataclass(frozen=True, slots=True)
class _Segment:
    """What a row says: seconds, and class numbers."""

    start: float
    end: float
    verb: int
    noun: int

    def key(self, task: Task) -> tuple[int, ...]:
        """What identifies its class in a task; these sort as the official class numbers do."""
        return {"verb": (self.verb,), "noun": (self.noun,), "action": (self.verb, self.noun)}[task]

    def instance(self, task: Task, labels: Mapping[tuple[int, ...], str]) -> Instance:
        return Instance(self.start, self.end, labels[self.key(task)])


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a table; the header is row 1."""

    number: int
    values: Mapping[str, str]

    def fault(self, column: str, message: str) -> _FaultError:
        return _FaultError(f"row {self.number}, column {column!r}: {message}")

    def whole(self, column: str, below: int, what: str) -> int:
        """Return a whole number.

        Raises:
            _FaultError: if it is none from 0 to `below` - 1.
        """
        text = self.values[column]
        if not _WHOLE.fullmatch(text) or int(text) >= below:
            raise self.fault(column, f"found {shown(text)}, expected {what}, a whole number from 0 to {below - 1}")
        return int(text)

    def positive(self, column: str, unit: str) -> float:
        """Return a number above 0.

        Raises:
            _FaultError: if it is none.
        """
        text = self.values[column]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise self.fault(column, f"found {shown(text)}, expected a positive number of {unit}")
        return value

    def timestamp(self, column: str) -> float:
        """Return a time in seconds.

        Raises:
            _FaultError: if it is no time.
        """
        text = self.values[column]
        if not _TIMESTAMP.fullmatch(text):
            raise self.fault(column, f"found {shown(text)}, expected a time as hh:mm:ss.ff, for instance 00:01:02.50")
        try:
            return seconds(text)
        except ValueError as error:
            raise self.fault(column, str(error)) from None


class _FaultError(ValueError):
    """A row cannot be understood; the message says where."""


def _segment_files(segments: str | Path | Mapping[str, str | Path]) -> dict[str, Path]:
    """Return files of segments by subset."""
    if isinstance(segments, Mapping):
        if not segments:
            raise AnnotationError("no file of segments is named; name at least one, for instance validation")
        return {subset: Path(path) for subset, path in segments.items()}
    path = Path(segments)
    if not path.is_dir():
        return {next((subset for subset, name in SUBSETS.items() if name == path.name), path.stem): path}
    files = {subset: path / name for subset, name in SUBSETS.items() if (path / name).is_file()}
    if not files:
        expected = ", ".join(SUBSETS.values())
        raise AnnotationError(f"{path}: none of {expected} is in this folder; get them where the data set is published")
    return files


def _read_table(path: Path, columns: Sequence[str]) -> tuple[list[str], list[_Row]]:
    """Return the header of a table and its rows that are not blank.

    Raises:
        AnnotationError: if it cannot be read as CSV, or a column is not there, or twice.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    number = 0
    rows: list[_Row] = []
    header: list[str] = []
    try:
        for number, record in enumerate(reader, 1):
            if number == 1:
                header = [name.strip() for name in record]
                _check_header(path, header, columns)
            elif any(value.strip() for value in record):
                if len(record) != len(header):
                    message = f"found {len(record)} values, expected {len(header)}, as many as the first row has"
                    quotes = "text with commas in it has to be in quotes"
                    raise AnnotationError(f"{path}: row {number}: {message}; {quotes}")
                rows.append(_Row(number, {name: value.strip() for name, value in zip(header, record, strict=True)}))
    except csv.Error as error:
        place = f"{path}: row {number + 1}"
        raise AnnotationError(f"{place}: cannot be read as CSV ({error}); get the file again") from None
    if not header:
        raise AnnotationError(f"{path}: is empty; its first row has to name the columns {', '.join(columns)}")
    return header, rows


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    for column in columns:
        if (count := header.count(column)) != 1:
            found = ", ".join(map(repr, header[:15])) or "nothing"
            fault = f"column {column!r} is missing" if count == 0 else f"column {column!r} is there {count} times"
            message = f"{fault}; found {found}, expected {', '.join(columns)}, as in the published file"
            raise AnnotationError(f"{path}: row 1: {message}")


def _refuse(path: Path, faults: Sequence[_FaultError]) -> None:
    """Raise an error that shows the first fault and says how many more there are, or return if there is none."""
    if faults:
        more = f" (and {len(faults) - 1} more rows with faults)" if len(faults) > 1 else ""
        raise AnnotationError(f"{path}: {faults[0]}; correct it, or get the file again{more}")


def _read_list(path: Path, columns: Sequence[str]) -> list[_Row]:
    """Return the rows of one of the three lists that belong to the segments."""
    if not path.is_file():
        raise AnnotationError(f"{path}: there is no such file; it has to lie beside the segments, under this name")
    rows = _read_table(path, columns)[1]
    if not rows:
        raise AnnotationError(f"{path}: has no rows; get the file again")
    return rows


def _read_classes(path: Path) -> tuple[str, ...]:
    """Return the keys of a class list in the order of their ids.

    Raises:
        AnnotationError: if the ids are not 0 to the number of rows - 1, each once, or a key is empty or there twice.
    """
    rows = _read_list(path, ("id", "key"))
    keys: dict[int, str] = {}
    seen: dict[str, int] = {}
    faults = []
    for row in rows:
        try:
            number = row.whole("id", min(len(rows), MOST_CLASSES), "the number of a class")
            key = row.values["key"]
            if number in keys:
                raise row.fault("id", f"found {number} for {key!r}, but {keys[number]!r} has it; expected each id once")
            if not key or key in seen:
                where = f", which is in row {seen[key]} too" if key else ""
                raise row.fault("key", f"found {shown(key)}{where}; expected the name of one class")
        except _FaultError as fault:
            faults.append(fault)
            continue
        keys[number], seen[key] = key, row.number
    _refuse(path, faults)
    return tuple(keys[number] for number in sorted(keys))


def _read_videos(path: Path) -> dict[str, tuple[float, float]]:
    """Return duration (seconds) and rate (frames per second) of each video."""
    videos: dict[str, tuple[float, float]] = {}
    faults = []
    for row in _read_list(path, ("video_id", "duration", "fps")):
        id_ = row.values["video_id"]
        try:
            if not id_ or id_ in videos:
                raise row.fault("video_id", f"found {shown(id_)}; expected the id of a video, each once")
            videos[id_] = row.positive("duration", "seconds"), row.positive("fps", "frames per second")
        except _FaultError as fault:
            faults.append(fault)
    _refuse(path, faults)
    return videos


def _read_segments(
    path: Path,
    subset: str,
    classes: Mapping[str, Sequence[str]],
    known: Mapping[str, tuple[float, float]],
    *,
    strict: bool,
) -> dict[str, list[_Segment]]:
    """Return the segments of each video; of the test set, which has no classes, only the videos."""
    header, rows = _read_table(path, _TIMES)
    unlabelled = subset == "test" and not set(_CLASSES) & set(header)
    if not unlabelled:
        _check_header(path, header, _CLASSES)
    segments: dict[str, list[_Segment]] = {}
    seen: dict[str, int] = {}
    faults = []
    for row in rows:
        id_, narration = row.values["video_id"], row.values["narration_id"]
        try:
            if id_ not in known:
                raise row.fault("video_id", f"found {shown(id_)}, expected a video that is in {_VIDEOS}")
            of_video = segments.setdefault(id_, [])
            if seen.setdefault(narration, row.number) != row.number:
                message = f"found {shown(narration)}, which is in row {seen[narration]} too; expected each id once"
                raise row.fault("narration_id", message)
            start, end = (row.timestamp(column) for column in _TIMES[2:])
            verb, noun = (-1, -1) if unlabelled else (row.whole(c, len(classes[c]), f"a {c}") for c in _CLASSES)
            if start <= end:
                of_video.append(_Segment(start, end, verb, noun))
            elif strict:
                times = f"{row.values['stop_timestamp']!r}, expected none before the start"
                raise row.fault("stop_timestamp", f"found {times}, {row.values['start_timestamp']!r}")
        except _FaultError as fault:
            faults.append(fault)
    _refuse(path, faults)
    if not segments:
        raise AnnotationError(f"{path}: has no segments; get the file again")
    return {id_: [] for id_ in segments} if unlabelled else segments


def _labels(
    task: Task, classes: Mapping[str, Sequence[str]], segments: Iterable[_Segment]
) -> dict[tuple[int, ...], str]:
    """Return the labels of a task by what identifies a class, in the order of the class numbers."""
    if task == "action":
        return {key: ",".join(map(str, key)) for key in sorted({segment.key(task) for segment in segments})}
    return {(number,): key for number, key in enumerate(classes[f"{task}_class"])}
