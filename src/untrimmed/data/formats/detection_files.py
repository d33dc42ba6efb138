"""Files of detections: ActivityNet submissions (`.json`) and tables (`.csv`), also compressed (`.json.gz`, `.csv.gz`).

::

    {"version": "1.0", "results": {"<video id>": [{"label": "jump", "score": 0.93, "segment": [1.25, 4.0]}]}}

    video,start,end,label,score
    <video id>,1.25,4.0,jump,0.93

Submissions of EPIC-KITCHENS' actions have `"action": "0,2"` instead of a label; what else they have is ignored.

A table may also have the official code's column names, `video-id,t-start,t-end,label,score`, in any order and beside
others. A file gives either names or numbers as labels: names if all of them are known, else numbers if all of them are
whole numbers, else names.

A `.parquet` file, and a folder of such shards, are read as well: see `detection_shards`, which also writes them.

Files of one video, to be watched and not to be read back, are subtitles (`.vtt`, `.ass`) and label tracks of Audacity
(`.txt`).
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.detections import Detections
from untrimmed.data.files import write_atomically
from untrimmed.data.formats.audacity import audacity
from untrimmed.data.formats.detection_shards import SCORE_DECIMALS, SUFFIX, TIME_DECIMALS, read_shards
from untrimmed.data.formats.reading import MOST_CLASSES, class_name, read_json, read_text, shown
from untrimmed.data.formats.subtitles import ass, webvtt
from untrimmed.errors import AnnotationError

_COLUMNS = {
    "video": ("video", "video-id", "video_id"),
    "start": ("start", "t-start", "t_start"),
    "end": ("end", "t-end", "t_end"),
    "label": ("label",),
    "score": ("score",),
}
_SUFFIXES = (".json", ".json.gz", ".csv", ".csv.gz")
TRACKS: Mapping[str, Callable[[Detections], str]] = {".vtt": webvtt, ".ass": ass, ".txt": audacity}
"""Suffixes of files of one video, and what makes their text."""


def read_detections(path: str | Path, labels: Sequence[str]) -> dict[str, Detections]:
    """Read the detections of many videos, by id, in the order of the file.

    The detections of a video come best first, of equal scores in the order of the file. All videos have the same
    `label_names`: `labels`, then those of the file that are not among them, a class without a name as `class 7`.

    Args:
        path: a file as the module describes; its suffix decides the format. Or a folder of `.parquet` shards.
        labels: the known labels in the order of their class numbers.

    Raises:
        AnnotationError: if the file cannot be read, or has numbers that are not finite, or a segment that is reversed.
        MissingExtraError: if it is parquet and pyarrow is not installed.
    """
    path = Path(path)
    table = _read(path)
    _check_numbers(path, table)
    codes = {video: code for code, video in enumerate(dict.fromkeys([*table.all_videos, *table.videos]))}
    video = np.fromiter(map(codes.__getitem__, table.videos), np.int64, len(table.videos))
    numbers, names = _number_labels(path, dict.fromkeys(table.labels), labels)
    number = np.fromiter(map(numbers.__getitem__, table.labels), np.int64, len(table.labels))

    order = np.lexsort((-table.scores, video))  # stable
    bounds = np.searchsorted(video[order], np.arange(len(codes) + 1))
    rows = {id_: order[bounds[code] : bounds[code + 1]] for id_, code in codes.items()}
    return {id_: Detections(id_, table.segments[i], table.scores[i], number[i], names) for id_, i in rows.items()}


def write_detections(detections: Iterable[Detections], path: str | Path) -> None:
    """Write the detections of many videos; the suffix of `path` decides the format.

    Times are rounded to microseconds, scores to nine decimals. A table does not show videos without detections.

    Raises:
        AnnotationError: if the suffix is not one of `.json`, `.json.gz`, `.csv`, `.csv.gz`.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    text = _json_text(detections) if ".json" in detections_suffix(path) else _csv_text(detections)
    content = text.encode()
    write_atomically(path, gzip.compress(content, mtime=0) if path.suffix.lower() == ".gz" else content)


