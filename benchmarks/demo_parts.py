"""What the halves of the default extractor are worth in the demo: appearance alone, motion alone, and both.

    python benchmarks/demo_parts.py [--seeds 3] [--out FOLDER]

Draws the clips of `untrimmed demo`, makes features with each, and trains with the demo's own settings from several
seeds; prints average mAP at tIoU .3 to .7 on the clips that are held out, in percent. A minute for each training.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

from untrimmed.cli.console import show_table, with_progress
from untrimmed.demo import moving_figures
from untrimmed.demo.moving_figures import Demo
from untrimmed.detection.localizer import Localizer
from untrimmed.evaluation.mean_ap import MeanAP, mean_average_precision
from untrimmed.experiment.config import load_config
from untrimmed.experiment.evaluation import detect_all, evaluation_data
from untrimmed.experiment.run_folder import is_run
from untrimmed.experiment.training import train

EXTRACTORS = ("default-appearance", "default-motion", "default")


def main() -> None:
    """Print two tables: by seed, and by class in the mean over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="how many trainings for each extractor")
    parser.add_argument("--out", type=Path, help="folder to keep all in; one that was interrupted goes on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        scores = {name: scored(name, folder, options.seeds) for name in EXTRACTORS}
    by_seed = [
        [name, *(f"{100 * each.average:.1f}" for each in of), f"{100 * np.mean([each.average for each in of]):.1f}"]
        for name, of in scores.items()
    ]
    show_table("Average mAP, %", ["extractor", *(f"seed {seed}" for seed in range(options.seeds)), "mean"], by_seed)
    labels = scores[EXTRACTORS[0]][0].labels
    means = {name: 100 * np.mean([each.ap.mean(0) for each in of], axis=0) for name, of in scores.items()}
    by_class = [[label, *(f"{means[name][i]:.1f}" for name in EXTRACTORS)] for i, label in enumerate(labels)]
    show_table("Average AP by class, mean of the seeds, %", ["class", *EXTRACTORS], by_class)


def scored(extractor: str, folder: Path, seeds: int) -> list[MeanAP]:
    """Go the demo's way with an extractor, and train from each seed."""
    demo = Demo(folder / extractor, extractor=extractor)
    annotations = moving_figures.begin(demo)
    first = folder / EXTRACTORS[0] / "clips"
    if not demo.videos.exists() and first.exists():
        shutil.copytree(first, demo.videos)
    list(with_progress(moving_figures.draw_clips(demo), "drawing clips", demo.clips))
    moving_figures.extract(demo)
    moving_figures.configure(demo, annotations)
    scores = []
    for seed in range(seeds):
        run = demo.out / f"run-{seed}"
        train(load_config(str(demo.configuration), {"training.seed": seed}), run, resume=is_run(run))
        localizer = Localizer.load(run)
        data = evaluation_data(run, localizer)
        found = {each.video_id: each for each in detect_all(localizer, data.truth, data.inputs)}
        scores.append(mean_average_precision(data.truth, found, data.tious))
    return scores


if __name__ == "__main__":
    main()
