"""The common form of everything that is exchanged with annotation tools: marks on the timelines of recordings.

Annotations need the duration of each video, and detections a score for each of them; most tools' files have neither.
A `Document` is what one file says, without anything that it does not say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.check.report import count, some
from untrimmed.data.detections import Detections
from untrimmed.data.formats.reading import is_number, shown
from untrimmed.errors import AnnotationError

LONGEST = 1e8
"""Seconds; no recording lasts for three years."""

Known = TypeVar("Known", float, str)


@dataclass(frozen=True, slots=True)
class Mark:
    """An action from `start` to `end`, in seconds; with a score if a machine found it."""

    start: float
    end: float
    label: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The marks of one recording.

    Attributes:
        video: id of the recording.
        marks: in the order of the file.
        duration: of the recording, in seconds; `None`: not known.
        rate: frames per second; `None`: not known.
        subset: name of its split; empty: not known.
    """

    video: str
    marks: tuple[Mark, ...] = ()
    duration: float | None = None
    rate: float | None = None
    subset: str = ""

    @property
    def scored(self) -> bool:
        """Whether any of its marks has a score."""
        return any(mark.score is not None for mark in self.marks)


@dataclass(frozen=True)
class Document:
    """What a file says.

    Attributes:
        timelines: of the recordings, each id once (see `checked`).
        labels: the names of classes that the file lists, in its order; also of those without marks.
        notes: what the file says and this form cannot hold, a line each.
    """

    timelines: tuple[Timeline, ...]
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def marks(self) -> int:
        """How many marks there are."""
        return sum(len(timeline.marks) for timeline in self.timelines)

    @property
    def scored(self) -> bool:
        """Whether any mark has a score."""
        return any(timeline.scored for timeline in self.timelines)

    def all_labels(self) -> tuple[str, ...]:
        """Return the listed classes in their order, then all others, sorted."""
        listed = dict.fromkeys(self.labels)
        others = {mark.label for timeline in self.timelines for mark in timeline.marks} - listed.keys()
        return (*listed, *sorted(others))


def checked(document: Document, source: object) -> Document:
    """Return a document in which each recording is there once, and all values can be meant and written.

    What several parts of a file say of one recording is put together.

    Raises:
        AnnotationError: if a name is empty or cannot be written as UTF-8, a time or a score is no number that can be
            meant, a mark ends before it starts, or two parts contradict each other.
    """
    together: dict[str, Timeline] = {}
    for timeline in document.timelines:
        _check_timeline(timeline, source)
        before = together.get(timeline.video)
        together[timeline.video] = timeline if before is None else _joined(before, timeline, source)
    for label in document.labels:
        _check_name(label, "a class", source)
    return Document(tuple(together.values()), tuple(dict.fromkeys(document.labels)), document.notes)


def from_annotations(annotations: Annotations) -> Document:
    """Return annotations as timelines, without scores."""
    timelines = [
        Timeline(
            video.id,
            tuple(Mark(instance.start, instance.end, instance.label) for instance in video.instances),
            video.duration,
            video.rate,
            video.subset,
        )
        for video in annotations
    ]
    return Document(tuple(timelines), annotations.labels)


def from_detections(detections: Iterable[Detections]) -> Document:
    """Return detections as timelines, with scores."""
    timelines = [
        Timeline(video.video_id, tuple(Mark(each.start, each.end, each.label, each.score) for each in video))
        for video in detections
    ]
    return Document(tuple(timelines))


def to_annotations(
    document: Document,
    durations: Mapping[str, float] = MappingProxyType({}),
    labels: Collection[str] = (),
    *,
    source: str = "annotations",
) -> Annotations:
    """Return a document as annotations; scores are left out.

    Args:
        document: each recording once.
        durations: seconds, of recordings of which the document does not say it.
        labels: all labels in the order of their class numbers, instead of those that the document lists.
        source: where it is from, for messages.

    Raises:
        AnnotationError: naming the videos whose duration is not known, or labels that are not among `labels`.
    """
    known = {t.video: durations.get(t.video) if t.duration is None else t.duration for t in document.timelines}
    if unknown := [video for video, duration in known.items() if duration is None]:
        raise AnnotationError(
            f"{source}: annotations need the length of each video, and of {count(len(unknown), 'video')} it is not "
            f"known: {some(unknown)}. It is read from their files: --videos FOLDER"
        )
    names = tuple(dict.fromkeys(labels)) or document.all_labels()
    if others := [label for label in document.all_labels() if label not in set(names) and _used(document, label)]:
        raise AnnotationError(f"{source}: {some(map(repr, others))} is none of the {len(names)} labels that were given")
    videos = {
        t.video: Video(
            t.video,
            known[t.video] or 0.0,
            t.subset,
            t.rate,
            tuple(Instance(mark.start, mark.end, mark.label) for mark in t.marks),
        )
        for t in document.timelines
    }
    return Annotations(videos, names, source)


