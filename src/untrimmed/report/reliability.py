"""The figure of reliability: how far scores, and what was learnt of them, can be taken for probabilities."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from untrimmed.evaluation.operating_point import Reliability
from untrimmed.report.svg import Chart, bar, element, line, text

_SIZE = 220.0
_LEFT, _TOP = 34.0, 8.0
_LEGEND_ROW = 18.0
_COLOURS = {"scores": 1, "probabilities": 0}
_SMALLEST, _LARGEST = 1.0, 9.0  # radius of a dot, of no and of the most detections


def reliability_chart(scores: Reliability, probabilities: Reliability) -> Chart:
    """Draw the part of the detections that is right over what was said of them, before and after calibration.

    Args:
        scores: of detections as the model scores them.
        probabilities: of the same with calibrated scores.
    """
    drawing: list[Markup] = []
    for percents in (0, 25, 50, 75, 100):
        x, y = _place(percents / 100, percents / 100)
        drawing += [
            line(_LEFT, y, _LEFT + _SIZE, y, class_="rule"),
            text(percents, _LEFT - 6, y + 4, anchor="end"),
            text(percents, x, _TOP + _SIZE + 16, anchor="middle"),
        ]
    drawing.append(line(*_place(0, 0), *_place(1, 1), class_="mean"))
    both = {"scores": scores, "probabilities": probabilities}
    for name, found in both.items():
        drawing += _dots(name, found)
    bottom = _TOP + _SIZE + 34
    for i, (name, found) in enumerate(both.items()):
        y = bottom + _LEGEND_ROW * i
        drawing += [
            bar(_LEFT, y, 11, 11, class_=f"colour-{_COLOURS[name]}"),
            text(f"{name}: expected calibration error {found.error:.3f}", _LEFT + 17, y + 9.5, class_="ink"),
        ]
    return Chart(
        name="reliability",
        title="How many detections are right",
        about=("% that are right, over the % that is said of them", "dots are larger where there are more detections"),
        description=" ".join(_described(name, found) for name, found in both.items()),
        width=_LEFT + _SIZE + 56,
        height=bottom + _LEGEND_ROW * len(both),
        body=Markup().join(drawing),
    )


def _place(said: float, right: float) -> tuple[float, float]:
    return _LEFT + _SIZE * said, _TOP + _SIZE * (1 - right)


def _dots(name: str, found: Reliability) -> Iterator[Markup]:
    """Draw a dot for each bin; its size says, as a logarithm, how many detections are in it."""
    most = np.log1p(found.count.max(initial=1))
    for count, score, right in zip(found.count, found.score, found.right, strict=True):
        x, y = _place(float(score), float(right))
        radius = _SMALLEST + (_LARGEST - _SMALLEST) * float(np.log1p(count) / most)
        tip = f"{name} of {100 * score:.1f} % on average: {100 * right:.1f} % of {count:,} detections are right"
        yield element("circle", element("title", tip), cx=x, cy=y, r=radius, class_=f"colour-{_COLOURS[name]}")


def _described(name: str, found: Reliability) -> str:
    bins = ", ".join(
        f"{100 * right:.1f} % at {100 * score:.1f} %" for score, right in zip(found.score, found.right, strict=True)
    )
    return f"Right by {name}: {bins or 'no detections'}. Expected calibration error {found.error:.3f}."
