"""Geometry of segments: pure functions on `(N, 2)` arrays of `(start, end)`.

They take numpy arrays and torch tensors alike (the same kind for all arguments, and the same kind is returned), on any
device, in any unit. A segment whose end is not after its start has no length and overlaps with nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = TypeVar("Array", np.ndarray[Any, Any], torch.Tensor)
else:
    Array = TypeVar("Array")


def length(segments: Array) -> Array:
    """Lengths of segments, never negative: `[..., 2] -> [...]`."""
    return (segments[..., 1] - segments[..., 0]).clip(min=0)


def intersection(a: Array, b: Array) -> Array:
    """Length of the overlap of segments, broadcast: `[..., 2], [..., 2] -> [...]`."""
    return (a[..., 1].clip(max=b[..., 1]) - a[..., 0].clip(min=b[..., 0])).clip(min=0)


def tiou(a: Array, b: Array) -> Array:
    """Temporal intersection over union of segments, broadcast: `[..., 2], [..., 2] -> [...]`, in [0, 1].

    Two segments without length have a tIoU of 0, also with themselves.
    """
    overlap = intersection(a, b)
    union = length(a) + length(b) - overlap
    return overlap / union.clip(min=_smallest(union))


def pairwise_tiou(a: Array, b: Array) -> Array:
    """Temporal IoU of every segment of `a` with every one of `b`: `[N, 2], [M, 2] -> [N, M]`."""
    return tiou(a[:, None], b[None])


def clip(segments: Array, duration: float) -> Array:
    """Segments cut to `[0, duration]`: `[..., 2] -> [..., 2]`."""
    return segments.clip(0, duration)


def _smallest(like: Any) -> float:
    """Return the least positive number by which an array of this type can be divided without overflow of 0 / x."""
    return 1e-12 if like.dtype.itemsize >= 4 else 1e-6
