"""Checking the data of an experiment: all of it for `untrimmed check`, what is quick before every training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from untrimmed.data.annotations import Annotations
from untrimmed.data.check import Finding, Pyramid, Report, quick_errors
from untrimmed.data.check import check as check_data
from untrimmed.data.check.report import count
from untrimmed.data.formats.annotation_files import find_problems
from untrimmed.data.formats.class_scores import read_class_scores
from untrimmed.data.inputs import Inputs
from untrimmed.detection.fusion import check_class_scores
from untrimmed.errors import AnnotationError, ConfigError, DataError, FeatureError, UntrimmedError
from untrimmed.experiment.config import DataConfig, ExperimentConfig
from untrimmed.experiment.data import Data, annotated, open_inputs


@dataclass(frozen=True)
class Checked:
    """What was found, and the data that could be opened."""

    report: Report
    train: Annotations | None
    inputs: Inputs | None


def check_experiment(config: ExperimentConfig, progress: Callable[[int, int], None] | None = None) -> Checked:
    """Check all data of an experiment; its configuration names annotations and features.

    What keeps features from being opened is a finding too: they are opened as their `features.json` says then, so that
    the rest is found as well.

    Args:
        config: the experiment.
        progress: called with the number of videos that are done and of all.

    Raises:
        AnnotationError: if the annotations cannot be read at all.
    """
    assert config.data.annotations is not None
    wrong, readable = _annotation_findings(config.data.annotations, strict=config.data.unusable == "refuse")
    if not readable:
        return Checked(Report(tuple(wrong), {}, ()), None, None)
    annotations = annotated(replace(config.data, unusable="drop") if wrong else config.data)
    inputs, contradictions = _opened(config)
    subsets = {"training": config.data.train}
    if config.data.validate:
        subsets["validation"] = config.data.validate
    report = check_data(
        annotations,
        inputs,
        subsets,
        drops_unusable=config.data.unusable == "drop",
        one_class=config.data.class_agnostic,
        pyramid=pyramid_of(config),
        progress=progress,
    )
    more = (*_class_findings(config, annotations), *_class_score_findings(config, annotations))
    findings = (*wrong, *contradictions, *report.findings, *more)
    named = any(finding.place == "training subsets" for finding in findings)
    train = None if named else annotations.of_subsets(config.data.train)
    return Checked(replace(report, findings=findings), train, inputs)


def refuse_errors(data: Data, config: DataConfig) -> None:
    """Refuse data with errors that can be found without reading features, before a training.

    Raises:
        AnnotationError, FeatureError: with the first error, and how many more there are.
        ConfigError: if the stride, the window or the rate of a video is not known.
    """
    roles = {"training": list(data.train)}
    if data.validate is not None:
        roles["validation"] = list(data.validate)
    of_annotations, of_features = quick_errors(
        roles, data.inputs, drops_unusable=config.unusable == "drop", one_class=config.class_agnostic
    )
    errors = (*of_annotations, *of_features)
    if not errors:
        return
    first = errors[0]
    known = (data.inputs.store.name, *first.videos)  # a message about a file or a video names it
    place = "" if first.place in known else f"{first.place}: "
    others = f" ({count(len(errors) - 1, 'more error')}; `untrimmed check` lists them)" if len(errors) > 1 else ""
    if of_annotations:
        raise AnnotationError(f"{data.train.source}: {place}{first.message}{others}")
    raise FeatureError(f"{place}{first.message}{others}")


def pyramid_of(config: ExperimentConfig) -> Pyramid:
    """Return what a check has to know of the model and its training."""
    model, target = config.model, config.training.target
    return Pyramid(
        strides=model.strides,
        ranges=model.ranges,
        windows=model.windows if model.encoder == "transformer" else (),
        radius=target.center_radius,
        every_instance=target.every_instance,
        crop=config.training.crop,
    )


def _annotation_findings(path: Path, *, strict: bool) -> tuple[list[Finding], bool]:
    """Return all for which an annotation file is refused, and whether it can be read without these instances."""
    problems = [problem for problem in find_problems(path) if strict or not problem.about_one_instance]
    findings = [Finding("error", f"{path}: {problem.place}", problem.message) for problem in problems]
    return findings, all(problem.about_one_instance for problem in problems)


def _opened(config: ExperimentConfig) -> tuple[Inputs | None, list[Finding]]:
    """Return the features, if they can be opened, and what keeps them from being opened as they should be."""
    data = config.data
    dimension = None if config.model.input_dims is None else config.model.input_dim
    findings: list[Finding] = []
    described = replace(data.inputs, rate=None)
    if data.inputs.kind == "features":
        described = replace(described, stride=None, window=None)
    for settings, expected in ((data.inputs, dimension), (data.inputs, None), (described, None)):
        try:
            inputs = replace(open_inputs(replace(data, inputs=settings)), expected_dimension=expected)
        except (ConfigError, DataError) as error:
            finding = Finding("error", "features", str(error))
            if finding not in findings:
                findings.append(finding)
        else:
            return inputs, findings
    return None, findings[:1]


def _class_findings(config: ExperimentConfig, annotations: Annotations) -> Iterator[Finding]:
    """Yield that the model is for another number of classes than there are."""
    stated, found = config.model.num_classes, 1 if config.data.class_agnostic else len(annotations.labels)
    if stated not in (None, found):
        has = "data.class_agnostic makes one of all" if config.data.class_agnostic else f"the annotations have {found}"
        message = f"model.num_classes is {stated}, but {has} classes. Correct it, or leave it out"
        yield Finding("error", annotations.source, message)


def _class_score_findings(config: ExperimentConfig, annotations: Annotations) -> Iterator[Finding]:
    """Yield what keeps the class scores of whole videos from being used, or that there are none where they belong."""
    scoring = config.evaluation
    if scoring.class_scores is None:
        if config.data.class_agnostic:
            message = (
                "evaluation.class_scores is not set, so a detection says when, but not what, and is scored on that. "
            )
            way_out = "To score both, name class scores of whole videos, as in --evaluation.class_scores FILE.json"
            yield Finding("warning", "class scores", message + way_out)
        return
    try:
        class_scores = read_class_scores(scoring.class_scores, annotations.labels)
        videos = annotations.of_subsets(config.data.validate).videos
        check_class_scores(class_scores, videos, scoring.top_classes)
    except UntrimmedError as error:
        yield Finding("error", "class scores", str(error))
