"""One stream of signals of many recordings, as it is on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from untrimmed.data.features import FeatureDescription, FeatureStore, as_features, view_feature_file
from untrimmed.data.features.folder import files_by_video, missing_file
from untrimmed.data.features.formats import FORMATS
from untrimmed.data.inputs import InputConfig
from untrimmed.data.signals.table import TABLES, Table, channel_names, read_table


class Source(ABC):
    """One stream of signals. It can be pickled.

    Attributes:
        name: where it is, for messages.
        label: what its channels are called by beside those of other streams.
        description: the contents of `features.json`, if there is one.
    """

    name: str
    label: str
    description: FeatureDescription | None

    @abstractmethod
    def ids(self) -> tuple[str, ...]:
        """Return the ids of all recordings, sorted."""

    @abstractmethod
    def channels(self, video_id: str) -> tuple[str, ...] | None:
        """Return the names of a recording's channels, if they have names.

        Raises:
            FeatureError: if there is no such recording, or it cannot be read.
        """

    @abstractmethod
    def read(self, video_id: str, channels: Sequence[str] | None) -> Table:
        """Read channels of a recording, by name if they have names; all if none are named.

        Raises:
            FeatureError: if there is no such recording, or it cannot be read or lacks a channel.
        """


class Tables(Source):
    """A folder with a file `<prefix><video id>.csv`, `.tsv` or `.parquet` for each recording."""

    def __init__(self, folder: Path, config: InputConfig, *, prefix: str = "") -> None:
        """List the folder.

        Raises:
            FeatureError: if it has no tables, several of one recording, or a wrong `features.json`.
        """
        self.name, self.label = str(folder), folder.resolve().name
        self.description = FeatureDescription.of_folder(folder)
        self._folder, self._config, self._prefix = folder, config, prefix
        self._files = files_by_video(folder, prefix, (*TABLES, *FORMATS))

    def ids(self) -> tuple[str, ...]:
        """Return the ids that file names stand for."""
        return tuple(sorted(self._files))

    def channels(self, video_id: str) -> tuple[str, ...]:
        """Return the names of the columns but the time."""
        return channel_names(self._path(video_id), self._config)

    def read(self, video_id: str, channels: Sequence[str] | None) -> Table:
        """Read columns by name."""
        return read_table(self._path(video_id), self._config, channels)

    def _path(self, video_id: str) -> Path:
        if video_id not in self._files:
            raise missing_file(self._folder, video_id, self._prefix, self._files.values())
        return self._folder / self._files[video_id]


class OneFile(Source):
    """A single file, of a recording with its name: a table, or one array."""

    def __init__(self, path: Path, config: InputConfig, key: str | None = None) -> None:
        self.name, self.label = str(path), path.stem
        self.description = FeatureDescription.of_folder(path.parent)
        self._path, self._config, self._key = path, config, key

    def ids(self) -> tuple[str, ...]:
        """Return the name of the file."""
        return (self._path.stem,)

    def channels(self, video_id: str) -> tuple[str, ...] | None:
        """Return the names of the columns but the time."""
        return channel_names(self._path, self._config) if self._path.suffix in TABLES else None

    def read(self, video_id: str, channels: Sequence[str] | None) -> Table:
        """Read columns by name, or the array."""
        if self._path.suffix in TABLES:
            return read_table(self._path, self._config, channels)
        return Table(self.name, None, as_features(self.view(), self.name))

    def view(self) -> NDArray[Any]:
        """Return the array as the file holds it."""
        return view_feature_file(self._path, key=self._key)


class Arrays(Source):
    """Arrays `[S, channels]` of a feature store, without names and times.

    Attributes:
        store: the store.
    """

    def __init__(self, store: FeatureStore) -> None:
        self.name, self.label = store.name, Path(store.name).stem
        self.description = store.description
        self.store = store

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the store."""
        return self.store.ids()

    def channels(self, video_id: str) -> None:
        """Return nothing: arrays have no names."""

    def read(self, video_id: str, channels: Sequence[str] | None) -> Table:
        """Read all channels."""
        return Table(f"{self.name}: video {video_id!r}", None, self.store.read(video_id))
