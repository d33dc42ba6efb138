"""`untrimmed evaluate`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from untrimmed.cli.console import show_json, show_score, warn, with_progress
from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.class_scores import read_class_scores
from untrimmed.data.formats.detection_files import detections_suffix, read_detections, write_detections
from untrimmed.detection.fusion import fuse_all
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.mean_ap import mean_average_precision
from untrimmed.experiment.config import EvaluationConfig

if TYPE_CHECKING:
    from untrimmed.experiment.evaluation import EvaluationData


def evaluate(
    model: Path | None = None,
    /,
    *,
    detections: Path | None = None,
    annotations: Path | None = None,
    features: list[Path] | None = None,
    subset: list[str] | None = None,
    tious: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
    reading: Literal["correct", "official"] = "correct",
    class_scores: Path | None = None,
    top_classes: int | None = None,
    out: Path | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    json: bool = False,
) -> None:
    """Score a model, or a file of detections, by mean average precision.

    Of a model that was trained here, the data are those of its own experiment unless others are named.

    Examples: `untrimmed evaluate runs/tug`;
    `untrimmed evaluate --detections found.csv --annotations thumos14.json --subset test`

    Parameters
    ----------
    model
        The folder of a run, its `best` folder, or any other model folder.
    detections
        Detections to score, instead of a model: CSV (also .csv.gz) or ActivityNet-style JSON.
    annotations
        The truth, ActivityNet-style JSON.
    features
        Features of the videos; several for several streams.
    subset
        Subset to evaluate on; may be given several times.
    tious
        Overlaps from which a detection counts as right, .3 to .7 where not said.
    reading
        `official` scores labels that are absent from the truth as the official code does, by a fault.
    class_scores
        Scores of whole videos by another model: each detection gets the best classes of its video instead of its own.
    top_classes
        How many classes each detection gets from `--class-scores`; 2 where nothing is said.
    out
        File to write the detections to, CSV or JSON.
    device
        Where the model runs: auto, cpu, cuda or mps.
    precision
        Precision that the model computes in.
    json
        Print the scores as JSON.
    """
    if (model is None) == (detections is None):
        raise ConfigError("name either a model folder or --detections FILE, to say what is evaluated")
    if out is not None:
        detections_suffix(out)  # before an hour of work, not after it
    if detections is not None:
        of_models = {
            "--features": features,
            "--out": out,
            "--device": device != "auto",
            "--precision": precision != "fp32",
        }
        for option, given in of_models.items():
            if given:
                raise ConfigError(f"{option} has no effect with --detections: leave one of them out")
        truth, found = _from_file(detections, annotations, subset, fused=class_scores is not None)
        defaults, title = EvaluationConfig(), str(detections)
        thresholds = defaults.tious
        if class_scores is not None:
            found = fuse_all(found, read_class_scores(class_scores, truth.labels), top_classes or defaults.top_classes)
    else:
        assert model is not None
        data, found = _by_model(
            model, annotations, features, subset, class_scores, top_classes, device=device, precision=precision
        )
        truth, thresholds, title = data.truth, data.tious, str(model)
    if out is not None:
        write_detections(found.values(), out)
    score = mean_average_precision(truth, found, tious or thresholds, reading=reading)
    if subset is None:
        _warn_of_absent_videos(found, truth, title)
    if json:
        show_json(score.as_dict())
    else:
        show_score(f"{title}: average precision by tIoU, %", score)


def _from_file(
    detections: Path, annotations: Path | None, subset: list[str] | None, *, fused: bool
) -> tuple[Annotations, dict[str, Detections]]:
    """Return truth and detections, both read from files."""
    if annotations is None:
        raise ConfigError("--annotations FILE is missing: the truth that the detections are scored against")
    truth = read_annotations(annotations)
    found = read_detections(detections, truth.labels)
    if not fused:  # else the labels come from outside
        _warn_of_unknown_labels(found, truth, str(detections))
    truth = truth if subset is None else truth.of_subsets(subset)
    if found and not found.keys() & truth.videos.keys():
        raise AnnotationError(
            f"{detections}: none of its {len(found)} videos, such as {next(iter(found))!r}, is among the {len(truth)} "
            f"that are evaluated of {annotations}, such as {next(iter(truth.videos))!r}; correct the ids or the subset"
        )
    return truth, found


def _warn_of_absent_videos(found: Mapping[str, Detections], truth: Annotations, place: str) -> None:
    absent = sum(video.id not in found and bool(video.instances) for video in truth)
    if absent:
        warn(
            f"{place}: nothing was detected in {absent} of {len(truth)} videos: their instances count as missed. "
            "If these are of another subset, name yours by --subset"
        )


def _warn_of_unknown_labels(found: Mapping[str, Detections], truth: Annotations, place: str) -> None:
    unknown = next(iter(found.values())).label_names[len(truth.labels) :] if found else ()
    if unknown:
        near = difflib.get_close_matches(unknown[0], truth.labels, n=1)
        hint = f", perhaps {near[0]!r}" if near else ""
        warn(
            f"{place}: {len(unknown)} of its labels, such as {unknown[0]!r}{hint}, do not occur in {truth.source}; "
            "detections with them find nothing"
        )


def _by_model(
    model: Path,
    annotations: Path | None,
    features: list[Path] | None,
    subset: list[str] | None,
    class_scores: Path | None,
    top_classes: int | None,
    *,
    device: str,
    precision: Literal["auto", "fp32", "bf16"],
) -> tuple[EvaluationData, dict[str, Detections]]:
    """Return what a model is evaluated on, and what it detects there."""
    # Imported here, since they bring in torch: a file of detections is scored without it.
    from untrimmed.detection.localizer import Localizer  # noqa: PLC0415
    from untrimmed.experiment.evaluation import detections_on, evaluation_data  # noqa: PLC0415

    localizer = Localizer.load(model, device=device, precision=precision)
    data = evaluation_data(
        model,
        localizer,
        annotations=annotations,
        features=features,
        subsets=subset,
        class_scores=class_scores,
        top_classes=top_classes,
    )
    detections = with_progress(detections_on(data, localizer), "detecting", len(data.truth))
    return data, {each.video_id: each for each in detections}
