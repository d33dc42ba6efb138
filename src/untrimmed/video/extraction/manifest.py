"""Manifests: tables that name videos, or feature files, one a row.

::

    path,id
    2024/05/gate.mp4,gate-may
    /archive/yard.mkv,yard

The column `path` has to be there; an address, such as `s3://bucket/a.mp4`, may stand in it as well. The column `id`,
where there is one, names the recording; else it is called by the name of its file, without suffix. Other columns are
ignored. A relative path counts from the folder of the manifest.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from untrimmed.data.remote import is_address, name_at
from untrimmed.errors import MissingExtraError, VideoError

SUFFIXES = (".csv", ".tsv", ".parquet")
"""Of manifests."""
LONGEST_LINE = 2**20
"""Characters that the first line of a text may have."""


@dataclass(frozen=True)
class Entry:
    """One recording that a manifest names.

    Attributes:
        id: its name.
        path: of its file; an address, such as `s3://bucket/a.mp4`, is left as it is.
    """

    id: str
    path: str


def is_manifest(path: Path) -> bool:
    """Whether a path is a table with a column `path`.

    Raises:
        VideoError: if there is such a file, but it cannot be read.
        MissingExtraError: if it is a parquet file and pyarrow is not installed.
    """
    return path.suffix.lower() in SUFFIXES and path.is_file() and "path" in _columns(path)


def read_manifest(path: Path) -> Iterator[Entry]:
    """Yield what a manifest names, in its order, reading as it goes: it may be of any size.

    Raises:
        VideoError: if the file cannot be read, has no column `path`, names nothing, or a row is wrong.
        MissingExtraError: if it is a parquet file and pyarrow is not installed.
    """
    columns = _columns(path)
    if "path" not in columns:
        raise VideoError(
            f"{path}: a manifest has to have a column 'path', but its columns are {', '.join(columns)[:200]!r}. "
            "Name it, or name the videos themselves"
        )
    rows = _parquet_rows(path, columns) if path.suffix.lower() == ".parquet" else _text_rows(path)
    number = 0
    for number, row in enumerate(rows, start=1):
        yield _entry(row, path, number)
    if not number:
        raise VideoError(f"{path}: the manifest has no rows. Leave it out")


LONGEST_ID = 240
"""Bytes of an id: a name of a file may have 255, of which some are the suffix."""


def checked_id(name: str, place: str) -> str:
    """Return an id, if it can be the name of a file without suffix.

    Raises:
        VideoError: if it cannot; `place` says where it is from.
    """
    if not name or name.startswith(".") or set(name) & set("/\\\0"):
        raise VideoError(f"{place}: the id {name!r} cannot be the name of a file: it is empty, hidden or has a slash")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise VideoError(f"{place}: the id {name!r} is not UTF-8. Rename it") from error
    if len(name.encode()) > LONGEST_ID:
        raise VideoError(f"{place}: the id {name[:60]!r}... is longer than {LONGEST_ID} bytes. Give it a shorter one")
    return name


def _entry(row: Mapping[str, Any], manifest: Path, number: int) -> Entry:
    place = f"{manifest}: row {number}"
    path = row.get("path")
    if not isinstance(path, str) or not path:
        raise VideoError(f"{place}: path is {path!r}, but has to be the path of a file")
    file = name_at(path) if is_address(path) else path
    if file is path:
        path = os.path.normpath(manifest.parent / path)
    name = row.get("id")
    return Entry(checked_id(PurePosixPath(file).stem if name in (None, "") else str(name), place), path)


def _columns(path: Path) -> list[str]:
    if path.suffix.lower() == ".parquet":
        with _parquet(path) as file:
            return list(file.schema_arrow.names)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(LONGEST_LINE)
            return next(csv.reader([line], delimiter=_delimiter(path)), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _text_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file, delimiter=_delimiter(path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _parquet_rows(path: Path, columns: list[str]) -> Iterator[Mapping[str, Any]]:
    with _parquet(path) as file:
        try:
            for batch in file.iter_batches(
                batch_size=4096, columns=[name for name in ("path", "id") if name in columns]
            ):
                yield from batch.to_pylist()
        except (OSError, ValueError) as error:  # pyarrow's errors are also these
            raise _unreadable(path, error) from error


def _parquet(path: Path) -> Any:
    """Open a parquet file; a context manager (pyarrow has no types)."""
    try:
        from pyarrow import parquet  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingExtraError("pyarrow", "signals", f"Reading {path}") from None
    try:
        return parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> VideoError:
    if isinstance(error, OSError) and error.strerror:
        return VideoError(f"{path}: cannot be read ({error.strerror})")
    kind = "parquet" if path.suffix.lower() == ".parquet" else "UTF-8 text with a line for each row"
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return VideoError(f"{path}: is no manifest, which is {kind} ({reason})")
