"""What can be wrong with annotations alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from untrimmed.data.annotations import Instance, Video
from untrimmed.data.check.label_checks import label_findings
from untrimmed.data.check.overlap_checks import overlap_findings
from untrimmed.data.check.report import Finding, Severity, count, some
from untrimmed.data.check.roles import TRAINING, Roles, has_duration

_SLACK = 1e-3  # seconds by which rounding may put a segment outside its video


def annotation_findings(roles: Roles, *, drops_unusable: bool = False, one_class: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with the annotations of these videos.

    Args:
        roles: the videos.
        drops_unusable: whether instances of training that lie outside of their video are left out. Then these, and what
            published annotations have too (instances twice, labels that differ by case), are no errors.
        one_class: whether labels do not matter.
    """
    yield from _shared_videos(roles)
    if not one_class:
        yield from label_findings(roles, lenient=drops_unusable)
    for role, videos in roles.items():
        strict = role == TRAINING and not drops_unusable
        yield from _durations(role, videos)
        yield from _empty_videos(role, videos)
        yield from _segments(role, videos, refuses_outside=strict)
        yield from overlap_findings(role, videos, refuses_doubles=strict)


def _durations(role: str, videos: Sequence[Video]) -> Iterator[Finding]:
    """Durations that cannot be."""
    wrong = [video for video in videos if not has_duration(video)]
    if wrong:
        message = f"{count(len(wrong), 'video')} with a duration like {wrong[0].duration}: {some(v.id for v in wrong)}"
        yield Finding("error", f"{role} videos", f"{message}. Correct it", tuple(video.id for video in wrong))


def _shared_videos(roles: Roles) -> Iterator[Finding]:
    """Videos in two roles."""
    for (one, videos), (other, others) in combinations(roles.items(), 2):
        ids = {video.id for video in others}
        shared = tuple(video.id for video in videos if video.id in ids)
        if shared:
            message = (
                f"{count(len(shared), 'video')} in both: {some(shared)}. Scores there say nothing about new videos: "
                "name subsets that share none"
            )
            yield Finding("warning", f"{one} and {other}", message, shared)


def _empty_videos(role: str, videos: Sequence[Video]) -> Iterator[Finding]:
    """Videos without instances: some are background on purpose, all are a mistake."""
    empty = tuple(video.id for video in videos if not video.instances)
    if not empty:
        return
    if len(empty) == len(videos):
        message = f"none of the {count(len(videos), 'video')} has an instance. Name other subsets"
        yield Finding("error", f"{role} videos", message, empty)
    else:
        message = (
            f"{len(empty):,} of {count(len(videos), 'video')} without instances: {some(empty)}. The whole of "
            "each is taken for background: label what happens there, or remove them, if that is not meant"
        )
        yield Finding("warning", f"{role} videos", message, empty)


def _segments(role: str, videos: Sequence[Video], *, refuses_outside: bool) -> Iterator[Finding]:
    """Instances that are reversed, without length, or outside their video."""
    pairs = [(video, instance) for video in videos for instance in video.instances]
    backward = [(v, i) for v, i in pairs if not i.start <= i.end]
    empty = [(v, i) for v, i in pairs if i.start == i.end]
    forward = [(v, i) for v, i in pairs if i.start < i.end]
    outside = [(v, i) for v, i in forward if i.end <= 0 or i.start >= v.duration]
    over = [(v, i) for v, i in forward if i.end > 0 and i.start < v.duration and _excess(v, i) > _SLACK]
    over.sort(key=lambda pair: -_excess(*pair))
    place = f"{role} segments"
    if backward:
        yield _grouped("error", place, backward, "that end before they start", ". Correct them")
    if empty:
        yield _grouped("warning", place, empty, "without length, which nothing can find", ". Remove them")
    if outside:
        way_out = ". Correct them, or set data.unusable to drop" if refuses_outside else ". Correct them"
        severity: Severity = "error" if refuses_outside else "warning"
        yield _grouped(severity, place, outside, "outside the duration of their video", way_out)
    if over:
        what = f"over the end of their video, by up to {_excess(*over[0]):.3g} s"
        yield _grouped("warning", place, over, what, ". Correct them, or the duration")


def _excess(video: Video, instance: Instance) -> float:
    """Seconds by which an instance reaches over either end of its video."""
    return max(-instance.start, instance.end - video.duration)


def _grouped(
    severity: Severity, place: str, which: Sequence[tuple[Video, Instance]], what: str, way_out: str
) -> Finding:
    """Make one finding of many instances, the first of which is shown."""
    video, instance = which[0]
    times = f"{instance.start:g} to {instance.end:g} s"
    example = f"{instance.label!r} from {times} in video {video.id!r} of {video.duration:g} s"
    ids = tuple(dict.fromkeys(video.id for video, _ in which))
    return Finding(severity, place, f"{count(len(which), 'instance')} {what}, such as {example}{way_out}", ids)
