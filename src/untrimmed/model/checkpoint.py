"""Files of tensors and plain values, written atomically and read without ever unpickling code."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from untrimmed.data.files import write_atomically
from untrimmed.errors import ModelError


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dictionaries of these to a file, atomically."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, or any other file of tensors and plain values that `torch.save` wrote.

    Nothing is ever unpickled into code: `weights_only` reads tensors and plain values, and refuses all else.

    Raises:
        ModelError: if the file is missing, damaged, or holds anything else.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: there is no such file") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: holds more than tensors and plain values, so it could run code when opened, and is not opened. "
            "Save its state_dict alone and give that"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        raise ModelError(f"{path}: is no checkpoint, or damaged ({str(error).splitlines()[0]})") from error
    if not isinstance(state, dict):
        raise ModelError(f"{path}: expected a dictionary, but found {type(state).__name__}")
    return state
