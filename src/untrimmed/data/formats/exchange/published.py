"""Files of two benchmarks: EPIC-KITCHENS-100's CSV files, which are only read, and Ego4D's `moments_*.json`.

They are read by the package's own modules `formats.epic_kitchens` and `formats.ego4d`, which say what they look like.
EPIC-KITCHENS' files cannot be written: a segment there is a verb and a noun, by number, which no other format has.

Ego4D files are written with one clip for each recording, which begins where its video does. Each needs a length. The
rate of a clip is its frames by its seconds, so it is rounded to whole frames, and 30 where it is not known.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

from untrimmed.data.formats.ego4d import SUBSETS, is_moments, read_moments
from untrimmed.data.formats.epic_kitchens import Task, is_epic_kitchens, read_epic_kitchens
from untrimmed.data.formats.exchange.source import Options, Source, refuse_large
from untrimmed.data.formats.exchange.timeline import Document, from_annotations

UNKNOWN_RATE = 30.0
"""Frames per second that a recording is written with whose rate is not known; that of Ego4D's own videos."""

_TRAINING = SUBSETS[0]
_RATES = (10, 100)  # of others, the reader takes no notice


def read_ego4d(source: Source, _: Options) -> Document:
    """Read Ego4D's Moments Queries: a file, or a folder of them. Instances of any length are read.

    Raises:
        AnnotationError: if they cannot be read.
    """
    for path in sorted(source.path.glob("moments_*.json")) if source.path.is_dir() else [source.path]:
        refuse_large(path)
    return replace(from_annotations(read_moments(source.path, shortest=0.0)), labels=())  # it lists no classes


def write_ego4d(document: Document, _: Options) -> str:
    """Return annotations in the form of Moments Queries."""
    videos = []
    for timeline in document.timelines:
        duration = timeline.duration
        assert duration is not None
        labels = [
            {"label": mark.label, "primary": True, "start_time": mark.start, "end_time": mark.end}
            for mark in timeline.marks
        ]
        clip = {
            "clip_uid": timeline.video,
            "video_start_sec": 0.0,
            "video_end_sec": duration,
            "video_start_frame": 0,
            "video_end_frame": frames(duration, timeline.rate),
            "clip_start_sec": 0.0,
            "clip_end_sec": duration,
            "clip_start_frame": 0,
            "clip_end_frame": frames(duration, timeline.rate),
            "annotations": [{"annotator_uid": "0", "labels": labels}],
        }
        videos.append({"video_uid": timeline.video, "split": ego4d_subset(timeline.subset), "clips": [clip]})
    content = {"version": "1", "date": "", "description": "", "manifest": "", "videos": videos}
    return json.dumps(content, ensure_ascii=False)


def ego4d_subset(subset: str) -> str:
    """Return a subset that Ego4D has: `train`, `val` or `test`."""
    low = subset.lower()
    near = {"training": "train", "validation": "val", "valid": "val", "testing": "test"}.get(low, low)
    return near if near in SUBSETS else _TRAINING


def ego4d_rate(duration: float | None, rate: float | None) -> float | None:
    """Return the frame rate that a recording, written and read again, has."""
    if duration is None:
        return rate
    rates = (frames(duration, each) / duration for each in (rate, None))
    return next((each for each in rates if _RATES[0] <= each <= _RATES[1]), None)


def frames(duration: float, rate: float | None) -> int:
    """Return how many frames a clip has."""
    return round(duration * (rate or UNKNOWN_RATE))


def recognises_ego4d(source: Source) -> bool:
    """Whether this is a folder with `moments_*.json`, or JSON with "videos" that have "clips"."""
    if source.path.is_dir():
        return is_moments(source.path)
    if not source.looks_like_json() or not isinstance(source.json, dict):
        return False
    videos = source.json.get("videos")
    return isinstance(videos, list) and any(isinstance(video, dict) and "clips" in video for video in videos)


def read_epic(task: Task, source: Source, _: Options) -> Document:
    """Read EPIC-KITCHENS-100: a folder of its files, or one file of segments beside the others.

    Raises:
        AnnotationError: if they cannot be read.
    """
    folder = source.path if source.path.is_dir() else source.path.parent
    for path in sorted(folder.glob("EPIC_100_*.csv")):
        refuse_large(path)
    refuse_large(source.path)
    return from_annotations(read_epic_kitchens(source.path, task))


read_epic_verbs, read_epic_nouns, read_epic_actions = (partial(read_epic, task) for task in ("verb", "noun", "action"))


def recognises_epic(source: Source) -> bool:
    """Whether this is a folder with EPIC-KITCHENS' files, or one of its files of segments."""
    return is_epic_kitchens(source.path)
