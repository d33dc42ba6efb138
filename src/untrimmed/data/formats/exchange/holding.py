"""What a format can hold, and what is lost when more than that is to be written into it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from untrimmed.data.check.report import count, some
from untrimmed.data.formats.exchange.source import Options
from untrimmed.data.formats.exchange.timeline import Document, Mark, Timeline, refuse_without_scores
from untrimmed.errors import AnnotationError


def as_it_is(name: str) -> str:
    """Return a name as it is."""
    return name


@dataclass(frozen=True)
class Holds:
    """What a format can hold.

    Attributes:
        scores: of marks; "required": each mark needs one, so that annotations cannot be written.
        score_units: scores are brought into [0, 1] and rounded to one in so many; `None`: they are as they are.
        durations: of recordings.
        rates: of recordings.
        subsets: of recordings.
        classes: the list of classes, in its order and with those that have no marks.
        empty: recordings without marks.
        points: marks without length.
        negative: times before the recording begins.
        time_units: times are rounded to one in so many seconds; `None`: they are exact.
        frames: times are rounded to whole frames, which takes a frame rate.
        needs_durations: every recording needs one.
        rate: what the frame rate of a recording of a duration becomes.
        subset: what the name of a subset becomes.
        label: what a label becomes.
        video: what a recording's id becomes.
    """

    scores: Literal["none", "optional", "required"] = "none"
    score_units: int | None = None
    durations: bool = False
    rates: bool = False
    subsets: bool = False
    classes: bool = False
    empty: bool = True
    points: bool = False
    negative: bool = False
    time_units: int | None = None
    frames: bool = False
    needs_durations: bool = False
    rate: Callable[[float | None, float | None], float | None] = lambda _, rate: rate
    subset: Callable[[str], str] = as_it_is
    label: Callable[[str], str] = as_it_is
    video: Callable[[str], str] = as_it_is


def fitted(document: Document, holds: Holds, options: Options, target: object) -> tuple[Document, list[str]]:
    """Return what of a document a format can hold, and a line for each kind of thing that it cannot.

    What is returned can be written and read back exactly.

    Args:
        document: to be written.
        holds: what the format can hold.
        options: finds durations and frame rates that the format needs and the document does not say.
        target: where to, for messages.

    Raises:
        AnnotationError: if nothing of use would be left: scores, durations or frame rates are missing that the format
            cannot do without; or two recordings would be one.
    """
    if holds.scores == "required":
        refuse_without_scores(document, target)
    losses: list[str] = []
    document = _with_facts(document, holds, options, losses, target)
    for step in (_videos, _without_facts, _scores, _times, _labels, _empty, _classes):
        document = step(document, holds, losses, target)
    return document, losses


def with_marks(document: Document, change: Callable[[Timeline, Mark], Mark | None]) -> Document:
    """Return a document with each mark changed, or left out where `change` returns nothing."""
    timelines = tuple(
        replace(t, marks=tuple(new for mark in t.marks if (new := change(t, mark)) is not None))
        for t in document.timelines
    )
    return replace(document, timelines=timelines)


def _with_facts(document: Document, holds: Holds, options: Options, losses: list[str], target: object) -> Document:
    timelines = []
    if holds.frames and options.rate is not None:  # the tool counts at this rate, whatever the video's own is
        other = [t.video for t in document.timelines if t.rate not in (None, options.rate)]
        if other:
            losses.append(
                f"{count(len(other), 'video')} will be read with a frame rate of {options.rate:g}: {some(other)}"
            )
        document = replace(document, timelines=tuple(replace(t, rate=options.rate) for t in document.timelines))
    for timeline in document.timelines:
        duration, rate = timeline.duration, timeline.rate
        media = options.media(timeline.video) if holds.durations and duration is None else None
        if media is not None:
            duration = media.duration
            rate = media.rate if rate is None and holds.rates else rate
        if holds.frames and rate is None:
            rate = options.rate_of(timeline.video)
        timelines.append(replace(timeline, duration=duration, rate=rate))
    if holds.frames and (missing := [t.video for t in timelines if t.rate is None]):
        raise AnnotationError(
            f"{target}: this format counts frames, and the frame rate of {count(len(missing), 'video')} is not known: "
            f"{some(missing)}. Say it by --rate, or let it be read from the files by --videos FOLDER"
        )
    if holds.needs_durations and (missing := [t.video for t in timelines if t.duration is None]):
        raise AnnotationError(
            f"{target}: this format needs the length of each video, and of {count(len(missing), 'video')} it is not "
            f"known: {some(missing)}. It is read from their files by --videos FOLDER"
        )
    return replace(document, timelines=tuple(timelines))


def _videos(document: Document, holds: Holds, losses: list[str], target: object) -> Document:
    names = {t.video: holds.video(t.video) for t in document.timelines}
    before: dict[str, str] = {}
    for id_, name in names.items():
        if before.setdefault(name, id_) != id_:
            raise AnnotationError(
                f"{target}: videos {before[name]!r} and {id_!r} would both be {name!r} in this format; rename one"
            )
    changed = [(id_, name) for id_, name in names.items() if id_ != name]
    if changed:
        losses.append(f"{count(len(changed), 'video')} will be read by another name: {_changes(changed)}")
    return replace(document, timelines=tuple(replace(t, video=names[t.video]) for t in document.timelines))


def _without_facts(document: Document, holds: Holds, losses: list[str], _: object) -> Document:
    timelines = document.timelines
    stated = {
        "length": not holds.durations and sum(t.duration is not None for t in timelines),
        "frame rate": not holds.rates and sum(t.rate is not None for t in timelines),
        "subset": not holds.subsets and sum(bool(t.subset) for t in timelines),
    }
    losses += [f"the {what} of {count(number, 'video')} is not kept" for what, number in stated.items() if number]
    timelines = tuple(
        replace(
            t,
            duration=t.duration if holds.durations else None,
            rate=t.rate if holds.rates else None,
            subset=t.subset if holds.subsets else "",
        )
        for t in timelines
    )
    subsets = {t.subset: holds.subset(t.subset) for t in timelines}
    if changed := [(old, new) for old, new in subsets.items() if old != new]:
        losses.append(f"{count(len(changed), 'subset')} written in another way: {_changes(changed)}")
    rates = {t.video: holds.rate(t.duration, t.rate) for t in timelines}
    if other := [f"{rates[t.video]} for {t.video!r}" for t in timelines if rates[t.video] != t.rate]:
        losses.append(f"the frame rate of {count(len(other), 'video')} will be read as another: {some(other, 2)}")
    timelines = tuple(replace(t, subset=subsets[t.subset], rate=rates[t.video]) for t in timelines)
    return replace(document, timelines=timelines)


def _scores(document: Document, holds: Holds, losses: list[str], _: object) -> Document:
    scores = [mark.score for t in document.timelines for mark in t.marks if mark.score is not None]
    if not scores:
        return document
    if holds.scores == "none":
        losses.append(f"the {count(len(scores), 'score')} are not kept" if len(scores) > 1 else "1 score is not kept")
        return with_marks(document, lambda _, mark: replace(mark, score=None))
    units = holds.score_units
    if units is None:
        return document
    rounded = {score: round(min(max(score, 0.0), 1.0) * units) / units for score in set(scores)}
    changed = sum(rounded[score] != score for score in scores)
    if changed:
        losses.append(f"{count(changed, 'score')} rounded to {1 / units:g}, in [0, 1]")
    return with_marks(document, lambda _, m: m if m.score is None else replace(m, score=rounded[m.score]))


def _times(document: Document, holds: Holds, losses: list[str], _: object) -> Document:
    before, cut, short, moved = [], [], [], []

    def fit(timeline: Timeline, mark: Mark) -> Mark | None:
        new = replace(mark, start=mark.start + 0.0, end=mark.end + 0.0)  # -0.0 becomes 0.0
        if new.start < 0 and not holds.negative:
            if new.end <= 0:
                before.append(mark)
                return None
            cut.append(mark)
            new = replace(new, start=0.0)
        units = timeline.rate if holds.frames else holds.time_units
        if units is not None:
            first, last = round(new.start * units), round(new.end * units)
            if last <= first and not holds.points:
                short.append(mark)
                last = first + 1
            rounded = replace(new, start=first / units, end=last / units)
            if rounded != new and not (short and short[-1] is mark):
                moved.append(mark)
            new = rounded
        elif new.start == new.end and not holds.points:
            short.append(mark)
            return None
        return new

    document = with_marks(document, fit)
    if before:
        losses.append(f"{count(len(before), 'mark')} before the video begins left out: {_examples(before)}")
    if cut:
        losses.append(f"{count(len(cut), 'mark')} cut to begin with the video: {_examples(cut)}")
    if moved:
        step = "whole frames" if holds.frames else f"{1 / (holds.time_units or 1):g} s"
        losses.append(f"the times of {count(len(moved), 'mark')} rounded to {step}")
    if short:
        unit = "one frame" if holds.frames else f"{1 / (holds.time_units or 1):g} s"
        exact = holds.time_units is None and not holds.frames
        fate = "without length left out" if exact else f"shorter than {unit} made to last so long"
        losses.append(f"{count(len(short), 'mark')} {fate}: {_examples(short)}")
    return document


def _labels(document: Document, holds: Holds, losses: list[str], _: object) -> Document:
    names = {label: holds.label(label) for label in document.all_labels()}
    used = {mark.label for t in document.timelines for mark in t.marks}
    changed = [(label, name) for label, name in names.items() if label != name and (label in used or holds.classes)]
    if changed:
        losses.append(f"{count(len(changed), 'label')} written in another way: {_changes(changed)}")
    labels = tuple(dict.fromkeys(names[label] for label in document.labels))
    return with_marks(replace(document, labels=labels), lambda _, mark: replace(mark, label=names[mark.label]))


def _empty(document: Document, holds: Holds, losses: list[str], _: object) -> Document:
    empty = [t.video for t in document.timelines if not t.marks]
    if holds.empty or not empty:
        return document
    losses.append(f"{count(len(empty), 'video')} without marks left out: {some(empty)}")
    return replace(document, timelines=tuple(t for t in document.timelines if t.marks))


def _classes(document: Document, holds: Holds, losses: list[str], _: object) -> Document:
    if holds.classes:
        return replace(document, labels=document.all_labels())
    used = {mark.label for t in document.timelines for mark in t.marks}
    unused = [label for label in document.labels if label not in used]
    if unused:
        losses.append(f"{count(len(unused), 'class')} without marks not kept: {some(map(repr, unused))}")
    if document.labels and list(document.all_labels()) != sorted(document.all_labels()):
        losses.append("the order of the classes is not kept")
    return replace(document, labels=())


def _changes(changed: Iterable[tuple[str, str]]) -> str:
    return some((f"{old!r} as {new!r}" for old, new in changed), 2)


def _examples(marks: Iterable[Mark]) -> str:
    return some((f"{mark.label!r} at {mark.start:g} s" for mark in marks), 2)
