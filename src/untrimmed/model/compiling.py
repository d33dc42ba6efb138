"""`torch.compile` where it is asked for, and the same function as it is where there is no compiler."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` compiled for inputs of any length; compilation is at the first call, and takes minutes.

    Where it fails, as it does where there is no C++ compiler (on CPUs) or no Triton (on CUDA), a warning says why, and
    from then on the function runs as it is.
    """
    fast: Callable[P, R] | None = torch.compile(function, dynamic=True)

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal fast
        if fast is None:
            return function(*args, **kwargs)
        try:
            return fast(*args, **kwargs)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            fast = None
            reason = str(error).strip().partition("\n")[0]
            warnings.warn(f"the model runs without torch.compile, which failed here: {reason}", stacklevel=2)
            return function(*args, **kwargs)

    return run
