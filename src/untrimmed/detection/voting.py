"""Segment voting: each detection's boundaries are blurred with those of the candidates that it stands for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from untrimmed import segments as geometry
from untrimmed.detection.suppression import Candidates


def vote(segments: NDArray[np.float32], candidates: Candidates, tiou: float) -> NDArray[np.float32]:
    """Replace each segment by a mean of all candidates whose tIoU with it is `tiou` or more.

    They are weighted by score times tIoU.

    Args:
        segments: `[n, 2]`, what suppression left; each is one of the candidates, so there is always one.
        candidates: M of them, as they were before suppression, with their original scores.
        tiou: the overlap that makes a candidate count.

    Returns:
        `[n, 2]`.
    """
    overlap = geometry.pairwise_tiou(segments, candidates.segments)
    weights = (overlap >= tiou) * overlap * candidates.scores
    return weights @ candidates.segments / weights.sum(axis=1, keepdims=True)
