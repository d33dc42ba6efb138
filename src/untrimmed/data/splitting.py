"""Which videos to train on and which to validate on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations

TRAIN, VALIDATE = "train", "val"
"""What the two subsets are called."""
SHARE = 0.2
"""Part of the videos that validate."""
FEWEST = 3
"""Videos below which there is no validation: every one is needed to train."""
_MOST_PAIRS = 50_000  # of a training and a validation video, up to which exchanging them is tried
_MOST_SWAPS = 200

Counts = NDArray[np.float64]
"""`[videos, classes]`: instances of each class in each video."""
Choice = NDArray[np.bool_]
"""`[videos]`: whether a video validates."""


def validation_videos(annotations: Annotations) -> frozenset[str]:
    """Choose the videos to validate on; none if there are fewer than three, or if every video is needed to train.

    About a fifth of the videos, more only where it takes more to have the classes. Every class keeps a training video.
    A class with two videos or more has one that validates, as far as can be: two classes that share their videos can
    stand in each other's way. Within this, the instances of every class, and the videos without actions, are spread
    so that validation has a fifth of each, as nearly as a greedy choice and exchanges of two videos get there.

    The choice depends on what is in the videos and on their ids, not on their order.
    """
    ids = sorted(annotations.videos, key=lambda id_: hashlib.sha256(id_.encode()).digest())
    counts = _counts(annotations, ids)
    size = round(SHARE * len(ids)) or 1
    if len(ids) < FEWEST:
        return frozenset()
    split = _Split(counts)
    split.cover()
    split.fill(size)
    split.exchange()
    if not split.has[split.chosen, :-1].any():  # nothing to score on
        return frozenset()
    return frozenset(ids[i] for i in np.flatnonzero(split.chosen))


def _counts(annotations: Annotations, ids: Sequence[str]) -> Counts:
    """Count the instances of each video by class; a video without any has one of a class of its own, the last."""
    counts = np.zeros((len(ids), len(annotations.labels) + 1))
    for row, id_ in enumerate(ids):
        numbers = annotations.label_numbers(annotations[id_])
        np.add.at(counts[row], numbers if len(numbers) else [-1], 1)
    return counts


class _Split:
    """Videos that are being split.

    Every class counts alike: `weights` are the instances of the videos, `[videos, classes]`, so scaled that the squared
    distance of the chosen ones' sum from `ideal`, `[classes]`, says how badly the classes are spread.
    """

    def __init__(self, counts: Counts) -> None:
        total = np.maximum(counts.sum(0), 1)
        self.has = counts > 0
        self.weights = counts / np.sqrt(total)
        self.ideal = SHARE * counts.sum(0) / np.sqrt(total)
        self.chosen = np.zeros(len(counts), dtype=np.bool_)

    @property
    def movable(self) -> Choice:
        """Which training videos may validate: those after which every class still has a training video."""
        last = self.has[~self.chosen].sum(0) == 1
        return ~self.chosen & ~self.has[:, last].any(1)

    @property
    def _lack(self) -> Counts:
        """What the chosen videos have too much, or if negative too little, `[classes]`."""
        return self.weights[self.chosen].sum(0) - self.ideal

    def _choose(self, among: NDArray[np.int64]) -> None:
        """Choose the one of these videos that spreads the classes best."""
        weights = self.weights[among]
        self.chosen[among[((weights**2).sum(1) + 2 * weights @ self._lack).argmin()]] = True

    def cover(self) -> None:
        """Choose videos until validation has every class that it can have, those with most missing classes first."""
        wanted = self.has.sum(0) >= 2
        wanted[-1] = False  # to have no actions is no class
        while True:
            missing = wanted & ~self.has[self.chosen].any(0)
            gain = np.where(self.movable, self.has[:, missing].sum(1), 0)
            if not gain.any():
                return
            self._choose(np.flatnonzero(gain == gain.max()))

    def fill(self, size: int) -> None:
        """Choose further videos up to `size`."""
        while self.chosen.sum() < size and len(free := np.flatnonzero(self.movable)):
            self._choose(free)

    def exchange(self) -> None:
        """Exchange a video that trains and one that validates, as long as that spreads the classes better."""
        size = int(self.chosen.sum())
        if not 0 < size * (len(self.chosen) - size) <= _MOST_PAIRS:
            return
        for _ in range(_MOST_SWAPS):
            into, out = np.flatnonzero(~self.chosen), np.flatnonzero(self.chosen)
            has_into, has_out = self.has[into].astype(np.float64), self.has[out].astype(np.float64)
            loses = has_into * (has_into.sum(0) == 1) @ (1 - has_out).T  # classes that training would not have any more
            loses += (1 - has_into) @ (has_out * (has_out.sum(0) == 1)).T  # and validation
            a, b, lack = self.weights[into], self.weights[out], self._lack
            # The change is a - b, and the gain -|a - b|^2 - 2 (a - b) lack, of each pair: [train, validate].
            cost_a, cost_b = (a**2).sum(1) + 2 * a @ lack, (b**2).sum(1) - 2 * b @ lack
            gain = 2 * a @ b.T - cost_a[:, None] - cost_b
            gain[loses > 0] = -np.inf
            best = np.unravel_index(gain.argmax(), gain.shape)
            if gain[best] <= 1e-9:
                return
            self.chosen[into[best[0]]], self.chosen[out[best[1]]] = True, False
