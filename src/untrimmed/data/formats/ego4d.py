"""Ego4D Moments Queries' own JSON: `moments_train.json`, `moments_val.json`, `moments_test_unannotated.json`.

::

    {"videos": [{"video_uid": "...", "split": "train", "clips": [{
        "clip_uid": "...", "video_start_sec": 12.0, "video_end_sec": 492.0,
        "video_start_frame": 360, "video_end_frame": 14760,
        "annotations": [{"labels": [
            {"label": "wash_hands", "primary": true, "start_time": 3.5, "end_time": 9.25}]}]}]}]}

A clip, of about eight minutes, becomes a video here; times count from its beginning. Each annotator of a clip has their
own entry in `annotations`: all of them are kept, and so are instances that two of them agree on. Only labels that are
`primary` count: they make the benchmark's 110 classes. Class numbers are by sorted label, as in the official
ActionFormer code (some labels of Ego4D begin with a quotation mark; these come first). Other keys are ignored. The test
set has no `annotations`.

The official ActionFormer code (`convert_ego4d_trainval.py`) leaves out instances shorter than 0.25 s, in training and
in evaluation; the benchmark's own (`Convert_annotation.py` of EGO4D/episodic-memory) does not. Its features of a clip
are rows cut out of the features of the whole video, and so begin up to a stride before the clip does; `cut_from` moves
all times along. What differs from the official conversion: times are not rounded to 0.01 s, and are not computed
through those of the whole video.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pydantic.dataclasses
from pydantic import ConfigDict, Field

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.formats.reading import MOST_CLASSES, is_number, read_json, shown
from untrimmed.errors import AnnotationError

SUBSETS = ("train", "val", "test")
"""Names of the subsets."""

SHORTEST = 0.25
"""Seconds that an instance lasts at least, in the official ActionFormer code."""

_RATES = (10, 100)  # frames per second; outside of these, a clip's frames and seconds do not belong together


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class FeatureRows:
    """How the features of a whole video were made, from which rows for each clip were cut.

    Raises:
        pydantic.ValidationError: (a `ValueError`) if a value is out of range.
    """

    stride: Annotated[int, Field(ge=1)] = 16
    """Frames from one row to the next."""
    window: Annotated[int, Field(ge=1)] = 32
    """Frames that a row covers."""


def read_moments(
    paths: str | Path | Iterable[str | Path],
    *,
    labels: Sequence[str] | None = None,
    shortest: float = SHORTEST,
    cut_from: FeatureRows | None = None,
    strict: bool = True,
) -> Annotations:
    """Read the clips of Moments Queries with their instances.

    Args:
        paths: files, or a folder with `moments_*.json`. Class numbers are official if the training set is among them.
        labels: all labels in the order of their class numbers; left out: those that occur, sorted.
        shortest: instances that last less (seconds) are left out; 0 keeps all.
        cut_from: given if the features of a clip are rows of those of its video. Times and durations then count from
            the first frame of the first such row; clips whose frame rate is not credible are left out, as they are
            officially.
        strict: whether to refuse instances that end before they start; otherwise they are left out.

    Raises:
        AnnotationError: if a file cannot be read or understood; naming file, video, clip and key.
    """
    files = _files(paths)
    clips: dict[str, _Clip] = {}
    for path in files:
        for clip in _read(path, strict=strict):
            before = clips.get(clip.id)
            if before is not None and replace(before, instances=clip.instances) != clip:
                message = "is there twice, with other times or in another split; remove one"
                raise AnnotationError(f"{path}: clip {clip.id!r} {message}")
            clips[clip.id] = clip if before is None else replace(clip, instances=before.instances + clip.instances)
    if cut_from is not None:
        clips = {id_: clip for id_, clip in clips.items() if clip.rate is not None}
    videos = {id_: clip.video(shortest, cut_from) for id_, clip in clips.items()}
    occurring = sorted({i.label for clip in clips.values() for i in clip.instances})
    if labels is not None and (unknown := sorted(set(occurring) - set(labels))):
        message = f"label {unknown[0]!r} is none of the {len(labels)} known labels; is this another version of Ego4D?"
        raise AnnotationError(f"{_source(files)}: {message}")
    if len(occurring) >= MOST_CLASSES:
        raise AnnotationError(f"{_source(files)}: {len(occurring)} labels, expected 110; is this Moments Queries?")
    return Annotations(videos, tuple(occurring if labels is None else labels), _source(files))


def clip_shifts(paths: str | Path | Iterable[str | Path], cut_from: FeatureRows) -> dict[str, float]:
    """Return by how many seconds each clip begins after its features do.

    Times of detections on such features, less this, are what the benchmark expects in a submission.

    Raises:
        AnnotationError: as from `read_moments`.
    """
    every = [clip for path in _files(paths) for clip in _read(path, strict=False)]
    return {clip.id: clip.margins(cut_from)[0] for clip in every if clip.rate is not None}


def is_moments(path: str | Path) -> bool:
    """Whether a file's name, or one in a folder, is that of a file of Moments Queries: `moments_*.json`."""
    path = Path(path)
    return any(path.glob("moments_*.json")) if path.is_dir() else path.match("moments_*.json")


