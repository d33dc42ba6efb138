"""`.npy` and `.npz` files. Arrays of Python objects are refused by their header, before anything is unpickled."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features.array_file import ArrayFile, reading
from untrimmed.errors import FeatureError

# What numpy's parser of headers and the zip reader were seen to raise over damaged files, besides OSError.
_HEADER_FAULTS = (ValueError, TypeError, KeyError, EOFError, SyntaxError, TokenError, RecursionError, MemoryError)
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True)
class NpyHeader:
    """The header of an array in the npy format: its shape, whether columns come first, and the type of its numbers."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def array_bytes(self) -> int:
        """Bytes of all of it."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], place: str) -> NpyHeader:
    """Read a header, and leave the stream where the numbers begin.

    Args:
        stream: of the file.
        place: what it is called in messages.

    Raises:
        FeatureError: if it is none, or of an array of Python objects.
    """
    with reading(place, *_HEADER_FAULTS):
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
        else:  # (3, 0) differs only in that it can name the fields of records in Unicode
            raise FeatureError(f"{place}: npy format {version[0]}.{version[1]} holds records, not numbers")
    if dtype.hasobject:
        raise FeatureError(
            f"{place}: holds pickled Python objects, which are never loaded, because they can run any code. "
            "Where you trust the file, save the numbers alone: np.save(path, array.astype(np.float32))"
        )
    if any(type(length) is not int or length < 0 for length in shape):  # True is an int, and no length
        raise FeatureError(f"{place}: the header is damaged, it names the shape {list(shape)}. Copy the file again")
    return NpyHeader(shape, fortran, dtype)


class NpyFile(ArrayFile):
    """One array in a `.npy` file, memory-mapped: only the rows that are asked for are read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with reading(str(path)), path.open("rb") as stream:
            self._header = read_header(stream, str(path))
            self._offset = stream.tell()
            found = os.fstat(stream.fileno()).st_size - self._offset
        if found < self._header.array_bytes:
            raise FeatureError(
                f"{path}: the file is cut short: its header promises {self._header.array_bytes} bytes for "
                f"{list(self._header.shape)}, and {found} are there. Copy or extract it again"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The one array has no name."""
        return ("",)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape that the header names."""
        return self._header.shape

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return a read-only view of the file."""
        header = self._header
        with reading(str(self.path), ValueError):
            array: NDArray[Any] = np.memmap(
                self.path, header.dtype, "r", self._offset, header.shape, "F" if header.fortran else "C"
            )
        return array[start:stop]

    def close(self) -> None:
        """Nothing stays open: a map is closed with the last array that views it."""


class NpzFile(ArrayFile):
    """The arrays of a `.npz` file, compressed or not."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with reading(str(path), *_ZIP_FAULTS):
            self._zip = zipfile.ZipFile(path)
        members = (name for name in self._zip.namelist() if name.endswith(".npy"))
        self._members = {name.removesuffix(".npy"): name for name in members}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays, without `.npy`."""
        return tuple(self._members)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape that the header inside the zip file names."""
        with reading(self.place(name), *_ZIP_FAULTS), self._zip.open(self._members[name]) as stream:
            return read_header(stream, self.place(name)).shape

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Read up to the last of the rows (all of the array if it is stored column by column)."""
        place = self.place(name)
        with reading(place, *_ZIP_FAULTS), self._zip.open(self._members[name]) as stream:
            header = read_header(stream, place)
            first, last = (0, header.shape[0]) if header.fortran else (start, stop)
            stream.seek(first * header.row_bytes, os.SEEK_CUR)
            wanted = (last - first) * header.row_bytes
            data = stream.read(wanted)
        if len(data) < wanted:
            raise FeatureError(
                f"{place}: is cut short: {wanted} bytes were expected, {len(data)} are there. Copy or extract it again"
            )
        array = np.frombuffer(data, header.dtype)
        if header.fortran:
            return array.reshape(header.shape, order="F")[start:stop]
        return array.reshape(stop - start, *header.shape[1:])

    def close(self) -> None:
        """Close the zip file."""
        self._zip.close()
