"""How training went, from a run's `metrics.csv`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class History:
    """The figures of each epoch: `epochs` `[n]`, and by name a column `[n]` with `None` where there is no figure."""

    epochs: tuple[float, ...] = ()
    columns: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


def read_history(path: Path) -> History:
    """Read a `metrics.csv`.

    What is not there or is no number is left out: a page without curves is better than none.
    """
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            rows = [row for row in csv.DictReader(file) if _number(row.get("epoch")) is not None]
    except (OSError, csv.Error):
        return History()
    names = [name for name in (rows[0] if rows else {}) if isinstance(name, str) and name != "epoch"]
    epochs = [_number(row["epoch"]) for row in rows]
    columns = {name: tuple(_number(row.get(name)) for row in rows) for name in names}
    return History(tuple(epoch for epoch in epochs if epoch is not None), columns)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
