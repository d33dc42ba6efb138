"""Training videos on the feature grid, and what each epoch reads of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.crops import CropConfig, cut, random_crop
from untrimmed.data.inputs import Inputs

IN_MEMORY = 2**30
"""Bytes of features up to which a whole data set is held in memory after it was first read."""
SHUFFLED_TOGETHER = 16
"""Batches among whose videos those of similar length are put together."""


@dataclass(frozen=True)
class Crop:
    """Clips `[start, stop)` of one of a data set's videos."""

    video: int
    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many clips."""
        return self.stop - self.start


@dataclass(frozen=True)
class Sample:
    """What is trained on: features `[T, D]`, segments `[n, 2]` on their grid, class numbers `[n]`."""

    features: NDArray[np.float32]
    segments: NDArray[np.float64]
    labels: NDArray[np.int64]


class TrainingVideos:
    """The videos of a data set, cropped; those without any instance are negatives like any other background.

    Raises:
        FeatureError: if a video's features are missing or unreadable.
    """

    def __init__(self, annotations: Annotations, inputs: Inputs, crop: CropConfig) -> None:
        self.crop = crop
        self._inputs = inputs
        self._videos = list(annotations)
        self._lengths = [inputs.length(video) for video in self._videos]
        grids = [inputs.grid(video) for video in self._videos]
        self._segments = [grid.to_grid(video.segments) for grid, video in zip(grids, self._videos, strict=True)]
        self._labels = [annotations.label_numbers(video) for video in self._videos]
        self._kept: dict[int, NDArray[np.float32]] = {}
        self._keeps = sum(self._lengths) * inputs.dimension * 4 <= IN_MEMORY

    def __len__(self) -> int:
        return len(self._videos)

    def epoch(self, number: int, *, batch_size: int, seed: int) -> list[list[Crop]]:
        """Batches of an epoch: every video once, cropped at random, videos of similar length together.

        It is the same for the same seed and number, so an interrupted epoch can be gone on with.
        """
        random = np.random.default_rng([seed, number])
        crops = [
            Crop(i, *random_crop(self._lengths[i], self._segments[i], self.crop, random))
            for i in random.permutation(len(self))
        ]
        pool = batch_size * SHUFFLED_TOGETHER
        batches = []
        for first in range(0, len(crops), pool):
            near = sorted(crops[first : first + pool], key=lambda crop: crop.length)
            batches += [near[i : i + batch_size] for i in range(0, len(near), batch_size)]
        return [batches[i] for i in random.permutation(len(batches))]

    def sample(self, crop: Crop) -> Sample:
        """Read one crop.

        Raises:
            FeatureError: if the features cannot be read, or are not finite.
        """
        segments, labels = cut(
            self._segments[crop.video], self._labels[crop.video], crop.start, crop.stop, self.crop.min_visible
        )
        return Sample(self._features(crop), segments, labels)

    def _features(self, crop: Crop) -> NDArray[np.float32]:
        video = self._videos[crop.video]
        if not self._keeps:
            return self._inputs.features(video, crop.start, crop.stop)
        if crop.video not in self._kept:
            self._kept[crop.video] = self._inputs.features(video)
        return self._kept[crop.video][crop.start : crop.stop]
