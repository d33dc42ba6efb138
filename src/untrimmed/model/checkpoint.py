"""Files of tensors and plain values, written atomically, hashed, and read without ever unpickling code.

The SHA-256 of a file stands in the comment at its end, which zip archives may have. It is such an archive: `torch.load`
reads it as any other.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from untrimmed.data.files import write_atomically
from untrimmed.errors import ModelError

_HASH = b"sha256:"
_COMMENT = len(_HASH) + 64
_NO_COMMENT = b"\0\0"  # its length, the last two bytes of an archive without one


def checkpoint_before(path: Path) -> Path:
    """Return where the checkpoint is kept that was there before the one at `path`."""
    return path.with_name(f"{path.stem}-before{path.suffix}")


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dictionaries of these to a file, atomically.

    What was there is kept, see `checkpoint_before`. At any instant at least one of the two is whole.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    assert content.endswith(_NO_COMMENT)
    comment = _HASH + hashlib.sha256(content).hexdigest().encode()
    content = content[: -len(_NO_COMMENT)] + len(comment).to_bytes(2, "little") + comment
    write_atomically(path, content, keep=checkpoint_before(path))


def load_last_checkpoint(
    path: Path, device: torch.device | str = "cpu", told: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Read a checkpoint, or if it is missing or damaged, the one before it.

    Args:
        path: where `save_checkpoint` wrote.
        device: to put tensors on.
        told: is called with a line that names the damaged one, if that before it is taken.

    Raises:
        ModelError: if neither can be used.
    """
    try:
        return load_checkpoint(path, device, hashed=True)
    except ModelError as error:
        if not checkpoint_before(path).exists():
            raise
        state = load_checkpoint(checkpoint_before(path), device, hashed=True)
        told(f"{error}. The one before it, {checkpoint_before(path).name}, is taken")
        return state


def load_checkpoint(path: Path, device: torch.device | str = "cpu", *, hashed: bool = False) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, or any other file of tensors and plain values that `torch.save` wrote.

    Nothing is ever unpickled into code: `weights_only` reads tensors and plain values, and refuses all else.

    Args:
        path: of the file.
        device: to put tensors on.
        hashed: take only what `save_checkpoint` wrote: a file whose hash is missing is damaged.

    Raises:
        ModelError: if the file is missing, damaged, or holds anything else.
    """
    try:
        content = path.read_bytes()
        _check_hash(path, content, needed=hashed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a foreign file could be written with
            state = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except ModelError:
        raise
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is no such file") from error
    except (IsADirectoryError, PermissionError) as error:
        raise ModelError(f"{path}: cannot be opened ({error.strerror})") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: is damaged, or holds more than tensors and plain values. Such a file can run code when it is "
            "opened, so it is not. If you trust it, save its state_dict alone, with torch.save, and give that"
        ) from error
    except Exception as error:  # the restricted unpickler fails in as many ways as a file can be damaged
        raise ModelError(
            f"{path}: is damaged, or is no file that torch.save wrote. Copy it again, or save its state_dict anew"
        ) from error
    if not isinstance(state, dict):
        raise ModelError(f"{path}: expected a dictionary of tensors, but found {type(state).__name__}")
    return state


def _check_hash(path: Path, content: bytes, *, needed: bool) -> None:
    """Make sure that a file with a hash is what was written; files of others have none, and need none.

    Raises:
        ModelError: if it is not.
    """
    comment = content[-_COMMENT:]
    if not comment.startswith(_HASH):
        if needed:
            raise ModelError(f"{path}: is damaged: there is no hash at its end")
        return
    length = content[-_COMMENT - len(_NO_COMMENT) : -_COMMENT]
    written = content[: -_COMMENT - len(_NO_COMMENT)] + _NO_COMMENT
    whole = _HASH + hashlib.sha256(written).hexdigest().encode() == comment
    if not whole or length != _COMMENT.to_bytes(len(_NO_COMMENT), "little"):
        raise ModelError(f"{path}: is damaged: its content is not what was written, by the hash at its end")
