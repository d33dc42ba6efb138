"""From what goes onto the page to the plain values that its script draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Video
from untrimmed.evaluation.precision_recall import Curve, OperatingPoint
from untrimmed.report.contents import Contents
from untrimmed.report.heat_map import heat_map
from untrimmed.report.lanes import lanes
from untrimmed.report.media import Absent, Embedded, Linked
from untrimmed.report.palette import CLASS_COLOURS
from untrimmed.report.results import Results

MOST_DETECTIONS = 1000
"""Detections of a video that the page has, the best."""
_MOST_POINTS = 60_000
"""Of all curves together."""
_NO_FILE = "There is no player, because no video file of this recording was given; --videos says where they are"


def page_data(contents: Contents) -> dict[str, Any]:
    """Return what the script draws, as plain values that can be written as JSON.

    Numbers that are not finite are `None`. Embedded files are not among it.
    """
    results = contents.results
    numbers = class_numbers(contents)
    return {
        "labels": list(numbers),
        "colours": CLASS_COLOURS,
        "tious": list(results.tious),
        "tiou": results.tiou,
        "thresholds": [float(f"{step:.6g}") for step in results.thresholds],
        "threshold": int(np.abs(results.thresholds - results.threshold).argmin()),
        "meanAP": None if results.score is None else [plain(x, 5) for x in results.score.by_tiou],
        "history": {"epochs": list(contents.history.epochs), "columns": dict(contents.history.columns)},
        "totals": _totals(results),
        "classes": class_rows(results, numbers),
        "curves": _curves(results, numbers),
        "videos": [_video(results.truth[id_], contents, numbers) for id_ in contents.shown],
    }


def class_numbers(contents: Contents) -> dict[str, int]:
    """Number the classes of the page: those of the truth, then others that occur in detections or scores."""
    names = dict.fromkeys(contents.results.truth.labels)
    for detections in contents.results.detections.values():
        names.update(dict.fromkeys(detections.label_names))
    names.update(dict.fromkeys(contents.level_labels))
    return {name: number for number, name in enumerate(names)}


def class_rows(results: Results, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return what is known of each class that occurs in the truth; `ap` and `best` at each tIoU."""
    if results.score is None:
        return []
    return [
        {
            "label": numbers[label],
            "instances": int(results.score.instances[i]),
            "average": plain(results.score.by_class[i], 5),
            "ap": [plain(x, 5) for x in results.score.ap[:, i]],
            "best": [_point(at_tiou.by_class[i].best) for at_tiou in results.curves],
        }
        for i, label in enumerate(results.score.labels)
    ]


def plain(value: Any, decimals: int) -> float | None:
    """Return a number as JSON can hold it: rounded, and `None` if it is not finite."""
    return round(float(value), decimals) if math.isfinite(value) else None


def thinned(curve: Curve, most: int) -> NDArray[np.int64]:
    """Choose at most so many points of a curve, evenly along its length, always the first and the last."""
    n = len(curve.scores)
    if n <= most:
        return np.arange(n)
    moved = np.abs(np.diff(curve.recall)) + np.abs(np.diff(curve.precision))
    way = np.concatenate([[0.0], moved.cumsum()])
    chosen = np.searchsorted(way, np.linspace(0, way[-1], most))
    return np.unique(np.concatenate([[0], chosen.clip(max=n - 1)[1:-1], [n - 1]]))


def _totals(results: Results) -> dict[str, Any]:
    """Count over all videos, at each step of the slider."""
    at_steps = [curves.overall.at(results.thresholds) for curves in results.curves]
    return {
        "kept": at_steps[0][0].tolist(),
        "right": [right.tolist() for _, right in at_steps],
        "instances": results.curves[0].overall.instances,
        "detections": int(sum(len(each) for each in results.detections.values())),
    }


def _curves(results: Results, numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return precision-recall curves by tIoU, thinned so that the page stays small."""
    count = len(results.curves) * (1 + len(results.curves[0].labels))
    most = min(max(_MOST_POINTS // count, 12), 150)

    def points(curve: Curve) -> dict[str, Any]:
        chosen = thinned(curve, most)
        return {
            "score": [float(f"{x:.4g}") for x in curve.scores[chosen]],
            "precision": np.round(curve.precision[chosen], 4).tolist(),
            "recall": np.round(curve.recall[chosen], 4).tolist(),
        }

    return [
        {
            "overall": points(curves.overall),
            "classes": [
                {"label": numbers[label], **points(curve)}
                for label, curve in zip(curves.labels, curves.by_class, strict=True)
            ],
        }
        for curves in results.curves
    ]


def _point(point: OperatingPoint | None) -> dict[str, float] | None:
    if point is None:
        return None
    return {
        "threshold": point.threshold,
        "precision": round(point.precision, 4),
        "recall": round(point.recall, 4),
        "f1": round(point.f1, 4),
    }


def _video(video: Video, contents: Contents, numbers: Mapping[str, int]) -> dict[str, Any]:
    results = contents.results
    best = results.detections[video.id][:MOST_DETECTIONS]
    found = results.found[video.id][:, : len(best)]
    levels = contents.levels.get(video.id, ())
    columns = {label: i for i, label in enumerate(contents.level_labels)}
    wanted = [columns[i.label] for i in video.instances if i.label in columns]
    of_columns = [numbers[label] for label in contents.level_labels]
    ends = [video.duration, *video.segments[:, 1], *(best.segments[:, 1] if len(best) else ())]
    return {
        "name": video.id,
        "duration": plain(video.duration, 3),
        "end": plain(max((float(end) for end in ends if math.isfinite(end)), default=0.0), 3),
        "rate": None if video.rate is None else plain(video.rate, 4),
        "truth": _bars(video.segments, [numbers[i.label] for i in video.instances]),
        "found": _bars(best.segments, [numbers[best.label_names[k]] for k in best.labels])
        | {
            "score": [float(f"{score:.4g}") for score in best.scores],
            # The last step of the slider that still shows it: rounding moves no detection across a step.
            "step": (np.searchsorted(results.thresholds, best.scores, "right") - 1).tolist(),
            "match": found.tolist(),
        },
        "detections": len(results.detections[video.id]),
        "heat": heat_map(levels, wanted).as_dict(of_columns) if any(len(x.seconds) for x in levels) else None,
        "media": _media(video.id, contents),
    }


def _bars(segments: NDArray[np.float64], labels: Sequence[int]) -> dict[str, Any]:
    return {
        "start": [plain(x, 3) for x in segments[:, 0]],
        "end": [plain(x, 3) for x in segments[:, 1]],
        "label": list(labels),
        "lane": lanes(segments).tolist(),
    }


def _media(video_id: str, contents: Contents) -> dict[str, Any]:
    match contents.media.get(video_id, Absent(_NO_FILE)):
        case Linked(address):
            return {"kind": "link", "address": address}
        case Embedded(_, kind):
            return {"kind": "embed", "type": kind}
        case Absent(reason):
            return {"kind": "none", "reason": reason}
