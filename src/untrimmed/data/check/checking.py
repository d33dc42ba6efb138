"""All checks, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.check.annotation_checks import TRAINING, Roles, annotation_findings, label_counts, select
from untrimmed.data.check.coverage import uncovered
from untrimmed.data.check.feature_checks import Extent, dimension_findings, duration_findings, read_all
from untrimmed.data.check.report import ClassCount, Finding, Report, count, some
from untrimmed.data.inputs import Inputs


def check(
    annotations: Annotations,
    inputs: Inputs,
    subsets: Mapping[str, Sequence[str]],
    *,
    drops_unusable: bool = False,
    moments_of: Callable[[int], NDArray[np.floating[Any]]] | None = None,
    radius: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check annotations and features, reading all of both; features are read one video at a time.

    Args:
        annotations: of the data set.
        inputs: the features, and what is made of them; their `expected_dimension` is compared with what is there.
        subsets: names of the subsets of each role. The role `training` is what the model is trained on.
        drops_unusable: whether training leaves out instances that lie outside of their video, and does not refuse them.
        moments_of: the moments `[N, 4]` of a video of T clips (time, range from, range to, stride), to count the
            instances that no moment is trained on; `None` leaves that out.
        radius: of center sampling, in strides; `None` is the whole instance.
        progress: called with the number of videos that are done and of all.
    """
    roles, findings = select(annotations, subsets)
    findings += annotation_findings(roles, drops_unusable=drops_unusable)
    videos = list({video.id: video for of_role in roles.values() for video in of_role}.values())
    extents, feature_findings = read_all(videos, inputs, progress)
    findings += feature_findings
    findings += dimension_findings(extents, inputs.expected_dimension)
    findings += duration_findings(extents)
    lonely = None
    if moments_of is not None:
        trained = {video.id for video in roles.get(TRAINING, ())}
        extents = [extent for extent in extents if extent.video.id in trained]
        lonely = _uncovered_by_label(extents, moments_of, radius)
        findings += _coverage_findings(lonely, label_counts([extent.video for extent in extents]))
    sizes = {role: len(of_role) for role, of_role in roles.items()}
    return Report(tuple(findings), sizes, _class_table(annotations.labels, roles, lonely))


def _uncovered_by_label(
    extents: Sequence[Extent], moments_of: Callable[[int], NDArray[np.floating[Any]]], radius: float | None
) -> Counter[str]:
    """How many instances of each label no moment is trained on."""
    lonely: Counter[str] = Counter()
    for extent in extents:
        segments = extent.grid.to_grid(extent.video.segments)
        mask = uncovered(segments, extent.clips, moments_of(extent.clips), radius)
        lonely.update(extent.video.instances[i].label for i in np.flatnonzero(mask))
    return lonely


def _coverage_findings(lonely: Counter[str], instances: Counter[str]) -> Iterator[Finding]:
    """Yield what training would never see."""
    if not lonely:
        return
    of_label = some(f"{label!r} {number:,} of {instances[label]:,}" for label, number in lonely.most_common())
    message = (
        f"{lonely.total():,} of {count(instances.total(), 'instance')} without a moment to be trained on: {of_label}. "
        "Actions shorter than a clip need features with a smaller stride, long ones more levels or wider ranges"
    )
    yield Finding("error" if lonely == instances else "warning", "training moments", message)


def _class_table(labels: Sequence[str], roles: Roles, lonely: Counter[str] | None) -> tuple[ClassCount, ...]:
    counts = {role: label_counts(videos) for role, videos in roles.items()}
    return tuple(
        ClassCount(label, {role: counts[role][label] for role in roles}, None if lonely is None else lonely[label])
        for label in labels
    )
