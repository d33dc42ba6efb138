"""Label Studio's JSON: timelines of video (`TimelineLabels`), and regions of sound and video (`Labels`).

::

    [{"data": {"video": "/data/upload/1/0a1b2c3d-monday.mp4", "fps": 25},
      "annotations": [{"result": [{"type": "timelinelabels", "from_name": "videoLabels", "to_name": "video",
          "value": {"ranges": [{"start": 1, "end": 50}], "timelinelabels": ["jump"]}}]}],
      "predictions": [{"score": 0.93, "result": [...]}]}]

What is published of it: ranges are frames counted from 1, the last one included, at the `frameRate` of the labelling
set-up's `<Video>`, which is 24 unless it is set, whatever the video's own is. It may be set to `$fps`, the value in
`data`: files written here have it. Regions of type `labels` have `start` and `end` in seconds. A task has annotations
of people, and predictions with scores, which Label Studio shows as drafts: detections are written as predictions. The
short export (JSON-MIN), in which the results of each control tag stand beside the data, is read too.

Read are the annotations of a task, or if it has none, its predictions. Checked against the documentation of the tags,
Label Studio's own example backend, and results of exports as they are shown in public repositories; no whole export was
at hand.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from untrimmed.data.formats.exchange.naming import local_file, video_id
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

_NAMES = ("video", "video_url", "audio", "audio_url", "url", "file", "media")
_RATES = ("fps", "frame_rate", "framerate", "frameRate", "rate")
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
_REGIONS = ("timelinelabels", "labels")


def read_label_studio(source: Source, options: Options) -> Document:
    """Read an export, or tasks with predictions.

    Raises:
        FaultError: if it cannot be understood, or frames are counted and no frame rate is known.
    """
    content = source.json
    tasks = content if isinstance(content, list) else [content]
    notes: Counter[str] = Counter()
    timelines = [_task(as_object(task, f"task {i}"), f"task {i}", options, notes) for i, task in enumerate(tasks)]
    return Document(tuple(timelines), notes=tuple(f"{text}: {number:,}" for text, number in notes.items()))


def write_label_studio(document: Document, options: Options) -> str:
    """Return tasks; the frame rate of each recording has to be known."""
    return json.dumps([_written(timeline, options) for timeline in document.timelines], ensure_ascii=False, indent=1)


def recognises_label_studio(source: Source) -> bool:
    """Whether a file is JSON with tasks, or one task."""
    if not source.looks_like_json():
        return False
    tasks = source.json if isinstance(source.json, list) else [source.json]
    return bool(tasks) and all(isinstance(task, dict) and _is_task(task) for task in tasks[:10])


def _is_task(task: Mapping[str, Any]) -> bool:
    if isinstance(task.get("data"), dict):
        return "annotations" in task or "predictions" in task or any(name in task["data"] for name in _NAMES)
    return any(isinstance(task.get(name), str) for name in _NAMES)


def _task(task: Mapping[str, Any], place: str, options: Options, notes: Counter[str]) -> Timeline:
    data = as_object(task.get("data", task), f'{place}: "data"')
    id_ = _video(data, place)
    rate = next((rate for name in _RATES if (rate := positive(data.get(name))) is not None), None)
    marks: list[Mark] = []
    durations: list[float] = []
    for result, score, where in _results(task, place, notes):
        kind = result.get("type")
        value = as_object(result.get("value"), f'{where}: "value"')
        if (length := positive(value.get("duration", result.get("original_length")))) is not None:
            durations.append(length)
        if kind not in _REGIONS:
            notes[f"results of type {shown(kind)} left out"] += 1
            continue
        own = result.get("score")
        number = score if own is None else as_number(own, f'{where}: "score"')
        labels = [as_text(label, f"{where}: a label") for label in _labels(value, kind, where)]
        if not labels:
            notes["regions without a label left out"] += 1
        for start, end in _spans(value, kind, id_, rate, options, where):
            marks += [Mark(start, end, label, number) for label in labels]
    subset = data.get("subset")
    duration = positive(data.get("duration")) or max(durations, default=None)
    return Timeline(id_, tuple(marks), duration, rate, subset if isinstance(subset, str) else "")


def _video(data: Mapping[str, Any], place: str) -> str:
    texts = [data[name] for name in _NAMES if isinstance(data.get(name), str)]
    texts += [value for value in data.values() if isinstance(value, str) and video_id(value) != value]
    if not texts:
        raise FaultError(f'{place}: "data" has {shown(dict(data))}, expected the path of a video, as "video"')
    path = local_file(texts[0])
    id_ = video_id(path)
    if "/upload/" in path:  # Label Studio puts something random before the names of files that it is given
        id_ = _UPLOAD.sub("", id_, count=1) if _UPLOAD.match(id_) else id_
    if not id_:
        raise FaultError(f"{place}: {shown(path)} names no video")
    return id_


def _results(
    task: Mapping[str, Any], place: str, notes: Counter[str]
) -> Iterator[tuple[Mapping[str, Any], float | None, str]]:
    """Yield each result of a task, the score that it has if it has none itself, and where it is."""
    annotations = _parts(task, "annotations", place) or _parts(task, "completions", place)
    used = [part for part in annotations if not part.get("was_cancelled")]
    if skipped := len(annotations) - len(used):
        notes["annotations that were skipped or cancelled left out"] += skipped
    predictions = _parts(task, "predictions", place)
    if used and predictions:
        notes["predictions beside annotations left out"] += len(predictions)
    if len(used) > 1:
        notes["tasks of which the annotations of several people are put together"] += 1
    for i, part in enumerate(used or predictions):
        where = f"{place}, {'annotation' if used else 'prediction'} {i}"
        score = part.get("score")
        number = None if used or score is None else as_number(score, f'{where}: "score"')
        for j, result in enumerate(as_list(part.get("result", []), f'{where}: "result"')):
            yield as_object(result, f"{where}, result {j}"), number, f"{where}, result {j}"
    if "data" not in task:  # JSON-MIN: what each control tag was used for, by its name
        for name, values in task.items():
            for j, value in enumerate(values if isinstance(values, list) else []):
                if isinstance(value, dict) and (kind := next((each for each in _REGIONS if each in value), None)):
                    yield {"type": kind, "value": value}, None, f"{place}, {shown(name)} {j}"


def _parts(task: Mapping[str, Any], key: str, place: str) -> list[Mapping[str, Any]]:
    values = task.get(key)
    if values is None or ("data" not in task and not _has_results(values)):
        return []
    return [as_object(value, f"{place}: {key} {i}") for i, value in enumerate(as_list(values, f'{place}: "{key}"'))]


def _has_results(values: object) -> bool:
    return isinstance(values, list) and any(isinstance(value, dict) and "result" in value for value in values)


def _labels(value: Mapping[str, Any], kind: str, place: str) -> list[Any]:
    labels = value.get(kind, value.get("labels", []))
    return as_list(labels, f'{place}: "{kind}"')


def _spans(
    value: Mapping[str, Any], kind: str, id_: str, stated: float | None, options: Options, place: str
) -> Iterator[tuple[float, float]]:
    """Yield start and end of a region, in seconds."""
    if kind == "labels" and "ranges" not in value:
        start, end = (as_number(value.get(key), f'{place}: "{key}"') for key in ("start", "end"))
        if start > end:
            raise FaultError(f"{place}: ends at {end:g} s, before it starts, at {start:g} s")
        yield start, end
        return
    for span in as_list(value.get("ranges"), f'{place}: "ranges"'):
        both = as_object(span, f"{place}: a range")
        first, last = (as_number(both.get(key), f'{place}: "{key}" of a range') for key in ("start", "end"))
        if first > last:
            raise FaultError(f"{place}: the range ends with frame {last:g}, before it starts, with frame {first:g}")
        rate = options.rate_of(id_, stated)
        if rate is None:
            raise FaultError(
                f"{place}: times are in frames, and no frame rate is known; say by --rate what frameRate the <Video> "
                "of the labelling set-up has (24, if it is not set)"
            )
        yield (first - 1) / rate, last / rate


def _written(timeline: Timeline, options: Options) -> dict[str, Any]:
    rate = timeline.rate
    assert rate is not None
    data: dict[str, Any] = {"video": options.file_of(timeline.video), "fps": rate}
    if timeline.duration is not None:
        data["duration"] = timeline.duration
    if timeline.subset:
        data["subset"] = timeline.subset
    result = []
    for number, mark in enumerate(timeline.marks, 1):
        frames = {"start": round(mark.start * rate) + 1, "end": round(mark.end * rate)}
        region: dict[str, Any] = {
            "id": f"r{number}",
            "type": "timelinelabels",
            "from_name": "videoLabels",
            "to_name": "video",
            "value": {"ranges": [frames], "timelinelabels": [mark.label]},
        }
        result.append(region if mark.score is None else {**region, "score": mark.score})
    if timeline.scored:
        scores = [mark.score for mark in timeline.marks if mark.score is not None]
        mean = {"score": sum(scores) / len(scores)} if len(scores) == len(timeline.marks) else {}
        return {"data": data, "predictions": [{"model_version": "untrimmed", **mean, "result": result}]}
    return {"data": data, "annotations": [{"result": result}]}
