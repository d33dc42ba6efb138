"""The candidates of a stream between the run in which they are read and the moment at which they leave."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.streaming.suppressing import final_scores, linked, unsettled
from untrimmed.detection.suppression import Candidates
from untrimmed.detection.voting import vote

Floats = NDArray[np.float64]
WAITING, LEFT, REMOVED = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Leaving:
    """Detections that leave, best first: segments `[n, 2]` on the feature grid, scores `[n]`, class numbers `[n]`."""

    segments: Floats
    scores: Floats
    labels: NDArray[np.int64]


@dataclass(eq=False)
class _Known:
    """All candidates that are known, a row for each.

    `since` is where what it is made of begins: it may reach further back, but nobody remembers what was there. `until`
    is where it has to leave. `final` is the score of one that has left.
    """

    segments: Floats
    scores: Floats
    labels: NDArray[np.int64]
    since: Floats
    until: Floats
    final: Floats
    state: NDArray[np.int8]

    @classmethod
    def none(cls) -> _Known:
        def floats() -> Floats:
            return np.zeros(0)

        labels, state = np.zeros(0, np.int64), np.zeros(0, np.int8)
        return cls(np.zeros((0, 2)), floats(), labels, floats(), floats(), floats(), state)

    def select(self, which: NDArray[np.bool_]) -> _Known:
        return _Known(**{name: values[which] for name, values in vars(self).items()})

    def joined(self, other: _Known) -> _Known:
        return _Known(**{name: np.concatenate([values, vars(other)[name]]) for name, values in vars(self).items()})


class WaitingRoom:
    """Where candidates wait until they have to leave, or until nothing to come can change them.

    Those that have left are remembered as long as one that is still to come, or still waits, may overlap with them.
    """

    def __init__(self, config: DetectionConfig) -> None:
        self._config = config
        self._known = _Known.none()

    def __len__(self) -> int:
        """How many candidates are held, waiting or remembered."""
        return len(self._known.scores)

    def add(self, read: Candidates, origin: int, since: float, until: float) -> None:
        """Take candidates that were read in one run.

        Args:
            read: candidates; positions count from `origin`.
            origin: position in the stream.
            since: position in the stream before which nothing lies that they are made of.
            until: position in the stream behind all that they could be made of; they leave as if they ended there, if
                they end later.
        """
        segments, scores = read.segments.astype(np.float64) + origin, read.scores.astype(np.float64)
        # As in suppression of whole recordings: what is too weak does not suppress, but votes.
        weak = scores < self._config.min_score
        if self._config.suppression == "none":
            weak[:] = False
        elif self._config.suppression == "hard":
            weak |= scores <= self._config.min_score
        new = _Known(
            segments,
            scores,
            read.labels.astype(np.int64),
            np.maximum(segments[:, 0], since),
            np.minimum(segments[:, 1], until),
            np.zeros(len(scores)),
            np.where(weak, REMOVED, WAITING).astype(np.int8),
        )
        self._known = self._known.joined(new if self._config.voting_tiou is not None else new.select(~weak))

    def leave(self, limit: float, horizon: float) -> Leaving:
        """Let those leave that end before `limit`, or cannot change any more.

        Args:
            limit: position; infinite for all, and minus infinity for those alone that cannot change any more.
            horizon: position before which nothing begins that is still to come.
        """
        known, config = self._known, self._config
        waiting = known.state == WAITING
        if config.suppression == "none":
            chosen, final = waiting, known.scores
        else:
            due = waiting & (known.until < limit)
            exact = limit == -math.inf
            final = known.final.copy()
            labels = known.labels if config.per_class else np.zeros_like(known.labels)
            for label in np.unique(labels[waiting if exact else due]):
                rows = np.flatnonzero((labels == label) & (known.state != REMOVED))
                if exact:
                    self._suppress(rows, final)
                    scores = known.scores[rows]
                    open_ = unsettled(known.segments[rows], scores, final[rows], horizon)
                    due[rows] = waiting[rows] & ~open_
                else:
                    self._suppress(self._concerning(rows, due[rows]), final)
            chosen = due & (final > 0)
            known.state[due & ~chosen] = REMOVED
        known.final[chosen] = final[chosen]
        known.state[chosen] = LEFT
        left = self._leaving(chosen)
        self._forget(horizon)
        return left

    def _concerning(self, rows: NDArray[np.int64], due: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return those rows that matter to the due ones: waiting ones linked to these, and who has left beside them."""
        known = self._known
        still = known.state[rows] == WAITING
        waiting = rows[still]
        groups = linked(known.segments[waiting])
        waiting = waiting[np.isin(groups, groups[due[still]])]
        starts, ends = known.segments[waiting].T
        left = rows[~still]
        first, last = known.segments[left].T
        return np.concatenate([waiting, left[(last > starts.min()) & (first < ends.max())]])

    def _suppress(self, rows: NDArray[np.int64], final: Floats) -> None:
        known = self._known
        left = known.state[rows] == LEFT
        scores = np.where(left, known.final[rows], known.scores[rows])
        final[rows] = final_scores(known.segments[rows], scores, left, self._config)

    def _leaving(self, chosen: NDArray[np.bool_]) -> Leaving:
        known = self._known
        rows = np.flatnonzero(chosen)
        rows = rows[np.argsort(-known.final[rows], kind="stable")]
        segments = known.segments[rows]
        if self._config.voting_tiou is not None and len(rows):
            origin = segments[0, 0]  # votes are weighed in float32, in which large positions would be rounded
            every = Candidates(
                (known.segments - origin).astype(np.float32), known.scores.astype(np.float32), known.labels
            )
            voted = vote((segments - origin).astype(np.float32), every, self._config.voting_tiou)
            segments = voted.astype(np.float64) + origin
        return Leaving(segments, known.final[rows], known.labels[rows])

    def _forget(self, horizon: float) -> None:
        """Forget those that do not wait and that none overlaps with which waits, or is still to come."""
        known = self._known
        waiting = known.state == WAITING
        before = min(horizon, float(known.since[waiting].min(initial=math.inf)))
        kept = waiting | (known.until > before)
        if self._config.suppression == "none":
            kept = waiting
        elif self._config.voting_tiou is None:
            kept &= known.state != REMOVED
        self._known = known.select(kept)
