"""BORIS projects (`.boris`), of project format 4 to 7, which BORIS 4 to 9 write: JSON.

::

    {"behaviors_conf": {"0": {"type": "State event", "code": "jump", ...}},
     "observations": {"monday 1": {"type": "MEDIA", "file": {"1": ["C:/videos/monday.mp4"]}, "time offset": 0.0,
         "events": [[12.5, "subject", "jump", "modifiers", "comment", 312], [14.0, "subject", "jump", "", "", 350]],
         "media_info": {"length": {"C:/videos/monday.mp4": 60.0}, "fps": {"C:/videos/monday.mp4": 25.0}}}}}

An event of a state is a start and a stop in turn, for each subject, behaviour and set of modifiers: both are one mark,
whose label is the code of the behaviour. Events of points have no length, and are left out. Times count from the
beginning of the media plus the offset of the observation; where player 1 shows several files one after the other, each
of them is a recording. A live observation is a recording called like it.

What is written has an observation for each recording, with its subset as an independent variable. Marks of one class
that overlap are of different subjects, and scores stand in the comments of the starts. Checked against the projects in
BORIS' own tests; those in ours are written in their shape.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from untrimmed.data.formats.exchange.lanes import lanes
from untrimmed.data.formats.exchange.naming import video_id
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
from untrimmed.data.formats.plain_text import one_line
from untrimmed.data.formats.reading import shown

_SCORE = re.compile(r"score=(-?\d{1,30}(?:\.\d{1,330})?(?:e[+-]?\d{1,3})?)", re.ASCII | re.IGNORECASE)
_SUBSET = "subset"
_KEYS = "abcdefghijklmnopqrstuvwxyz0123456789"


def read_boris(source: Source, _: Options) -> Document:
    """Read a project.

    Raises:
        FaultError: if it cannot be understood.
    """
    project = as_object(source.json, "the content")
    states = _states(project)
    notes: Counter[str] = Counter()
    timelines: list[Timeline] = []
    for name, value in as_object(project.get("observations"), '"observations"').items():
        timelines += _observation(name, as_object(value, f"observation {shown(name)}"), states, notes)
    twice = sum(number > 1 for number in Counter(timeline.video for timeline in timelines).values())
    if twice:
        notes["recordings of which several observations are put together"] += twice
    labels = tuple(code for code, is_state in states.items() if is_state)
    return Document(tuple(timelines), labels, tuple(f"{text}: {number:,}" for text, number in notes.items()))


def write_boris(document: Document, options: Options) -> str:
    """Return a project; times in milliseconds."""
    subjects = 1
    observations = {}
    for timeline in document.timelines:
        observation, used = _written(timeline, options)
        subjects = max(subjects, used)
        observations[timeline.video] = observation
    content = {
        "time_format": "hh:mm:ss",
        "project_date": "2000-01-01T00:00:00",  # a file says the same whenever it is written
        "project_name": "untrimmed",
        "project_description": "",
        "project_format_version": "7.0",
        "subjects_conf": {
            str(i): {"key": "", "name": _subject(i + 1), "description": "marks that overlap others"}
            for i in range(subjects - 1)
        },
        "behaviors_conf": {str(i): _behavior(i, label) for i, label in enumerate(document.all_labels())},
        "observations": observations,
        "behavioral_categories": [],
        "behavioral_categories_config": {},
        "independent_variables": {
            "0": {"label": _SUBSET, "description": "", "type": "text", "default value": "", "possible values": ""}
        },
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    return json.dumps(content, ensure_ascii=False, indent=1)


def recognises_boris(source: Source) -> bool:
    """Whether a file is JSON with behaviours and observations."""
    if not source.looks_like_json() or not isinstance(content := source.json, dict):
        return False
    return "observations" in content and "behaviors_conf" in content


def boris_label(label: str) -> str:
    """Return a label as the code of a behaviour, in which BORIS has some characters for itself."""
    return one_line(label.translate(str.maketrans("(|),`~", "[/];''")))


def is_score(comment: str) -> float | None:
    """Return the score that stands in a comment, if it is one of ours."""
    found = _SCORE.fullmatch(comment.strip())
    return float(found[1]) if found else None


def score_comment(score: float | None) -> str:
    """Return a comment that holds a score."""
    return "" if score is None else f"score={score!r}"


def _states(project: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether a behaviour is a state, by its code."""
    states = {}
    for key, value in as_object(project.get("behaviors_conf"), '"behaviors_conf"').items():
        behavior = as_object(value, f"behaviour {shown(key)}")
        code = as_text(behavior.get("code"), f'behaviour {shown(key)}: "code"')
        states[code] = as_text(behavior.get("type"), f'behaviour {shown(code)}: "type"').lower().startswith("state")
    return states


