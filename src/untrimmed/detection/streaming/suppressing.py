"""Soft and hard suppression of candidates of which some have left already, with their scores.

As in `untrimmed.detection.suppression` the best remaining candidate is picked again and again, and weakens the others
that it overlaps with. One that has left is picked in its turn, by the score that it left with, and is not weakened any
more. So a candidate is weakened by exactly those that are better, whether these have left or not: where none has left
that a better one would have weakened, all scores are those of suppression over all candidates at once.

Candidates that are not linked by overlaps, directly or through others, do not matter to each other. Positions are
float64, since those of a stream grow.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.suppression import HARD_TIOU, SIGMA

Floats = NDArray[np.float64]


def final_scores(segments: Floats, scores: Floats, left: NDArray[np.bool_], config: DetectionConfig) -> Floats:
    """Return the scores `[n]` after suppression, of candidates that can suppress each other; 0 of those removed.

    Args:
        segments: `[n, 2]`.
        scores: `[n]`; of those that have left, the score that they left with.
        left: `[n]`.
        config: how to suppress.
    """
    starts, ends = segments.T.copy()
    lengths = np.maximum(ends - starts, 1e-12)
    current, final = scores.copy(), np.zeros_like(scores)
    while len(current):
        best = int(current.argmax())
        if current[best] < config.min_score or current[best] <= 0:
            break
        final[best] = current[best]
        overlap = np.minimum(ends, ends[best]) - np.maximum(starts, starts[best])
        near = np.flatnonzero((overlap > 0) & ~left)
        tiou = overlap[near] / (lengths[near] + lengths[best] - overlap[near])
        current[near] *= _weight(tiou, config)
        current[best] = -1.0
    return final


def _weight(tiou: Floats, config: DetectionConfig) -> Floats:
    """Return what is left of scores."""
    if config.suppression == "soft":
        return np.exp(-(tiou**2) / (SIGMA if config.sigma is None else config.sigma))
    return (tiou < (HARD_TIOU if config.tiou is None else config.tiou)).astype(np.float64)


def linked(segments: Floats) -> NDArray[np.int64]:
    """Return a number `[n]` for each segment, the same for those that are linked by overlaps."""
    order = np.argsort(segments[:, 0], kind="stable")
    furthest = np.maximum.accumulate(segments[order, 1])
    numbers = np.empty(len(segments), np.int64)
    numbers[order] = np.concatenate([[0], np.cumsum(segments[order[1:], 0] >= furthest[:-1])])
    return numbers


def unsettled(segments: Floats, scores: Floats, final: Floats, horizon: float) -> NDArray[np.bool_]:
    """Return which candidates `[n]` could still get another score from candidates that begin at `horizon` or later.

    Those are the candidates that reach beyond the horizon; and any that overlaps with one of these (or one of those,
    and so on) whose score before suppression is as good as its own after it.

    Args:
        segments: `[n, 2]`.
        scores: `[n]`, before suppression.
        final: `[n]`, after it.
        horizon: earliest position at which a later candidate begins.
    """
    open_ = segments[:, 1] > horizon
    new = np.flatnonzero(open_)
    while len(new):
        starts, ends = segments.T
        reached = np.zeros(len(open_), bool)
        for i in new:
            reached |= (np.minimum(ends, ends[i]) > np.maximum(starts, starts[i])) & (scores[i] >= final)
        new = np.flatnonzero(reached & ~open_)
        open_ |= reached
    return open_
