"""Where workers put the features that they make: a folder of this machine, or one in an object store."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from untrimmed.data.features import FeatureDescription
from untrimmed.data.features.description import FILE_NAME
from untrimmed.data.features.formats import FORMATS
from untrimmed.data.features.numpy_file import read_header
from untrimmed.data.features.writing import feature_folder, refuse_other_features
from untrimmed.data.out_folder import LocalFolder, OutFolder
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.video.extraction.manifest import Entry
from untrimmed.video.extraction.one_video import SHOTS, Outcome, Task
from untrimmed.video.extraction.planning import checked_rows, plan_one

HEADER = 256
"""Bytes of a `.npy` file that hold its header; ours have 128."""


@dataclass(frozen=True)
class FeatureStore:
    """A folder with features of many videos.

    Attributes:
        folder: the folder.
        description: of the features.
        every: what all tasks have in common.
        shots: whether cuts are wanted.
    """

    folder: OutFolder
    description: FeatureDescription
    every: Task
    shots: bool

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Context in which features are added to the folder, which is described in `features.json` before.

        Raises:
            ConfigError: if it holds features of another making, or is a file.
            FeatureError: if it cannot be written to.
        """
        if isinstance(self.folder, LocalFolder):
            with feature_folder(self.folder.path, self.description, [SHOTS]):
                yield
            return
        if self.folder.has(FILE_NAME):
            with self.folder.brought(FILE_NAME) as path:
                refuse_other_features(path.parent, self.description)
        elif found := next((name for name in self.folder.names() if Path(name).suffix in FORMATS), None):
            raise ConfigError(
                f"{self.folder}: holds features, such as {found!r}, but no {FILE_NAME} that says what made them; "
                "choose another --out"
            )
        else:
            with self.folder.made(FILE_NAME) as path:
                self.description.write(path.parent)
        yield

    def add(self, entry: Entry, carry_out: Callable[[Task], Outcome]) -> Outcome:
        """Have made what is missing of a video, if anything is, and return what came of it.

        Raises:
            ConfigError: if its features are there in another precision.
            UnwritableError: if a file cannot be written.
        """
        if isinstance(self.folder, LocalFolder):
            out, dimension = self.folder.path, self.description.dimension
            task, known = plan_one(entry.id, entry.path, out, dimension, self.every, shots=self.shots)
            if task is None:
                assert known is not None
                return known
            outcome = carry_out(task)
            return outcome if known is None else replace(outcome, rows=known.rows)
        return self._add_remotely(entry, carry_out)

    def _add_remotely(self, entry: Entry, carry_out: Callable[[Task], Outcome]) -> Outcome:
        features, cuts = f"{entry.id}.npy", f"{SHOTS}/{entry.id}.csv"
        try:
            rows = self._rows_there(features)
        except FeatureError as error:
            reason = f"{error}: remove this file, and run the same again"
            return Outcome(id=entry.id, path=entry.path, error=reason)
        wanted = {"features": rows is None, "cuts": self.shots and not self.folder.has(cuts)}
        if not any(wanted.values()):
            return Outcome(id=entry.id, path=entry.path, rows=rows, was_there=True)
        with ExitStack() as made:
            files = {
                key: str(made.enter_context(self.folder.made(name)))
                for key, name in (("features", features), ("cuts", cuts))
                if wanted[key]
            }
            task = replace(
                self.every,
                id=entry.id,
                path=entry.path,
                features=files.get("features"),
                cuts=files.get("cuts"),
            )
            outcome = carry_out(task)
        return outcome if rows is None else replace(outcome, rows=rows)

    def _rows_there(self, name: str) -> int | None:
        """Return how many rows a file of features has; `None` if there is no such file.

        Raises:
            FeatureError: if it is damaged, or no features of this dimension.
            ConfigError: if they are of another precision.
        """
        begin, place = self.folder.head(name, HEADER), f"{self.folder}/{name}"
        if begin is None:
            return None
        header = read_header(io.BytesIO(begin), place)
        return checked_rows(header.shape, header.dtype, place, self.description.dimension, half=self.every.half)
