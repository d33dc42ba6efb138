"""Suppression of duplicates: soft (Gaussian) and hard non-maximum suppression, per class or over all classes.

A class's scores only ever fall, and of all classes only the best `max_detections` are wanted. So the best remaining
candidate of all classes is picked again and again, and only its own class's scores are updated: the result is the same,
to the last detection, as when every class is suppressed to its end and the best are taken then.

Everything is on the feature grid, in numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from untrimmed.detection.config import DetectionConfig

SIGMA = 0.5
HARD_TIOU = 0.1
LEAST_LENGTH = np.float32(1e-12)
Weight = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""What is left of the scores of candidates, by their tIoU with a better one; may write into its argument."""


@dataclass(frozen=True)
class Candidates:
    """Segments `[M, 2]` on the feature grid, scores `[M]` and class numbers `[M]`."""

    segments: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Candidates:
        """Return those that an index array or a mask picks."""
        return Candidates(self.segments[which], self.scores[which], self.labels[which])


def suppress(candidates: Candidates, config: DetectionConfig) -> Candidates:
    """Keep the best candidates and weaken or remove those that overlap with a better one; best first.

    Soft: the best remaining candidate is kept and the scores of the others, of its class, are multiplied by
    `exp(-tIoU^2 / sigma)`, until the best score is below `min_score`. Hard: those that overlap by `tiou` or more are
    removed. None: only sorted. At most `max_detections` are returned.
    """
    if config.suppression == "none":
        order = np.argsort(-candidates.scores, kind="stable")[: config.max_detections]
        return candidates.select(order)
    if config.suppression == "soft":
        sigma = np.float32(SIGMA if config.sigma is None else config.sigma)
        candidates = candidates.select(candidates.scores >= config.min_score)

        def weaken(tiou: NDArray[np.float32]) -> NDArray[np.float32]:
            np.multiply(tiou, tiou, out=tiou)
            tiou /= -sigma
            return np.exp(tiou, out=tiou)

        return _pick(candidates, weaken, config)
    threshold = HARD_TIOU if config.tiou is None else config.tiou
    candidates = candidates.select(candidates.scores > config.min_score)
    return _pick(candidates, lambda tiou: (tiou < threshold).astype(np.float32), config)


class _Group:
    """The candidates that can suppress each other: of one class, or all."""

    def __init__(self, candidates: Candidates, rows: NDArray[np.int64]) -> None:
        self.rows = rows
        self.scores = candidates.scores[rows]
        self._starts, self._ends = candidates.segments[rows].T.copy()
        self._lengths = np.maximum(self._ends - self._starts, LEAST_LENGTH)
        self.best = int(self.scores.argmax())

    def tious(self, i: int) -> NDArray[np.float32]:
        """Overlap of all with the one at `i`, as `segments.tiou` has it; that one takes twice as long."""
        overlap = np.minimum(self._ends, self._ends[i])
        overlap -= np.maximum(self._starts, self._starts[i])
        np.maximum(overlap, 0, out=overlap)
        union = self._lengths + self._lengths[i]
        union -= overlap
        overlap /= union
        return overlap

    def take_best(self, weight: Weight) -> None:
        """Take the best one out, and weaken the others."""
        self.scores *= weight(self.tious(self.best))
        self.scores[self.best] = 0
        self.best = int(self.scores.argmax())


def _pick(candidates: Candidates, weight: Weight, config: DetectionConfig) -> Candidates:
    """Pick the best candidate again and again, and weaken the others of its group."""
    if not len(candidates):
        return candidates
    labels = candidates.labels if config.per_class else np.zeros_like(candidates.labels)
    order = np.argsort(labels, kind="stable")
    groups = [_Group(candidates, rows) for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)]
    best = np.array([group.scores[group.best] for group in groups])
    picked: list[int] = []
    picked_scores: list[float] = []
    while len(picked) < config.max_detections:
        first = int(best.argmax())
        score, group = best[first], groups[first]
        if score < config.min_score or score <= 0:
            break
        picked.append(int(group.rows[group.best]))
        picked_scores.append(score)
        group.take_best(weight)
        best[first] = group.scores[group.best]
    chosen = candidates.select(np.array(picked, dtype=np.int64))
    return Candidates(chosen.segments, np.array(picked_scores, dtype=np.float32), chosen.labels)
