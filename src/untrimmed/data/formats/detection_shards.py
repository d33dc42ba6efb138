"""Detections as parquet: one table for an archive, in shards, each of which holds all detections of some recordings.

::

    id (string)  start (double)  end (double)  label (dictionary)  score (double)
    gate-may     1.25            4.0           jump                0.93
    yard         null            null          null                null

Times are in seconds; those of a recording stand together, best first. A recording in which nothing was found has one
row, with its id and nulls: conditions such as `score > 0.5` leave it out by themselves, and no second table has to be
written in step with the first. A shard is written once as a whole, or not at all, and a recording is in one of them.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.detections import Detections
from untrimmed.data.files import write_atomically
from untrimmed.errors import AnnotationError, MissingExtraError

SUFFIX = ".parquet"
"""Of shards."""
COLUMNS = ("id", "start", "end", "label", "score")
"""Of a shard."""
TIME_DECIMALS = 6
"""Decimals of times in all files of detections: microseconds."""
SCORE_DECIMALS = 9
"""Decimals of scores: enough to keep apart what single precision keeps apart, down to scores of 0.01."""


@dataclass(frozen=True)
class ShardRows:
    """The n detections of shards, column by column, and all recordings.

    Attributes:
        ids: of the recordings, `[n]`.
        labels: `[n]`.
        segments: `[n, 2]`, in seconds.
        scores: `[n]`.
        recordings: ids of all of them, also of those without detections.
    """

    ids: Sequence[str]
    labels: Sequence[str]
    segments: NDArray[np.float64]
    scores: NDArray[np.float64]
    recordings: Sequence[str]


def shard_name(ids: Iterable[str]) -> str:
    """Return the name of the shard of these recordings, in this order: who makes it again writes the same file."""
    content = json.dumps(list(ids)).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest() + SUFFIX


def shard_table(detections: Iterable[Detections]) -> Any:
    """Return detections of recordings as a table of pyarrow (which has no types), rounded as in other files.

    Raises:
        MissingExtraError: if pyarrow is not installed.
    """
    pa, _ = pyarrow("Writing detections as parquet")
    found = list(detections)
    names: dict[str, int] = {}
    for each in found:
        for name in each.label_names:
            names.setdefault(name, len(names))
    ids: list[str] = []
    starts: list[float | None] = []
    ends: list[float | None] = []
    labels: list[int | None] = []
    scores: list[float | None] = []
    for each in found:
        number = max(len(each), 1)
        nothing = [None] * (number - len(each))
        ids += [each.video_id] * number
        segments = each.segments.round(TIME_DECIMALS)
        starts += [*segments[:, 0].tolist(), *nothing]
        ends += [*segments[:, 1].tolist(), *nothing]
        labels += [*(names[each.label_names[label]] for label in each.labels.tolist()), *nothing]
        scores += [*each.scores.round(SCORE_DECIMALS).tolist(), *nothing]
    coded = pa.DictionaryArray.from_arrays(pa.array(labels, pa.int32()), pa.array(list(names), pa.string()))
    columns = [
        pa.array(ids, pa.string()),
        pa.array(starts, pa.float64()),
        pa.array(ends, pa.float64()),
        coded,
        pa.array(scores, pa.float64()),
    ]
    return pa.Table.from_arrays(columns, names=list(COLUMNS))


def write_shard(tables: Sequence[Any], path: Path) -> None:
    """Write tables of recordings as one shard; whoever looks finds the old one, or the whole new one.

    Raises:
        OSError: if the file cannot be written.
    """
    pa, parquet = pyarrow(f"Writing {path}")
    content = io.BytesIO()
    # Else recordings that were told of twice would have their labels in two dictionaries.
    table = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    parquet.write_table(table, content, compression="zstd", use_dictionary=["id", "label"])
    write_atomically(path, content.getvalue())


def read_shard(path: Path) -> Any:
    """Return a shard as a table of pyarrow.

    Raises:
        AnnotationError: if it cannot be read, or lacks a column.
        MissingExtraError: if pyarrow is not installed.
    """
    return _read(path, COLUMNS)


def shard_ids(path: Path) -> list[str]:
    """Return the ids of the recordings that a shard holds, each once, reading nothing else of it.

    Raises:
        AnnotationError: if it cannot be read, or has no column `id` of texts.
        MissingExtraError: if pyarrow is not installed.
    """
    return list(dict.fromkeys(_texts(_read(path, COLUMNS[:1]), "id", path)))


def shards_in(folder: Path) -> Iterator[Path]:
    """Yield the shards of a folder, by name; none if there is no folder. What is hidden, or half written, is none."""
    if folder.is_dir():
        yield from sorted(path for path in folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))


def ids_there(folder: Path) -> Iterator[str]:
    """Yield the ids of all recordings that the shards of a folder hold.

    Raises:
        AnnotationError: if one of them is damaged.
        MissingExtraError: if pyarrow is not installed.
    """
    for path in shards_in(folder):
        yield from shard_ids(path)


def read_shards(path: Path) -> ShardRows:
    """Read a shard, or all shards of a folder, in the order of their names.

    Raises:
        AnnotationError: if one cannot be read, a row is half empty, a recording is in two shards, or there are none.
        MissingExtraError: if pyarrow is not installed.
    """
    files = list(shards_in(path)) if path.is_dir() else [path]
    if not files:
        raise AnnotationError(f"{path}: there are no detections in the folder: no file in it ends in {SUFFIX}")
    ids: list[str] = []
    labels: list[str] = []
    numbers: list[NDArray[np.float64]] = [np.zeros((0, 3))]
    place: dict[str, Path] = {}
    for file in files:
        table = read_shard(file)
        of_rows = _texts(table, "id", file)
        for name in dict.fromkeys(of_rows):
            if (other := place.setdefault(name, file)) != file:
                raise AnnotationError(f"{file}: recording {name!r} is in {other.name} already. Remove one of the two")
        there = ~_nothing(table, file)
        values = _numbers(table.filter(there), file)
        ids += [name for name, one in zip(of_rows, there.tolist(), strict=True) if one]
        labels += _texts(table.filter(there), "label", file)
        numbers.append(values)
    values = np.concatenate(numbers)
    return ShardRows(ids, labels, values[:, :2], values[:, 2], list(place))


def pyarrow(purpose: str) -> tuple[Any, Any]:
    """Return pyarrow, and its module for parquet.

    Raises:
        MissingExtraError: if it is not installed.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("pyarrow", "signals", purpose) from None
    return pa, parquet


