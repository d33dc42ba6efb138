"""What is detected in: an array with its facts, and the features that are made of it, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from untrimmed.data.features import check_features, checked_dimension
from untrimmed.data.inputs import InputConfig
from untrimmed.errors import FeatureError
from untrimmed.model.config import ModelConfig
from untrimmed.model.moments import level_lengths
from untrimmed.time_grid import TimeGrid

PROGRAM = 330_000_000
"""Bytes that Python, torch and this package take before they have anything to do."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One recording to detect in.

    Attributes:
        array: `[T, D]` features or, for a model of raw signals, `[samples, channels]`.
        id: its name.
        duration: in seconds; where it is not known, detections end at the end of the last clip.
        rate: frames per second, for a model whose training videos had each their own.
        source: where the array is from, for messages; its name where left out.
    """

    array: NDArray[Any]
    id: str = ""
    duration: float | None = None
    rate: float | None = None
    source: str = ""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A recording that was looked through. Its features are made of the array when they are needed, part by part.

    Attributes:
        id: its name.
        clips: how many there are.
        grid: where they lie.
        duration: in seconds.
        array: as it was given.
        inputs: how it becomes features.
    """

    id: str
    clips: int
    grid: TimeGrid
    duration: float
    array: NDArray[Any]
    inputs: InputConfig

    def features(self, start: int = 0, stop: int | None = None) -> Tensor:
        """Features of the clips `start` to `stop`, `[T, D]`; a view of the array where nothing has to be made."""
        features = self.inputs.features(self.array, self.id, start, stop)
        return torch.from_numpy(np.require(features, requirements=["C", "W"]))


def held_bytes(config: ModelConfig, video: Prepared) -> int:
    """Memory for detecting in a video that grows with its length however it is divided: features and predictions."""
    moments = sum(level_lengths(video.clips, config.strides))
    # Logits, their sigmoids and the masked copy of these; offsets and segments.
    return PROGRAM + video.array.nbytes + 4 * moments * (3 * (config.num_classes or 0) + 6)


def prepare(recording: Recording, inputs: InputConfig, dimension: int) -> Prepared:
    """Look a recording through; `dimension` is that of the features that the model takes.

    Raises:
        FeatureError: if its features are empty or not finite, or have another dimension, or its duration is none.
        ConfigError: if the time grid needs a rate, and the recording has none.
    """
    name = recording.source or recording.id or "recording"
    if recording.duration is not None and not 0 < recording.duration < float("inf"):
        raise FeatureError(f"{name}: its duration is {recording.duration}, but has to be a positive number")
    array, each = np.asarray(recording.array), inputs
    check_features(array, name)
    rows = len(array)
    if inputs.resample is not None:  # every clip is made of rows of the whole
        array, each = inputs.features(array, name), InputConfig()
    clips = each.clips(len(array), name)
    checked_dimension((clips, each.features(array, name, 0, 1).shape[1]), dimension, name)
    grid = inputs.grid(recording.rate, rows, name)
    duration = grid.end(clips) if recording.duration is None else recording.duration
    return Prepared(recording.id, clips, grid, duration, array, each)
