"""The scores of all moments of a video, small enough for a page: 8 bits each, few classes, zlib, base64."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from untrimmed.detection.level_scores import LevelScores

MOST_COLUMNS = 2048
"""Columns of a level; where it has more moments, neighbours are joined to one column that shows the higher score."""
MOST_CLASSES = 6
"""Classes that can be looked at by themselves in a video, if the truth does not have more."""
OTHER_CLASS = 255
"""Stands in the plane of winners for a class that is none of the chosen ones."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Quantised scores of the moments of L levels.

    Attributes:
        classes: the chosen classes, class numbers of the localizer.
        first: `[L]`, time of the first column of each level, in seconds.
        step: `[L]`, from one column to the next, in seconds.
        joined: `[L]`, how many moments a column stands for.
        planes: for each level `[2 + n_classes, columns]`: the highest score over all classes; the class that has it, as
            an index into `classes`, or `OTHER_CLASS`; the scores of the chosen classes. Scores in 255ths.
    """

    classes: tuple[int, ...]
    first: tuple[float, ...]
    step: tuple[float, ...]
    joined: tuple[int, ...]
    planes: tuple[NDArray[np.uint8], ...]

    def as_dict(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Return it as what can be written as JSON; `numbers` are the page's class numbers, by those of the localizer.

        `data` holds the bytes of all levels, plane after plane, as zlib makes them small, in base64.
        """
        raw = b"".join(plane.tobytes() for plane in self.planes)
        return {
            "classes": [numbers[c] for c in self.classes],
            "first": [round(x, 4) for x in self.first],
            "step": [round(x, 6) for x in self.step],
            "joined": list(self.joined),
            "columns": [plane.shape[1] for plane in self.planes],
            "data": base64.b64encode(zlib.compress(raw, 9)).decode(),
        }


def heat_map(levels: Sequence[LevelScores], wanted: Sequence[int] = ()) -> HeatMap:
    """Make the heat map of a video.

    Args:
        levels: finest first.
        wanted: class numbers to choose in any case, those of the truth; more are chosen by their highest score.
    """
    planes, first, step, joined = [], [], [], []
    classes = _chosen(levels, wanted)
    place = np.full(max((level.scores.shape[1] for level in levels), default=0), OTHER_CLASS, np.uint8)
    place[list(classes)] = np.arange(len(classes))
    for level in levels:
        by = max(1, -(-len(level.seconds) // MOST_COLUMNS))
        scores = _joined(level.scores, by)
        best = scores.argmax(axis=1)
        rows = [scores.max(axis=1), *(scores[:, c] for c in classes)]
        quantised = np.round(np.clip(np.nan_to_num(np.stack(rows)), 0, 1) * 255).astype(np.uint8)
        planes.append(np.concatenate([quantised[:1], place[best][None], quantised[1:]]))
        first.append(float(level.seconds[0]) + (by - 1) / 2 * level.stride if len(level.seconds) else 0.0)
        step.append(by * level.stride)
        joined.append(by)
    return HeatMap(classes, tuple(first), tuple(step), tuple(joined), tuple(planes))


def _chosen(levels: Sequence[LevelScores], wanted: Sequence[int]) -> tuple[int, ...]:
    """Choose the wanted classes, and those with the highest scores until there are enough."""
    peaks = [level.scores.max(axis=0) for level in levels if len(level.scores)]
    best = np.argsort(-np.max(peaks, axis=0), kind="stable").tolist() if peaks else []
    chosen = list(dict.fromkeys(wanted))[: OTHER_CLASS - 1]
    chosen += [c for c in best if c not in chosen][: max(0, MOST_CLASSES - len(chosen))]
    return tuple(sorted(chosen))


def _joined(scores: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    """Join every `by` neighbours to one by the maximum: `[n, C] -> [ceil(n / by), C]`."""
    if by == 1 or not len(scores):
        return scores
    return np.maximum.reduceat(scores, np.arange(0, len(scores), by), axis=0)
