"""`.h5` and `.hdf5` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from untrimmed.data.features.array_file import ArrayFile, listed, reading
from untrimmed.errors import FeatureError, MissingExtraError

_FAULTS = (KeyError, ValueError, TypeError, RuntimeError)


class Hdf5File(ArrayFile):
    """The data sets of an HDF5 file. A data set inside a group is named `group/data set`.

    Raises:
        MissingExtraError: if h5py is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            import h5py  # noqa: PLC0415  an extra
        except ImportError:
            raise MissingExtraError("h5py", "hdf5", f"Reading {path}") from None
        self._array_type, self._group_type = h5py.Dataset, h5py.Group
        with reading(str(path), *_FAULTS):
            self._file = h5py.File(path, "r")

    @property
    def names(self) -> tuple[str, ...]:
        """Names at the top of the file, data sets and groups alike (telling them apart means opening each)."""
        with reading(str(self.path), *_FAULTS):
            return tuple(name for name in self._file if isinstance(name, str))  # bytes where it is not Unicode

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a data set without reading it."""
        return self._data_set(name).shape or (0,)

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Read the rows alone, as far as the file's chunks allow."""
        data_set = self._data_set(name)
        with reading(self.place(name), *_FAULTS):
            rows: NDArray[Any] = data_set[start:stop]
        return rows

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _data_set(self, name: str) -> Any:
        """Return a data set (h5py has no types)."""
        with reading(self.place(name), *_FAULTS):
            if name in self._file:
                item = self._file[name]
                if isinstance(item, self._array_type):
                    return item
                what = (
                    f"is a group that holds {listed(tuple(item))}"
                    if isinstance(item, self._group_type)
                    else "is no array"
                )
                raise FeatureError(f"{self.path}: {name!r} {what}; say which array to take with key")
            group, _, key = name.rpartition("/")
            parent = self._file[group]
            what = f"holds {listed(tuple(parent))}" if isinstance(parent, self._group_type) else "is an array itself"
            raise FeatureError(f"{self.path}: {group!r} {what}, so there is no {key!r} in it. Correct the key")
