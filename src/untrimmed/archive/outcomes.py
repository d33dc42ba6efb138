"""What came of an archive: a line of JSON for each recording, and the sum of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from untrimmed.data.features.writing import writing
from untrimmed.data.remote import is_address, name_at, shown

SHOWN = 20
"""Failures and damaged videos that are kept to be shown; all are in the file."""


def outcomes_beside(out: str | Path) -> Path:
    """Return the file of outcomes that belongs to a folder: beside it, for the folder is as without Ray.

    Of a folder at an address, it is in the current one.
    """
    place = Path.cwd() / (name_at(str(out).rstrip("/")) if is_address(str(out)) else out)
    return place.with_name(f"{place.name}.outcomes.jsonl")


@dataclass
class Tally:
    """The sum of what came of recordings.

    Attributes:
        done: recordings with results that were made in this run.
        were_there: recordings that nothing had to be done for.
        failed: recordings without results.
        rows: of the features that were made.
        seconds: of video that were read.
        failures: id, path and error of the first that failed.
        damaged: path and number of packets of the first with damaged packets.
    """

    done: int = 0
    were_there: int = 0
    failed: int = 0
    rows: int = 0
    seconds: float = 0.0
    failures: list[tuple[str, str, str]] = field(default_factory=list)
    damaged: list[tuple[str, int]] = field(default_factory=list)

    def add(self, outcome: Mapping[str, Any]) -> None:
        """Count one recording, as its worker told of it."""
        if outcome["error"] is not None:
            self.failed += 1
            if len(self.failures) < SHOWN:
                self.failures.append((outcome["id"], shown(outcome["path"]), outcome["error"]))
        elif outcome["was_there"]:
            self.were_there += 1
        else:
            self.done += 1
            self.rows += outcome.get("rows") or 0
        self.seconds += outcome["duration"] or 0.0
        if outcome.get("damaged") and len(self.damaged) < SHOWN:
            self.damaged.append((shown(outcome["path"]), outcome["damaged"]))

    @property
    def recordings(self) -> int:
        """All of them."""
        return self.done + self.were_there + self.failed


class OutcomeFile:
    """A file that a line is added to for each recording as it ends; it is of one run, and begun anew by the next."""

    def __init__(self, path: Path) -> None:
        """Begin the file.

        Raises:
            UnwritableError: if it cannot be written.
        """
        self._path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", buffering=1)  # a line at a time

    def add(self, outcome: Mapping[str, Any]) -> None:
        """Write a line; of an address, without what is secret in it.

        Raises:
            UnwritableError: if the disk is full, for example.
        """
        told = dict(outcome) | {"path": shown(outcome["path"])}
        with writing(self._path):
            self._file.write(json.dumps(told, ensure_ascii=False) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with writing(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
