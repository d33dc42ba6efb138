from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.check.report import Finding, LevelCount, Report
from untrimmed.report.check_figures import LEVEL_COLUMNS, length_chart, level_rows, positives_chart
from untrimmed.report.check_page import build_check_page, write_check_page

LEVELS = (LevelCount(0.1, 0.0, 0.4, 3, 4, 100), LevelCount(0.2, 0.4, 1000.0, 2, 5, 50))
REPORT = Report(
    (Finding("warning", "<here>", "odd & strange"), Finding("error", "there", "wrong")),
    {"training": 2},
    (),
    LEVELS,
    (0.5, 0.7, 0.7, 3.0),
)


def test_rows() -> None:
    rows = level_rows(REPORT)
    assert rows == [
        ["0", "0.1", "0 to 0.4", "3", "75.0", "4", "100"],
        ["1", "0.2", "0.4 and more", "2", "50.0", "5", "50"],
    ]
    assert all(len(row) == len(LEVEL_COLUMNS) for row in rows)


def test_figures() -> None:
    lengths, positives = length_chart(REPORT), positives_chart(REPORT)
    assert lengths.description.startswith(
        "4 instances of 0.5 to 3 s, half of them of at most 0.7 s. Level 0: 0 to 0.4 s"
    )
    drawn = str(lengths.body)
    counts = [int(n) for n in re.findall(r"s: (\d+) instance", drawn)]
    assert sum(counts) == 4
    assert "5, 10.0 %" in str(positives.body)


@given(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=30))
def test_any_lengths_can_be_drawn(lengths: list[float]) -> None:
    chart = length_chart(Report((), {}, (), LEVELS, tuple(sorted(lengths))))
    assert sum(int(n.replace(",", "")) for n in re.findall(r"s: ([\d,]+) instance", str(chart.body))) == len(lengths)
    for value in re.findall(r' (?:x|width|height|y)="(-?[\d.]+)"', str(chart.body)):
        assert -5 <= float(value) <= 1000
    assert "nan" not in str(chart.body)


def test_the_page_escapes_what_it_is_given(tmp_path: Path) -> None:
    suggestions = [{"key": "a.b", "value": "<x>", "current": "not set", "reason": "Because."}]
    write_check_page(REPORT, suggestions, "<title>", tmp_path / "check.html")
    html = (tmp_path / "check.html").read_text()
    assert "&lt;here&gt;" in html
    assert "&lt;title&gt;" in html
    assert "<here>" not in html
    assert html.index("there") < html.index("&lt;here&gt;")  # errors first
    assert "1 error, 1 warning" in html
    assert html.count('<svg class="figure"') == 2
    assert "Now not set. Because." in html


@pytest.mark.parametrize("report", [Report((), {}, ()), Report((), {"training": 0}, (), LEVELS, ())])
def test_a_page_without_figures(report: Report) -> None:
    html = build_check_page(report, [], "x")
    assert "<svg" not in html
    assert "Nothing is wrong." in html
