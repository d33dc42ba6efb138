"""Five-fold cross-validation by person, with several seeds: average mAP on the held-out folds, in percent.

    python benchmarks/cross_validation.py timed_up_and_go
    python benchmarks/cross_validation.py sbhar --annotations annotations.json --features signals.npz
    python benchmarks/cross_validation.py suggested.yaml    # as `untrimmed check --suggest` writes it

Settings can be changed as in `untrimmed train`, by `--training.epochs 10`.

Each run trains with the recipe's settings on four folds, and scores the model that `Localizer.load` gives by default on
the fifth, which training does not see. Runs go side by side, one thread each; results are kept in `--results`, so
that an interrupted benchmark goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

FOLDS = 5


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="a recipe's name, or a .yaml file")
    parser.add_argument("--annotations")
    parser.add_argument("--features")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--folds", type=int, nargs="*", default=list(range(FOLDS)))
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side, one thread each")
    parser.add_argument("--results", type=Path, help="JSON lines file of results, default .benchmarks/NAME.jsonl")
    options, settings = parser.parse_known_args()
    name = options.recipe if not options.recipe.endswith(".yaml") else Path(options.recipe).stem
    results = options.results or Path(".benchmarks") / f"{name}.jsonl"
    results.parent.mkdir(parents=True, exist_ok=True)
    data = [
        word
        for key in ("annotations", "features")
        if (value := getattr(options, key))
        for word in (f"--data.{key}", value)
    ]
    runs = [(seed, fold) for seed in range(options.seeds) for fold in options.folds]
    done = {(row["seed"], row["fold"]) for row in read(results)}

    def run(seed: int, fold: int) -> None:
        row = train_and_score(options.recipe, seed, fold, [*data, *settings], threads=1)
        with results.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, file=sys.stderr, flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda pair: run(*pair), [pair for pair in runs if pair not in done]))
    wanted = set(runs)
    show(name, [row for row in read(results) if (row["seed"], row["fold"]) in wanted])


def train_and_score(recipe: str, seed: int, fold: int, settings: list[str], *, threads: int) -> dict[str, Any]:
    """Train on all folds but one with the command as a user would, and score the model on that one."""
    held_out = f"fold{fold}"
    train = [f"fold{i}" for i in range(FOLDS) if i != fold]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = str(Path(sys.executable).parent / "untrimmed")
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "run")
        split = ["--data.train", json.dumps(train), "--data.validate", "[]", "--training.seed", str(seed)]
        began = time.perf_counter()
        call = [command, "train", recipe, "--out", out, *split, *settings]
        subprocess.run(call, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        seconds = time.perf_counter() - began
        call = [command, "evaluate", out, "--subset", held_out, "--json"]
        score = json.loads(subprocess.run(call, check=True, env=environment, capture_output=True).stdout)
    return {"seed": seed, "fold": fold, "mAP": 100 * score["average"], "seconds": seconds}


def read(results: Path) -> Iterator[dict[str, Any]]:
    """Read the results of earlier runs."""
    if results.exists():
        yield from (json.loads(line) for line in results.read_text().splitlines())


def show(recipe: str, rows: list[dict[str, Any]]) -> None:
    """Print a Markdown table: a row a seed, a column a fold, means at the ends."""
    folds, seeds = sorted({row["fold"] for row in rows}), sorted({row["seed"] for row in rows})
    score = {(row["seed"], row["fold"]): row["mAP"] for row in rows}
    table = np.array([[score[seed, fold] for fold in folds] for seed in seeds])
    print(f"| {recipe} | {' | '.join(f'fold {fold}' for fold in folds)} | mean |\n|---|{'---|' * (len(folds) + 1)}")
    for seed, values in zip(seeds, table, strict=True):
        print(f"| seed {seed} | {' | '.join(f'{v:.1f}' for v in values)} | {values.mean():.2f} |")
    print(f"| mean | {' | '.join(f'{v:.1f}' for v in table.mean(axis=0))} | {table.mean():.2f} |")
    print(f"\ntraining took {np.mean([row['seconds'] for row in rows]):.0f} s a run on average, one thread each")


if __name__ == "__main__":
    main()
