"""`untrimmed check`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from numpy.typing import NDArray

from untrimmed.cli.console import bar, say, show_json, show_table
from untrimmed.experiment.config import ExperimentConfig, load_config, parse_options

if TYPE_CHECKING:
    from untrimmed.data.check import Report


def check(
    config: str,
    /,
    *settings: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    json: Annotated[bool, Parameter(negative=())] = False,
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
    report = _check(load_config(config, parse_options(settings)))
    if json:
        show_json(report.as_dict())
    else:
        _show(report)
    if not report.ok:
        sys.exit(1)


def _check(config: ExperimentConfig) -> Report:
    from untrimmed.data.check import check as run  # noqa: PLC0415  (nor is torch needed to refuse a wrong setting)
    from untrimmed.experiment.data import annotated, open_inputs  # noqa: PLC0415

    annotations = annotated(config.data)
    inputs = open_inputs(config.data)
    subsets = {"training": config.data.train, "validation": config.data.validate}
    with bar() as progress:
        task = progress.add_task("checking", total=None, note="")
        return run(
            annotations,
            inputs,
            {role: names for role, names in subsets.items() if names},
            moments_of=partial(_moments, config),
            radius=config.training.target.center_radius,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _moments(config: ExperimentConfig, length: int) -> NDArray[Any]:
    from untrimmed.model.moments import pyramid_moments  # noqa: PLC0415

    return pyramid_moments(length, config.model.strides, config.model.ranges).numpy()


def _show(report: Report) -> None:
    roles = list(report.videos)
    rows = [
        [
            row.label,
            *(f"{row.instances.get(role, 0):,}" for role in roles),
            row.uncovered,
        ]
        for row in report.classes
    ]
    videos = ", ".join(f"{number:,} {role}" for role, number in report.videos.items())
    show_table(f"videos: {videos}", ["class", *(f"{role} instances" for role in roles), "never trained on"], rows)
    for finding in report.findings:
        say(f"{finding.severity}: {finding.place}: {finding.message}")
    say(f"{len(report.errors)} errors, {len(report.warnings)} warnings")
