"""Training videos on the feature grid, and what each epoch reads of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.crops import CropConfig, cut, random_crop
from untrimmed.data.features import checked_dimension
from untrimmed.data.inputs import Inputs
from untrimmed.errors import FeatureError
from untrimmed.time_grid import TimeGrid

IN_MEMORY = 2**30
"""Bytes of features up to which all videos of a data set are read before training begins, and held in memory."""
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


def read_if_small(annotations: Annotations, inputs: Inputs) -> list[NDArray[np.float32]] | None:
    """Read the features of all videos; `None` if they take more than `IN_MEMORY`, of which only headers are read.

    Raises:
        FeatureError: if a video's features are missing, or unreadable, have another dimension than the first ones, or
            cover less than half or more than twice of its duration.
        ConfigError: if the stride, the window or the rate of a video is not known.
    """
    clips = 0
    for video in annotations:
        length = inputs.length(video)
        grid = inputs.grid(video)
        _, columns = inputs.store.shape(video.id)
        shape = (length, inputs.config.dimension(columns))
        checked_dimension(shape, inputs.dimension, f"{inputs.store.name}: video {video.id!r}")
        _check_end(video, grid, length, inputs.store.name)
        clips += length
    if clips * inputs.dimension * np.dtype(np.float32).itemsize > IN_MEMORY:
        return None
    return [inputs.features(video) for video in annotations]


def _check_end(video: Video, grid: TimeGrid, clips: int, place: str) -> None:
    """Refuse features that cannot be of the whole video, such as a file cut short or of another rate."""
    end = grid.end(clips)
    at_edges = (grid.window + grid.stride) / grid.rate  # a video shorter than a window has a clip all the same
    if not video.duration / 2 - at_edges <= end <= 2 * video.duration + at_edges:
        raise FeatureError(
            f"{place}: video {video.id!r}: the features end at {end:.1f} s, but the video lasts {video.duration:.1f} "
            "s. Extract them again, or correct its duration in the annotations, or data.inputs.stride and rate"
        )


class TrainingVideos:
    """The videos of a data set, cropped; those without any instance are negatives like any other background.

    Raises:
        FeatureError, ConfigError: as from `read_if_small`.
    """

    def __init__(self, annotations: Annotations, inputs: Inputs, crop: CropConfig) -> None:
        self.crop = crop
        self._inputs = inputs
        self._videos = list(annotations)
        self._held = read_if_small(annotations, inputs)
        self._lengths = [inputs.length(video) for video in self._videos]
        grids = [inputs.grid(video) for video in self._videos]
        self._segments = [grid.to_grid(video.segments) for grid, video in zip(grids, self._videos, strict=True)]
        self._labels = [annotations.label_numbers(video) for video in self._videos]

    def __len__(self) -> int:
        return len(self._videos)

    def epoch(self, number: int, *, batch_size: int, seed: int) -> list[list[Crop]]:
        """Batches of an epoch: every video once, cropped at random, videos of similar length together.

        It is the same for the same seed and number, so an interrupted epoch can be gone on with.
        """
        random = np.random.default_rng([seed, number])
        crops = [
            Crop(i, *random_crop(self._lengths[i], self._segments[i], self.crop, random))
            for i in random.permutation(len(self)).tolist()
        ]
        pool = batch_size * SHUFFLED_TOGETHER
        batches = []
        for first in range(0, len(crops), pool):
            near = sorted(crops[first : first + pool], key=lambda crop: crop.length)
            batches += [near[i : i + batch_size] for i in range(0, len(near), batch_size)]
        return [batches[i] for i in random.permutation(len(batches))]

    def sample(self, crop: Crop) -> Sample:
        """Read one crop. The whole of a video keeps its instances as they are, also where they go beyond its clips.

        Raises:
            FeatureError: if the features cannot be read, or are not finite.
        """
        segments, labels = self._segments[crop.video], self._labels[crop.video]
        if crop.length < self._lengths[crop.video]:
            segments, labels = cut(segments, labels, crop.start, crop.stop, self.crop.min_visible)
        return Sample(self._features(crop), segments, labels)

    def _features(self, crop: Crop) -> NDArray[np.float32]:
        if self._held is None:
            return self._inputs.features(self._videos[crop.video], crop.start, crop.stop)
        return self._held[crop.video][crop.start : crop.stop]
