"""What a check found of lengths and levels: as rows of a table, and as figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from untrimmed.data.check.report import LevelCount, Report, count
from untrimmed.report.palette import CLASS_COLOURS
from untrimmed.report.svg import Chart, bar, line, text

BINS = 30
"""Bars of the figure of lengths; each is as much longer than the one before."""

LEVEL_COLUMNS = ("level", "stride, s", "to onset or offset, s", "instances", "%", "positive moments", "of")
"""What `level_rows` holds."""

_WIDTH = 360.0
_LEFT, _RIGHT, _TOP, _HEIGHT = 44.0, 10.0, 8.0, 170.0
_ROW = 18.0
_COLOUR = 0


def level_rows(report: Report) -> list[list[str]]:
    """Return a row for each level: its number, stride and range in seconds, instances, their share, positives."""
    total = len(report.lengths)
    return [
        [
            str(number),
            f"{level.stride:.3g}",
            range_in_words(level, report),
            f"{level.instances:,}",
            f"{100 * level.instances / max(1, total):.1f}",
            f"{level.positives:,}",
            f"{level.moments:,}",
        ]
        for number, level in enumerate(report.levels)
    ]


def range_in_words(level: LevelCount, report: Report) -> str:
    """Return the regression range of a level in seconds; one that ends beyond all instances is open."""
    if report.lengths and level.high > 2 * report.lengths[-1] and level is report.levels[-1]:
        return f"{level.low:.3g} and more"
    return f"{level.low:.3g} to {level.high:.3g}"


def length_chart(report: Report) -> Chart:
    """Draw how many training instances have which length, and below it which lengths each level is made for.

    A moment in the middle of an instance is half its length away from both ends, so a level with the range from `low`
    to `high` is made for lengths from twice `low` to twice `high`; a moment nearer to one of the ends is farther from
    the other, so that shorter instances are trained on too.
    """
    first, last, counts = _histogram(report.lengths)
    edges = np.geomspace(first, last, len(counts) + 1).tolist()
    most = max(1, *counts)
    bottom = _TOP + _HEIGHT
    drawing: list[Markup] = []
    for part in (0.0, 0.5, 1.0):
        y = bottom - part * _HEIGHT
        drawing += [line(_LEFT, y, _WIDTH - _RIGHT, y, class_="rule")]
        drawing += [text(f"{part * most:,.4g}", _LEFT - 6, y + 4, anchor="end")]
    for low, high, number in zip(edges[:-1], edges[1:], counts, strict=True):
        x, end = _x(low, first, last), _x(high, first, last)
        tip = f"{low:.3g} to {high:.3g} s: {count(number, 'instance')}"
        height = _HEIGHT * number / most
        drawing.append(bar(x, bottom - height, end - x - 0.6, height, class_=f"colour-{_COLOUR}", tip=tip))
    for value in _ticks(first, last):
        x = _x(value, first, last)
        drawing += [line(x, bottom, x, bottom + 4, class_="rule"), text(f"{value:g}", x, bottom + 16, anchor="middle")]
    drawing.append(text("seconds", _WIDTH - _RIGHT, bottom + 30, anchor="end", class_="small"))
    top = bottom + 38
    drawing += _bands(report, first, last, top)
    lengths = report.lengths
    return Chart(
        name="lengths",
        title="Lengths of instances, and the levels that are made for them",
        about=(
            "training instances of each length",
            "below: the lengths that each level is made for, and how many it is trained on",
        ),
        description=f"{count(len(lengths), 'instance')} of {lengths[0]:.3g} to {lengths[-1]:.3g} s, half of them of at "
        f"most {float(np.median(lengths)):.3g} s. " + " ".join(_described(report)),
        width=_WIDTH,
        height=top + _ROW * len(report.levels),
        body=Markup().join(drawing),
    )


def positives_chart(report: Report) -> Chart:
    """Draw how many moments of each level are trained on an instance."""
    left, right = 112.0, 118.0
    most = max(1, *(level.positives for level in report.levels))
    drawing: list[Markup] = []
    for number, level in enumerate(report.levels):
        y = _TOP + 1.5 * _ROW * number
        width = (_WIDTH - left - right) * level.positives / most
        share = level.positives / max(1, level.moments)
        drawing += [
            text(f"level {number}, {level.stride:.3g} s", left - 8, y + 14, anchor="end", class_="ink"),
            bar(left, y + 3, width, 1.5 * _ROW - 8, class_=_colour(number), tip=f"{level.positives:,} positives"),
            text(f"{level.positives:,}, {100 * share:.1f} %", left + width + 6, y + 14, class_="ink"),
        ]
    return Chart(
        name="positives",
        title="Positive moments of each level",
        about=("moments that are trained on an instance, and their part of all",),
        description=" ".join(_described(report)),
        width=_WIDTH,
        height=_TOP + 1.5 * _ROW * len(report.levels),
        body=Markup().join(drawing),
    )


def _histogram(lengths: Sequence[float]) -> tuple[float, float, list[int]]:
    """Return where the bars begin and end, and the number of instances in each."""
    first, last = lengths[0], lengths[-1]
    if last < 1.5 * first:  # all of a length
        first, last = first / 1.5, 1.5 * last
    values = np.clip(np.log(np.array(lengths)), math.log(first), math.log(last))
    counts, _ = np.histogram(values, bins=BINS, range=(math.log(first), math.log(last)))
    return first, last, counts.tolist()


def _bands(report: Report, first: float, last: float, top: float) -> Iterator[Markup]:
    for number, level in enumerate(report.levels):
        y = top + _ROW * number
        low, high = max(first, min(last, 2 * level.low)), max(first, min(last, 2 * level.high))
        x, end = _x(low, first, last), _x(high, first, last)
        said = f"level {number}: {level.instances:,}"
        tip = f"level {number}: {range_in_words(level, report)} s to onset or offset"
        yield bar(x, y + 2, max(2.0, end - x), _ROW - 5, class_=_colour(number), tip=tip)
        if end - x > 90:
            yield text(said, x + 6, y + 13, class_=f"small on-{number % CLASS_COLOURS}")
        elif end + 90 < _WIDTH:
            yield text(said, end + 6, y + 13, class_="small")
        else:
            yield text(said, x - 6, y + 13, anchor="end", class_="small")


def _colour(level: int) -> str:
    return f"colour-{level % CLASS_COLOURS}"


def _x(value: float, first: float, last: float) -> float:
    """Return where a length is drawn; each doubling takes the same width."""
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(value / first) / math.log(last / first)


def _ticks(first: float, last: float) -> list[float]:
    """Return round lengths within these: 1, 2 and 5 of each power of ten, or powers alone where these are many."""
    powers = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    factors = (1, 2, 5) if len(powers) <= 4 else (1,)
    ticks = [factor * 10.0**power for power in powers for factor in factors]
    return [tick for tick in ticks if first <= tick <= last]


def _described(report: Report) -> Iterator[str]:
    for number, level in enumerate(report.levels):
        yield (
            f"Level {number}: {range_in_words(level, report)} s, {count(level.instances, 'instance')}, "
            f"{level.positives:,} of {count(level.moments, 'moment')}."
        )
