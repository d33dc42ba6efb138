"""What a model says of every moment, level by level: what detections are made of, and what heat maps show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from untrimmed.model.network import Predictions
from untrimmed.time_grid import TimeGrid


@dataclass(frozen=True, eq=False)
class LevelScores:
    """What the model says of every moment of one level of the pyramid; n moments, C classes.

    Attributes:
        seconds: `[n]`, times of the moments: the centres of the clips that they sit at.
        scores: `[n, C]`, probability of each class.
        stride: from one moment to the next, in seconds.
    """

    seconds: NDArray[np.float64]
    scores: NDArray[np.float32]
    stride: float


def level_scores(
    predictions: Predictions, lengths: list[int], strides: Sequence[int], grid: TimeGrid
) -> tuple[LevelScores, ...]:
    """Return the scores of the one recording that predictions are of, finest level first.

    Args:
        predictions: of a batch of one.
        lengths: moments that each level has, padded ones included.
        strides: of the levels, in clips.
        grid: where the clips lie.
    """
    valid, moments = predictions.valid[0].cpu(), predictions.moments.cpu()
    scores = predictions.logits[0].sigmoid().cpu()
    levels = zip(valid.split(lengths), moments.split(lengths), scores.split(lengths), strict=True)
    return tuple(
        LevelScores(
            seconds=grid.to_seconds(of_moments[there, 0].numpy().astype(np.float64)),
            scores=of_scores[there].numpy(),
            stride=stride * grid.stride / grid.rate,
        )
        for stride, (there, of_moments, of_scores) in zip(strides, levels, strict=True)
    )
