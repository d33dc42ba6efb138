"""`.pt` files, loaded with `weights_only=True`: whatever else than tensors they hold is refused, never unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from untrimmed.data.features.array_file import ArrayFile
from untrimmed.errors import FeatureError

if TYPE_CHECKING:
    from torch import Tensor


class TorchFile(ArrayFile):
    """A tensor, or a dictionary of tensors, saved with `torch.save`; memory-mapped where its format allows."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        content = _load(path)
        if isinstance(content, Mapping):
            self._tensors = {key: value for key, value in content.items() if _is_named_tensor(key, value)}
        else:
            self._tensors = {"": content}
        if not all(_is_named_tensor(key, value) for key, value in self._tensors.items()):
            raise FeatureError(
                f"{path}: holds a {type(content).__name__}, but a tensor or a dictionary of tensors is expected. "
                "Save it again as torch.save(tensor, path)"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Keys of the dictionary, or the nameless tensor."""
        return tuple(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return tuple(self._tensors[name].shape)

    def rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Return rows as numpy can hold them: a type that it does not know (bfloat16) becomes float32."""
        tensor = self._tensors[name]
        if tensor.is_complex() or tensor.is_sparse or tensor.is_quantized:
            raise FeatureError(f"{self.place(name)}: holds a {tensor.dtype} {tensor.layout} tensor, not plain numbers")
        part = tensor[start:stop].detach()
        return (part.float() if part.is_floating_point() else part).numpy()

    def close(self) -> None:
        """Let go of the tensors, and with them of the map."""
        self._tensors = {}


def _is_named_tensor(key: object, value: object) -> bool:
    import torch  # noqa: PLC0415  most feature stores need no torch

    return isinstance(key, str) and isinstance(value, torch.Tensor)


def _load(path: Path) -> Tensor | Mapping[str, Tensor] | object:
    import torch  # noqa: PLC0415

    try:
        # Only the zip format, torch's own since 1.6, can be mapped.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (FileNotFoundError, PermissionError) as error:
        raise FeatureError(f"{path}: cannot be opened ({error.strerror})") from error
    except Exception as error:  # the restricted unpickler fails in as many ways as a file can be damaged
        raise FeatureError(
            f"{path}: cannot be read: it is damaged, or holds other Python objects than tensors, which are never "
            "loaded, because they can run any code. Where you trust it, save it again as torch.save(tensor, path)"
        ) from error