def _observation(
    name: str, observation: Mapping[str, Any], states: Mapping[str, bool], notes: Counter[str]
) -> list[Timeline]:
    """Return the recordings of an observation, each of them with its marks."""
    place = f"observation {shown(name)}"
    if observation.get("type") == "IMAGES":
        notes["observations of images left out, which have no times"] += 1
        return []
    offset = as_number(observation.get("time offset") or 0.0, f'{place}: "time offset"')
    marks = _marks(place, as_list(observation.get("events", []), f'{place}: "events"'), states, offset, notes)
    variables = observation.get("independent_variables")
    subset = variables.get(_SUBSET, "") if isinstance(variables, dict) else ""
    subset = subset if isinstance(subset, str) else ""
    files = _files(observation, place)
    if not files:
        return [Timeline(video_id(name) or name, tuple(marks), None, None, subset)]
    info = observation.get("media_info")
    lengths, rates = (_by_file(info, key) for key in ("length", "fps"))
    timelines = []
    for file, part in zip(files, _parts(marks, [lengths.get(_base(file)) for file in files], place), strict=True):
        if len(files) > 1:
            notes["files of observations that show several one after the other"] += 1
        id_ = as_text(video_id(file), f"{place}: the name of its file")
        timelines.append(Timeline(id_, tuple(part), lengths.get(_base(file)), rates.get(_base(file)), subset))
    return timelines


def _files(observation: Mapping[str, Any], place: str) -> list[str]:
    """Return the files that player 1 shows, one after the other."""
    players = observation.get("file")
    if not isinstance(players, dict):  # a live observation has a list without anything
        return []
    return [as_text(file, f"{place}: a file") for file in as_list(players.get("1", []), f'{place}: "file" of player 1')]


def _by_file(info: object, key: str) -> dict[str, float]:
    values = info.get(key) if isinstance(info, dict) else None
    pairs = values.items() if isinstance(values, dict) else ()
    return {_base(file): number for file, value in pairs if (number := positive(value)) is not None}


def _base(file: str) -> str:
    """Return the name of a file without folders: BORIS may know it by its whole path in one place only."""
    return PurePosixPath(file.replace("\\", "/")).name


def _parts(marks: Sequence[Mark], lengths: Sequence[float | None], place: str) -> list[list[Mark]]:
    """Return the marks of each of several files that follow each other, on its own time."""
    if len(lengths) == 1:
        return [list(marks)]
    parts: list[list[Mark]] = []
    begin = 0.0
    for length in lengths:
        if length is None:
            raise FaultError(f"{place}: shows several files one after the other, and the length of one is not known")
        end = begin + length
        last = len(parts) == len(lengths) - 1
        parts.append(
            [
                Mark(
                    max(mark.start, begin) - begin,
                    (mark.end if last else min(mark.end, end)) - begin,
                    mark.label,
                    mark.score,
                )
                for mark in marks
                if mark.end > begin and (mark.start < end or last)
            ]
        )
        begin = end
    return parts


