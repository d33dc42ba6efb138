"""Local self-attention (paper, section 3.2): each moment attends to the `window` moments around it.

`local_attention` works on blocks of queries, each with the keys of the block and half a window on either side, so that
time and memory grow with T and no `T x T` matrix is built. `dense_attention` is the definition; the tests hold one
against the other.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 32
"""Queries in a block: of 16, 32, 64 and 128 the fastest or nearly so, for windows of 9 and 19."""


def dense_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    heads: int,
    window: int | None = None,
    valid: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """Multi-head attention by its definition (Eq. 1 and 2); for windows, the slow reference of `local_attention`.

    Args:
        query: `[B, T, C]`.
        key: `[B, T, C]`.
        value: `[B, T, C]`.
        heads: how many, each `C / heads` wide.
        window: odd number of moments that each one sees, itself in the middle; `None` is all.
        valid: `[B, T]`, which keys are real; `None` is all. A moment that sees no real key gets an arbitrary answer.
        bias: `[heads, window]`, added to the scores by head and by the key's place in the window.

    Returns:
        `[B, T, C]`, heads side by side.
    """
    length = query.shape[1]
    allowed = None if valid is None else valid[:, None, None, :]
    added = None
    if window is not None:
        position = torch.arange(length, device=query.device)
        place = position[None, :] - position[:, None] + window // 2
        near = (place >= 0) & (place < window)
        allowed = near if allowed is None else allowed & near
        if bias is not None:
            added = bias[:, place.clamp(0, window - 1)].to(query.dtype)
    if allowed is not None:
        added = (query.new_zeros(()) if added is None else added).masked_fill(~allowed, _never(query))
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    out = F.scaled_dot_product_attention(query, key, value, attn_mask=added)
    return out.transpose(1, 2).flatten(2)


def local_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    heads: int,
    window: int,
    valid: Tensor | None = None,
    bias: Tensor | None = None,
    block: int = BLOCK,
    fused: bool | None = None,
) -> Tensor:
    """The same as `dense_attention` with a window, in time and memory that grow linearly with T; same arguments.

    Args:
        query: `[B, T, C]`.
        key: `[B, T, C]`.
        value: `[B, T, C]`.
        heads: how many, each `C / heads` wide.
        window: odd number of moments that each one sees.
        valid: `[B, T]` or `None`.
        bias: `[heads, window]` or `None`.
        block: queries that are handled together; as many as half a window at least.
        fused: whether torch's fused attention goes over the blocks, instead of two products and a softmax. By default
            it does where it is a kernel of its own, on CUDA; on a CPU it is slower in bf16 and in training.

    Returns:
        `[B, T, C]`.
    """
    batch, length, width = query.shape
    half = window // 2
    block = max(half, min(block, length))
    tail = -length % block
    blocks = (length + tail) // block
    queries = F.pad(query, (0, 0, 0, tail)) if tail else query
    queries = queries.unflatten(1, (blocks, block)).unflatten(3, (heads, -1)).transpose(2, 3)
    keys, values = (_windows_of(x, heads, half, block) for x in (key, value))
    added = _block_bias(query, half, block, tail, valid, bias)
    if fused or (fused is None and query.device.type == "cuda"):
        added = added.expand(batch, -1, heads, -1, -1).flatten(0, 1)
        out = F.scaled_dot_product_attention(queries.flatten(0, 1), keys.flatten(0, 1), values.flatten(0, 1), added)
    else:
        scores = torch.bmm(queries.flatten(0, 2), keys.flatten(0, 2).transpose(1, 2)) * (width // heads) ** -0.5
        scores = scores.view(batch, blocks, heads, block, -1) + added
        out = torch.bmm(scores.softmax(-1).flatten(0, 2), values.flatten(0, 2))
    out = out.view(batch, blocks, heads, block, -1).transpose(2, 3)
    return out.reshape(batch, length + tail, width)[:, :length]


def _windows_of(x: Tensor, heads: int, half: int, block: int) -> Tensor:
    """What each block of queries sees: `[B, T, C] -> [B, blocks, heads, block + 2 * half, C / heads]`.

    Beyond the ends of the video there are zeros.
    """
    if torch.is_grad_enabled() and x.requires_grad:
        windows: Tensor = _Windows.apply(x, heads, half, block)  # type: ignore[no-untyped-call]
        return windows
    return _cut(x, heads, half, block)


def _cut(x: Tensor, heads: int, half: int, block: int) -> Tensor:
    tail = -x.shape[1] % block
    windows = F.pad(x, (0, 0, half, half + tail)).unfold(1, block + 2 * half, block)  # [B, blocks, C, keys]
    return windows.unflatten(2, (heads, -1)).transpose(3, 4).contiguous()


class _Windows(torch.autograd.Function):
    """`_cut`, whose gradient is a sum of three slices; torch adds up that of `unfold` number by number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, heads: int, half: int, block: int) -> Tensor:
        ctx.length, ctx.half, ctx.block = x.shape[1], half, block
        return _cut(x, heads, half, block)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        half, block = ctx.half, ctx.block
        grad = grad.transpose(2, 3)  # [B, blocks, keys, heads, C / heads]
        own = grad[:, :, half : half + block].contiguous()
        # Half a window is no longer than a block, so the keys of a block are of itself and its two neighbours.
        own[:, :-1, block - half :] += grad[:, 1:, :half]
        own[:, 1:, :half] += grad[:, :-1, half + block :]
        return own.flatten(1, 2).flatten(2)[:, : ctx.length], None, None, None


def _block_bias(like: Tensor, half: int, block: int, tail: int, valid: Tensor | None, bias: Tensor | None) -> Tensor:
    """What is added to the scores of every block, `[B or 1, blocks, heads or 1, block, block + 2 * half]`."""
    length, keys, device = like.shape[1], block + 2 * half, like.device
    place = torch.arange(keys, device=device)[None, :] - torch.arange(block, device=device)[:, None]
    near = (place >= 0) & (place <= 2 * half)
    real = torch.ones(1, length, dtype=torch.bool, device=device) if valid is None else valid
    real = F.pad(real, (half, half + tail)).unfold(1, keys, block)
    allowed = near & real[:, :, None, None, :]
    added = like.new_zeros(()) if bias is None else bias[:, place.clamp(0, 2 * half)].to(like.dtype)
    return added.masked_fill(~allowed, _never(like))


def _never(like: Tensor) -> float:
    """Score of a key that is not there: finite, so that a row without any key has no NaN, nor have its gradients."""
    return torch.finfo(like.dtype).min / 2
