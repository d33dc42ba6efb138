"""COIN's JSON (`COIN.json`), as the data set's README shows an entry: like ActivityNet's, with other keys.

::

    {"database": {"LtRSn-ntcLY": {"subset": "training", "duration": 127.77, "class": "ReplaceCDDriveWithSSD",
        "recipe_type": 131, "start": 56.6, "end": 85.7, "video_url": "https://...",
        "annotation": [{"id": "212", "segment": [60.0, 69.0], "label": "take out the laptop CD drive"}]}}}

`id` is the number of a step's class; the task of a video (`class`, `recipe_type`) and its part that matters (`start`,
`end`) are not read. What is written has steps numbered in the order of the classes, and no tasks. Checked against the
published entry; HowTo100M, whose captions are no actions, has nothing to exchange.
"""

from __future__ import annotations

import json

from untrimmed.data.check.report import some
from untrimmed.data.formats.exchange.source import (
    FaultError,
    Options,
    Source,
    as_list,
    as_number,
    as_object,
    as_text,
    positive,
)
from untrimmed.data.formats.exchange.timeline import Document, Mark, Timeline
from untrimmed.data.formats.reading import shown


def read_coin(source: Source, _: Options) -> Document:
    """Read COIN's annotations.

    Raises:
        FaultError: if they cannot be understood.
    """
    content = as_object(source.json, "the content")
    database = as_object(content.get("database"), '"database"')
    timelines = []
    tasks: set[str] = set()
    for id_, value in database.items():
        place = f"video {shown(id_)}"
        entry = as_object(value, place)
        subset = entry.get("subset") or ""
        if not isinstance(subset, str):
            raise FaultError(f'{place}: "subset" is {shown(subset)}, expected a name')
        if isinstance(task := entry.get("class"), str) and task:
            tasks.add(task)
        marks = [
            _mark(item, f"{place}, annotation {i}")
            for i, item in enumerate(as_list(entry.get("annotation"), f'{place}: "annotation"'))
        ]
        timelines.append(Timeline(id_, tuple(marks), positive(entry.get("duration")), None, subset))
    notes = (f"the tasks of the videos are not read: {some(sorted(tasks))}",) if tasks else ()
    return Document(tuple(timelines), notes=notes)


def write_coin(document: Document, _: Options) -> str:
    """Return annotations in COIN's form."""
    number = {label: str(i) for i, label in enumerate(document.all_labels())}
    database = {}
    for timeline in document.timelines:
        duration = {} if timeline.duration is None else {"duration": timeline.duration}
        annotation = [
            {"id": number[mark.label], "segment": [mark.start, mark.end], "label": mark.label}
            for mark in timeline.marks
        ]
        end = max([mark.end for mark in timeline.marks], default=timeline.duration or 0.0)
        start = min([mark.start for mark in timeline.marks], default=0.0)
        extent = {"class": "", "recipe_type": 0, "video_url": "", "start": start, "end": end}
        database[timeline.video] = {"subset": timeline.subset, **duration, **extent, "annotation": annotation}
    return json.dumps({"database": database}, ensure_ascii=False)


def recognises_coin(source: Source) -> bool:
    """Whether a file is JSON with a "database" of which an entry has an "annotation", without s."""
    if not source.looks_like_json() or not isinstance(content := source.json, dict):
        return False
    database = content.get("database")
    return isinstance(database, dict) and any(isinstance(e, dict) and "annotation" in e for e in database.values())


def _mark(value: object, place: str) -> Mark:
    item = as_object(value, place)
    segment = as_list(item.get("segment"), f'{place}: "segment"')
    if len(segment) != 2:
        raise FaultError(f'{place}: "segment" is {shown(segment)}, expected [start, end]')
    start, end = (as_number(time, f'{place}: a time of "segment"') for time in segment)
    if start > end:
        raise FaultError(f'{place}: "segment" is {shown(segment)}, but has to start before it ends')
    return Mark(start, end, as_text(item.get("label"), f'{place}: "label"'))
