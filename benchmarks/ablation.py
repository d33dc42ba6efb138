"""What each part is worth: the ablations of the paper, and windows, on the recordings that ship with the package.

    python benchmarks/ablation.py

Every row trains the recipe `timed_up_and_go` with the settings named, for a third of its epochs, on folds 1 to 4, and
scores it on fold 0: average mAP at tIoU .3 to .7 in percent, mean and range over the seeds. Runs go side by side, one
thread each; results are kept in `--results`, so that an interrupted benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cross_validation import read, train_and_score

ROWS = {
    "the recipe: window 9, official architecture": [],
    "convolutional encoder of the same depth": ["--model.encoder", "conv"],
    "no LayerNorm in the heads": ["--model.head_norm", "false"],
    "no center sampling": ["--training.target.center_radius", "null"],
    "sinusoidal positions": ["--model.position", "sinusoid"],
    "global attention": ["--model.window", "null"],
    "window 3": ["--model.window", "3"],
    "window 5": ["--model.window", "5"],
    "window 19": ["--model.window", "19"],
    "downsampling by 4": ["--model.factor", "4", "--model.downsampling_blocks", "3"],
    "downsampling by average pooling": ["--model.downsampling", "average"],
}
MORE = {
    "downsampling by max pooling": ["--model.downsampling", "max"],
    "relative positions": ["--model.position", "relative"],
    "plain query, key and value (no convolution)": ["--model.qkv_convolution", "false"],
    "every block a level (7 levels)": ["--model.pyramid", "every_block"],
    "top-down neck": ["--model.neck", "top_down"],
    "GIoU loss": ["--training.target.regression_loss", "giou"],
    "last weights instead of their average": ["--training.optimiser.ema_decay", "null"],
    "average with a fixed decay of 0.999": ["--training.optimiser.ema_warmup", "false"],
    "one class a moment (argmax)": ["--detection.candidates", "argmax"],
}


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--more", action="store_true", help="also what is not in the paper's table")
    parser.add_argument("--epochs", type=int, default=5, help="after the 5 of the warm-up")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, one thread each")
    parser.add_argument("--results", type=Path, default=Path(".benchmarks/ablation.jsonl"))
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    rows = ROWS | (MORE if options.more else {})
    runs = [(name, seed) for seed in range(options.seeds) for name in rows]
    done = {(row["name"], row["seed"]) for row in read(options.results)}

    def run(name: str, seed: int) -> None:
        settings = ["--training.epochs", str(options.epochs), *rows[name]]
        row = train_and_score("timed_up_and_go", seed, 0, settings, threads=1) | {"name": name}
        with options.results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, file=sys.stderr, flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda pair: run(*pair), [pair for pair in runs if pair not in done]))
    scores = {
        name: [row["mAP"] for row in read(options.results) if row["name"] == name and row["seed"] < options.seeds]
        for name in rows
    }
    full = _mean(next(iter(scores.values())))
    print("| change | average mAP | range | difference |\n|---|---|---|---|")
    for name, values in scores.items():
        mean = _mean(values)
        print(f"| {name} | {mean:.1f} | {min(values):.1f} to {max(values):.1f} | {mean - full:+.1f} |")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
