"""Marks that overlap, laid into rows of which each has no overlap, for tools that can show no other."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable

from untrimmed.data.formats.exchange.timeline import Mark


def lanes(marks: Iterable[Mark], times: Callable[[Mark], tuple[float, float]]) -> list[list[Mark]]:
    """Return marks in as few rows as it takes for none to overlap another one in its row.

    Args:
        marks: in any order.
        times: start and end of a mark, as the tool will have them.
    """
    rows: list[list[Mark]] = []
    ends: list[tuple[float, int]] = []
    free: list[int] = []
    for mark in sorted(marks, key=times):  # stable
        start, end = times(mark)
        while ends and ends[0][0] <= start:
            heapq.heappush(free, heapq.heappop(ends)[1])
        if free:
            row = heapq.heappop(free)
            rows[row].append(mark)
        else:
            row = len(rows)
            rows.append([mark])
        heapq.heappush(ends, (end, row))
    return rows
