"""Training memory for a little time: what is cheap to compute again is not kept for the backward pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint


def recomputed(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return `function(x)`; for the backward pass, nothing but `x` is kept."""
    if not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return function(x)
    out: Tensor = checkpoint(function, x, use_reentrant=False, preserve_rng_state=False)
    return out


def through(before: Callable[[Tensor], Tensor], product: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return `product(before(x))`; of the two arguments, the backward pass is left only `x`.

    `before` is a function of `x` alone that keeps it for its own gradient, such as a LayerNorm or a GELU, and cheap
    beside `product`, which needs its own argument for the gradient of a weight. So half of the memory is saved.
    """
    between = before(x)
    if not (torch.is_grad_enabled() and between.requires_grad) or torch.compiler.is_compiling():
        return product(between)
    place, size, dtype, source = between.data_ptr(), between.numel(), between.dtype, x.detach()

    def pack(kept: Tensor) -> Tensor | tuple[torch.Size, tuple[int, ...]]:
        same = kept.data_ptr() == place and kept.numel() == size and kept.dtype == dtype
        return (kept.shape, kept.stride()) if same else kept

    device = x.device.type
    precision = torch.autocast(device, torch.get_autocast_dtype(device), enabled=torch.is_autocast_enabled(device))

    def unpack(packed: Tensor | tuple[torch.Size, tuple[int, ...]]) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        with torch.no_grad(), precision:
            return before(source).as_strided(*packed)

    with saved_tensors_hooks(pack, unpack):
        return product(between)
