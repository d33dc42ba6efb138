"""Which videos are trained on, and which are evaluated."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.check.report import Finding
from untrimmed.errors import AnnotationError

TRAINING = "training"
"""The role that a model is trained on; with any other, it is evaluated."""

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
            message = f"{annotations.source}: no subset is named. Name one, as in --data.train NAME"
            findings.append(Finding("error", f"{role} subsets", message))
        roles[role] = list(found.values())
    return roles, findings


def videos_of(roles: Roles) -> list[Video]:
    """Return the videos of all roles, each once."""
    return list({video.id: video for videos in roles.values() for video in videos}.values())


def label_counts(videos: Sequence[Video]) -> Counter[str]:
    """How many instances each label has."""
    return Counter(instance.label for video in videos for instance in video.instances)


def has_duration(video: Video) -> bool:
    """Whether the stated duration can be one."""
    return 0 < video.duration < math.inf


def usable(video: Video) -> Video:
    """Leave out instances that are wrong for themselves: without length, or outside of their video."""
    inside = tuple(i for i in video.instances if i.start < i.end and i.end > 0 and i.start < video.duration)
    return replace(video, instances=inside)
