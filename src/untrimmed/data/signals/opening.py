"""From paths to signals on one grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from untrimmed.data.features import ConcatenatedFeatures, FeatureStore, open_features
from untrimmed.data.features.array_file import reading
from untrimmed.data.features.formats import FORMATS
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.data.signals.resampling import own_rate
from untrimmed.data.signals.sources import Arrays, OneFile, Source, Tables
from untrimmed.data.signals.streams import SignalStreams
from untrimmed.data.signals.table import TABLES
from untrimmed.errors import ConfigError, FeatureError


def open_signals(paths: Sequence[Path], config: InputConfig, *, prefix: str = "", key: str | None = None) -> Inputs:
    """Open the signals of a data set, all streams on one grid.

    Arrays of one rate are taken as they are. Tables, and arrays of another rate than the grid's, are resampled. What
    the configuration leaves open is filled in: the rate, by the first stream whose rate is stated; of tables, the
    names of the channels; of several streams, their names.

    Args:
        paths: of each stream: a folder with a file for each recording, or one file with an array for each.
        config: of signals.
        prefix: what stands before the id of the recording in every file or array name.
        key: which array to take from files that hold several.

    Raises:
        ConfigError: if the rate of the grid is not known, or settings contradict each other or `features.json`.
        FeatureError: if there are no signals at a path, or the first recording cannot be read.
        MissingExtraError: if the format needs a package that is not installed.
    """
    sources = [_source(path, config, prefix, key) for path in paths]
    own = _own_rates(sources, config)
    arrays = [source.store for source in sources if isinstance(source, Arrays)]
    rate = config.rate or next((each for each in own if each is not None), None)
    if len(arrays) == len(sources) and all(each is None or rate is None or _same(each, rate) for each in own):
        store: FeatureStore = arrays[0] if len(arrays) == 1 else ConcatenatedFeatures(arrays)
        return Inputs(store, config if config.stream_rates is None else replace(config, rate=rate))
    if rate is None:
        raise ConfigError(_unknown_rate(sources))
    return _on_grid(sources, config, rate, own)


def open_recording(path: Path, config: InputConfig, key: str | None = None) -> NDArray[Any]:
    """Return the samples of one recording on the grid of a model, `[S, channels]`; of a `.npy` file without a copy.

    Args:
        path: a table, or a feature file with one array.
        config: of the model, which knows the rate.
        key: which array to take if it holds several.

    Raises:
        ConfigError, FeatureError, MissingExtraError: as from `open_signals`.
    """
    source = OneFile(path, config, key)
    config = config.of_one_stream
    own = _own_rates([source], config)
    if path.suffix not in TABLES and (own[0] is None or config.rate is None or _same(own[0], config.rate)):
        return source.view()
    if config.rate is None:
        raise ConfigError(_unknown_rate([source]))
    return _on_grid([source], config, config.rate, own).store.read(path.stem)


def _on_grid(sources: Sequence[Source], config: InputConfig, rate: float, own: Sequence[float | None]) -> Inputs:
    """Return streams that are resampled, with the names of what they hold."""
    labels = _labels(sources, config)
    config = replace(config, rate=rate, stream_names=labels if len(sources) > 1 else config.stream_names)
    rates = [each or rate for each in own]
    store = SignalStreams(sources, config, rate, rates, labels)
    names = store.channels()
    if names is None or (config.channels is not None and isinstance(config.channels[0], str)):
        return Inputs(store, config)
    numbers = range(len(names)) if config.channels is None else [int(channel) for channel in config.channels]
    if max(numbers) >= len(names):
        raise FeatureError(
            f"{store.name}: there are channels 0 to {len(names) - 1}, {', '.join(names)}, but inputs.channels asks for "
            f"{max(numbers)}. Correct it, or name the channels"
        )
    config = replace(config, channels=tuple(names[number] for number in numbers))
    return Inputs(SignalStreams(sources, config, rate, rates, labels), config)


def _source(path: Path, config: InputConfig, prefix: str, key: str | None) -> Source:
    """Return what reads a stream; a folder with arrays is of arrays, whatever tables there are beside them."""
    if path.is_file() and path.suffix in TABLES:
        raise FeatureError(f"{path}: a {path.suffix} file is of one recording; name the folder that it is in")
    if path.is_dir():
        with reading(str(path)):
            arrays = any(entry.suffix in FORMATS for entry in path.iterdir())
        if not arrays:
            return Tables(path, config, prefix=prefix)
    return Arrays(open_features(path, prefix=prefix, key=key))


def _own_rates(sources: Sequence[Source], config: InputConfig) -> list[float | None]:
    """Return the samples per second of each stream on disk, where they are stated.

    Raises:
        ConfigError: if rates are stated for another number of streams, or `features.json` states others.
    """
    stated = config.stream_rates
    if stated is None:
        return [None if source.description is None else source.description.rate for source in sources]
    if len(stated) != len(sources):
        raise ConfigError(
            f"inputs.stream_rates has {len(stated)} rates, but there are {len(sources)} streams in data.features; "
            "state one for each, null where a time column says"
        )
    rates = []
    for source, rate in zip(sources, stated, strict=True):
        about = source.description
        if about is not None:
            about.refuse_contradiction(f"{source.name}: features.json", rate=rate)
        rates.append(rate or (None if about is None else about.rate))
    return rates


def _labels(sources: Sequence[Source], config: InputConfig) -> tuple[str, ...]:
    """Return what the streams are called.

    Raises:
        ConfigError: if another number of names is stated, or two have the same.
    """
    labels = tuple(source.label for source in sources)
    if len(sources) == 1:
        return labels
    if config.stream_names is not None:
        if len(config.stream_names) != len(sources):
            raise ConfigError(
                f"inputs.stream_names has {len(config.stream_names)} names, {', '.join(config.stream_names)}, but "
                f"there are {len(sources)} streams. Give the streams that it names, in this order"
            )
        labels = config.stream_names
    if len(set(labels)) < len(labels):
        raise ConfigError(f"the streams are named {', '.join(labels)}: give each a name of its own, by stream_names")
    return labels


def _unknown_rate(sources: Sequence[Source]) -> str:
    """Say that the rate of the grid is not known, and what it may be, by the first table with a time column."""
    message = "inputs.rate is not set: say how many samples per second the model is to see"
    for source in sources:
        table = source.read(source.ids()[0], None)
        if table.times is not None:
            found = own_rate(table.times)
            return f"{message}. In {table.place} there are about {found:.4g}, as in --data.inputs.rate {found:.3g}"
    return f"{message}, or state the samples per second of the files by inputs.stream_rates"


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-4)
