"""Which class reads which kind of file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from untrimmed.data.features.array_file import ArrayFile
from untrimmed.data.features.hdf5_file import Hdf5File
from untrimmed.data.features.numpy_file import NpyFile, NpzFile
from untrimmed.data.features.safetensors_file import SafetensorsFile
from untrimmed.data.features.torch_file import TorchFile

FORMATS: Mapping[str, Callable[[Path], ArrayFile]] = {
    ".npy": NpyFile,
    ".npz": NpzFile,
    ".h5": Hdf5File,
    ".hdf5": Hdf5File,
    ".pt": TorchFile,
    ".safetensors": SafetensorsFile,
}


def open_array_file(path: Path) -> ArrayFile:
    """Open a file by its suffix, which has to be one of `FORMATS`.

    Raises:
        FeatureError: if it is missing, damaged or pickled.
        MissingExtraError: if it is HDF5 and h5py is not installed.
    """
    return FORMATS[path.suffix](path)