def _marks(
    place: str, events: Sequence[Any], states: Mapping[str, bool], offset: float, notes: Counter[str]
) -> list[Mark]:
    """Return the marks that starts and stops make, in the order of the starts; the rest is noted."""
    open_: dict[tuple[str, str, str], tuple[float, str]] = {}
    rows = sorted((_event(value, f"{place}, event {i}") for i, value in enumerate(events)), key=lambda row: row[0])
    marks: list[Mark] = []
    for time, subject, code, modifiers, comment in rows:
        if code not in states:
            notes[f"events of {shown(code)}, which is no behaviour of the project, left out"] += 1
        elif not states[code]:
            notes[f"events of {shown(code)}, which are points without length, left out"] += 1
        elif (begun := open_.pop((subject, code, modifiers), None)) is None:
            open_[subject, code, modifiers] = time, comment
        else:
            marks.append(Mark(begun[0] - offset, time - offset, code, is_score(begun[1])))
            if modifiers and modifiers != "None":
                notes["marks of which the modifiers are not kept"] += 1
    if open_:
        notes["starts of states without a stop left out"] += len(open_)
    return marks


def _event(value: object, place: str) -> tuple[float, str, str, str, str]:
    fields = as_list(value, place)
    if len(fields) < 3:
        raise FaultError(f"{place} is {shown(fields)}, expected [time, subject, code, modifiers, comment]")
    subject, code, modifiers, comment = ([*fields[1:5], "", ""])[:4]
    texts = [text if isinstance(text, str) else "" for text in (subject, modifiers, comment)]
    return as_number(fields[0], f"{place}: its time"), texts[0], as_text(code, f"{place}: its code"), texts[1], texts[2]


def _behavior(number: int, label: str) -> dict[str, Any]:
    return {
        "type": "State event",
        "key": _KEYS[number] if number < len(_KEYS) else "",
        "code": label,
        "description": "",
        "color": "",
        "category": "",
        "modifiers": {},
        "excluded": "",
        "coding map": "",
    }


def _subject(row: int) -> str:
    """Return the subject that the marks of a row have."""
    return "" if row == 0 else f"overlap {row}"


def milliseconds(mark: Mark) -> tuple[int, int]:
    """Return start and end of a mark as BORIS has them."""
    return round(mark.start * 1000), round(mark.end * 1000)


def rows_of(timeline: Timeline) -> list[tuple[Mark, int]]:
    """Return the marks of a recording with the number of their row: those of one label and row do not overlap."""
    by_label: dict[str, list[Mark]] = {}
    for mark in timeline.marks:
        by_label.setdefault(mark.label, []).append(mark)
    rows = [
        (mark, i) for marks in by_label.values() for i, row in enumerate(lanes(marks, milliseconds)) for mark in row
    ]
    return sorted(rows, key=lambda each: milliseconds(each[0]))


def _written(timeline: Timeline, options: Options) -> tuple[dict[str, Any], int]:
    """Return an observation, and how many subjects it has."""
    file = options.file_of(timeline.video)
    rows = rows_of(timeline)
    events: list[list[Any]] = []
    for mark, row in rows:
        start, end = (time / 1000 for time in milliseconds(mark))
        events.append([start, _subject(row), mark.label, "", score_comment(mark.score), "NA"])
        events.append([end, _subject(row), mark.label, "", "", "NA"])
    events.sort(key=lambda event: event[0])
    info: dict[str, Any] = {"length": {}, "fps": {}, "hasVideo": {file: True}, "hasAudio": {}, "offset": {"1": 0.0}}
    if timeline.duration is not None:
        info["length"][file] = timeline.duration
    if timeline.rate is not None:
        info["fps"][file] = timeline.rate
    observation = {
        "file": {"1": [file], **{str(player): [] for player in range(2, 9)}},
        "type": "MEDIA",
        "date": "2000-01-01T00:00:00",
        "description": "",
        "time offset": 0.0,
        "events": events,
        "observation time interval": [0, 0],
        "independent_variables": {_SUBSET: timeline.subset},
        "visualize_spectrogram": False,
        "visualize_waveform": False,
        "close_behaviors_between_videos": False,
        "media_info": info,
    }
    return observation, 1 + max((row for _, row in rows), default=0)
