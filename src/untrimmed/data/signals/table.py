"""Tables of samples: `.csv`, `.tsv` and `.parquet` files with a column for each channel."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features.array_file import reading
from untrimmed.data.inputs import InputConfig
from untrimmed.data.signals.parquet import parquet_columns, read_parquet
from untrimmed.data.signals.time_column import layout, listed
from untrimmed.errors import FeatureError

TABLES = (".csv", ".tsv", ".parquet")
"""Suffixes of tables of samples."""
LONGEST_LINE = 2**20
"""Characters that the first lines of a text may have."""


@dataclass(frozen=True)
class Table:
    """Samples of one recording.

    Attributes:
        place: where they are from, for messages.
        times: `[S]`, in seconds, if there is a time column.
        values: `[S, channels]`, finite.
    """

    place: str
    times: NDArray[np.float64] | None
    values: NDArray[np.float32]


def channel_names(path: Path, config: InputConfig) -> tuple[str, ...]:
    """Return the names of the channels of a table, without reading its samples.

    Raises:
        FeatureError: if the file cannot be read, or it is not clear which column holds the time.
        MissingExtraError: if it is a parquet file and pyarrow is not installed.
    """
    return tuple(layout(_columns(path), config, str(path)).channels)


def read_table(path: Path, config: InputConfig, channels: Sequence[str] | None = None) -> Table:
    """Read channels of a table, in this order; all in the order of the file if none are named.

    Only these columns and the time are looked at: others may hold anything. Numbers take 8 bytes while they are read.

    Raises:
        FeatureError: if the file cannot be read, lacks a channel, or holds anything but finite numbers.
        MissingExtraError: if it is a parquet file and pyarrow is not installed.
    """
    columns = _columns(path)
    found = layout(columns, config, str(path))
    wanted = tuple(found.channels) if channels is None else tuple(channels)
    if missing := [name for name in wanted if name not in found.channels]:
        raise FeatureError(
            f"{path}: there is no channel {', '.join(map(repr, missing))}; there are {listed(list(found.channels))}"
        )
    numbers = [found.channels[name] for name in wanted]
    names = wanted
    if found.time is not None:
        numbers, names = [*numbers, found.time], (*wanted, columns[found.time])
    if path.suffix == ".parquet":
        array = read_parquet(path, [columns[number] for number in numbers])
    else:
        array = _read_text(path, numbers, columns)
    times = None if found.time is None else array[:, -1] * found.unit
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is reported as such
        values = array[:, : len(wanted)].astype(np.float32)
    _check_finite(values, names, path)
    if times is not None:
        _check_finite(times[:, None], names[-1:], path)
    return Table(str(path), times, values)


def _columns(path: Path) -> list[str]:
    """Return the names of all columns as they stand in the file."""
    if not path.is_file():
        raise FeatureError(f"{path}: there is no such file")
    if path.suffix == ".parquet":
        return parquet_columns(path)
    header, first = _first_lines(path)
    delimiter = _delimiter(header)
    columns, values = _fields(header, delimiter), _fields(first, delimiter)
    if columns and all(_is_number(name) for name in columns):
        raise FeatureError(
            f"{path}: the first line holds numbers, {listed(columns, 3)}, but has to name the columns. Add a first "
            "line with names, such as time,x,y,z"
        )
    if not first.strip():
        raise FeatureError(f"{path}: there are no samples in the file. Leave the recording out")
    if len(values) != len(columns):
        comma = " Write decimal numbers with a point." if len(values) > len(columns) and delimiter == "," else ""
        raise FeatureError(
            f"{path}: the first line names {len(columns)} columns, but the second has {len(values)} values.{comma}"
        )
    return columns


def _first_lines(path: Path) -> tuple[str, str]:
    """Return the header and the first line of samples; `""` where there is none."""
    with _reading_text(path), path.open(encoding="utf-8-sig") as file:
        header, first = file.readline(LONGEST_LINE), file.readline(LONGEST_LINE)
        while first and not first.strip():
            first = file.readline(LONGEST_LINE)
    if max(len(header), len(first)) >= LONGEST_LINE:
        raise FeatureError(f"{path}: a line has more than {LONGEST_LINE:,} characters; is it a table of samples?")
    if not header.strip():
        raise FeatureError(f"{path}: the first line has to name the columns, such as time,x,y,z, but it is empty")
    return header, first


def _delimiter(header: str) -> str:
    """Return what stands between the columns: whatever there is most of in the header."""
    return max(",\t;", key=header.count)


def _fields(line: str, delimiter: str) -> list[str]:
    """Return the values of a line, or nothing of one that the reader of the standard library refuses."""
    try:
        return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_text(path: Path, numbers: Sequence[int], columns: Sequence[str]) -> NDArray[np.float64]:
    """Read columns of a text as numbers, `[S, columns]`.

    Raises:
        FeatureError: naming the line and the column of the first value that is no number.
    """
    header, _ = _first_lines(path)
    delimiter = _delimiter(header)
    with _reading_text(path), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # it has no rows
        try:
            return np.loadtxt(
                str(path),
                delimiter=delimiter,
                comments=None,
                quotechar='"',
                skiprows=1,
                usecols=list(numbers),
                ndmin=2,
                encoding="utf-8-sig",
            )
        except UnicodeDecodeError:
            raise
        except (ValueError, UserWarning) as error:
            raise FeatureError(f"{path}: {_first_fault(path, delimiter, numbers, columns) or error}") from error


def _first_fault(path: Path, delimiter: str, numbers: Sequence[int], columns: Sequence[str]) -> str | None:
    """Find the first line that is not a row of numbers, and say what is wrong with it."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if number == 1 or not line.strip("\r\n"):
                continue
            values = _fields(line, delimiter)
            if len(values) <= max(numbers):
                found = f"{len(values)} value{'s' if len(values) != 1 else ''}"
                return (
                    f"line {number} has {found}, but the first line names {len(columns)} columns. If the file was cut "
                    "short, copy it again or remove the line"
                )
            for column in sorted(numbers):
                if not _is_number(values[column]) or "_" in values[column]:
                    return _no_number(values[column], number, columns[column])
    return None


def _no_number(value: str, line: int, column: str) -> str:
    where = f"line {line}, column {column.strip()!r}"
    if not value.strip():
        return (
            f"{where}: there is no value. Remove such lines (with a time column, gaps are bridged), fill them in, or "
            "put sensors of different rates into files of their own"
        )
    comma = "," in value
    names = "Mend it, or name the columns to use by inputs.channels"
    way_out = "Write decimal numbers with a point" if comma else names
    return f"{where}: {value[:40]!r} is not a number. {way_out}"


def _check_finite(array: NDArray[np.floating[Any]], names: Sequence[str], path: Path) -> None:
    """Refuse samples or times that are not finite."""
    finite = np.isfinite(array)
    if finite.all():
        return
    row, column = np.argwhere(~finite)[0].tolist()
    raise FeatureError(
        f"{path}: row {row + 1} of the samples, column {names[column].strip()!r}, is NaN or infinite, one of "
        f"{finite.size - int(np.count_nonzero(finite))} such values. Remove such rows (with a time column, gaps are "
        "bridged), or fill them in"
    )


@contextmanager
def _reading_text(path: Path) -> Iterator[None]:
    """Context in which a text is read.

    Raises:
        FeatureError: if it is no text, or cannot be read.
    """
    with reading(str(path)):
        try:
            yield
        except UnicodeDecodeError as error:
            raise FeatureError(f"{path}: is not text in UTF-8 ({error.reason}). Save it as UTF-8") from error
