"""What all commands print with: tables and JSON on stdout, progress on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from untrimmed.evaluation.mean_ap import MeanAP

Item = TypeVar("Item")


def say(text: str) -> None:
    """Print a line for a person on stdout; what it says is never read as markup."""
    Console(soft_wrap=True, highlight=False).print(escape(text))


def show_json(values: Any) -> None:
    """Print values as JSON on stdout, and nothing else."""
    print(json.dumps(values, ensure_ascii=False))


def show_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, texts: int = 1, last: bool = False
) -> None:
    """Print a table on stdout; the first `texts` columns are text, the rest numbers; `last` sets off the last row."""
    table = Table(title=escape(title), title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        table.add_column(escape(column), justify="left" if i < texts else "right")
    body = [[escape(str(cell)) for cell in row] for row in rows]
    for i, row in enumerate(body):
        table.add_row(*row, end_section=last and i == len(body) - 2)
    Console(highlight=False).print(table)


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


def bar() -> Progress:
    """Return a progress bar on stderr, which is gone when it is done; silent where stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def counted(description: str, total: int) -> Iterator[Any]:
    """Context with a function to call after each of `total` pieces of work, shown as a progress bar."""
    with bar() as progress:
        task = progress.add_task(escape(description), total=total, note="")
        yield lambda *_: progress.advance(task)


def with_progress(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Pass items on, and show how many there were."""
    with counted(description, total) as done:
        for item in items:
            yield item
            done()
