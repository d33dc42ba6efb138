"""From a path to a feature store."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features.archive import ArchiveFeatures
from untrimmed.data.features.folder import FolderFeatures
from untrimmed.data.features.formats import FORMATS, open_array_file
from untrimmed.data.features.store import FeatureStore
from untrimmed.data.features.validation import as_features, check_features, checked_shape
from untrimmed.errors import FeatureError


def open_features(path: Path, *, prefix: str = "", key: str | None = None) -> FeatureStore:
    """Open the features of a data set: a folder with a file for each video, or one archive with an array for each.

    Args:
        path: the folder, or a `.npz`, `.h5`, `.hdf5`, `.pt` or `.safetensors` file.
        prefix: what stands before the video id in every file or array name, such as `v_`.
        key: which array to take from files that hold several, such as `feats`.

    Raises:
        FeatureError: if there are no features at this path, or they cannot be read.
        ConfigError: if the key has no effect.
        MissingExtraError: if the archive is HDF5 and h5py is not installed.
    """
    if path.is_dir():
        return FolderFeatures(path, prefix=prefix, key=key)
    if not path.exists():
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, siblings, n=1)
        raise FeatureError(f"{path}: there is no such folder or file{f'. Did you mean {near[0]!r}?' if near else ''}")
    if path.suffix == ".npy":
        raise FeatureError(f"{path}: a .npy file is of one video; name the folder that it is in, {path.parent}")
    if path.suffix not in FORMATS:
        raise FeatureError(
            f"{path}: {path.suffix or 'a file without suffix'} is no format of features. Expected is a folder with a "
            f"file for each video, or one file for all: {', '.join(suffix for suffix in FORMATS if suffix != '.npy')}"
        )
    return ArchiveFeatures(path, prefix=prefix, key=key)


def read_feature_file(path: Path, *, key: str | None = None) -> NDArray[np.float32]:
    """Read the features of one video, `[T, D]`, from a file by itself; a new, writable array.

    Args:
        path: as `view_feature_file` takes it.
        key: which array to take if it holds several.

    Raises:
        FeatureError: as from `view_feature_file`.
    """
    return as_features(view_feature_file(path, key=key), str(path))


def view_feature_file(path: Path, *, key: str | None = None) -> NDArray[Any]:
    """Return the features of one video, `[T, D]`, as a file by itself holds them; a `.npy` file is memory-mapped.

    Args:
        path: a `.npy`, `.npz`, `.h5`, `.hdf5`, `.pt` or `.safetensors` file.
        key: which array to take if it holds several.

    Raises:
        FeatureError: if there is no such file, it is of another kind, damaged or pickled, or its values are not finite.
    """
    if not path.is_file():
        raise FeatureError(f"{path}: there is no such file")
    if path.suffix not in FORMATS:
        kind = path.suffix or "a file without suffix"
        raise FeatureError(f"{path}: {kind} is no format of features; these are: {', '.join(FORMATS)}")
    with open_array_file(path) as file:
        array = file.sole_array(key)
        length, _ = checked_shape(file.shape(array), str(path))
        return check_features(file.rows(array, 0, length), str(path))


def holds_one_array(path: Path) -> bool:
    """Whether a path is a feature file with a single array: one recording, and no archive of many.

    Raises:
        FeatureError: if it is a feature file that is damaged or pickled.
    """
    if not path.is_file() or path.suffix not in FORMATS:
        return False
    with open_array_file(path) as file:
        return len(file.names) == 1
