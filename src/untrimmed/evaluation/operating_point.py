"""From many detections to the few that a user wants: a threshold for each class, and scores that can be believed.

A detection is right if it finds an instance (see `untrimmed.evaluation.matching`) at one tIoU. Both are learnt from
detections of videos that the model was not trained on:

- the threshold of a class is the score with the best F1, or the lowest one from which a wanted precision is reached;
- a score becomes the probability to be right by isotonic regression (Zadrozny and Elkan, KDD 2002): the step function
  that never falls and is nearest to what was right and what was not, with straight lines from step to step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.matching import match, pool_detections, pool_instances
from untrimmed.evaluation.precision_recall import Curve, OperatingPoint, precision_recall, roundest

PRIOR = 50
"""Each class is given so many more instances, found as those of all classes together are. With the thresholds that a
dozen instances alone lead to, other people's recordings score lower than with one threshold for all classes."""
FIXED = 0.5
"""The threshold that one would take without choosing."""
NEVER = float("inf")
"""Threshold of a class that never reaches the wanted precision."""


@dataclass(frozen=True)
class ClassPoint:
    """Where a class is cut off, and how good it is there on the videos that this was chosen on.

    Attributes:
        label: the class.
        instances: how many of it there were.
        threshold: lowest score that counts; infinite if no score reaches the wanted precision.
        precision: in [0, 1]; 0 where nothing is kept.
        recall: in [0, 1].
        f1: in [0, 1].
    """

    label: str
    instances: int
    threshold: float
    precision: float
    recall: float
    f1: float


def choose_thresholds(
    truth: Annotations, detections: Mapping[str, Detections], *, tiou: float = 0.5, precision: float | None = None
) -> tuple[ClassPoint, ...]:
    """Choose a threshold for each class of the truth: its own where it has many instances, else nearly that of all.

    Args:
        truth: videos that the model was not trained on.
        detections: by video id.
        tiou: overlap from which a detection is right.
        precision: choose the lowest score from which this precision is reached, instead of that with the best F1.

    Returns:
        One point a class that occurs, in the order of their numbers.

    Raises:
        AnnotationError: if the truth has no instance.
        ConfigError: if `tiou` or `precision` is no number in (0, 1].
    """
    for name, value in (("tIoU", tiou), ("precision", precision)):
        if value is not None and not 0 < value <= 1:
            raise ConfigError(f"the {name} is {value}, but has to be a number in (0, 1]")
    found = precision_recall(truth, detections, [tiou])[0]
    if not found.labels:
        raise AnnotationError(
            f"{truth.source}: none of the {len(truth)} videos has an instance to choose thresholds by"
        )
    points = []
    for label, curve in zip(found.labels, found.by_class, strict=True):
        threshold = _chosen(curve, found.overall, precision)
        kept, right = (int(count[0]) for count in curve.at(np.array([threshold])))
        points.append(
            ClassPoint(
                label,
                curve.instances,
                threshold,
                right / max(1, kept),
                right / curve.instances,
                2 * right / (kept + curve.instances),
            )
        )
    return tuple(points)


def _chosen(curve: Curve, overall: Curve, precision: float | None) -> float:
    """Choose the threshold of a class from its own curve and, as `PRIOR` instances, that of all classes."""
    scores = overall.scores  # those of the class are among them
    share = PRIOR / overall.instances
    own_kept, own_right = curve.at(scores)
    kept, right = own_kept + share * overall.kept, own_right + share * overall.right
    if precision is None:
        f1 = 2 * right / (kept + curve.instances + PRIOR)
        best = int(f1.argmax()) if len(f1) else 0
        if not len(f1) or not f1[best]:
            return NEVER
    else:
        reached = np.flatnonzero(right >= precision * kept)
        if not len(reached):
            return NEVER
        best = int(reached[-1])
    below = float(scores[best + 1]) if best + 1 < len(scores) else 0.0
    return roundest(below, float(scores[best])) if below < scores[best] else float(scores[best])


def above_thresholds(detections: Detections, thresholds: Mapping[str, float]) -> Detections:
    """Return the detections that reach the threshold of their class; classes without one are left out."""
    least = np.array([thresholds.get(label, NEVER) for label in detections.label_names])
    return detections.select(detections.scores >= least[detections.labels])


def quality(truth: Annotations, detections: Mapping[str, Detections], *, tiou: float = 0.5) -> OperatingPoint:
    """Return precision, recall and F1 of detections as they are, all classes together; the threshold is their lowest.

    Args:
        truth: the videos.
        detections: by video id; all of them count.
        tiou: overlap from which a detection is right.
    """
    curve = precision_recall(truth, detections, [tiou])[0].overall
    if not len(curve.scores):
        return OperatingPoint(0.0, 0.0, 0.0, 0.0)
    return OperatingPoint(
        float(curve.scores[-1]), float(curve.precision[-1]), float(curve.recall[-1]), float(curve.f1[-1])
    )


@dataclass(frozen=True, eq=False)
class LeftOut:
    """How good choices are on videos that they were not made by: each part of the videos in turn, all together.

    Attributes:
        chosen: with the thresholds that the other videos lead to.
        fixed: with one threshold for all classes, `FIXED`.
        scores: how far the scores, as they are, can be taken for probabilities.
        probabilities: how far those can that the other videos lead to.
    """

    chosen: OperatingPoint
    fixed: OperatingPoint
    scores: Reliability
    probabilities: Reliability


