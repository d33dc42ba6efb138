"""`untrimmed check`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from numpy.typing import NDArray

from untrimmed.cli.console import bar, show_json, show_table
from untrimmed.data.annotations import Annotations
from untrimmed.data.check import Finding, Report
from untrimmed.data.check import check as run
from untrimmed.data.check.report import count
from untrimmed.data.formats.annotation_files import find_problems
from untrimmed.data.formats.class_scores import read_class_scores
from untrimmed.detection.fusion import check_class_scores
from untrimmed.errors import ConfigError, UntrimmedError
from untrimmed.experiment.config import DataConfig, ExperimentConfig, load_config, parse_options, recipe_names
from untrimmed.experiment.data import annotated, open_inputs


def check(
    config: str,
    /,
    *settings: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    json: bool = False,
) -> None:
    """Check a data set before an hour of training is lost on it.

    Reads all annotations and features; names missing and damaged files, subsets that match nothing, odd labels and
    segments, and how many instances of each class no moment would be trained on. Exit code 1 if there are errors.

    Example: `untrimmed check thumos14_i3d --data.features i3d/ --data.annotations thumos14.json`

    Parameters
    ----------
    config
        A recipe's name, or a YAML file.
    settings
        Settings to change, as `--data.features i3d/`.
    json
        Print the findings as JSON.
    """
    experiment = load_config(config, parse_options(settings))
    path = experiment.data.annotations
    if path is None:
        raise _unset(config, experiment.data)
    report = _check_annotations(path, experiment.data)
    if report is None and not experiment.data.streams:
        raise _unset(config, experiment.data)
    report = report or _check_all(experiment)
    if json:
        show_json(report.as_dict())
    else:
        _show(report)
    if not report.ok:
        sys.exit(1)


def _unset(name: str, data: DataConfig) -> ConfigError:
    """Return an error that names all data that a configuration leaves open, and how to give them."""
    missing = [key for key, there in (("annotations", data.annotations), ("features", data.streams)) if not there]
    options = {"annotations": "--data.annotations FILE", "features": "--data.features FOLDER"}
    message = (
        f"{' and '.join(f'data.{key}' for key in missing)} {'is' if len(missing) == 1 else 'are'} not set: "
        f"say where they are, as in {' '.join(options[key] for key in missing)}"
    )
    if name in recipe_names():
        message += f"; `untrimmed recipes {name}` says where to get them, and in which form"
    return ConfigError(message)


def _check_annotations(path: Path, config: DataConfig) -> Report | None:
    """Return all that keeps an annotation file from being read, or nothing if it can be."""
    strict = config.unusable == "refuse"
    problems = [problem for problem in find_problems(path) if strict or not problem.about_one_instance]
    findings = tuple(Finding("error", f"{path}: {problem.place}", problem.message) for problem in problems)
    return Report(findings, {}, ()) if findings else None


def _check_all(config: ExperimentConfig) -> Report:
    annotations = annotated(config.data)
    dimension = None if config.model.input_dims is None else config.model.input_dim
    inputs = replace(open_inputs(config.data), expected_dimension=dimension)
    subsets = {"training": config.data.train}
    if config.data.validate:
        subsets["validation"] = config.data.validate
    with bar() as progress:
        task = progress.add_task("checking", total=None, note="")
        report = run(
            annotations,
            inputs,
            subsets,
            drops_unusable=config.data.unusable == "drop",
            moments_of=partial(_moments, config),
            radius=config.training.target.center_radius,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    more = (*_class_findings(config, annotations), *_class_score_findings(config, annotations))
    return replace(report, findings=(*report.findings, *more))


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


def _moments(config: ExperimentConfig, length: int) -> NDArray[Any]:
    from untrimmed.model.moments import pyramid_moments  # noqa: PLC0415  torch is not needed to refuse a wrong setting

    return pyramid_moments(length, config.model.strides, config.model.ranges).numpy()


def _show(report: Report) -> None:
    roles = list(report.videos)
    if report.classes:
        rows = [
            [row.label, *(f"{row.instances.get(role, 0):,}" for role in roles), row.uncovered] for row in report.classes
        ]
        videos = ", ".join(f"{number:,} {role}" for role, number in report.videos.items())
        show_table(f"videos: {videos}", ["class", *(f"{role} instances" for role in roles), "never trained on"], rows)
    for finding in report.findings:
        print(f"{finding.severity}: {finding.place}: {finding.message}")
    print(f"{count(len(report.errors), 'error')}, {count(len(report.warnings), 'warning')}")
