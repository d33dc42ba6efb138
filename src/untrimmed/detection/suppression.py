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

from untrimmed import segments as geometry
from untrimmed.detection.config import DetectionConfig

SIGMA = 0.5
HARD_TIOU = 0.1


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
        return _pick(candidates, lambda tiou: np.exp(-(tiou * tiou) / sigma), config)
    threshold = HARD_TIOU if config.tiou is None else config.tiou
    candidates = candidates.select(candidates.scores > config.min_score)
    return _pick(candidates, lambda tiou: (tiou < threshold).astype(np.float32), config)


def _pick(
    candidates: Candidates, weight: Callable[[NDArray[np.float32]], NDArray[np.float32]], config: DetectionConfig
) -> Candidates:
    """Pick the best candidate again and again; `weight` says what is left of another's score, by its tIoU."""
    if not len(candidates):
        return candidates
    groups = candidates.labels if config.per_class else np.zeros_like(candidates.labels)
    order = np.argsort(groups, kind="stable")
    segments, scores = candidates.segments[order], candidates.scores[order]
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    parts = [slice(a, b) for a, b in zip(starts, [*starts[1:], len(order)], strict=True)]
    best = np.array([scores[part].max() for part in parts])
    picked: list[int] = []
    picked_scores: list[float] = []
    while len(picked) < config.max_detections:
        group = int(best.argmax())
        score = best[group]
        if score < config.min_score or score <= 0:
            break
        part = parts[group]
        index = int(part.start + scores[part].argmax())
        picked.append(index)
        picked_scores.append(score)
        scores[part] *= weight(geometry.tiou(segments[part], segments[index]))
        scores[index] = 0
        best[group] = scores[part].max()
    chosen = order[np.array(picked, dtype=np.int64)]
    return Candidates(candidates.segments[chosen], np.array(picked_scores, dtype=np.float32), candidates.labels[chosen])