def leave_out(
    truth: Annotations,
    detections: Mapping[str, Detections],
    *,
    tiou: float = 0.5,
    precision: float | None = None,
    parts: int = 5,
) -> LeftOut | None:
    """Choose and learn on all but a part of the videos, and apply it to that part; each part in turn.

    Args:
        truth: videos that the model was not trained on.
        detections: by video id.
        tiou: overlap from which a detection is right.
        precision: as for `choose_thresholds`.
        parts: how many; fewer if there are not so many videos.

    Returns:
        `None` where a part and its rest would not both have instances, as with a single video.
    """
    order = np.random.default_rng(0).permutation(sorted(truth.videos))
    held_out = [set(order[i::parts].tolist()) for i in range(min(parts, len(order)))]
    chosen: dict[str, Detections] = {}
    probable: list[Outcomes] = []
    for part in held_out:
        own = replace(truth, videos={id_: truth[id_] for id_ in truth.videos if id_ in part})
        rest = replace(truth, videos={id_: truth[id_] for id_ in truth.videos if id_ not in part})
        if not any(video.instances for video in rest):
            return None
        points = choose_thresholds(rest, detections, tiou=tiou, precision=precision)
        thresholds = {point.label: point.threshold for point in points}
        chosen |= {id_: above_thresholds(detections[id_], thresholds) for id_ in part if id_ in detections}
        score_map = learn_score_map(outcomes(rest, detections, tiou=tiou))
        found = outcomes(own, detections, tiou=tiou)
        probable.append(Outcomes(score_map(found.scores), found.right))
    after = Outcomes(np.concatenate([o.scores for o in probable]), np.concatenate([o.right for o in probable]))
    known = {id_: detections[id_] for id_ in truth.videos if id_ in detections}
    return LeftOut(
        quality(truth, chosen, tiou=tiou),
        quality(truth, {id_: each.above(FIXED) for id_, each in known.items()}, tiou=tiou),
        reliability(outcomes(truth, known, tiou=tiou)),
        reliability(after),
    )


@dataclass(frozen=True, eq=False)
class Outcomes:
    """n detections of all videos: their scores `[n]`, and whether each is right `[n]`."""

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]


def outcomes(truth: Annotations, detections: Mapping[str, Detections], *, tiou: float = 0.5) -> Outcomes:
    """Return what became of each detection of the videos in `truth`."""
    instances, pool = pool_instances(truth), pool_detections(truth, detections)
    return Outcomes(pool.scores, match(instances, pool, [tiou])[0] >= 0)


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """From scores to probabilities to be right: straight lines between k points, both coordinates never falling.

    Attributes:
        scores: `[k]`.
        probabilities: `[k]`, in [0, 1].
    """

    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities of scores, `[n] -> [n]`; beyond the ends, those of the ends."""
        if not len(self.scores):
            return np.zeros(len(scores))
        return np.interp(scores, self.scores, self.probabilities)


def learn_score_map(found: Outcomes) -> ScoreMap:
    """Learn probabilities from what became of detections, by isotonic regression."""
    scores, group, counts = np.unique(found.scores, return_inverse=True, return_counts=True)
    right = np.bincount(group, weights=found.right, minlength=len(scores))
    # Pool adjacent violators: a block takes in those before it that are better than it.
    blocks: list[tuple[float, int, float, float]] = []  # right, number, lowest and highest score
    for block in zip(right.tolist(), counts.tolist(), scores.tolist(), scores.tolist(), strict=True):
        blocks.append(block)
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last, before = blocks.pop(), blocks.pop()
            blocks.append((before[0] + last[0], before[1] + last[1], before[2], last[3]))
    steps = [(score, of / number) for of, number, low, high in blocks for score in sorted({low, high})]
    table = np.array(steps).reshape(-1, 2)
    return ScoreMap(table[:, 0], table[:, 1])


@dataclass(frozen=True, eq=False)
class Reliability:
    """How far scores can be taken for probabilities, in bins of equal width that hold a detection.

    Attributes:
        low: `[b]`, where each bin begins.
        high: `[b]`, where each bin ends.
        count: `[b]`, how many detections each bin has.
        score: `[b]`, their mean score.
        right: `[b]`, the part of them that is right.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]
    score: NDArray[np.float64]
    right: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of score and part that is right, over all detections."""
        total = self.count.sum()
        return float((self.count * np.abs(self.score - self.right)).sum() / total) if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        names = ("low", "high", "count", "score", "right")
        columns = [getattr(self, name).tolist() for name in names]
        return {
            "error": self.error,
            "bins": [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)],
        }


def reliability(found: Outcomes, bins: int = 15) -> Reliability:
    """Sort detections into bins by their score (Guo et al., ICML 2017)."""
    place = np.minimum((found.scores * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    there = count > 0
    score, right = (np.bincount(place, weights=w, minlength=bins)[there] for w in (found.scores, found.right))
    edges = np.arange(bins + 1) / bins
    return Reliability(edges[:-1][there], edges[1:][there], count[there], score / count[there], right / count[there])
