"""Which instances training would never see."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_PAIRS_AT_ONCE = 1 << 20  # of an instance and a moment: some 50 MB


def uncovered(
    segments: NDArray[np.float64], length: int, moments: NDArray[np.floating[Any]], radius: float | None
) -> NDArray[np.bool_]:
    """Return which instances no moment is trained on, `[n]`.

    A moment is trained on an instance if it lies inside it, within `radius` strides of its centre (both strictly), and
    the larger of its distances to onset and offset is in the moment's regression range, ends included.

    Args:
        segments: `[n, 2]`, on the feature grid.
        length: T, the clips of the video. Moments at or after it are padding and do not count.
        moments: `[N, 4]`: time, range from, range to, stride, all on the feature grid.
        radius: of center sampling, in strides of a moment's level; `None` is the whole instance.
    """
    real = moments[moments[:, 0] < length].astype(np.float64)
    lonely = np.ones(len(segments), dtype=np.bool_)
    step = max(1, _PAIRS_AT_ONCE // max(1, len(real)))
    for first in range(0, len(segments), step):
        part = slice(first, first + step)
        lonely[part] = ~_trained(segments[part], real, radius).any(axis=1)
    return lonely


def _trained(segments: NDArray[np.float64], moments: NDArray[np.float64], radius: float | None) -> NDArray[np.bool_]:
    """Return which moments are trained on which instances, `[n, N]`."""
    time, low, high, stride = moments.T
    start, end = segments[:, :1], segments[:, 1:]
    farther = np.maximum(time - start, end - time)
    trained = (time > start) & (time < end) & (farther >= low) & (farther <= high)
    if radius is not None:
        trained &= np.abs(time - (start + end) / 2) < radius * stride
    return trained
