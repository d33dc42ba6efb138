"""All checks, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from untrimmed.data.annotations import Annotations
from untrimmed.data.check.annotation_checks import annotation_findings
from untrimmed.data.check.coverage import cover
from untrimmed.data.check.feature_checks import (
    described_findings,
    duration_findings,
    extent_findings,
    of_usual_dimension,
    read_all,
)
from untrimmed.data.check.fit_checks import coverage_findings, crop_findings, length_findings, window_findings
from untrimmed.data.check.pyramid import Pyramid
from untrimmed.data.check.report import ClassCount, Finding, Report
from untrimmed.data.check.roles import TRAINING, Roles, has_duration, label_counts, select, usable, videos_of
from untrimmed.data.inputs import Inputs


def check(
    annotations: Annotations,
    inputs: Inputs | None,
    subsets: Mapping[str, Sequence[str]],
    *,
    drops_unusable: bool = False,
    one_class: bool = False,
    pyramid: Pyramid | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check annotations and features, reading all of both; features are read one video at a time.

    Args:
        annotations: of the data set.
        inputs: the features, and what is made of them; their `expected_dimension` is compared with what is there.
            `None` checks the annotations alone.
        subsets: names of the subsets of each role. The role `training` is what the model is trained on.
        drops_unusable: whether training leaves out instances that lie outside of their video, and does not refuse them.
        one_class: whether labels do not matter.
        pyramid: of the model, to find the instances that no moment is trained on, and windows and crops that do not
            fit; `None` leaves that out.
        progress: called with the number of videos that are done and of all.
    """
    roles, findings = select(annotations, subsets)
    findings += annotation_findings(roles, drops_unusable=drops_unusable, one_class=one_class)
    sizes = {role: len(of_role) for role, of_role in roles.items()}
    if inputs is None:
        return Report(tuple(findings), sizes, _class_table(annotations.labels, roles, None))
    extents, feature_findings = read_all(videos_of(roles), inputs, progress)
    findings += feature_findings
    findings += extent_findings(extents, inputs, roles)
    if pyramid is None:
        return Report(tuple(findings), sizes, _class_table(annotations.labels, roles, None))
    trained = {video.id for video in roles.get(TRAINING, ()) if has_duration(video)}
    extents = [replace(extent, video=usable(extent.video)) for extent in extents if extent.video.id in trained]
    if not any(extent.video.instances for extent in extents):
        return Report(tuple(findings), sizes, _class_table(annotations.labels, roles, None))
    coverage = cover(extents, pyramid)
    findings += coverage_findings(coverage, extents, pyramid, inputs.config)
    findings += length_findings(coverage, extents, pyramid)
    findings += window_findings(coverage, extents, pyramid)
    findings += crop_findings(extents, pyramid.crop)
    lonely = Counter(each.instance.label for each in coverage.lonely)
    return Report(
        tuple(findings),
        sizes,
        _class_table(annotations.labels, roles, lonely),
        coverage.levels,
        coverage.lengths,
    )


def quick_errors(
    roles: Roles, inputs: Inputs, *, drops_unusable: bool = False, one_class: bool = False
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return the errors that can be found without reading features: those of annotations, and those of headers.

    Dimensions are left to what reads the features, which names the file.

    Args:
        roles: the videos of each role.
        inputs: as for `check`, as are the others.
        drops_unusable: whether instances that lie outside of their video are left out.
        one_class: whether labels do not matter.
    """
    of_annotations = annotation_findings(roles, drops_unusable=drops_unusable, one_class=one_class)
    extents, of_files = read_all(videos_of(roles), inputs, headers_only=True)
    of_grid = (*described_findings(extents, inputs), *duration_findings(of_usual_dimension(extents)))
    return _errors(of_annotations), _errors((*of_files, *of_grid))


def _errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity == "error")


def _class_table(labels: Sequence[str], roles: Roles, lonely: Counter[str] | None) -> tuple[ClassCount, ...]:
    counts = {role: label_counts(videos) for role, videos in roles.items()}
    return tuple(
        ClassCount(label, {role: counts[role][label] for role in roles}, None if lonely is None else lonely[label])
        for label in labels
    )
