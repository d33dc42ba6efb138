"""What is measured: the recipe `thumos14_i3d` with random weights, on random features."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.crops import CropConfig
from untrimmed.data.dataset import TrainingVideos
from untrimmed.data.features import FeatureDescription
from untrimmed.data.features.store import FeatureStore
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.learning.processes import make_fabric
from untrimmed.learning.trainer import Trainer
from untrimmed.model.devices import Precision
from untrimmed.model.network import ActionFormer, Predictions
from untrimmed.time_grid import TimeGrid

RATE = 30.0
"""Frames per second of all videos; THUMOS14's have 24 to 30."""
LABELS = tuple(f"class {i}" for i in range(20))


def recipe() -> ExperimentConfig:
    """The settings of everything that is measured."""
    return load_config("thumos14_i3d")


def inputs() -> InputConfig:
    """The recipe's time grid."""
    return replace(recipe().data.inputs, rate=RATE)


def grid() -> TimeGrid:
    """The time grid of every video."""
    return inputs().grid(None, 0)


def network() -> ActionFormer:
    """A network with random weights, always the same. It gives every class of every moment about the probability 0.01.

    That is above the threshold of a candidate, so that as many reach suppression as there can be.
    """
    torch.manual_seed(0)
    return ActionFormer(recipe().model)


def localizer(precision: Precision, **more: Any) -> Localizer:
    """The network with the recipe's detection settings."""
    return Localizer(network().eval(), LABELS, inputs(), recipe().detection, precision=precision, **more)


def features(length: int) -> NDArray[np.float32]:
    """Random features `[length, 2048]`."""
    return np.random.default_rng(0).standard_normal((length, recipe().model.input_dim), dtype=np.float32)


def recording(array: NDArray[np.float32]) -> Recording:
    """Features as a recording of the length that they cover."""
    return Recording(array, duration=grid().end(len(array)))


@dataclass
class Clock:
    """What networks have computed while they were listened to, and how long that took.

    Attributes:
        seconds: of each forward pass.
        clips: of all of them, with padding.
        real: clips that are not padding.
    """

    seconds: list[float] = field(default_factory=list)
    clips: int = 0
    real: int = 0


@contextmanager
def listening(clock: Clock) -> Iterator[None]:
    """Context in which a clock runs at the forward passes of all networks, also of those made of another one."""
    forward = ActionFormer.forward

    def timed(self: ActionFormer, features: Tensor, valid: Tensor | None = None) -> Predictions:
        clips = features.shape[0] * features.shape[1]
        clock.clips += clips
        clock.real += clips if valid is None else int(valid.sum())
        began = time.perf_counter()
        predictions = forward(self, features, valid)
        clock.seconds.append(time.perf_counter() - began)
        return predictions

    with mock.patch.object(ActionFormer, "forward", timed):
        yield


class RandomFeatures(FeatureStore):
    """Random features of videos of given lengths, all cut from one buffer."""

    def __init__(self, lengths: Mapping[str, int]) -> None:
        self._lengths = dict(lengths)
        self._buffer = features(max(self._lengths.values()))

    @property
    def name(self) -> str:
        """What messages call them."""
        return "random features"

    @property
    def description(self) -> FeatureDescription | None:
        """None."""
        return None

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all videos."""
        return tuple(sorted(self._lengths))

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._lengths

    def shape(self, video_id: str) -> tuple[int, int]:
        """Return T and D of a video."""
        return self._lengths[video_id], self._buffer.shape[1]

    def read(self, video_id: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Return rows of the buffer."""
        return self._buffer[: self._lengths[video_id]][start:stop].copy()


def videos_of(lengths: Sequence[int], instances: int = 15) -> Annotations:
    """Videos of so many clips, with so many random instances each, of about 3.5 seconds."""
    random = np.random.default_rng(0)

    def video(number: int, clips: int) -> Video:
        duration = grid().end(clips)
        long = random.lognormal(np.log(3.5), 0.8, instances).clip(0.5, 0.5 * duration)
        start = random.uniform(0, 1, instances) * (duration - long)
        names = random.integers(len(LABELS), size=instances)
        return Video(
            f"video {number}",
            duration,
            rate=RATE,
            instances=tuple(
                Instance(a, a + b, LABELS[i])
                for a, b, i in zip(start.tolist(), long.tolist(), names.tolist(), strict=True)
            ),
        )

    made = [video(number, clips) for number, clips in enumerate(lengths)]
    return Annotations({each.id: each for each in made}, LABELS)


def whole_videos(lengths: Sequence[int]) -> TrainingVideos:
    """Such videos to train on, with random features, never cropped."""
    annotations = videos_of(lengths)
    store = RandomFeatures({video.id: clips for video, clips in zip(annotations, lengths, strict=True)})
    return TrainingVideos(annotations, Inputs(store, inputs()), CropConfig(max_length=max(lengths)))


class Steps:
    """A watcher that takes the time of every training step.

    Attributes:
        seconds: of each step, from the end of the one before: waiting for data, forward, loss, backward, clipping,
            optimiser and the average of the weights.
        between: called after each step with how many there have been, outside of the time that is taken.
    """

    def __init__(self, between: Callable[[int], object] = lambda _: None) -> None:
        self.seconds: list[float] = []
        self.between = between
        self._since = time.perf_counter()

    def on_step(self, _: Trainer) -> None:
        """Take the time."""
        self.seconds.append(time.perf_counter() - self._since)
        self.between(len(self.seconds))
        self._since = time.perf_counter()

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float], *, best: bool) -> None:
        """Nothing is to be done."""

    def on_interrupt(self, trainer: Trainer) -> None:
        """Nothing is to be done."""


def train(videos: TrainingVideos, precision: Precision, steps: Steps) -> None:
    """Train the network for one epoch as the recipe does."""
    config = replace(recipe().training, epochs=1, warmup_epochs=0, precision=precision, accelerator="cpu")
    fabric = make_fabric(config)
    fabric.launch()
    Trainer(fabric, network(), videos, config, validate=None, watchers=[steps]).fit()
