"""ActivityNet-style JSON, the canonical form of annotations, and the shorter form of Charades and MultiTHUMOS.

::

    {"database": {"<video id>": {"subset": "training", "duration": 12.5, "fps": 25.0, "annotations": [
        {"label": "jump", "label_id": 3, "segment": [1.25, 4.0]}]}}}

    {"<video id>": {"subset": "training", "duration": 12.5, "actions": [[3, 1.25, 4.0]]}}

`subset`, `fps`, `annotations` and `label_id` may be absent; so may `label` where there is a `label_id`. Class numbers
are the `label_id`s where there are any, else the labels are numbered in sorted order; a number of which the file gives
no name is called `class 7`. A list of all names by number may stand beside the database as `"labels"`: this is how
classes without instances survive being written and read. Other keys are ignored.

What cannot be meant is refused. What published data sets contain stays as it is, although nothing can be learnt from
it: instances without length (ActivityNet has 12), instances that lie over or behind the end of their video (THUMOS14
has 30). Benchmarks count them, and `untrimmed.data.check` lists them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.files import write_atomically
from untrimmed.data.formats.reading import MOST_CLASSES, Problem, class_name, is_number, read_json, refuse, shown
from untrimmed.errors import AnnotationError


def read_annotations(path: str | Path, *, strict: bool = True) -> Annotations:
    """Read the annotations of a data set.

    Args:
        path: a `.json` or `.json.gz` file.
        strict: whether to refuse instances that cannot be used, with reversed segments for instance; otherwise they are
            left out (Charades has 7).

    Raises:
        AnnotationError: if the file cannot be read; naming the first of the problems that `find_problems` returns.
    """
    path = Path(path)
    annotations, problems = _parse(path)
    refuse(path, [problem for problem in problems if strict or not problem.about_one_instance])
    return annotations


def find_problems(path: str | Path) -> list[Problem]:
    """Return all reasons for which `read_annotations` refuses a file, in the order of the file.

    Raises:
        AnnotationError: if it is not JSON of this form at all.
    """
    return _parse(Path(path))[1]


def write_annotations(annotations: Annotations, path: str | Path) -> None:
    """Write annotations so that `read_annotations` gives them back exactly.

    Raises:
        OSError: if the file cannot be written.
    """
    content = {
        "version": "1.0",
        "taxonomy": [],  # official evaluators refuse a file without these two
        "labels": list(annotations.labels),
        "database": {video.id: _entry(video, annotations.label_index) for video in annotations},
    }
    write_atomically(path, json.dumps(content, ensure_ascii=False))


def _entry(video: Video, label_index: Mapping[str, int]) -> dict[str, Any]:
    """What the database says of a video."""
    instances = [
        {"label": i.label, "label_id": label_index[i.label], "segment": [i.start, i.end]} for i in video.instances
    ]
    rate = {} if video.rate is None else {"fps": video.rate}
    return {"subset": video.subset, "duration": video.duration, **rate, "annotations": instances}


class _FaultError(ValueError):
    """Something is not as it should be; the caller knows where."""


class _Item(NamedTuple):
    """An instance as the file has it: at least one of label and number is there."""

    place: str
    start: float
    end: float
    label: str | None
    number: int | None


def _parse(path: Path) -> tuple[Annotations, list[Problem]]:
    """Return what can be understood of a file, and what cannot."""
    content = read_json(path)
    problems: list[Problem] = []
    parsed: list[tuple[Video, list[_Item]]] = []
    for id_, entry in _entries(path, content).items():
        try:
            parsed.append((_video(id_, entry), _items(id_, entry, problems)))
        except _FaultError as fault:
            problems.append(Problem(f"video {id_!r}", str(fault)))
    problems += _wrong_unit(parsed)
    labels, faults = _number_labels([item for _, items in parsed for item in items], content.get("labels"))
    problems += faults
    videos = {video.id: replace(video, instances=tuple(_instance(i, labels) for i in items)) for video, items in parsed}
    unique = tuple(dict.fromkeys(labels))  # that one is there twice is among the problems
    return Annotations(videos, unique, str(path)), problems


def _entries(path: Path, content: object) -> Mapping[str, Any]:
    """Return what the file says of each video, by id."""
    if not isinstance(content, dict):
        raise AnnotationError(f'{path}: expected an object with the key "database", found {shown(content)}')
    if "database" in content:
        database = content["database"]
        if not isinstance(database, dict):
            raise AnnotationError(f'{path}: expected "database" to be an object of videos, found {shown(database)}')
        return database
    if content and all(isinstance(entry, dict) and "actions" in entry for entry in content.values()):
        return content
    keys = ", ".join(map(repr, list(content)[:3])) or "none"
    raise AnnotationError(
        f'{path}: no key "database", as ActivityNet-style annotations have; the first keys are {keys}'
    )


def _video(id_: str, entry: object) -> Video:
    """Return a video without its instances."""
    if not isinstance(entry, dict):
        raise _FaultError(f"expected an object, found {shown(entry)}")
    if "duration" not in entry:
        raise _FaultError('"duration" is missing; it has to be the length in seconds')
    if not (is_number(entry["duration"]) and entry["duration"] > 0):
        raise _FaultError(f'"duration" is {shown(entry["duration"])}, but has to be a positive number of seconds')
    rate = entry.get("fps")
    if rate is not None and not (is_number(rate) and rate > 0):
        raise _FaultError(f'"fps" is {shown(rate)}, but has to be a positive number of frames per second')
    subset = entry.get("subset")
    if not isinstance(subset, str | None):
        raise _FaultError(f'"subset" is {shown(subset)}, but has to be a name')
    return Video(id_, float(entry["duration"]), subset or "", None if rate is None else float(rate))


def _items(id_: str, entry: Mapping[str, Any], problems: list[Problem]) -> list[_Item]:
    """Return the instances of a video, in either form; those that cannot be used become problems."""
    key = "annotations" if "annotations" in entry else "actions"
    found = entry.get(key)
    if not isinstance(found, list | None):
        raise _FaultError(f'"{key}" is {shown(found)}, but has to be a list')
    items = []
    for index, item in enumerate(found or ()):
        place = f"video {id_!r}, annotation {index}"
        if key == "actions" and isinstance(item, list) and len(item) == 3:
            item = {"label_id": item[0], "segment": item[1:]}  # noqa: PLW2901
        try:
            label, number = _label(item)
        except _FaultError as fault:
            problems.append(Problem(place, str(fault)))
            continue
        try:
            items.append(_Item(place, *_segment(item), label, number))
        except _FaultError as fault:
            problems.append(Problem(place, str(fault), about_one_instance=True))
    return items


def _label(item: object) -> tuple[str | None, int | None]:
    """Return name and number of an instance's class, at least one of which is there."""
    if not isinstance(item, dict):
        raise _FaultError(f'expected an object with "label" and "segment", found {shown(item)}')
    label, number = item.get("label"), item.get("label_id")
    if label is None and number is None:
        raise _FaultError('neither "label" nor "label_id" is there')
    if not isinstance(label, str | None) or label == "":
        raise _FaultError(f'"label" is {shown(label)}, but has to be a name')
    if number is not None and not (type(number) is int and 0 <= number < MOST_CLASSES):
        raise _FaultError(f'"label_id" is {shown(number)}, but has to be a whole number from 0 to {MOST_CLASSES - 1}')
    return label, number


