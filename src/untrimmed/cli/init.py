"""`untrimmed init`."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from untrimmed.cli.console import show_json, show_table, warn, with_progress
from untrimmed.data.annotations import Annotations
from untrimmed.data.features import FeatureDescription
from untrimmed.data.files import write_atomically
from untrimmed.data.formats.activitynet import read_annotations, write_annotations
from untrimmed.data.labelling import clock
from untrimmed.data.splitting import TRAIN, VALIDATE
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.experiment.own_videos import (
    ANNOTATIONS,
    FEATURES,
    LabelledVideos,
    argument,
    configuration,
    find_table,
    label_videos,
)
from untrimmed.experiment.planning import plan


def init(
    folder: Path = Path(),
    /,
    *,
    labels: Path | None = None,
    out: Path = Path("untrimmed.yaml"),
    unlisted_are_empty: bool = False,
    extractor: str = "default",
    stride: float | None = None,
    window: float | None = None,
    rate: float | None = None,
    force: bool = False,
    json: bool = False,
) -> None:
    """Make a configuration for your own videos and their table of labels.

    The table has a row for each action, `video,start,end,label`, with times in seconds, mm:ss or hh:mm:ss. Sets about
    a fifth of the videos aside to validate on, chooses the settings, and says what to run next.

    Example: `untrimmed init videos/ --labels labels.csv`

    Parameters
    ----------
    folder
        Folder with the videos, also in folders below it.
    labels
        The table; left out, the only one in the folder with the videos and where you stand.
    out
        Configuration to write; the annotations are written beside it.
    unlisted_are_empty
        Videos without a row in the table have no actions; otherwise they are not used.
    extractor
        What will make the features, as for `untrimmed extract`.
    stride
        Sampled frames from one row of the features to the next, as for `untrimmed extract`.
    window
        Sampled frames that a row covers, as for `untrimmed extract`.
    rate
        Sampled frames per second, as for `untrimmed extract`.
    force
        Replace a configuration and annotations that are there. Videos stay in the subset, train or val, in which these
        annotations have them.
    json
        Print the summary as JSON.
    """
    annotations = out.parent / ANNOTATIONS
    _refuse_places(folder, out, force=force)
    table = labels or find_table([folder, Path(), out.parent])
    videos = label_videos(
        folder,
        table,
        unlisted_are_empty=unlisted_are_empty,
        subsets=_subsets_before(annotations),
        progress=lambda ids, number: with_progress(ids, "looking into videos", number),
    )

    # Only now, so that a wrong table is refused before torch is there.
    from untrimmed.video.extractors.opening import open_extractor  # noqa: PLC0415

    with redirect_stdout(sys.stderr):  # libraries print as they load, and a module of the user's may
        features = open_extractor(extractor, stride=stride, window=window, rate=rate, device="cpu", trust_python=True)
    _refuse_other_features(out.parent / FEATURES, features.description)
    planned = plan(videos.of(TRAIN), features.grid)
    commands = _next(folder, out, videos, extractor, {"stride": stride, "window": window, "rate": rate})
    text = configuration(videos, planned, features.grid, list(commands.values()))
    _write(videos.annotations, annotations, text, out)

    warnings = (*videos.warnings, *planned.warnings)
    for message in warnings:
        warn(message)
    if json:
        show_json(_summary(videos, out, table, warnings, commands))
    else:
        _show(videos, out, table, commands)


def _refuse_places(folder: Path, out: Path, *, force: bool) -> None:
    """Make sure that there is a folder to read, and that nothing is in the place of what is to be written.

    With `force`, files may be there.

    Raises:
        ConfigError: if not.
    """
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "there is no such folder"
        raise ConfigError(f"{folder}: {what}; name the folder that the videos are in")
    if out.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"--out {out}: a configuration is a .yaml file, as in --out untrimmed.yaml")
    if out.parent.exists() and not out.parent.is_dir():
        raise ConfigError(f"--out {out}: {out.parent} is a file, not a folder")
    for path in (out, out.parent / ANNOTATIONS):
        if path.is_dir():
            raise ConfigError(
                f"{path}: is a folder, in the place of a file that is to be written; choose another --out"
            )
        if path.exists() and not force:
            raise ConfigError(f"{path}: is there already; choose another --out, or replace it by --force")


def _subsets_before(place: Path) -> dict[str, str]:
    """Return the subsets of the videos in annotations that are to be replaced; none where they cannot be read."""
    if not place.exists():
        return {}
    try:
        return {video.id: video.subset for video in read_annotations(place)}
    except AnnotationError:
        return {}


def _write(annotations: Annotations, place: Path, text: str, out: Path) -> None:
    """Write annotations and configuration, or, if the second cannot be written, leave no new first one behind.

    Raises:
        OSError: if they cannot be written.
    """
    is_new = not place.exists()
    write_annotations(annotations, place)
    try:
        write_atomically(out, text)
    except BaseException:
        if is_new:
            place.unlink()
        raise


def _refuse_other_features(folder: Path, planned: FeatureDescription) -> None:
    """Make sure that features which are there already are those that the configuration is made for.

    Raises:
        ConfigError: if they are not; `untrimmed extract` would refuse to write others beside them.
        FeatureError: if their `features.json` cannot be read.
    """
    there = FeatureDescription.of_folder(folder)
    if there is None:
        return
    for key in ("extractor", "stride", "window", "rate", "fingerprint"):
        found, wanted = getattr(there, key), getattr(planned, key)
        if found != wanted:
            raise ConfigError(
                f"{folder}: holds features with {key} {_shown(found)}, but the configuration would be for "
                f"{_shown(wanted)}. Give the options that they were extracted with (--extractor, --stride, --window, "
                "--rate), or a new place, as in --out finer/untrimmed.yaml"
            )


def _next(
    folder: Path, out: Path, videos: LabelledVideos, extractor: str, sampling: Mapping[str, float | None]
) -> dict[str, str]:
    """Return the commands to run next, as they can be pasted where the user stands."""
    features, run = out.parent / FEATURES, out.parent / "runs" / "mine"
    named = [] if extractor == "default" else ["--extractor", extractor]
    sampled = [word for key, value in sampling.items() if value is not None for word in (f"--{key}", f"{value:.10g}")]
    # One that the model has not learnt from, if there is one.
    new = next(iter(videos.unlisted), None) or next(iter([*videos.of(VALIDATE), *videos.of(TRAIN)])).id
    trusted = named if extractor.startswith("python:") else []  # a model's word is not enough to run the user's code
    words = {
        "extract": [argument(folder), "--out", argument(features), *named, *sampled],
        "check": [argument(out)],
        "train": [argument(out), "--out", argument(run)],
        "detect": [argument(run), argument(videos.files[new]), *trusted],
        "report": [argument(run), "--videos", argument(folder)],
    }
    return {command: shlex.join(["untrimmed", command, *arguments]) for command, arguments in words.items()}


def _shown(value: str | float | None) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _instances(videos: Annotations) -> Counter[str]:
    return Counter(instance.label for video in videos for instance in video.instances)


def _length(videos: Annotations) -> float:
    return sum(video.duration for video in videos)


def _show(videos: LabelledVideos, out: Path, table: Path, commands: Mapping[str, str]) -> None:
    """Print what was found, what was written, and what to run next."""
    rows = [_row(label, videos, label) for label in videos.annotations.labels]
    if any(not video.instances for video in videos.annotations):
        rows.append(_row("(no actions)", videos, None))
    subsets = [videos.of(TRAIN), videos.of(VALIDATE)]
    total = [value for subset in subsets for value in (len(subset), f"{_instances(subset).total():,}")]
    rows.append(["all", *total])
    train, validation = (f"{len(subset)} ({clock(_length(subset))})" for subset in subsets)
    show_table(
        f"{table}: videos to train on {train}, to validate on {validation}",
        ["class", "train: videos", "actions", "validate: videos", "actions"],
        rows,
        last=True,
    )
    print(f"Wrote {out} and {out.parent / ANNOTATIONS}. Next:")
    for command in commands.values():
        print(f"  {command}")


def _row(title: str, videos: LabelledVideos, label: str | None) -> list[object]:
    """Return a row of the table: of a class, or of the videos without actions."""
    row: list[object] = [title]
    for subset in (videos.of(TRAIN), videos.of(VALIDATE)):
        numbers = [sum(i.label == label for i in video.instances) for video in subset]
        if label is None:
            row += [sum(not video.instances for video in subset), 0]
        else:
            row += [sum(map(bool, numbers)), f"{sum(numbers):,}"]
    return row


def _summary(
    videos: LabelledVideos, out: Path, table: Path, warnings: Sequence[str], commands: Mapping[str, str]
) -> dict[str, Any]:
    """Return what there is to say as what can be written as JSON."""
    subsets = {name: videos.of(name) for name in (TRAIN, VALIDATE)}
    return {
        "config": str(out),
        "annotations": str(out.parent / ANNOTATIONS),
        "labels": str(table),
        "videos": {name: list(subset.videos) for name, subset in subsets.items()},
        "seconds": {name: round(_length(subset), 3) for name, subset in subsets.items()},
        "instances": {
            label: {name: _instances(subset)[label] for name, subset in subsets.items()}
            for label in videos.annotations.labels
        },
        "unlisted": list(videos.unlisted),
        "warnings": list(warnings),
        "next": dict(commands),
    }