def to_detections(document: Document, labels: Collection[str] = (), *, source: str = "detections") -> list[Detections]:
    """Return a document as detections, those of each video best first.

    Args:
        document: all of its marks have scores.
        labels: names of classes by number, instead of those that the document lists; others follow them.
        source: where it is from, for messages.

    Raises:
        AnnotationError: if a mark has no score.
    """
    refuse_without_scores(document, source)
    names = replace(document, labels=tuple(labels) or document.labels).all_labels()
    number = {label: i for i, label in enumerate(names)}
    detections = []
    for timeline in document.timelines:
        marks = sorted(timeline.marks, key=lambda mark: -(mark.score or 0.0))  # stable
        segments = np.array([(mark.start, mark.end) for mark in marks], dtype=np.float64).reshape(-1, 2)
        scores = np.array([mark.score for mark in marks], dtype=np.float64)
        classes = np.array([number[mark.label] for mark in marks], dtype=np.int64)
        detections.append(Detections(timeline.video, segments, scores, classes, names))
    return detections


def refuse_without_scores(document: Document, source: object) -> None:
    """Return if every mark has a score.

    Raises:
        AnnotationError: if not, naming the first one.
    """
    missing = [(t.video, mark) for t in document.timelines for mark in t.marks if mark.score is None]
    if missing:
        video, mark = missing[0]
        every = "these are annotations" if len(missing) == document.marks else f"{len(missing)} marks have none"
        raise AnnotationError(
            f"{source}: detections need a score each, but {mark.label!r} at {mark.start:g} s in video {video!r} has "
            f"none ({every}). Convert to a format of annotations, activitynet for instance"
        )


def _used(document: Document, label: str) -> bool:
    return any(mark.label == label for timeline in document.timelines for mark in timeline.marks)


def _check_timeline(timeline: Timeline, source: object) -> None:
    _check_name(timeline.video, "a video", source)
    place = f"{source}: video {shown(timeline.video)}"
    for value, what in ((timeline.duration, "duration"), (timeline.rate, "frame rate")):
        if value is not None and not (is_number(value) and 0 < value <= LONGEST):
            raise AnnotationError(f"{place}: the {what} is {shown(value)}, expected a positive number")
    _encoded(timeline.subset, "a subset", source)
    for mark in timeline.marks:
        _check_name(mark.label, f"a label of video {shown(timeline.video)}", source)
        if not (is_number(mark.start) and is_number(mark.end) and max(abs(mark.start), abs(mark.end)) <= LONGEST):
            raise AnnotationError(
                f"{place}: {shown(mark.label)} is from {shown(mark.start)} to {shown(mark.end)} s, which are no times "
                "in a recording; are they in another unit?"
            )
        if mark.start > mark.end:
            raise AnnotationError(
                f"{place}: {shown(mark.label)} ends before it starts, from {mark.start:g} to {mark.end:g} s; swap the "
                "two times, or remove it"
            )
        if mark.score is not None and not is_number(mark.score):
            raise AnnotationError(f"{place}: the score of {shown(mark.label)} is {shown(mark.score)}, not a number")


def _check_name(name: str, what: str, source: object) -> None:
    if not name.strip():
        raise AnnotationError(f"{source}: the name of {what} is empty; give it one")
    _encoded(name, what, source)


def _encoded(name: str, what: str, source: object) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        message = f"the name of {what}, {ascii(name)[:80]}, has half a character, which no file can hold; write it anew"
        raise AnnotationError(f"{source}: {message}") from None


def _joined(first: Timeline, second: Timeline, source: object) -> Timeline:
    """Return what two parts of a file say of one recording."""
    return Timeline(
        first.video,
        first.marks + second.marks,
        _same(first.duration, second.duration, first.video, "duration", source),
        _same(first.rate, second.rate, first.video, "frame rate", source),
        _same(first.subset or None, second.subset or None, first.video, "subset", source) or "",
    )


def _same(first: Known | None, second: Known | None, video: str, what: str, source: object) -> Known | None:
    if first is None or second is None or first == second:
        return second if first is None else first
    raise AnnotationError(
        f"{source}: video {shown(video)} is there twice, with {what} {first!r} and {second!r}; correct one of the two"
    )


def most_common(names: Iterable[str]) -> str:
    """Say how often which names occur: `6 p, 2 q`, for messages."""
    return some(f"{number:,} {name!r}" for name, number in Counter(names).most_common())
