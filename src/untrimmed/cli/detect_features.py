"""Detecting in recordings of which there are features, for `untrimmed detect`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from untrimmed.archive.sources import entries, kind_of
from untrimmed.cli.console import with_progress
from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.detections import Detections
from untrimmed.data.features import (
    FeatureDescription,
    checked_dimension,
    holds_one_array,
    open_features,
    view_feature_file,
)
from untrimmed.data.features.description import FILE_NAME
from untrimmed.data.features.formats import FORMATS
from untrimmed.data.inputs import Inputs
from untrimmed.data.remote import local_copy, refuse_address, shown
from untrimmed.data.signals.opening import open_recording, open_signals
from untrimmed.data.signals.table import TABLES
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording, prepare
from untrimmed.errors import AnnotationError, ConfigError, DataError
from untrimmed.video.extraction.finding import same_id
from untrimmed.video.extraction.manifest import is_manifest

NOTES = (".json", ".md", ".txt", ".yaml")
"""Suffixes of what may lie beside tables of samples."""


def are_features(path: Path) -> bool:
    """Whether a path is of features or signals, and not of videos.

    It is if it is a feature file, an archive or a table, by its suffix; a folder with feature files, or with tables and
    nothing else but notes; or a folder of such folders only, one for each stream. Of a manifest, its first row says it.

    Raises:
        ConfigError: if it is an address.
        VideoError: if it is a manifest that cannot be read.
    """
    refuse_address(path, "path", "Name it in a manifest: a .csv file with a column `path`")
    if not path.is_dir():
        if is_manifest(path):
            return kind_of(path) == "features"
        return path.suffix in (*FORMATS, *TABLES)
    entries = [entry for entry in path.iterdir() if not entry.name.startswith(".")]
    if entries and all(entry.is_dir() for entry in entries):
        return all(_holds_features(entry) for entry in entries)
    return _holds_features(path)


def _holds_features(folder: Path) -> bool:
    """Whether there are feature files in a folder; or tables, and nothing else but notes."""
    files = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    suffixes = {file.suffix for file in files}
    if suffixes & set(FORMATS):
        return True
    return bool(suffixes & set(TABLES)) and suffixes <= {*TABLES, *NOTES}


class FeatureRecordings:
    """Recordings of which there are features.

    Attributes:
        names: of all of them.
        failures: what is wrong with those that could not be read, by id.
    """

    names: Sequence[str]
    failures: dict[str, str]

    def __init__(
        self, path: Path, ids: Sequence[str], key: str | None, localizer: Localizer, known: Annotations | None
    ) -> None:
        """Find the recordings at a path; whether their features suit the model is found out here.

        Raises:
            FeatureError: if there are none, or they are of another dimension than the model takes.
            AnnotationError: if there are annotations, but of other recordings only.
            ConfigError: if the features were made in another way than those that the model was trained on.
        """
        self._localizer = localizer
        self.failures = {}
        self._open: Callable[[str], Recording]
        if is_manifest(path):
            files = _named(path, ids)
            self.names = list(files)
            videos = _known(self.names, known)
            self._open = lambda name: _recording(
                name, _copied(files[name], key, localizer), shown(files[name]), videos.get(name)
            )
            return
        if not ids and (path.suffix in TABLES or holds_one_array(path)):
            array = _array(path, key, localizer)
            video = _known([path.stem], known).get(path.stem)
            self.names = [path.stem]
            self._open = lambda name: _recording(name, array, str(path), video)
            return
        inputs = _inputs(path, key, localizer)
        store = inputs.store
        self.names = tuple(dict.fromkeys(ids)) or store.ids()
        videos = _known(self.names, known)
        for name in self.names:
            rows, columns = store.shape(name)
            source = f"{path}: {name!r}"
            shape = inputs.config.clips(rows, source), inputs.config.dimension(columns)
            checked_dimension(shape, localizer.model.config.input_dim, source)
        self._open = lambda name: _recording(name, store.view(name), f"{path}: {name!r}", videos.get(name))

    def detections(self, names: Sequence[str]) -> Iterator[Detections]:
        """Yield the detections of each of these that can be read, in its turn; the others are in `failures` afterwards.

        Raises:
            ConfigError: if the model needs to know what nothing says.
        """
        return with_progress(self._localizer.detect_many(self._readable(names)), "detecting", len(names))

    def _readable(self, names: Sequence[str]) -> Iterator[Recording]:
        localizer = self._localizer
        for name in names:
            try:
                recording = self._open(name)
                prepare(recording, localizer.inputs, localizer.model.config.input_dim)
            except DataError as fault:
                self.failures[name] = str(fault)
            else:
                yield recording


def _named(manifest: Path, ids: Sequence[str]) -> dict[str, str]:
    """Return the paths or addresses that a manifest names, by id, in its order; of these ids, if there are any.

    Raises:
        VideoError: if the manifest is wrong, or names two files for one id.
        ConfigError: if an id is none of the manifest's.
    """
    files: dict[str, str] = {}
    for entry in entries([manifest], "features"):
        if entry.id in files:
            raise same_id(entry.id, shown(files[entry.id]), shown(entry.path))
        files[entry.id] = entry.path
    if unknown := [name for name in ids if name not in files]:
        raise ConfigError(f"{manifest}: names no recording {unknown[0]!r}")
    return {name: files[name] for name in ids} if ids else files


def _copied(path: str, key: str | None, localizer: Localizer) -> NDArray[Any]:
    """Return the features of a recording at a path or an address, as `_array` does."""
    with local_copy(path, beside=(FILE_NAME,)) as file:
        return _array(file, key, localizer)  # what is mapped into memory stays there when the copy is removed


def _array(path: Path, key: str | None, localizer: Localizer) -> NDArray[Any]:
    """Return the features of one recording, or its samples on the grid of the model."""
    if localizer.inputs.kind == "signals":
        return open_recording(path, localizer.inputs, key)
    _refuse_other(FeatureDescription.of_folder(path.parent), localizer, f"{path.parent}: features.json")
    return view_feature_file(path, key=key)


def _inputs(path: Path, key: str | None, localizer: Localizer) -> Inputs:
    """Open features or signals; of several streams of signals, those in the folders that the model names."""
    config = localizer.inputs
    if config.kind == "signals":
        named = [path / name for name in config.stream_names or ()]
        if named and all(folder.is_dir() for folder in named):
            return open_signals(named, config, key=key)
        if path.is_dir() and not any(entry.is_file() for entry in path.iterdir()):
            expected = f"the streams {', '.join(config.stream_names)}" if config.stream_names else "one stream"
            raise ConfigError(f"{path}: holds no files; the model is of {expected}, so a folder for each is expected")
        return open_signals([path], config.of_one_stream, key=key)
    inputs = Inputs(open_features(path, key=key), config)
    _refuse_other(inputs.store.description, localizer, f"{inputs.store.name}: features.json")
    return inputs


def _refuse_other(description: FeatureDescription | None, localizer: Localizer, place: str) -> None:
    """Refuse features of another sampling or another extractor than the model's.

    Raises:
        ConfigError: if their description says that they are.
    """
    localizer.inputs.completed(description, place)
    if description is not None and localizer.extractor is not None:
        description.refuse_contradiction(place, fingerprint=localizer.extractor.fingerprint)


def _known(names: Sequence[str], annotations: Annotations | None) -> dict[str, Video]:
    """Return what is known of recordings.

    Raises:
        AnnotationError: if there are annotations, but of other recordings only.
    """
    if annotations is None:
        return {}
    known = {name: annotations[name] for name in names if name in annotations.videos}
    if not known:
        other = next(iter(annotations.videos), "none at all")
        raise AnnotationError(
            f"{annotations.source}: has none of the recordings, such as {names[0]!r}, but others, such as {other!r}; "
            "correct the ids, or leave --annotations out"
        )
    return known


def _recording(name: str, array: NDArray[Any], source: str, video: Video | None) -> Recording:
    if video is None:
        return Recording(array, id=name, source=source)
    return Recording(array, id=name, duration=video.duration, rate=video.rate, source=source)
