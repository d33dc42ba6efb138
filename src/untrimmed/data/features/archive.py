"""One file with an array for each video."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from untrimmed.data.features.array_file import ArrayFile, listed
from untrimmed.data.features.description import FeatureDescription
from untrimmed.data.features.formats import open_array_file
from untrimmed.data.features.hdf5_file import Hdf5File
from untrimmed.data.features.store import FileStore, missing
from untrimmed.errors import ConfigError, FeatureError


class ArchiveFeatures(FileStore):
    """One `.npz`, `.h5`, `.pt` or `.safetensors` file with an array `<prefix><video id>` for each video.

    In an HDF5 file the array may also be `<prefix><video id>/<key>`. The file stays open; every process opens it anew,
    because processes that share an open file would move each other's place in it.
    """

    def __init__(self, path: Path, *, prefix: str = "", key: str | None = None) -> None:
        """Open an archive.

        Raises:
            FeatureError: if it cannot be read or has no arrays with this prefix.
            ConfigError: if a key is given for an archive that is not HDF5.
        """
        self._path, self._prefix, self._key = path, prefix, key
        self._opened: tuple[int, ArrayFile] | None = None
        file = self._file()
        if key is not None and not isinstance(file, Hdf5File):
            raise ConfigError(
                f"{path}: key is {key!r}, which has no effect: the arrays of this file are named by video. Leave it out"
            )
        names = file.names
        if names == ("",):
            raise FeatureError(
                f"{path}: holds one array and no video id. Put it into a folder as <video id>{path.suffix}"
            )
        self._names = {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}
        if not self._names:
            found = f"; it holds {listed(names)}. Correct the prefix" if names else ""
            raise FeatureError(f"{path}: there are no arrays {prefix + '<video id>'!r} in it{found}")

    @property
    def name(self) -> str:
        """The path of the archive."""
        return str(self._path)

    @property
    def description(self) -> FeatureDescription | None:
        """Nothing: an archive does not say what made it."""
        return None

    def ids(self) -> tuple[str, ...]:
        """Return the ids that array names stand for."""
        return tuple(sorted(self._names))

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._names

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _file(self) -> ArrayFile:
        """Return the archive as this process has opened it."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), open_array_file(self._path))
        return self._opened[1]

    @contextmanager
    def _array(self, video_id: str) -> Iterator[tuple[ArrayFile, str]]:
        if video_id not in self._names:
            raise missing(str(self._path), video_id, f"{self._prefix}{video_id}", self._names.values())
        name = self._names[video_id]
        yield self._file(), name if self._key is None else f"{name}/{self._key}"
