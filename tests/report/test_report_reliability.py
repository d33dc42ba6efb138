from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from untrimmed.evaluation.operating_point import Outcomes, reliability
from untrimmed.report.reliability import reliability_chart

SVG = "{http://www.w3.org/2000/svg}"


def test_a_dot_for_each_bin() -> None:
    random = np.random.default_rng(0)
    scores = random.uniform(size=2000)
    right = random.uniform(size=2000) < scores**2
    before, after = reliability(Outcomes(scores, right)), reliability(Outcomes(scores**2, right))
    figure = ElementTree.fromstring(reliability_chart(before, after).as_file())
    circles = list(figure.iter(f"{SVG}circle"))
    assert len(circles) == len(before.count) + len(after.count)
    bottom, size = 8 + 220.0, 220.0
    for circle, said, found in zip(circles, before.score, before.right, strict=False):
        assert float(circle.attrib["cx"]) == np.round(34 + size * said, 2)
        assert abs(float(circle.attrib["cy"]) - (bottom - size * found)) < 0.01
        tip = circle.find(f"{SVG}title")
        assert tip is not None
        assert tip.text is not None
        assert tip.text.startswith(f"scores of {100 * said:.1f} % on average: {100 * found:.1f} % of ")
    description = figure.find(f"{SVG}desc")
    assert description is not None
    assert f"Expected calibration error {before.error:.3f}" in str(description.text)


def test_nothing_to_draw() -> None:
    nothing = reliability(Outcomes(np.empty(0), np.empty(0, bool)))
    chart = reliability_chart(nothing, nothing)
    assert "no detections" in chart.description
    ElementTree.fromstring(chart.as_file())
