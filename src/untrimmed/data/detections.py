"""What a localizer says about one video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Detection:
    """An action of one class from `start` to `end`, in seconds, with a score in [0, 1]."""

    start: float
    end: float
    label: str
    score: float

    def __str__(self) -> str:
        return f"{self.start:8.2f} s  {self.end:8.2f} s  {self.score:5.2f}  {self.label}"


@dataclass(frozen=True, eq=False)
class Detections(Sequence[Detection]):
    """All detections of one video, best first; arrays inside, `Detection`s when iterated or indexed.

    `segments` is `[n, 2]` in seconds, `scores` is `[n]`, `labels` is `[n]` class numbers that index `label_names`.
    """

    video_id: str
    segments: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.scores)
        assert self.segments.shape == (n, 2), self.segments.shape
        assert self.labels.shape == (n,), self.labels.shape

    def __len__(self) -> int:
        return len(self.scores)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Detections):
            return NotImplemented
        return (
            self.video_id == other.video_id
            and self.label_names == other.label_names
            and np.array_equal(self.segments, other.segments)
            and np.array_equal(self.scores, other.scores)
            and np.array_equal(self.labels, other.labels)
        )

    __hash__ = None  # type: ignore[assignment]  # as arrays have none

    @overload
    def __getitem__(self, index: int) -> Detection: ...

    @overload
    def __getitem__(self, index: slice) -> Detections: ...

    def __getitem__(self, index: int | slice) -> Detection | Detections:
        if isinstance(index, slice):
            return self.select(np.arange(len(self))[index])
        start, end = self.segments[index]
        label = self.label_names[self.labels[index]]
        return Detection(float(start), float(end), label, float(self.scores[index]))

    def __iter__(self) -> Iterator[Detection]:
        return (self[i] for i in range(len(self)))

    def select(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Detections:
        """Return those detections that an index array or a mask `[n]` picks."""
        return replace(self, segments=self.segments[which], scores=self.scores[which], labels=self.labels[which])

    def above(self, score: float) -> Detections:
        """Return the detections that score at least this much."""
        return self.select(self.scores >= score)