def _segment(item: Mapping[str, Any]) -> tuple[float, float]:
    """Return start and end of an instance."""
    segment = item.get("segment")
    if not (isinstance(segment, list) and len(segment) == 2 and all(map(is_number, segment))):
        raise _FaultError(f'"segment" is {shown(segment)}, but has to be [start, end] in seconds')
    start, end = segment
    if start > end:
        raise _FaultError(f'"segment" is {shown(segment)}, but has to start before it ends; swap the two, or remove it')
    return float(start), float(end)


def _wrong_unit(parsed: Sequence[tuple[Video, Sequence[_Item]]]) -> list[Problem]:
    """Return a problem if most instances start behind the end of their video."""
    behind = [item.start >= video.duration for video, items in parsed for item in items]
    if 2 * sum(behind) <= len(behind):
        return []
    message = f"{sum(behind)} of {len(behind)} segments start behind the end of their video; they have to be in seconds"
    return [Problem("all videos", f"{message}, are they in frames or milliseconds?")]


def _number_labels(items: Sequence[_Item], stated: object) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the names of all classes by number, and where the file contradicts itself."""
    places: dict[tuple[str | None, int | None], str] = {}
    for item in items:
        places.setdefault((item.label, item.number), item.place)
    names: dict[int, str] = {}
    if isinstance(stated, list) and all(isinstance(label, str) for label in stated):
        names = dict(enumerate(stated))
    if not names and all(number is None for _, number in places):
        return tuple(sorted(label for label, _ in places if label is not None)), []

    problems = []
    numbers = {label: number for number, label in names.items()}
    for (label, number), place in places.items():
        if label is None or number is None:
            continue
        if numbers.setdefault(label, number) != number:
            problems.append(Problem(place, f'"label_id" of {label!r} is {number}, but {numbers[label]} elsewhere'))
        elif names.setdefault(number, label) != label:
            problems.append(Problem(place, f'"label" of number {number} is {label!r}, but {names[number]!r} elsewhere'))
    for (label, number), place in places.items():
        if number is None and label not in numbers:
            problems.append(Problem(place, f'{label!r} has no number: give it a "label_id", as other labels have'))
    count = 1 + max([*names, *(number for _, number in places if number is not None)], default=-1)
    labels = tuple(names.get(number, class_name(number)) for number in range(count))
    problems += [
        Problem("labels", f"{label!r} is the name of {n} classes") for label, n in Counter(labels).items() if n > 1
    ]
    return labels, problems


def _instance(item: _Item, labels: Sequence[str]) -> Instance:
    if item.label is not None:
        return Instance(item.start, item.end, item.label)
    assert item.number is not None
    return Instance(item.start, item.end, labels[item.number])