def write_track(detections: Detections, path: str | Path) -> None:
    """Write the detections of one video, as many as there are; the suffix of `path` is one of `TRACKS`.

    Raises:
        OSError: if the file cannot be written.
    """
    path = Path(path)
    write_atomically(path, TRACKS[path.suffix.lower()](detections))


@dataclass(frozen=True)
class _Table:
    """The n detections of a file, column by column."""

    videos: Sequence[str]
    labels: Sequence[str]
    segments: NDArray[np.float64]
    scores: NDArray[np.float64]
    place: Callable[[int], str]
    """Says where in the file a row is."""
    all_videos: Sequence[str] = ()
    """Ids of all videos, also of those without detections, where the file has them."""


def detections_suffix(path: Path) -> str:
    """Return the suffix that decides the format of a file of detections.

    Raises:
        AnnotationError: if it is none that can be read and written.
    """
    for suffix in _SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise AnnotationError(f"{path}: detections are read and written as {', '.join(_SUFFIXES)}; rename the file")


def output_suffix(path: Path) -> str:
    """Return the suffix that decides in which format detections are written: also one of `TRACKS`.

    Raises:
        AnnotationError: if it is none that can be written.
    """
    if path.suffix.lower() in TRACKS:
        return path.suffix.lower()
    try:
        return detections_suffix(path)
    except AnnotationError:
        known = ", ".join([*_SUFFIXES, *TRACKS])
        raise AnnotationError(f"{path}: detections are written as {known}; rename the file") from None


def _read(path: Path) -> _Table:
    if path.is_dir() or path.suffix.lower() == SUFFIX:
        rows = read_shards(path)
        return _Table(
            videos=rows.ids,
            labels=rows.labels,
            segments=rows.segments,
            scores=rows.scores,
            place=lambda i: f"a detection of video {rows.ids[i]!r}",
            all_videos=rows.recordings,
        )
    return _read_json(path) if ".json" in detections_suffix(path) else _read_csv(path)


def _read_csv(path: Path) -> _Table:
    rows = [row for row in csv.reader(io.StringIO(read_text(path), newline="")) if row]
    if not rows:
        raise AnnotationError(f"{path}: empty; the first line has to name the columns {','.join(_COLUMNS)}")
    header = [name.strip().lower() for name in rows.pop(0)]
    where = {}
    for column, aliases in _COLUMNS.items():
        found = [header.index(alias) for alias in aliases if alias in header]
        if len(found) != 1:
            fault = "no column" if not found else "more than one column"
            raise AnnotationError(f"{path}: {fault} {column!r} (or {', '.join(aliases)}); found {','.join(header)}")
        where[column] = found[0]
    for i, row in enumerate(rows):
        if len(row) != len(header):
            raise AnnotationError(f"{path}: row {i + 1} has {len(row)} values, but there are {len(header)} columns")
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    start, end, score = (_floats(path, columns[where[name]], name) for name in ("start", "end", "score"))
    return _Table(
        videos=columns[where["video"]],
        labels=[label.strip() for label in columns[where["label"]]],
        segments=np.stack([start, end], axis=1),
        scores=score,
        place=lambda i: f"row {i + 1} (video {columns[where['video']][i]!r})",
    )


def _floats(path: Path, values: Sequence[str], column: str) -> NDArray[np.float64]:
    try:
        return np.fromiter(map(float, values), np.float64, len(values))
    except ValueError:
        for i, value in enumerate(values):
            try:
                float(value)
            except ValueError:
                message = f"row {i + 1}: {column} is {value!r}, but has to be a number"
                raise AnnotationError(f"{path}: {message}") from None
        raise


