"""Reading the weights files that the authors of backbones publish. Nothing is ever unpickled into code."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from untrimmed.errors import ModelError

Renaming = Sequence[tuple[str, str | Callable[[re.Match[str]], str]]]
"""Patterns of published names and what to make of them, each applied in turn to what the ones before have left."""

_WRAPPERS = ("state_dict", "model_state", "model")
"""Under which a training loop keeps the weights among other things."""

_TORCH_MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)
"""What a file of torch older than 1.6 begins with."""

_KNOWN = {
    "Conv3d_1a_7x7.conv3d.weight": "i3d",
    "s1.pathway0_stem.conv.weight": "slowfast",
    "blocks.0.multipathway_blocks.0.conv.weight": "slowfast",
    "layer1.0.conv1.0.0.weight": "r2plus1d",
    "features.layer1.0.conv1.0.0.weight": "r2plus1d",
}
"""A tensor that each kind of network has and no other, and the name of its extractor."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a `.pt`, `.pth`, `.pyth` or `.safetensors` file, by name, on the CPU.

    Both formats of torch are read, a plain state dict as well as a checkpoint that has one under `state_dict`,
    `model_state` or `model`. A `module.` before every name is taken off.

    Raises:
        ModelError: if the file is missing, damaged, a pickle of something else, or holds no tensors by name.
    """
    content = _content(path)
    for key in _WRAPPERS:
        inner = content.get(key)
        if isinstance(inner, Mapping):
            content = inner
    state = {key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not state:
        found = ", ".join(map(repr, list(content)[:3])) or "nothing"
        raise ModelError(f"{path}: holds no tensors by name, but {found}. Give the file that its authors publish")
    if all(name.startswith("module.") for name in state):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return state


def _content(path: Path) -> Mapping[Any, Any]:
    """Load a file, whatever it holds."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_TORCH_MAGIC))
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is no such file of weights. Correct the path, or download it there") from error
    except (OSError, ValueError) as error:  # the latter where no file can have such a name
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{path}: cannot be opened ({reason})") from error
    is_zip, is_safe = zipfile.is_zipfile(path), path.suffix == ".safetensors"
    damaged = f"{path}: is damaged, or is no file of weights. Copy or download it again"
    if not is_zip and not is_safe and start != _TORCH_MAGIC:
        if start[:1] != b"\x80":
            raise ModelError(damaged)
        raise ModelError(
            f"{path}: is a pickle (such as Caffe2 writes), which is never opened, because it can run any code. "
            "Give a file that torch wrote; see docs/extractors.md for where there is one"
        )
    try:
        if is_safe:
            return safetensors.torch.load_file(path)
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")  # of what an old file was written with
            # Training loops keep their options, as a Namespace, beside the weights; it holds attributes and no code.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: is damaged, or holds more than tensors and plain values, which is never opened, because it can "
            "run any code. If you trust it, save its state_dict alone, with torch.save, and give that"
        ) from error
    except (Exception, safetensors.SafetensorError) as error:  # they fail in as many ways as a file can be damaged
        raise ModelError(damaged) from error
    return content if isinstance(content, Mapping) else {}


def load_published(
    network: nn.Module, state: Mapping[str, Tensor], renaming: Renaming, path: Path, kind: str
) -> dict[str, Tensor]:
    """Put published weights into a network, and return them under the network's own names.

    Args:
        network: may be on the meta device, without any memory; it takes over the tensors.
        state: the weights as published.
        renaming: from published names to the network's. A name that becomes `""` is left out: a classifier, which is
            not wanted here. Counters of batch normalisations are left out, too.
        path: for messages.
        kind: name of the extractor, for messages.

    Raises:
        ModelError: if a tensor is missing, left over, or of another shape; the first is named, and what the file seems
            to be.
    """
    counter = "num_batches_tracked"
    published = {_renamed(name, renaming): name for name in state if not name.endswith(counter)}
    published.pop("", None)
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items() if not name.endswith(counter)}
    hint = _hint(state, kind)
    missing = [name for name in wanted if name not in published]
    if missing:
        count = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(f"{path}: lacks what becomes {missing[0]!r}{count} in {kind}{hint}")
    for name, original in published.items():
        if name not in wanted:
            raise ModelError(f"{path}: holds {original!r}, which {kind} has no place for{hint}")
        if tuple(state[original].shape) != wanted[name]:
            raise ModelError(
                f"{path}: {original!r} has the shape {list(state[original].shape)}, but {list(wanted[name])} is "
                f"expected{hint}"
            )
    # Copies, since the file is mapped, and may be written to while the network is in use.
    ours = {name: state[published[name]].to(torch.float32, copy=True) for name in wanted}
    for name, tensor in ours.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{path}: {published[name]!r} has values that are NaN or infinite. Download it again")
    network.load_state_dict(ours, strict=False, assign=True)
    return ours


def recognised(state: Mapping[str, Tensor]) -> str | None:
    """Return the name of the extractor that these published weights are for, if it is one of ours."""
    for name, kind in _KNOWN.items():
        if name in state:
            return "i3d-flow" if kind == "i3d" and state[name].shape[1:2] == (2,) else kind
    return None


def absolute(kind: str, path: Path) -> str:
    """Return the name of an extractor with its weights where they are, from whatever folder it is made again."""
    return f"{kind}:{path.absolute()}"


def _renamed(name: str, renaming: Renaming) -> str:
    for pattern, ours in renaming:
        name = re.sub(pattern, ours, name)
    return name


def _hint(state: Mapping[str, Tensor], kind: str) -> str:
    """Say what a file seems to be."""
    seems = recognised(state)
    if seems is None:
        return f". It is no file that we know; its first tensor is {next(iter(state))!r}"
    if seems == kind:
        return f". It seems to be a variant of {kind} that is not supported; see docs/extractors.md"
    return f". It seems to be for {seems}: say {seems}:PATH"
