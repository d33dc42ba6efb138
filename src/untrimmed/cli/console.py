"""What all commands print with: tables and JSON on stdout, progress and warnings on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from untrimmed.evaluation.mean_ap import MeanAP

Item = TypeVar("Item")

_WIDTH_OF_FILES = 1000  # tables in files and pipes are as wide as they need to be


def warn(text: str) -> None:
    """Print a line on stderr about something that works, but is probably not meant."""
    print(f"untrimmed: warning: {text}", file=sys.stderr)


def show_json(values: Any) -> None:
    """Print values as JSON on stdout, and nothing else."""
    print(json.dumps(values, ensure_ascii=False))


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, texts: int = 1, last: bool = False
) -> None:
    """Print a table on stdout; the first `texts` columns are text, the rest numbers; `last` sets off the last row.

    Names of videos and classes are printed as they are, whatever they contain.
    """
    table = Table()
    for i, column in enumerate(columns):
        table.add_column(Text(column), justify="left" if i < texts else "right", no_wrap=i >= texts)
    body = [[Text(str(cell)) for cell in row] for row in rows]
    for i, row in enumerate(body):
        table.add_row(*row, end_section=last and i == len(body) - 2)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    console.print(Text(title, style="bold"), soft_wrap=True)
    console.print(table)


def show_score(title: str, score: MeanAP) -> None:
    """Print mean average precision by class and tIoU, in percent."""
    columns = ["class", "instances", *(f"{tiou:g}" for tiou in score.tious), "average"]
    rows: list[list[object]] = [
        [label, count, *(f"{100 * value:.2f}" for value in [*values, values.mean()])]
        for label, count, values in zip(score.labels, score.instances, score.ap.T, strict=True)
    ]
    means = [*score.by_tiou, score.average]
    rows.append(["mAP", score.instances.sum(), *(f"{100 * value:.2f}" for value in means)])
    show_table(title, columns, rows, last=True)


def bar(*, counted: bool = True) -> Progress:
    """Return a progress bar on stderr, which is gone when it is done; silent where stderr is no terminal.

    How many of how many are done is shown, unless what is done is not `counted`.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *([MofNCompleteColumn()] if counted else []),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def with_progress(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Pass items on, and show how many there were."""
    with bar() as progress:
        task = progress.add_task(description, total=total, note="")
        for item in items:
            yield item
            progress.advance(task)
