"""Files of tensors and plain values, written atomically and read without ever unpickling code."""

from __future__ import annotations

import io
import pickle
import warnings
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a foreign file could be written with
            state = torch.load(path, map_location=device, weights_only=True)
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