@dataclass(frozen=True, slots=True)
class _Clip:
    """A clip: seconds and frames at which it begins and ends in its video; instances count from its beginning."""

    id: str
    subset: str
    seconds: tuple[float, float]
    frames: tuple[int, int]
    instances: tuple[Instance, ...] = ()

    @property
    def rate(self) -> float | None:
        """Frames per second, if credible. As officially, what lies before the video does not count."""
        rate = (self.frames[1] - max(self.frames[0], 0)) / (self.seconds[1] - max(self.seconds[0], 0.0))
        return rate if _RATES[0] <= rate <= _RATES[1] else None

    def margins(self, rows: FeatureRows) -> tuple[float, float]:
        """Return how many seconds rows of the video's features begin before the clip does, and end after it."""
        assert self.rate is not None
        first, last = max(self.frames[0], 0), self.frames[1]
        before = first % rows.stride
        after = -(last - first + before - rows.window) % rows.stride
        return before / self.rate + min(self.seconds[0], 0.0), after / self.rate

    def video(self, shortest: float, rows: FeatureRows | None) -> Video:
        """Return the clip as a video, on the time of its features if they are rows of its video's."""
        before, after = (0.0, 0.0) if rows is None else self.margins(rows)
        kept = tuple(
            Instance(i.start + before, i.end + before, i.label) for i in self.instances if i.end - i.start >= shortest
        )
        duration = self.seconds[1] - self.seconds[0] + before + after
        return Video(self.id, duration, self.subset, self.rate, kept)


class _FaultError(ValueError):
    """Something is not as it should be; the caller knows where."""


def _files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    if not isinstance(paths, str | Path):
        files = [Path(path) for path in paths]
        if not files:
            raise AnnotationError("no file of moments is named; name at least one, for instance moments_train.json")
        return files
    path = Path(paths)
    if not path.is_dir():
        return [path]
    files = sorted(path.glob("moments_*.json"))
    if not files:
        raise AnnotationError(f"{path}: no moments_*.json is in this folder; download Ego4D's annotations into it")
    return files


def _source(files: Sequence[Path]) -> str:
    return str(files[0] if len(files) == 1 else files[0].parent)


def _read(path: Path, *, strict: bool) -> list[_Clip]:
    """Return the clips of a file.

    Raises:
        AnnotationError: naming the first fault, and how many more there are.
    """
    content = read_json(path)
    videos = content.get("videos") if isinstance(content, dict) else None
    if not isinstance(videos, list):
        keys = ", ".join(map(repr, list(content)[:5])) if isinstance(content, dict) else shown(content)
        raise AnnotationError(f'{path}: found {keys}, expected a list "videos", as moments_train.json has')
    clips: list[_Clip] = []
    faults: list[str] = []
    for index, video in enumerate(videos):
        place = f"video {index}"
        try:
            place = f"video {_text(video, 'video_uid')!r}"
            split = _text(video, "split")
            if split not in SUBSETS:
                raise _FaultError(f'"split" is {shown(split)}, expected one of {", ".join(SUBSETS)}')
            for number, clip in enumerate(_list(video, "clips")):
                place = f"video {video['video_uid']!r}, clip {number}"
                clips.append(_clip(clip, split, strict=strict))
        except _FaultError as fault:
            faults.append(f"{place}: {fault}")
    if faults:
        more = f" (and {len(faults) - 1} more videos with faults)" if len(faults) > 1 else ""
        raise AnnotationError(f"{path}: {faults[0]}; correct it, or download the file again{more}")
    return clips


def _clip(clip: object, subset: str, *, strict: bool) -> _Clip:
    id_ = _text(clip, "clip_uid")
    start, end = _number(clip, "video_start_sec"), _number(clip, "video_end_sec")
    if end <= max(start, 0.0):
        raise _FaultError(f'"video_end_sec" is {end}, expected more than "video_start_sec", {start}, and than 0')
    frames = int(_number(clip, "video_start_frame")), int(_number(clip, "video_end_frame"))
    instances: list[Instance] = []
    annotated = subset != "test" or "annotations" in _object(clip)
    for annotator, annotation in enumerate(_list(clip, "annotations") if annotated else ()):
        for index, item in enumerate(_list(annotation, "labels")):
            try:
                instance = _instance(item, strict=strict)
            except _FaultError as fault:
                raise _FaultError(f"annotation {annotator}, label {index}: {fault}") from None
            if instance is not None:
                instances.append(instance)
    return _Clip(id_, subset, (start, end), frames, tuple(instances))


def _instance(item: object, *, strict: bool) -> Instance | None:
    """Return an instance; `None` if it does not count."""
    primary = _value(item, "primary")
    if not isinstance(primary, bool):
        raise _FaultError(f'"primary" is {shown(primary)}, expected true or false')
    if not primary:
        return None
    label, start, end = _text(item, "label"), _number(item, "start_time"), _number(item, "end_time")
    if start > end:
        if strict:
            raise _FaultError(f'"end_time" is {end}, expected none before "start_time", {start}')
        return None
    return Instance(start, end, label)


def _object(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _FaultError(f"found {shown(value)}, expected an object")
    return value


def _value(parent: object, key: str) -> object:
    content = _object(parent)
    if key not in content:
        keys = ", ".join(map(repr, list(content)[:5])) or "nothing"
        raise _FaultError(f'"{key}" is missing; found {keys}')
    return content[key]


def _text(parent: object, key: str) -> str:
    value = _value(parent, key)
    if not (isinstance(value, str) and value):
        raise _FaultError(f'"{key}" is {shown(value)}, expected a text')
    return value


def _list(parent: object, key: str) -> list[Any]:
    value = _value(parent, key)
    if not isinstance(value, list):
        raise _FaultError(f'"{key}" is {shown(value)}, expected a list')
    return value


def _number(parent: object, key: str) -> float:
    value = _value(parent, key)
    if is_number(value):
        return float(value)
    raise _FaultError(f'"{key}" is {shown(value)}, expected a number')
