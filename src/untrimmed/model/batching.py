"""Videos of different lengths as one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from untrimmed.model.config import ModelConfig

LEAST_SHARE = 0.95
"""Least length of a video in a batch without gradients, of the longest one's."""


def alike(lengths: Sequence[int], config: ModelConfig, *, videos: int, clips: int | None) -> Iterator[list[int]]:
    """Divide videos into batches of nearly the same length, so that hardly anything is computed of padding.

    Those that a model with official padding pads to different lengths stay apart.

    Args:
        lengths: of the videos.
        config: of the model.
        videos: most of them in a batch.
        clips: most of all videos of a batch together, padded, unless it is a single one; `None` is any number.

    Yields:
        The places of a batch's videos in `lengths`.
    """
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch:
            first, size = lengths[batch[0]], len(batch) + 1
            full = size > videos or (clips is not None and size * lengths[i] > clips)
            similar = (
                first >= LEAST_SHARE * lengths[i]
                if config.padding == "exact"
                else config.padded_length(first) == config.padded_length(lengths[i])
            )
            if full or not similar:
                yield batch
                batch = []
        batch.append(i)
    if batch:
        yield batch


def pad(
    features: list[Tensor], config: ModelConfig, *, rounded: bool = False, dtype: torch.dtype | None = None
) -> tuple[Tensor, Tensor]:
    """Make a batch: features `[T_i, D]` each to `[B, T, D]` with zeros behind, and which of them are valid, `[B, T]`.

    T is the longest one's length, or the length that the official code would pad it to if the model wants that. With
    `rounded`, T is rounded up by at most a sixteenth, so that there are few different ones: libraries prepare their
    kernels anew for every shape, which takes about half as long again as a training step, and up to a quarter of the
    time of a detection.

    The batch is of `dtype`, by default that of the features. A single video that needs no padding is not copied.
    """
    lengths = torch.tensor([len(x) for x in features])
    longest = config.padded_length(int(lengths.max()))
    if rounded and config.padding == "exact":
        step = 1 << max(longest.bit_length() - 5, 0)
        longest = -(-longest // step) * step
    valid = torch.arange(longest) < lengths[:, None]
    if len(features) == 1 and len(features[0]) == longest:
        return features[0].unsqueeze(0).to(dtype or features[0].dtype), valid
    batch = features[0].new_empty(len(features), longest, features[0].shape[1], dtype=dtype)
    for row, x in zip(batch, features, strict=True):
        row[: len(x)] = x
        row[len(x) :] = 0
    return batch, valid
