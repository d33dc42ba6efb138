"""What chosen thresholds and calibrated scores are worth on people that nothing was learnt on.

    python benchmarks/calibration.py sbhar --annotations annotations.json --features signals.npz
    python benchmarks/calibration.py timed_up_and_go

Of the five folds, which have no person in common, three train a model, one chooses its thresholds and learns its
probabilities, and the last one judges both; each fold once. Right is what overlaps with an instance by half (tIoU 0.5).
Runs go side by side, one thread each; models are kept in `--models`, so that an interrupted benchmark goes on where it
was. `--figure FILE.svg` draws the reliability of all held-out folds together.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.detection.localizer import Localizer
from untrimmed.evaluation.operating_point import (
    FIXED,
    Outcomes,
    above_thresholds,
    choose_thresholds,
    learn_score_map,
    outcomes,
    quality,
    reliability,
)
from untrimmed.evaluation.precision_recall import OperatingPoint
from untrimmed.experiment.evaluation import detections_on, evaluation_data
from untrimmed.report.reliability import reliability_chart

FOLDS = 5
PRECISION = 0.95
"""Precision that is asked for, beside the best F1."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What became of the detections of one held-out fold."""

    fixed: OperatingPoint
    chosen: OperatingPoint
    precise: OperatingPoint
    scores: Outcomes
    probabilities: Outcomes


def main() -> None:
    """Train what is missing, judge, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--annotations")
    parser.add_argument("--features")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, one thread each")
    parser.add_argument("--models", type=Path, help="folder for the models, default .benchmarks/RECIPE-calibration")
    parser.add_argument("--figure", type=Path, help="SVG file to draw the reliability into")
    options = parser.parse_args()
    models: Path = options.models or Path(".benchmarks") / f"{options.recipe}-calibration"
    data = [
        word
        for key in ("annotations", "features")
        if (value := getattr(options, key))
        for word in (f"--data.{key}", value)
    ]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda fold: train(options.recipe, models, fold, data), range(FOLDS)))
    show(options.recipe, [judge(models / f"fold{fold}", fold) for fold in range(FOLDS)], options.figure)


def train(recipe: str, models: Path, held_out: int, settings: list[str]) -> None:
    """Train on all folds but the held-out one and that which follows it, with the command as a user would."""
    out = models / f"fold{held_out}"
    if (out / "model.safetensors").exists():
        return
    folds = [f"fold{i}" for i in range(FOLDS) if i not in (held_out, (held_out + 1) % FOLDS)]
    command = [str(Path(sys.executable).parent / "untrimmed"), "train", recipe, "--out", str(out), *settings]
    command += ["--data.train", json.dumps(folds), "--data.validate", "[]"]
    resume = ["--resume"] if out.exists() else []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *resume], check=True, env=environment, stdout=subprocess.DEVNULL)


def judge(model: Path, held_out: int) -> Judged:
    """Choose and learn on one fold, and look at another."""
    localizer = Localizer.load(model)

    def detected(fold: int) -> tuple[Annotations, dict[str, Detections]]:
        videos = evaluation_data(model, localizer, subsets=[f"fold{fold % FOLDS}"])
        return videos.truth, {each.video_id: each for each in detections_on(videos, localizer)}

    truth, found = detected(held_out + 1)
    points = {wanted: choose_thresholds(truth, found, precision=wanted) for wanted in (None, PRECISION)}
    score_map = learn_score_map(outcomes(truth, found))
    truth, found = detected(held_out)

    def shown(wanted: float | None) -> OperatingPoint:
        thresholds = {point.label: point.threshold for point in points[wanted]}
        return quality(truth, {id_: above_thresholds(each, thresholds) for id_, each in found.items()})

    scores = outcomes(truth, found)
    return Judged(
        fixed=quality(truth, {id_: each.above(FIXED) for id_, each in found.items()}),
        chosen=shown(None),
        precise=shown(PRECISION),
        scores=scores,
        probabilities=Outcomes(score_map(scores.scores), scores.right),
    )


def show(recipe: str, folds: list[Judged], figure: Path | None) -> None:
    """Print Markdown tables, and draw."""
    columns = " | ".join(f"fold {fold}" for fold in range(FOLDS))
    print(f"| {recipe}, F1 at tIoU 0.5, % | {columns} | mean |\n|---|{'---|' * (FOLDS + 1)}")
    for name, values in (
        (f"{FIXED:g} for all classes", [each.fixed.f1 for each in folds]),
        ("chosen, best F1", [each.chosen.f1 for each in folds]),
        (f"chosen, precision {PRECISION:g}", [each.precise.f1 for each in folds]),
        (f"precision, chosen for {PRECISION:g}", [each.precise.precision for each in folds]),
        (f"precision, {FIXED:g} for all classes", [each.fixed.precision for each in folds]),
    ):
        print(f"| {name} | {' | '.join(f'{100 * v:.1f}' for v in values)} | {100 * np.mean(values):.1f} |")
    print(f"\n| {recipe}, expected calibration error | {columns} | mean |\n|---|{'---|' * (FOLDS + 1)}")
    for name, errors in (
        ("scores", [reliability(each.scores).error for each in folds]),
        ("probabilities", [reliability(each.probabilities).error for each in folds]),
    ):
        print(f"| {name} | {' | '.join(f'{v:.3f}' for v in errors)} | {np.mean(errors):.3f} |")
    if figure is not None:
        before, after = (
            reliability(_joined([getattr(each, what) for each in folds])) for what in ("scores", "probabilities")
        )
        figure.write_text(reliability_chart(before, after).as_file(), encoding="utf-8")


def _joined(parts: list[Outcomes]) -> Outcomes:
    return Outcomes(np.concatenate([p.scores for p in parts]), np.concatenate([p.right for p in parts]))


if __name__ == "__main__":
    main()
