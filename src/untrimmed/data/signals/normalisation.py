"""Mean and standard deviation of each channel, over all recordings that a model is trained on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.inputs import InputConfig, Inputs

CONSTANT = 1e-9
"""A channel that varies by less than this part of its mean is constant: what is left is rounding."""


def fitted(inputs: Inputs, ids: Iterable[str]) -> InputConfig:
    """Return the configuration of signals with the offset and the scale that standardise each used channel.

    They are the mean and the standard deviation over all samples of these recordings, which are read one at a time.
    Sums are of float64, those over recordings rounded once (`math.fsum`): the order of recordings does not matter. A
    channel that is constant gets the scale 1.

    Raises:
        FeatureError: if a recording is missing, cannot be read, or lacks a channel.
    """
    counts: list[int] = []
    sums: list[list[float]] = []
    squares: list[list[float]] = []  # of deviations from the recording's own mean, which keeps them exact
    for video_id in ids:
        array = inputs.store.read(video_id)
        inputs.config.check_signals(array.shape, f"{inputs.store.name}: video {video_id!r}")
        samples = inputs.config.used(array)
        means = samples.mean(axis=0, dtype=np.float64)
        counts.append(len(samples))
        sums.append((means * len(samples)).tolist())
        channels = samples.T.astype(np.float64)
        squares.append([float(np.square(each - mean).sum()) for each, mean in zip(channels, means, strict=True)])
    total = sum(counts)
    offset, scale = [], []
    for each_sum, each_square in zip(zip(*sums, strict=True), zip(*squares, strict=True), strict=True):
        mean = math.fsum(each_sum) / total
        between = math.fsum(n * (s / n - mean) ** 2 for n, s in zip(counts, each_sum, strict=True))
        deviation = math.sqrt((math.fsum(each_square) + between) / total)
        offset.append(mean)
        scale.append(1.0 if deviation <= CONSTANT * abs(mean) else deviation)
    return dataclasses.replace(inputs.config, offset=tuple(offset), scale=tuple(scale))


def usual_sizes(inputs: Inputs, ids: Sequence[str], *, most: int = 20) -> NDArray[np.float64]:
    """Return the root mean square `[channels]` of each used channel, over at most so many recordings.

    They lie evenly among those given, and count alike whatever their length.

    Raises:
        FeatureError: if a recording is missing, cannot be read, or lacks a channel.
    """
    squares = []
    for video_id in ids[:: max(1, -(-len(ids) // most))]:
        array = inputs.store.read(video_id)
        inputs.config.check_signals(array.shape, f"{inputs.store.name}: video {video_id!r}")
        squares.append(np.square(inputs.config.used(array), dtype=np.float64).mean(axis=0))
    return np.sqrt(np.mean(squares, axis=0))
