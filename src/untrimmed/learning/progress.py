"""Where a training run stands."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Progress:
    """Where a run stands. Random numbers are drawn from the seed and the step, so they need no state of their own.

    Attributes:
        epoch: the epoch that is going on, from 0.
        batch: batches of it that are done.
        step: optimiser steps since the start.
        history: a row of figures for each finished epoch.
        best: highest average mAP so far, and its epoch.
        worse: validations since the best one.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0
    worse: int = 0