def _read(path: Path, columns: Sequence[str]) -> Any:
    _, parquet = pyarrow(f"Reading {path}")
    try:
        with parquet.ParquetFile(path) as file:
            there = file.schema_arrow.names
            if missing := [name for name in columns if there.count(name) != 1]:
                raise AnnotationError(f"{path}: no column {missing[0]!r}, or more than one; found {there!r:.200}")
            table = file.read(columns=list(columns))
        table.validate(full=True)  # a damaged file may have numbers of labels that there are not
    except AnnotationError:
        raise
    except (OSError, ValueError, TypeError, LookupError, NotImplementedError, MemoryError) as error:  # pyarrow's
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        way_out = "Remove it, and detect again" if path.exists() else "Correct its name"
        raise AnnotationError(f"{path}: cannot be read as parquet ({reason}). {way_out}") from error
    return table


def _nothing(table: Any, path: Path) -> NDArray[np.bool_]:
    """Return of each row whether it says that nothing was found, `[n]`."""
    empty = np.stack([table.column(name).is_null().to_numpy() for name in COLUMNS[1:]])
    nothing: NDArray[np.bool_] = np.all(empty, axis=0)
    half = np.any(empty, axis=0) & ~nothing
    if half.any():
        raise AnnotationError(
            f"{path}: row {int(half.argmax()) + 1} has some of {','.join(COLUMNS[1:])}, but not all: either all or none"
        )
    return nothing


def _texts(table: Any, name: str, path: Path) -> list[str]:
    """Return a column as texts; numbers of classes are taken as such."""
    pa, _ = pyarrow(f"Reading {path}")
    column = table.column(name)
    try:
        cast = column.cast(pa.string())
        if pa.types.is_floating(column.type) or cast.null_count:  # a null may also stand among the labels themselves
            raise ValueError(f"it holds {column.type}, or nulls")
        texts: list[str] = cast.to_pylist()
    except (ValueError, TypeError, NotImplementedError) as error:  # as pyarrow's errors are
        reason = str(error).splitlines()[0]
        raise AnnotationError(f"{path}: column {name!r} has to hold texts, but {reason}") from error
    return texts


def _numbers(table: Any, path: Path) -> NDArray[np.float64]:
    """Return start, end and score, `[n, 3]`."""
    pa, _ = pyarrow(f"Reading {path}")
    try:
        columns = [table.column(name).cast(pa.float64()).to_numpy() for name in ("start", "end", "score")]
    except (ValueError, TypeError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise AnnotationError(f"{path}: start, end and score have to be numbers ({reason})") from error
    return np.stack(columns, axis=1)
