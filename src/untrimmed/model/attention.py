"""Local self-attention (paper, section 3.2): each moment attends to the `window` moments around it.

`local_attention` works on blocks of queries, each with the keys of the block and half a window on either side, so that
time and memory grow with T and no `T x T` matrix is built. `dense_attention` is the definition; the tests hold one
against the other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

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
        block: queries that are handled together.

    Returns:
        `[B, T, C]`.
    """
    batch, length, width = query.shape
    half = window // 2
    block = min(block, length)
    tail = -length % block
    blocks = (length + tail) // block

    def windows(x: Tensor) -> Tensor:
        """Cut `[B, T, C]` into the keys of each block: `[B * blocks, heads, block + 2 * half, C / heads]`."""
        x = F.pad(x, (0, 0, half, half + tail)).unfold(1, block + 2 * half, block).transpose(2, 3)
        return x.reshape(batch * blocks, block + 2 * half, heads, width // heads).transpose(1, 2)

    queries = F.pad(query, (0, 0, 0, tail)) if tail else query
    queries = queries.reshape(batch * blocks, block, heads, width // heads).transpose(1, 2)
    scores = (queries * (width // heads) ** -0.5) @ windows(key).transpose(2, 3)
    scores = scores.unflatten(0, (batch, blocks)) + _block_bias(query, half, block, tail, valid, bias)
    out = scores.softmax(-1).flatten(0, 1) @ windows(value)
    return out.transpose(1, 2).reshape(batch, length + tail, width)[:, :length]


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
