"""What can be wrong with annotations alone."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.check.report import Finding, Severity, count, some
from untrimmed.errors import AnnotationError

TRAINING = "training"
"""The role that a model is trained on; with any other, it is evaluated."""

_SLACK = 1e-3  # seconds by which rounding may put a segment outside its video

Roles = Mapping[str, Sequence[Video]]


def select(annotations: Annotations, subsets: Mapping[str, Sequence[str]]) -> tuple[Roles, list[Finding]]:
    """Return the videos of each role, and what is wrong with the subsets that are named for it."""
    findings: list[Finding] = []
    roles: dict[str, list[Video]] = {}
    for role, names in subsets.items():
        found: dict[str, Video] = {}
        for name in names:
            try:
                found.update(annotations.of_subsets([name]).videos)
            except AnnotationError as error:
                findings.append(Finding("error", f"{role} subsets", str(error)))
        if not names:
            findings.append(Finding("error", f"{role} subsets", f"{annotations.source}: no subset is named"))
        roles[role] = list(found.values())
    return roles, findings


def annotation_findings(roles: Roles, *, drops_unusable: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with the annotations of these videos.

    Instances outside of their video are an error in training, unless `drops_unusable` says that they are left out.
    """
    yield from _shared_videos(roles)
    yield from _untrained_labels(roles)
    yield from _similar_labels(roles)
    for role, videos in roles.items():
        yield from _durations(role, videos)
        yield from _empty_videos(role, videos)
        yield from _segments(role, videos, refuses_outside=role == TRAINING and not drops_unusable)


def label_counts(videos: Sequence[Video]) -> Counter[str]:
    """How many instances each label has."""
    return Counter(instance.label for video in videos for instance in video.instances)


def has_duration(video: Video) -> bool:
    """Whether the stated duration can be one."""
    return 0 < video.duration < math.inf


def _durations(role: str, videos: Sequence[Video]) -> Iterator[Finding]:
    """Durations that cannot be."""
    wrong = [video for video in videos if not has_duration(video)]
    if wrong:
        message = f"{count(len(wrong), 'video')} with a duration like {wrong[0].duration}: {some(v.id for v in wrong)}"
        yield Finding("error", f"{role} videos", message, tuple(video.id for video in wrong))


def _shared_videos(roles: Roles) -> Iterator[Finding]:
    """Videos in two roles."""
    for (one, videos), (other, others) in combinations(roles.items(), 2):
        ids = {video.id for video in others}
        shared = tuple(video.id for video in videos if video.id in ids)
        if shared:
            message = (
                f"{count(len(shared), 'video')} in both: {some(shared)}. Scores there say nothing about new videos"
            )
            yield Finding("warning", f"{one} and {other}", message, shared)


def _untrained_labels(roles: Roles) -> Iterator[Finding]:
    """Labels that a model is asked for and never shown."""
    trained = label_counts(roles.get(TRAINING, ()))
    for role, videos in roles.items():
        unknown = [(label, n) for label, n in label_counts(videos).items() if label not in trained]
        if trained and unknown:
            shown = some(f"{label!r} ({count(n, 'instance')}){_meant(label, trained)}" for label, n in unknown)
            message = f"{count(len(unknown), 'label')} without a training instance, so never found: {shown}"
            yield Finding("warning", f"{role} labels", message)


def _similar_labels(roles: Roles) -> Iterator[Finding]:
    """Labels that are probably the same."""
    instances = sum((label_counts(videos) for videos in roles.values()), Counter[str]())
    alike: dict[str, list[str]] = defaultdict(list)
    for label in sorted(instances):
        alike[" ".join(label.split()).casefold()].append(label)
    for labels in alike.values():
        if len(labels) > 1:
            shown = ", ".join(f"{label!r} ({count(instances[label], 'instance')})" for label in labels)
            message = f"different classes that differ only by case or spaces: {shown}. Rename them if they are one"
            yield Finding("warning", "labels", message)


def _meant(label: str, known: Mapping[str, int]) -> str:
    """Return a hint at a label that may have been meant. One with another number is another class, and none."""

    def without_digits(name: str) -> str:
        return re.sub(r"\d", "", name)

    others = [name for name in known if without_digits(name) != without_digits(label)]
    near = difflib.get_close_matches(label, others, n=1)
    return f", perhaps {near[0]!r}" if near else ""


def _empty_videos(role: str, videos: Sequence[Video]) -> Iterator[Finding]:
    """Videos without instances: some are background on purpose, all are a mistake."""
    empty = tuple(video.id for video in videos if not video.instances)
    if not empty:
        return
    if len(empty) == len(videos):
        yield Finding("error", f"{role} videos", f"none of the {count(len(videos), 'video')} has an instance", empty)
    else:
        message = f"{len(empty):,} of {count(len(videos), 'video')} without instances: {some(empty)}"
        yield Finding("warning", f"{role} videos", message, empty)


def _segments(role: str, videos: Sequence[Video], *, refuses_outside: bool) -> Iterator[Finding]:
    """Instances that are reversed, without length, outside their video, or there twice."""
    pairs = [(video, instance) for video in videos for instance in video.instances]
    backward = [(v, i) for v, i in pairs if not i.start <= i.end]
    empty = [(v, i) for v, i in pairs if i.start == i.end]
    forward = [(v, i) for v, i in pairs if i.start < i.end]
    outside = [(v, i) for v, i in forward if i.end <= 0 or i.start >= v.duration]
    over = [(v, i) for v, i in forward if i.end > 0 and i.start < v.duration and _excess(v, i) > _SLACK]
    over.sort(key=lambda pair: -_excess(*pair))
    twice = [(v, i) for v in videos for i, number in Counter(v.instances).items() if number > 1]
    place = f"{role} segments"
    if backward:
        yield _grouped("error", place, backward, "that end before they start")
    if empty:
        yield _grouped("warning", place, empty, "without length, which nothing can find")
    if outside:
        way_out = "; correct them, or set data.unusable to drop" if refuses_outside else ""
        severity: Severity = "error" if refuses_outside else "warning"
        yield _grouped(severity, place, outside, "outside the duration of their video", way_out)
    if over:
        yield _grouped("warning", place, over, f"over the end of their video, by up to {_excess(*over[0]):.3g} s")
    if twice:
        yield _grouped("warning", place, twice, "given more than once, with the same label and times")


def _excess(video: Video, instance: Instance) -> float:
    """Seconds by which an instance reaches over either end of its video."""
    return max(-instance.start, instance.end - video.duration)


def _grouped(
    severity: Severity, place: str, which: Sequence[tuple[Video, Instance]], what: str, way_out: str = ""
) -> Finding:
    """Make one finding of many instances, the first of which is shown."""
    video, instance = which[0]
    times = f"{instance.start:g} to {instance.end:g} s"
    example = f"{instance.label!r} from {times} in video {video.id!r} of {video.duration:g} s"
    ids = tuple(dict.fromkeys(video.id for video, _ in which))
    return Finding(severity, place, f"{count(len(which), 'instance')} {what}, such as {example}{way_out}", ids)
