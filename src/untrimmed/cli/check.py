"""`untrimmed check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from untrimmed.cli.console import bar, show_json, show_table
from untrimmed.data.check import Report
from untrimmed.data.check.report import count
from untrimmed.data.files import write_atomically
from untrimmed.errors import ConfigError
from untrimmed.experiment.checking import Checked, check_experiment
from untrimmed.experiment.config import (
    DataConfig,
    ExperimentConfig,
    load_config,
    parse_options,
    read_recipe,
    recipe_names,
)
from untrimmed.experiment.suggestion import Suggestion, stated_keys, suggested_yaml
from untrimmed.experiment.suggestion import suggest as suggest_settings
from untrimmed.report.check_figures import LEVEL_COLUMNS, level_rows
from untrimmed.settings import read_yaml


def check(
    config: str,
    /,
    *settings: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    out: Path | None = None,
    suggest: Path | None = None,
    json: bool = False,
) -> None:
    """Check a data set before an hour of training is lost on it.

    Reads all annotations and features; names missing and damaged files, subsets that match nothing, odd labels and
    segments, and how many instances of each class no moment would be trained on. Says which settings would fit the data
    better, and why. Exit code 1 if there are errors.

    Examples: `untrimmed check thumos14_i3d --data.features i3d/ --data.annotations thumos14.json`;
    `untrimmed check my.yaml --out check.html --suggest better.yaml`

    Parameters
    ----------
    config
        A recipe's name, or a YAML file.
    settings
        Settings to change, as `--data.features i3d/`.
    out
        Page to write, HTML, with the findings and with figures of the lengths of instances and of the levels.
    suggest
        File to write, YAML: a complete configuration with what is suggested, for `untrimmed train`.
    json
        Print everything as JSON.
    """
    overrides = parse_options(settings)
    experiment = load_config(config, overrides)
    if experiment.data.annotations is None or not experiment.data.streams:
        raise _unset(config, experiment.data)
    _refuse_places(config, out, suggest)
    with bar() as progress:
        task = progress.add_task("checking", total=None, note="")
        checked = check_experiment(experiment, lambda done, total: progress.update(task, completed=done, total=total))
    is_recipe = config in recipe_names()
    stated = stated_keys(read_recipe(config) if is_recipe else read_yaml(Path(config))) | frozenset(overrides)
    suggestions = _suggestions(experiment, checked, None if is_recipe else stated)
    if out is not None:
        from untrimmed.report.check_page import write_check_page  # noqa: PLC0415  brings jinja2, which is slow to load

        shown = [each.in_words() for each in suggestions or ()]
        write_check_page(checked.report, shown, config, out)
    written = suggest if suggest is not None and suggestions is not None and checked.report.ok else None
    if written is not None:
        write_atomically(written, suggested_yaml(experiment, suggestions or (), config, stated))
    if json:
        rows = None if suggestions is None else [each.as_dict() for each in suggestions]
        show_json(checked.report.as_dict() | {"suggestion": rows})
    else:
        _show(checked.report, suggestions)
        for place, name in ((out, "page"), (written, "suggested configuration")):
            if place is not None:
                print(f"The {name} is {place}")
    if suggest is not None and written is None:
        print(f"untrimmed: {suggest}: not written, mend the errors first", file=sys.stderr)
    if not checked.report.ok:
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


def _refuse_places(config: str, out: Path | None, suggest: Path | None) -> None:
    """Refuse what cannot be written to before everything is read, not after it."""
    for option, path, suffixes in (("out", out, (".html", ".htm")), ("suggest", suggest, (".yaml", ".yml"))):
        if path is None:
            continue
        if path.is_dir():
            raise ConfigError(f"--{option} {path}: is a folder; name the file to write")
        if path.suffix.lower() not in suffixes:
            raise ConfigError(f"--{option} {path}: the name has to end in {suffixes[0]}")
    if suggest is not None and suggest.exists() and suggest.resolve() == Path(config).resolve():
        raise ConfigError(f"--suggest {suggest}: is the configuration itself; name another file")


def _suggestions(
    config: ExperimentConfig, checked: Checked, stated: frozenset[str] | None
) -> tuple[Suggestion, ...] | None:
    """Return what fits better; nothing where errors keep that from being known, such as videos without features.

    A recipe was tuned as a whole, so all its settings count as stated (`None`), also those that it leaves out.
    """
    if not checked.report.ok or checked.train is None or checked.inputs is None or not checked.report.levels:
        return None
    return suggest_settings(config, checked.train, checked.inputs, stated)


def _show(report: Report, suggestions: tuple[Suggestion, ...] | None) -> None:
    roles = list(report.videos)
    if report.classes:
        rows = [
            [row.label, *(f"{row.instances.get(role, 0):,}" for role in roles), row.uncovered] for row in report.classes
        ]
        videos = ", ".join(f"{number:,} {role}" for role, number in report.videos.items())
        show_table(f"videos: {videos}", ["class", *(f"{role} instances" for role in roles), "never trained on"], rows)
    if report.levels:
        show_table("what each level is trained on", LEVEL_COLUMNS, level_rows(report))
    for finding in report.findings:
        print(f"{finding.severity}: {finding.place}: {finding.message}")
    for each in suggestions or ():
        words = each.in_words()
        print("suggestion: {key} {value} (now {current}): {reason}".format(**words))
    print(f"{count(len(report.errors), 'error')}, {count(len(report.warnings), 'warning')}")
