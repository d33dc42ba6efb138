"""Which lane of a timeline each bar lies in."""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np
from numpy.typing import NDArray


def lanes(segments: NDArray[np.float64]) -> NDArray[np.int64]:
    """Put segments into lanes, so that those of a lane do not overlap: `[n, 2] -> [n]`, from 0 up.

    They take their turns in the order given, each in the first lane with room. So where those that come first are kept
    and the rest is hidden, nothing has to move, and no lane between others is empty. Segments that only touch share a
    lane.
    """
    taken: list[list[tuple[float, float]]] = []
    of = np.zeros(len(segments), np.int64)
    for i, (start, end) in enumerate(segments.tolist()):
        lane = next((k for k, bars in enumerate(taken) if _has_room(bars, start, end)), len(taken))
        if lane == len(taken):
            taken.append([])
        insort(taken[lane], (start, end))
        of[i] = lane
    return of


def _has_room(bars: list[tuple[float, float]], start: float, end: float) -> bool:
    """Whether a segment overlaps with none of these, which are sorted and do not overlap with each other."""
    following = bisect_left(bars, (start, end))
    free_before = following == 0 or bars[following - 1][1] <= start
    free_after = following == len(bars) or end <= bars[following][0]
    # Bars without length at the same time would lie on top of each other.
    return free_before and free_after and (start, end) not in bars[following : following + 1]
