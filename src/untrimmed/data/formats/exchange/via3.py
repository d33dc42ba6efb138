"""Projects of the VGG Image Annotator 3 for video and sound (`.json`), of data format 3.

::

    {"project": {...}, "config": {...},
     "attribute": {"1": {"aname": "action", "anchor_id": "FILE1_Z2_XY0", "type": 4, "options": {"0": "jump"}}},
     "file": {"1": {"fid": "1", "fname": "monday.mp4", "type": 4, "loc": 1, "src": ""}},
     "view": {"1": {"fid_list": ["1"]}},
     "metadata": {"1_Ab3dE6gH": {"vid": "1", "flg": 0, "z": [12.5, 14.0], "xy": [], "av": {"1": "0"}}}}

Segments of time are what has two times in `z` and nothing in `xy`. Attributes of segments have the anchor
`FILE1_Z2_XY0`; the label is the first of them, one with options before one without: an option by its id, several
options of a checkbox (type 2) as several marks, or the text as it stands. Another one called `score` holds a score.

Checked against the documentation of VIA's code, and projects that VIA 3 wrote, in a public repository of
echocardiography (a checkbox without options); those in the tests are ours, in their shape.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from untrimmed.data.formats.exchange.naming import video_id
from untrimmed.data.formats.exchange.source import FaultError, Options, Source, as_list, as_number, as_object, as_text
from untrimmed.data.formats.exchange.timeline import Document, Mark, Timeline
from untrimmed.data.formats.reading import shown

_SEGMENT = "FILE1_Z2_XY0"
_TEXT, _CHECKBOX, _SELECT = 1, 2, 4
_VIDEO, _LOCAL = 4, 1
_SCORE = re.compile(r"-?\d{1,30}(\.\d{1,330})?(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def read_via3(source: Source, _: Options) -> Document:
    """Read a project.

    Raises:
        FaultError: if it cannot be understood.
    """
    content = as_object(source.json, "the content")
    attributes = {
        key: as_object(value, f"attribute {shown(key)}")
        for key, value in as_object(content.get("attribute"), '"attribute"').items()
    }
    segments = {key: each for key, each in attributes.items() if each.get("anchor_id", _SEGMENT) == _SEGMENT}
    scores = [key for key, each in segments.items() if each.get("aname") == "score"]
    labels = sorted((key for key in segments if key not in scores), key=lambda key: not _options(segments[key], key))
    options = {name: text for each in labels[:1] for name, text in _options(segments[each], each).items()}
    videos = _videos(content)
    marks: dict[str, list[Mark]] = {view: [] for view in videos}
    notes: Counter[str] = Counter()
    for key, value in as_object(content.get("metadata"), '"metadata"').items():
        place = f"metadata {shown(key)}"
        entry = as_object(value, place)
        times = [as_number(time, f'{place}: a time in "z"') for time in as_list(entry.get("z", []), f'{place}: "z"')]
        if len(times) != 2 or entry.get("xy"):
            what = "points in time" if len(times) == 1 and not entry.get("xy") else "regions and attributes of files"
            notes[f"{what} left out"] += 1
            continue
        view = _key(entry.get("vid"))
        if view not in marks:
            raise FaultError(f'{place}: "vid" is {shown(entry.get("vid"))}, but there is no such view')
        if times[0] > times[1]:
            raise FaultError(f'{place}: "z" is {shown(times)}, but has to start before it ends')
        values = as_object(entry.get("av", {}), f'{place}: "av"')
        score = next((_score(values[each], place) for each in scores if values.get(each) not in (None, "")), None)
        found = [n for each in labels[:1] for n in _names(values.get(each), options, segments[each].get("type"), place)]
        if not found:
            notes["segments without a label left out"] += 1
        if others := sum(values.get(each) not in (None, "") for each in labels[1:]):
            notes["values of other attributes not kept"] += others
        marks[view] += [Mark(times[0], times[1], name, score) for name in found]
    return Document(
        tuple(Timeline(videos[view], tuple(of_view)) for view, of_view in marks.items()),
        tuple(options.values()),
        tuple(f"{text}: {number:,}" for text, number in notes.items()),
    )


def write_via3(document: Document, options: Options) -> str:
    """Return a project, in which the labels are the options of one attribute."""
    labels = {label: str(i) for i, label in enumerate(document.all_labels())}
    attribute = {"1": _attribute("action", _SELECT, {number: label for label, number in labels.items()})}
    if document.scored:
        attribute["2"] = _attribute("score", _TEXT, {})
    files, views, metadata = {}, {}, {}
    for number, timeline in enumerate(document.timelines, 1):
        id_ = str(number)
        name = options.file_of(timeline.video)
        files[id_] = {"fid": id_, "fname": name, "type": _VIDEO, "loc": _LOCAL, "src": ""}
        views[id_] = {"fid_list": [id_]}
        for i, mark in enumerate(timeline.marks):
            score = {} if mark.score is None else {"2": repr(mark.score)}
            values = {"1": labels[mark.label], **score}
            metadata[f"{id_}_{i:08d}"] = {"vid": id_, "flg": 0, "z": [mark.start, mark.end], "xy": [], "av": values}
    content = {
        "project": {
            "pid": "__VIA_PROJECT_ID__",
            "rev": "__VIA_PROJECT_REV_ID__",
            "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
            "pname": "untrimmed",
            "creator": "untrimmed",
            "created": 0,
            "data_format_version": "3.1.1",
            "vid_list": list(views),
        },
        "config": {
            "file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}},
            "ui": {
                "file_content_align": "center",
                "file_metadata_editor_visible": True,
                "spatial_metadata_editor_visible": True,
                "temporal_segment_metadata_editor_visible": True,
                "spatial_region_label_attribute_id": "",
                "gtimeline_visible_row_count": "4",
            },
        },
        "attribute": attribute,
        "file": files,
        "metadata": metadata,
        "view": views,
    }
    return json.dumps(content, ensure_ascii=False)


def recognises_via3(source: Source) -> bool:
    """Whether a file is JSON with the five parts of a project."""
    if not source.looks_like_json() or not isinstance(source.json, dict):
        return False
    return {"attribute", "file", "metadata", "view"} <= source.json.keys()


def via3_label(label: str) -> str:
    """Return a label as an option of VIA can be: blanks around it are not kept."""
    return label.strip()


def _options(attribute: Mapping[str, Any], key: str) -> dict[str, str]:
    options = as_object(attribute.get("options", {}), f'attribute {shown(key)}: "options"')
    return {id_: as_text(name, f"attribute {shown(key)}, option {shown(id_)}").strip() for id_, name in options.items()}


def _key(value: object) -> str:
    """Return the key of a view or a file, which VIA writes as a text or as a number."""
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""


def _videos(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the id of the recording of each view: that of the first of its files."""
    files = as_object(content.get("file"), '"file"')
    videos = {}
    for view, value in as_object(content.get("view"), '"view"').items():
        place = f"view {shown(view)}"
        of_view = as_list(as_object(value, place).get("fid_list"), f'{place}: "fid_list"')
        key = _key(of_view[0]) if of_view else ""
        if key not in files:
            raise FaultError(f'{place}: "fid_list" is {shown(of_view)}, but there is no such file')
        file = as_object(files[key], f"file {shown(key)}")
        name = as_text(file.get("fname") or file.get("src"), f'file {shown(key)}: "fname"')
        videos[view] = as_text(video_id(name), f'file {shown(key)}: the name in "fname"')
    return videos


def _names(value: object, options: Mapping[str, str], kind: object, place: str) -> list[str]:
    """Return the labels that the value of an attribute stands for."""
    if value is None or value == "":
        return []
    text = value if isinstance(value, str) else str(value) if isinstance(value, int) else None
    if text is None:
        raise FaultError(f'{place}: a value in "av" is {shown(value)}, expected a text')
    if text in options or not options or kind == _TEXT:
        name = options.get(text, text).strip()
        return [name] if name else []
    parts = [part.strip() for part in text.split(",")] if kind == _CHECKBOX else [text.strip()]
    return [options.get(part, part) for part in parts if part]


def _score(value: object, place: str) -> float:
    if isinstance(value, str) and _SCORE.fullmatch(value.strip()):
        return float(value)
    return as_number(value, f"{place}: the score")


def _attribute(name: str, kind: int, options: Mapping[str, str]) -> dict[str, Any]:
    return {
        "aname": name,
        "anchor_id": _SEGMENT,
        "type": kind,
        "desc": "",
        "options": dict(options),
        "default_option_id": "",
    }
