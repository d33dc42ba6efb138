"""Tables in `.parquet` files, by way of pyarrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features.array_file import reading
from untrimmed.errors import FeatureError, MissingExtraError


def parquet_columns(path: Path) -> list[str]:
    """Return the names of the columns of a file, and read no more than what it says of itself.

    Raises:
        FeatureError: if it cannot be read, or has no rows.
        MissingExtraError: if pyarrow is not installed.
    """
    with _opened(path) as file:
        if file.metadata.num_rows == 0:
            raise FeatureError(f"{path}: there are no samples in the file. Leave the recording out")
        return list(file.schema_arrow.names)


def read_parquet(path: Path, columns: Sequence[str]) -> NDArray[np.float64]:
    """Read columns of a file, `[S, columns]`; what is empty becomes NaN, and dates seconds since 1970.

    Raises:
        FeatureError: if it cannot be read, or a column holds no numbers.
        MissingExtraError: if pyarrow is not installed.
    """
    with _opened(path) as file:
        array = np.empty((file.metadata.num_rows, len(columns)))
        row = 0
        for batch in file.iter_batches(columns=list(dict.fromkeys(columns))):
            for number, name in enumerate(columns):
                array[row : row + batch.num_rows, number] = _numbers(batch.column(name), f"{path}: column {name!r}")
            row += batch.num_rows
        return array


def _numbers(column: Any, place: str) -> NDArray[np.float64]:
    """Return a column as numbers (pyarrow has no types)."""
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind == "M":
        seconds: NDArray[Any] = values.astype("datetime64[ns]").astype(np.int64) * 1e-9
        return seconds
    if values.dtype.kind not in "fiub":
        raise FeatureError(f"{place} holds {column.type}, not numbers. Name the columns to use by inputs.channels")
    return values.astype(np.float64)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Context with an open file."""
    try:
        import pyarrow as arrow  # noqa: PLC0415  an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError("pyarrow", "signals", f"Reading {path}") from None
    with reading(str(path), arrow.ArrowException, ValueError, KeyError), parquet.ParquetFile(path) as file:
        yield file
