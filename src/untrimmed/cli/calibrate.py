"""`untrimmed calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from untrimmed.cli.console import show_json, show_table, with_progress
from untrimmed.detection.confidence import CONFIDENCE, Confidence
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.onnx_network import OnnxNetwork
from untrimmed.errors import ModelError
from untrimmed.evaluation.operating_point import (
    FIXED,
    NEVER,
    ClassPoint,
    LeftOut,
    choose_thresholds,
    learn_score_map,
    leave_out,
    outcomes,
)
from untrimmed.evaluation.precision_recall import OperatingPoint
from untrimmed.experiment.evaluation import detections_on, evaluation_data


def calibrate(
    model: Path,
    /,
    *,
    wanted_precision: float | None = None,
    tiou: float = 0.5,
    annotations: Path | None = None,
    features: list[Path] | None = None,
    subset: list[str] | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    json: bool = False,
) -> None:
    """Learn which detections of a model to believe: `untrimmed detect --confident` shows those alone.

    Of each class, a lowest score is chosen; scores become probabilities to be right. Both are learnt on videos that the
    model was not trained on, those that its experiment validates on unless others are named, and written into the model
    folder. What they are worth on other videos is estimated by leaving out a fifth of the videos in turn.

    Examples: `untrimmed calibrate runs/tug`; `untrimmed calibrate runs/tug --wanted-precision 0.9`

    Parameters
    ----------
    model
        The folder of a run, its `best` folder, or any other model folder.
    wanted_precision
        Part of the shown detections of each class that is to be right, such as 0.9; where nothing is said, the
        threshold with the best F1 is chosen.
    tiou
        Overlap with an instance from which a detection is right.
    annotations
        The truth, ActivityNet-style JSON.
    features
        Features of the videos; several for several streams.
    subset
        Subset to learn on; may be given several times.
    device
        Where the model runs: auto, cpu, cuda or mps.
    precision
        Precision that the model computes in.
    json
        Print as JSON.
    """
    localizer = Localizer.load(model, device=device, precision=precision)
    if isinstance(localizer.model, OnnxNetwork):
        raise ModelError(f"{model}: was exported; calibrate the model folder that it was made of")
    data = evaluation_data(model, localizer, annotations=annotations, features=features, subsets=subset)
    found = with_progress(detections_on(data, localizer), "detecting", len(data.truth))
    detections = {each.video_id: each for each in found}
    points = choose_thresholds(data.truth, detections, tiou=tiou, precision=wanted_precision)
    score_map = learn_score_map(outcomes(data.truth, detections, tiou=tiou))
    estimate = leave_out(data.truth, detections, tiou=tiou, precision=wanted_precision)
    Confidence.of(points, score_map, model, tiou=tiou, precision=wanted_precision).save(model)
    if json:
        show_json({"path": str(model / CONFIDENCE), "classes": [_row(p) for p in points], "left_out": _facts(estimate)})
    else:
        _show(points, estimate, model, tiou)


def _row(point: ClassPoint) -> dict[str, object]:
    """Return a point as JSON has it, where nothing is infinite."""
    return {
        "label": point.label,
        "instances": point.instances,
        "threshold": None if point.threshold == NEVER else point.threshold,
        "precision": point.precision,
        "recall": point.recall,
        "f1": point.f1,
    }


def _facts(estimate: LeftOut | None) -> dict[str, object] | None:
    if estimate is None:
        return None

    def of(point: OperatingPoint) -> dict[str, float]:
        return {"precision": point.precision, "recall": point.recall, "f1": point.f1}

    return {
        "chosen": of(estimate.chosen),
        "fixed": {"threshold": FIXED, **of(estimate.fixed)},
        "scores": estimate.scores.as_dict(),
        "probabilities": estimate.probabilities.as_dict(),
    }


def _show(points: tuple[ClassPoint, ...], estimate: LeftOut | None, model: Path, tiou: float) -> None:
    rows = [
        (
            point.label,
            point.instances,
            "never" if point.threshold == NEVER else f"{point.threshold:g}",
            *(f"{100 * value:.1f}" for value in (point.precision, point.recall, point.f1)),
        )
        for point in points
    ]
    columns = ["class", "instances", "lowest score", "precision, %", "recall, %", "F1, %"]
    show_table(f"{model}: what counts, at tIoU {tiou:g}, on the videos that it was chosen on", columns, rows)
    if estimate is None:
        print("There are too few videos to leave some out and say what this is worth on others")
    else:
        for name, point in (("these thresholds", estimate.chosen), (f"{FIXED:g} for all classes", estimate.fixed)):
            values = (f"{100 * value:.1f}" for value in (point.precision, point.recall, point.f1))
            print("On videos left out, with {}: precision {}, recall {}, F1 {} %".format(name, *values))
        _show_reliability(estimate)
    print(f"Written: {model / CONFIDENCE}. `untrimmed detect --confident` shows what counts")


def _show_reliability(estimate: LeftOut) -> None:
    """Show how far scores, and the probabilities that they become, say which part of the detections is right."""
    rows: dict[float, list[object]] = {}
    for i, each in enumerate((estimate.scores, estimate.probabilities)):
        for low, high, count, right in zip(each.low, each.high, each.count, each.right, strict=True):
            row = rows.setdefault(low, [f"{100 * low:.0f} to {100 * high:.0f}", "", "", "", ""])
            row[1 + 2 * i : 3 + 2 * i] = [f"{count:,}", f"{100 * right:.1f}"]
    show_table(
        "How many detections are right, by what is said of them, on videos left out",
        ["score or probability, %", "by score", "right, %", "by probability", "right, %"],
        [rows[low] for low in sorted(rows)],
    )
    print(
        f"Expected calibration error there: {estimate.scores.error:.3f} of the scores, "
        f"{estimate.probabilities.error:.3f} of the probabilities that they become"
    )
