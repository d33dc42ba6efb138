"""Where a model runs and in which precision."""

from __future__ import annotations

from typing import Literal

import torch

from untrimmed.errors import ConfigError

Precision = Literal["auto", "fp32", "bf16"]


def pick_device(name: str) -> torch.device:
    """Return the device of this name; `auto` is the first of cuda, mps and cpu that is there.

    Raises:
        ConfigError: if there is no such device here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"there is no device {name!r}; use auto, cpu, cuda or mps") from error
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # an AssertionError where torch was built without it
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"device {name!r} cannot be used here ({reason}); use auto or cpu") from error
    return device


def computes_in_bf16(device: torch.device) -> bool:
    """Whether the processor multiplies matrices in bf16 itself, and so gains from it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        asks = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
        return any(ask() for ask in asks if ask is not None)
    return False


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
    """What a model computes in: `auto` is bf16 where the processor computes in it, and fp32 elsewhere."""
    bf16 = precision == "bf16" or (precision == "auto" and computes_in_bf16(device))
    return torch.bfloat16 if bf16 else torch.float32


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Context in which a model computes in `precision` (see `dtype_of`)."""
    enabled = dtype_of(precision, device) == torch.bfloat16
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
