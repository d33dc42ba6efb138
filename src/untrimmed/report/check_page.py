"""The page of a check: what is wrong with a data set, how long its actions are, and what would suit them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from untrimmed.data.check.report import Report, count
from untrimmed.data.files import write_atomically
from untrimmed.report.check_figures import LEVEL_COLUMNS, length_chart, level_rows, positives_chart
from untrimmed.report.rendering import render


def build_check_page(report: Report, suggestions: Sequence[Mapping[str, str]], title: str) -> str:
    """Return a page as HTML without a script.

    Args:
        report: what was found.
        suggestions: each with `key`, `value`, `current` and `reason`, in words.
        title: any text, such as the name of the configuration.
    """
    return render(
        "check.html.jinja",
        title=title,
        report=report,
        summary=f"{count(len(report.errors), 'error')}, {count(len(report.warnings), 'warning')}",
        charts=(length_chart(report), positives_chart(report)) if report.levels and report.lengths else (),
        columns=LEVEL_COLUMNS,
        levels=level_rows(report),
        suggestions=suggestions,
    )


def write_check_page(report: Report, suggestions: Sequence[Mapping[str, str]], title: str, path: str | Path) -> None:
    """Write the page.

    Raises:
        OSError: if it cannot be written.
    """
    write_atomically(path, build_check_page(report, suggestions, title))
