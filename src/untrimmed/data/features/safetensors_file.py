"""`.safetensors` files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from untrimmed.data.features.array_file import ArrayFile, reading

_NUMPY_TYPES = frozenset({"F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"})


class SafetensorsFile(ArrayFile):
    """The arrays of a safetensors file, memory-mapped."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with reading(str(path), SafetensorError):
            self._file: Any = safe_open(path, framework="numpy")  # its methods have no types

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays."""
        return tuple(self._file.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape that the header names."""
        return tuple(self._file.get_slice(name).get_shape())

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Read the rows alone; a type that numpy does not know (bfloat16) becomes float32 by way of torch."""
        part = self._file.get_slice(name)
        with reading(self.place(name), SafetensorError):
            if part.get_dtype() in _NUMPY_TYPES:
                return part[start:stop]
            with safe_open(self.path, framework="pt") as file:
                return file.get_slice(name)[start:stop].float().numpy()

    def close(self) -> None:
        """Close the file."""
        self._file.__exit__(None, None, None)
