"""What waiting is worth: recordings streamed sample by sample at several latencies, against detection in the whole.

    untrimmed train sbhar --data.annotations annotations.json --data.features signals.npz --out runs/sbhar
    python benchmarks/streaming.py runs/sbhar --subset fold0 --figure docs/figures/streaming.svg
    python benchmarks/streaming.py runs/sbhar --subset fold0 --weakened

For each latency: average mAP; how many detections there are, and how many that score 0.2 or more, which is what
`untrimmed stream` prints; how many it prints with `--once`, and of how many instances that tells at all, by a detection
of their class that overlaps with them; the largest delay between the end of a detection and when it left, in seconds of
the stream (those that leave when the recording ends are not counted); and the cost, seconds of one core for each second
of stream.

With `--weakened`, detections are weakened by all that have left before them, and not by better ones alone.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from untrimmed.data.annotations import Instance
from untrimmed.data.detections import Detection, Detections
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.streaming import waiting
from untrimmed.detection.streaming.once import Once
from untrimmed.detection.streaming.suppressing import Floats, final_scores
from untrimmed.detection.suppression import SIGMA
from untrimmed.evaluation.mean_ap import mean_average_precision
from untrimmed.experiment.evaluation import detections_on, evaluation_data
from untrimmed.report.svg import Chart, element, line, text

PRINTED = 0.2
"""The score from which `untrimmed stream` prints where nothing is said."""
LATENCIES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, None)
LEFT, TOP, WIDTH, HEIGHT = 34.0, 12.0, 420.0, 200.0


@dataclass(frozen=True)
class Row:
    """What came of one latency; `None` is no limit."""

    latency: float | None
    hop: float
    average: float
    by_tiou: tuple[float, ...]
    detections: int
    sure: int
    once: int
    told: int
    delay: float
    cost: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--subset", required=True, help="that the model was not trained on")
    parser.add_argument("--latencies", nargs="*", type=lambda word: None if word == "none" else float(word))
    parser.add_argument("--weakened", action="store_true", help="by all that have left before")
    parser.add_argument("--jobs", type=int, default=2, help="latencies side by side, one thread each")
    parser.add_argument("--figure", type=Path, help="SVG file to draw")
    options = parser.parse_args()
    latencies = options.latencies or LATENCIES
    localizer = Localizer.load(options.model, device="cpu")
    data = evaluation_data(options.model, localizer, subsets=[options.subset])
    whole = {found.video_id: found for found in detections_on(data, localizer)}
    offline = mean_average_precision(data.truth, whole, data.tious)
    with ProcessPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(partial(streamed, options.model, options.subset, options.weakened), latencies))
    seconds = sum(video.duration for video in data.truth)
    print(f"{len(data.truth)} recordings, {seconds / 60:.0f} minutes; mAP at tIoU {', '.join(map(str, data.tious))}\n")
    columns = ["latency, s", "hop, s", "average mAP", "by tIoU", "detections", "from 0.2"]
    columns += ["once", "instances told of", "longest delay, s", "cost"]
    print(f"| {' | '.join(columns)} |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        shown = "none" if row.latency is None else f"{row.latency:g}"
        print(
            f"| {shown} | {row.hop:g} | {100 * row.average:.2f} | {' '.join(f'{100 * x:.1f}' for x in row.by_tiou)} | "
            f"{row.detections:,} | {row.sure:,} | {row.once:,} | {row.told:,} | {row.delay:.2f} | {row.cost:.4f} |"
        )
    by_tiou, count = " ".join(f"{100 * x:.1f}" for x in offline.by_tiou), sum(map(len, whole.values()))
    print(f"| whole recordings | | {100 * offline.average:.2f} | {by_tiou} | {count:,} | {sure(whole):,} | | | | |")
    if options.figure is not None:
        options.figure.parent.mkdir(parents=True, exist_ok=True)
        options.figure.write_text(chart(rows, offline.average).as_file())


def streamed(model: Path, subset: str, weakened: bool, latency: float | None) -> Row:
    """Stream all recordings of a subset, a sample at a time."""
    with patch.object(waiting, "final_scores", weakened_by_all if weakened else final_scores):
        return _streamed(model, subset, latency)


def weakened_by_all(segments: Floats, scores: Floats, left: NDArray[np.bool_], config: DetectionConfig) -> Floats:
    """Suppression as `final_scores` does it, but those that have left weaken all others first, also better ones."""
    starts, ends = segments.T
    current = scores.copy()
    for i in np.flatnonzero(left):
        overlap = np.maximum(np.minimum(ends, ends[i]) - np.maximum(starts, starts[i]), 0)
        tiou = overlap / np.maximum(ends - starts + ends[i] - starts[i] - overlap, 1e-12)
        current[~left] *= np.exp(-(tiou[~left] ** 2) / (config.sigma or SIGMA))
    final = scores.copy()
    final[~left] = final_scores(segments[~left], current[~left], left[~left], config)
    return final


def _streamed(model: Path, subset: str, latency: float | None) -> Row:
    localizer = Localizer.load(model, device="cpu")
    data = evaluation_data(model, localizer, subsets=[subset])
    number = {label: i for i, label in enumerate(localizer.labels)}
    found, delay, seconds, hop, once, told = {}, 0.0, 0.0, 0.0, 0, 0
    began = time.process_time()
    for video in data.truth:
        array = data.inputs.store.read(video.id)
        with localizer.stream(latency=latency, rate=video.rate) as stream:
            hop, left = stream.hop, list[Detection]()
            for row in array:
                now = stream.add(row)
                delay = max([delay, *(stream.time - detection.end for detection in now)])
                left += now
            seconds += stream.time
            left += stream.finish(duration=video.duration)
        first = Once().of(each for each in left if each.score >= PRINTED)
        once += len(first)
        told += sum(any(_tells_of(each, instance) for each in first) for instance in video.instances)
        left.sort(key=lambda detection: -detection.score)
        found[video.id] = Detections(
            video.id,
            np.array([(detection.start, detection.end) for detection in left]).reshape(-1, 2),
            np.array([detection.score for detection in left]),
            np.array([number[detection.label] for detection in left], np.int64),
            localizer.labels,
        )
    cost = (time.process_time() - began) / seconds
    score = mean_average_precision(data.truth, found, data.tious)
    counted = sum(map(len, found.values()))
    return Row(
        latency, hop, score.average, tuple(map(float, score.by_tiou)), counted, sure(found), once, told, delay, cost
    )


def _tells_of(detection: Detection, instance: Instance) -> bool:
    overlap = min(detection.end, instance.end) - max(detection.start, instance.start)
    return detection.label == instance.label and overlap > 0


def sure(found: Mapping[str, Detections]) -> int:
    """How many detections would be printed."""
    return sum(len(each.above(PRINTED)) for each in found.values())


def chart(rows: list[Row], offline: float) -> Chart:
    """Draw average mAP over the latency."""
    limited = [(row.latency, 100 * row.average) for row in rows if row.latency is not None]
    first, last = math.log(limited[0][0]), math.log(limited[-1][0])

    def place(latency: float, average: float) -> tuple[float, float]:
        part = (math.log(latency) - first) / (last - first or 1)
        return LEFT + 16 + part * (WIDTH - 32), TOP + HEIGHT * (1 - average / 100)

    drawing: list[Markup] = []
    for percents in (0, 25, 50, 75, 100):
        y = TOP + HEIGHT * (1 - percents / 100)
        drawing += [
            line(LEFT, y, LEFT + WIDTH, y, class_="rule"),
            text(percents, LEFT - 6, y + 4, anchor="end"),
        ]
    y = TOP + HEIGHT * (1 - offline)
    drawing.append(line(LEFT, y, LEFT + WIDTH, y, class_="mean"))
    points = [place(*point) for point in limited]
    for (x1, y1), (x2, y2) in pairwise(points):
        drawing.append(line(x1, y1, x2, y2, class_="rule"))
    for (latency, average), (x, y) in zip(limited, points, strict=True):
        drawing += [
            element(
                "circle", element("title", f"{average:.1f} at {latency:g} s"), cx=x, cy=y, r=5.0, class_="colour-0"
            ),
            text(f"{average:.1f}", x, y + 20, anchor="middle", class_="ink"),
            text(f"{latency:g} s", x, TOP + HEIGHT + 16, anchor="middle"),
        ]
    values = ", ".join(f"{average:.1f} at {latency:g} s" for latency, average in limited)
    return Chart(
        name="streaming",
        title="What waiting is worth",
        about=(
            "average mAP in %, over the seconds after its end by which a detection leaves",
            "dashed: whole recordings",
        ),
        description=f"Average mAP by latency: {values}; {100 * offline:.1f} in whole recordings.",
        width=LEFT + WIDTH + 10,
        height=TOP + HEIGHT + 24,
        body=Markup().join(drawing),
    )


if __name__ == "__main__":
    main()