def _read_json(path: Path) -> _Table:
    content = read_json(path)
    results = content.get("results") if isinstance(content, dict) else None
    if not isinstance(results, dict):
        raise AnnotationError(
            f'{path}: expected an object with "results", the detections by video; found {shown(content)}'
        )
    rows: list[tuple[str, int]] = []
    labels: list[str] = []
    values: list[tuple[float, float, float]] = []
    for video, items in results.items():
        if not isinstance(items, list):
            raise AnnotationError(f"{path}: video {video!r}: expected a list of detections, found {shown(items)}")
        for i, item in enumerate(items):
            try:
                start, end = item["segment"]
                values.append((float(start), float(end), float(item["score"])))
                labels.append(_token(item["label"] if "label" in item else item["action"]))
            except (KeyError, TypeError, ValueError, OverflowError):
                wanted = '{"label": ..., "score": ..., "segment": [start, end]}'
                message = f"detection {i} of video {video!r} is {shown(item)}, but has to be {wanted}"
                raise AnnotationError(f"{path}: {message}") from None
            rows.append((video, i))
    numbers = np.array(values, dtype=np.float64).reshape(-1, 3)
    return _Table(
        videos=[video for video, _ in rows],
        labels=labels,
        segments=numbers[:, :2],
        scores=numbers[:, 2],
        place=lambda i: f"detection {rows[i][1]} of video {rows[i][0]!r}",
        all_videos=list(results),
    )


def _token(label: Any) -> str:
    """Return a label as a table would have it."""
    if isinstance(label, bool) or not isinstance(label, str | int):
        raise TypeError(label)
    return str(label)


def _check_numbers(path: Path, table: _Table) -> None:
    numbers = np.concatenate([table.segments, table.scores[:, None]], axis=1)
    wrong = ~np.isfinite(numbers).all(axis=1)
    if wrong.any():
        i = int(wrong.argmax())
        start, end, score = numbers[i].tolist()
        message = f"segment [{start}, {end}] with score {score}; all have to be finite numbers"
        raise AnnotationError(f"{path}: {table.place(i)}: {message}")
    wrong = table.segments[:, 0] > table.segments[:, 1]
    if wrong.any():
        i = int(wrong.argmax())
        raise AnnotationError(f"{path}: {table.place(i)}: segment {table.segments[i].tolist()} ends before it starts")


def _number_labels(
    path: Path, tokens: Iterable[str], labels: Sequence[str]
) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Return the class number of each label as the file has it, and the names of all classes by number."""
    known = {label: number for number, label in enumerate(labels)}
    tokens = list(tokens)
    unknown = sorted(token for token in tokens if token not in known)
    if unknown and all(token.isascii() and token.isdigit() for token in tokens):
        numbers = {token: int(token) for token in tokens}
        highest = max(numbers.values())
        if highest >= MOST_CLASSES:
            raise AnnotationError(f"{path}: class number {highest} is too large: there are {len(labels)} known classes")
        return numbers, (*labels, *(class_name(number) for number in range(len(labels), highest + 1)))
    names = (*labels, *unknown)
    return {name: number for number, name in enumerate(names)}, names


def _rounded(detections: Detections) -> Iterable[tuple[float, float, str, float]]:
    """Yield start, end, label and score of each detection, rounded for writing."""
    segments = detections.segments.round(TIME_DECIMALS).tolist()
    scores = detections.scores.round(SCORE_DECIMALS).tolist()
    for (start, end), label, score in zip(segments, detections.labels.tolist(), scores, strict=True):
        yield start, end, detections.label_names[label], score


def _json_text(detections: Iterable[Detections]) -> str:
    results: dict[str, list[dict[str, Any]]] = {}
    for of_video in detections:
        results.setdefault(of_video.video_id, []).extend(
            {"label": label, "score": score, "segment": [start, end]} for start, end, label, score in _rounded(of_video)
        )
    content = {"version": "1.0", "results": results, "external_data": {}}  # official evaluators ask for all three
    return json.dumps(content, ensure_ascii=False)


def _csv_text(detections: Iterable[Detections]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for of_video in detections:
        writer.writerows((of_video.video_id, *row) for row in _rounded(of_video))
    return text.getvalue()
