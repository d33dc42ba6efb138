"""Where workers put what they detect: a file for each recording, or parquet shards of many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.archive.sources import digest
from untrimmed.data.detections import Detections
from untrimmed.data.formats.detection_files import TRACKS, write_detections, write_track
from untrimmed.data.formats.detection_shards import SUFFIX, read_shard, shard_ids, shard_name, shard_table, write_shard
from untrimmed.data.out_folder import OutFolder

SHARDS = "parquet"
"""The format that is written in shards."""
VIDEOS_IN_A_SHARD = 16
"""Videos at the most: those of a shard are worked on one after another, by one worker."""
READ_AT_ONCE = 16
"""Shards whose ids are read side by side."""
WINDOWS_OF_A_WORKER = 4
"""Windows that each worker should have at least, lest one works alone at the end."""


class DetectionStore(ABC):
    """A folder of detections, which is given one window of recordings after another."""

    @abstractmethod
    def begin(self, names: Sequence[str]) -> frozenset[str]:
        """Begin a window, the recordings of these names, and return which of them are missing."""

    @abstractmethod
    def keep(self, found: Detections) -> None:
        """Take the detections of a recording of the window that is missing.

        Raises:
            UnwritableError: if they cannot be written.
        """

    @abstractmethod
    def end(self) -> None:
        """End the window: all that was taken is written then.

        Raises:
            UnwritableError: if it cannot be.
        """


class FileStore(DetectionStore):
    """A file for each recording."""

    def __init__(self, out: OutFolder, format: str, min_score: float) -> None:  # noqa: A002  the option is called so
        """Say what is written where; `min_score` is of subtitles and labels."""
        self._out, self._format, self._min_score = out, format, min_score

    def begin(self, names: Sequence[str]) -> frozenset[str]:
        """See `DetectionStore`."""
        return frozenset(name for name in names if not self._out.has(self._file(name)))

    def keep(self, found: Detections) -> None:
        """See `DetectionStore`."""
        with self._out.made(self._file(found.video_id)) as file:
            if file.suffix in TRACKS:
                write_track(found.above(self._min_score), file)
            else:
                write_detections([found], file)

    def end(self) -> None:
        """See `DetectionStore`; there is nothing left to do."""

    def _file(self, name: str) -> str:
        return f"{name}.{self._format}"


class ShardStore(DetectionStore):
    """A shard for each window, of those of its recordings that no shard held when the run began.

    Its name is made of their ids, in their order. So a window that is given to another worker, as the one that had it
    was lost, makes the same file, and goes on with what is in it; a recording that could not be read, and can be in the
    next run, is then in a shard of another name.
    """

    def __init__(self, out: OutFolder, there: NDArray[np.uint64], *, as_they_come: bool) -> None:
        """Say where shards are written.

        Args:
            out: the folder.
            there: see `digests_there`.
            as_they_come: write the shard anew after each recording, and not once for the whole window: for videos,
                each of which takes long.
        """
        self._out, self._there, self._as_they_come = out, there, as_they_come
        self._name, self._tables, self._written = "", list[Any](), 0

    def begin(self, names: Sequence[str]) -> frozenset[str]:
        """See `DetectionStore`."""
        wanted = [name for name in names if not self._is_there(name)]
        self._name, self._tables = shard_name(wanted), []
        if wanted and self._out.has(self._name):
            with self._out.brought(self._name) as path:
                self._tables = [read_shard(path)]
        self._written = len(self._tables)
        held = {name for table in self._tables for name in table.column("id").unique().to_pylist()}
        return frozenset(wanted) - held

    def keep(self, found: Detections) -> None:
        """See `DetectionStore`."""
        self._tables.append(shard_table([found]))
        if self._as_they_come:
            self._write()

    def end(self) -> None:
        """See `DetectionStore`."""
        self._write()

    def _write(self) -> None:
        if len(self._tables) > self._written:
            with self._out.made(self._name) as path:
                write_shard(self._tables, path)
            self._written = len(self._tables)

    def _is_there(self, name: str) -> bool:
        wanted = np.uint64(digest(name))
        place = int(np.searchsorted(self._there, wanted))
        return place < len(self._there) and bool(self._there[place] == wanted)


def digests_there(out: OutFolder) -> NDArray[np.uint64]:
    """Return the digests of the ids that the shards of a folder hold, sorted: 8 bytes of each, to be told to workers.

    That two of a million have the same one happens in one archive of thirty million.

    Raises:
        AnnotationError: if a shard is damaged.
        MissingExtraError: if pyarrow is not installed.
    """

    def of_shard(name: str) -> NDArray[np.uint64]:
        with out.brought(name) as path:
            return np.fromiter(map(digest, shard_ids(path)), np.uint64)

    shards = [name for name in out.names() if name.endswith(SUFFIX)]
    with ThreadPoolExecutor(READ_AT_ONCE) as readers:  # those at an address are mostly waited for
        return np.sort(np.concatenate([np.zeros(0, np.uint64), *readers.map(of_shard, shards)]))


def videos_together(videos: int, workers: int) -> int:
    """Return how many videos share a shard: fewer where there are not many for each worker."""
    return max(1, min(VIDEOS_IN_A_SHARD, videos // (WINDOWS_OF_A_WORKER * workers)))
