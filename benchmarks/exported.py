"""What an exported model is worth: how near it is to the model, how fast, and what the smaller forms cost.

    untrimmed train timed_up_and_go --out runs/tug
    python benchmarks/exported.py --model runs/tug

Three tables. Differences, by length, of the network of the recipe `thumos14_i3d` with random weights (2,048 inputs,
width 512), and of the trained one. Speed of the former: detection of one recording of 2,304 clips in onnxruntime and in
torch in turn, with the same number of threads (`--threads`). And mAP on the validation recordings of the trained model,
in all its forms.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from untrimmed.data.inputs import InputConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.onnx_network import OnnxNetwork
from untrimmed.experiment.evaluation import evaluate, evaluation_data
from untrimmed.export.checking import differences
from untrimmed.export.folder import export_onnx, onnx_file
from untrimmed.export.precision import Precision
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer

LENGTHS = (1, 2, 3, 5, 17, 100, 1000, 2304, 5000, 20000)
FORMS: tuple[Precision, ...] = get_args(Precision)
CLIPS = 2304
ROUNDS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a run of the recipe timed_up_and_go")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    wide = ActionFormer(ModelConfig(input_dims=2048, num_classes=20)).eval()
    trained = Localizer.load(options.model, device="cpu")
    show_differences(wide, trained.model, options.lengths)
    show_speed(wide)
    show_map(options.model, trained)


def show_differences(wide: ActionFormer, trained: ActionFormer, lengths: list[int]) -> None:
    print("| clips | logits, width 512 | offsets, width 512 | logits, trained | offsets, trained |")
    print("|---|---|---|---|---|")
    found = [differences(OnnxNetwork(model.config, onnx_file(model)), model, lengths) for model in (wide, trained)]
    for one, other in zip(*found, strict=True):
        values = (one.logits, one.offsets, other.logits, other.offsets)
        print(f"| {one.length:,} | {' | '.join(f'{value:.1e}' for value in values)} |")


def show_speed(model: ActionFormer) -> None:
    """Detection from features to detections, one after the other in every round."""
    labels = tuple(map(str, range(model.config.num_classes or 0)))
    in_torch = Localizer(model, labels, InputConfig(stride=4, window=16, rate=30))
    array = np.random.default_rng(0).standard_normal((CLIPS, model.config.input_dim), dtype=np.float32)
    forms = {
        form: Localizer(OnnxNetwork(model.config, onnx_file(model, form)), labels, in_torch.inputs) for form in FORMS
    }
    runs: dict[str, Callable[[], object]] = {"torch": partial(in_torch.detect, array)}
    runs |= {form: partial(localizer.detect, array) for form, localizer in forms.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + ROUNDS):  # the first prepares
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    print("\n| detection of 2,304 clips, width 512 | ms | times torch's |\n|---|---|---|")
    for name, taken in times.items():
        ratio = statistics.median(a / b for a, b in zip(taken[1:], times["torch"][1:], strict=True))
        print(f"| {name} | {1000 * statistics.median(taken[1:]):.0f} | {ratio:.2f} |")


def show_map(run: Path, trained: Localizer) -> None:
    data = evaluation_data(run, trained)
    whole = evaluate(trained, data)
    print("\n| form | MB | mAP | loss | largest difference of a logit |\n|---|---|---|---|---|")
    print(f"| torch | {sum(p.nbytes for p in trained.model.parameters()) / 1e6:.1f} | {100 * whole.average:.2f} | | |")
    with tempfile.TemporaryDirectory() as folder:
        for form in FORMS:
            exported = export_onnx(trained, Path(folder) / form, precision=form)
            score = evaluate(Localizer.load(Path(folder) / form), data)
            furthest = max(each.logits for each in exported.differences)
            loss = 100 * (whole.average - score.average)
            print(f"| {form} | {exported.size / 1e6:.1f} | {100 * score.average:.2f} | {loss:.2f} | {furthest:.1e} |")


if __name__ == "__main__":
    main()
