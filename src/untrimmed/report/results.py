"""What the page is about: detections of videos, held against the truth in every way that the page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.detections import Detections
from untrimmed.evaluation.diagnosis import Diagnosis, diagnose
from untrimmed.evaluation.matching import Pool, RankedPool, match
from untrimmed.evaluation.mean_ap import MeanAP, mean_average_precision
from untrimmed.evaluation.precision_recall import PrecisionRecall, precision_recall

STEPS = 100
"""Steps of the slider that hides detections."""
_USUAL_TIOU = 0.5
_USUAL_THRESHOLD = 0.2  # where there is no truth to find a better one


@dataclass(frozen=True, slots=True)
class Tally:
    """How a video's detections above a threshold compare with its instances."""

    right: int
    wrong: int
    missed: int

    @property
    def mistakes(self) -> int:
        """Wrong detections and missed instances."""
        return self.wrong + self.missed


@dataclass(frozen=True, eq=False)
class Results:
    """Detections, and how good they are.

    Attributes:
        truth: the videos, with their instances; some or all may have none.
        detections: of each video of the truth, by id, best first.
        tious: overlaps from which a detection counts as right, ascending.
        score: `None` where no video has an instance.
        curves: for each of `tious`.
        found: by video id, `[n_tious, n_detections]`: the instance that each detection finds (see `found_instances`).
        thresholds: `[STEPS + 1]`, the scores that the slider can be set to, from 0 up.
        threshold: where it stands at first: the one of `thresholds` with the best F1 over all videos.
        tiou: index of the one of `tious` that the page shows at first, the nearest to 0.5.
        diagnosis: at this tIoU, of all detections; `None` where no video has an instance.
    """

    truth: Annotations
    detections: Mapping[str, Detections]
    tious: tuple[float, ...]
    score: MeanAP | None
    curves: tuple[PrecisionRecall, ...]
    found: Mapping[str, NDArray[np.int64]]
    thresholds: NDArray[np.float64]
    threshold: float
    tiou: int
    diagnosis: Diagnosis | None

    def tally(self, video: Video) -> Tally:
        """Count what is right, wrong and missed in a video, at the threshold and tIoU that the page shows at first."""
        shown = self.detections[video.id].scores >= self.threshold
        right = int((shown & (self.found[video.id][self.tiou] >= 0)).sum())
        return Tally(right, int(shown.sum()) - right, len(video.instances) - right)

    def most_telling(self, most: int) -> tuple[str, ...]:
        """Return the ids of at most so many videos: those with the most mistakes, and of equal ones the fullest."""

        def rank(video: Video) -> tuple[int, int, str]:
            return -self.tally(video).mistakes, -len(video.instances), video.id

        return tuple(video.id for video in sorted(self.truth, key=rank)[:most])


def assess(truth: Annotations, detections: Mapping[str, Detections], tious: Sequence[float]) -> Results:
    """Hold detections against the truth.

    Args:
        truth: the videos to look at; they need not have instances, and there may be none.
        detections: by video id. A video without detections may be absent; those of videos that are not in `truth` are
            left out.
        tious: one or more overlaps in (0, 1] from which a detection counts as right.
    """
    thresholds = tuple(sorted(tious))
    complete = {video.id: _best_first(detections.get(video.id, _none(video, truth))) for video in truth}
    curves = precision_recall(truth, complete, thresholds)
    tiou = int(np.abs(np.array(thresholds) - _USUAL_TIOU).argmin())
    steps = _slider_steps(complete)
    some = any(video.instances for video in truth)
    return Results(
        truth=truth,
        detections=complete,
        tious=thresholds,
        score=mean_average_precision(truth, complete, thresholds) if some else None,
        curves=curves,
        found={video.id: found_instances(video, complete[video.id], thresholds) for video in truth},
        thresholds=steps,
        threshold=_best_step(curves[tiou], steps),
        tiou=tiou,
        diagnosis=diagnose(truth, complete, thresholds[tiou : tiou + 1]) if some else None,
    )


def found_instances(video: Video, detections: Detections, tious: Sequence[float]) -> NDArray[np.int64]:
    """Return which of `video.instances` each detection finds at each tIoU, `[n_tious, n_detections]`; -1 for none.

    Detections take their turns within a video and a class (see `evaluation.matching`), so a video alone gives the same
    as all of them together.
    """
    numbers = {label: number for number, label in enumerate(detections.label_names)}
    labels = np.array([numbers.setdefault(i.label, len(numbers)) for i in video.instances], dtype=np.int64)
    by_time = np.lexsort((video.segments[:, 1], video.segments[:, 0]))
    segments = detections.segments
    ranked = np.lexsort((segments[:, 1], segments[:, 0], -detections.scores))
    nowhere = np.zeros(max(len(by_time), len(ranked)), np.int64)
    instances = Pool(nowhere[: len(by_time)], labels[by_time], video.segments[by_time])
    pool = RankedPool(nowhere[: len(ranked)], detections.labels[ranked], segments[ranked], detections.scores[ranked])
    found = np.full((len(tious), len(ranked)), -1)
    rows = match(instances, pool, tious)
    found[:, ranked] = np.where(rows >= 0, np.append(by_time, -1)[rows], -1)
    return found


def _none(video: Video, truth: Annotations) -> Detections:
    return Detections(video.id, np.empty((0, 2)), np.empty(0), np.empty(0, np.int64), truth.labels)


def _best_first(detections: Detections) -> Detections:
    """Sort detections; those with a score or a segment that is not finite are left out (only a file can have them)."""
    finite = np.isfinite(detections.scores) & np.isfinite(detections.segments).all(axis=1)
    kept = detections if finite.all() else detections.select(finite)
    return kept.select(np.argsort(-kept.scores, kind="stable"))


def _slider_steps(detections: Mapping[str, Detections]) -> NDArray[np.float64]:
    """Return the scores that the slider can be set to: up to a round number that the best score does not exceed."""
    best = max((float(each.scores[0]) for each in detections.values() if len(each)), default=1.0)
    best = best if best > 0 else 1.0
    size = 10.0 ** math.ceil(math.log10(best))
    top = next(part * size for part in (0.2, 0.5, 1.0) if part * size >= best * (1 - 1e-9))
    return np.linspace(0.0, top, STEPS + 1)


def _best_step(curves: PrecisionRecall, steps: NDArray[np.float64]) -> float:
    kept, right = curves.overall.at(steps)
    if not right.any():
        return float(steps[np.abs(steps - _USUAL_THRESHOLD).argmin()])
    f1 = 2 * right / (kept + curves.overall.instances)
    best = np.flatnonzero(f1 == f1.max())
    return float(steps[best[len(best) // 2]])  # of equal ones that in the middle
