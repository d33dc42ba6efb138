"""A configuration for a data set: each setting that matters, chosen by what the data are, with its reason.

The rules are made for small data sets of one's own and a processor without GPU, and for features with a clip every
fraction of a second. They hold for larger ones too, but a recipe that was tuned on a benchmark is better there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from untrimmed.data.annotations import Annotations
from untrimmed.data.check.report import count
from untrimmed.experiment.suitability import clips_of, doubts
from untrimmed.model.config import LAST, ModelConfig
from untrimmed.settings import parse
from untrimmed.time_grid import TimeGrid

CLIPS_IN_BATCH = 1000
"""Clips of a batch that keep a processor busy without making it slow."""
LARGEST_BATCH = 8
STEPS = (1000, 4000)
"""Steps of a training, for few instances and for many; between them, one for each instance."""
EPOCHS = (20, 500)
"""Fewest and most epochs, warm-up included."""
CROP = 2304
"""Clips of the longest crop, unless actions are so long that they need longer ones."""
LEVELS = (6, 9)
"""Fewest and most levels of the pyramid; each doubles the length that it is made for."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A setting, its value, and what a person should know before changing it."""

    key: str
    """With its sections, as in `training.optimiser.learning_rate`."""
    value: Any
    reason: str


@dataclass(frozen=True)
class Plan:
    """The settings chosen for a data set, and what about the data will not go well with any of them."""

    choices: tuple[Choice, ...]
    warnings: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The settings as nested mappings, as they would stand in a configuration file."""
        values: dict[str, Any] = {}
        for choice in self.choices:
            *sections, name = choice.key.split(".")
            section = values
            for each in sections:
                section = section.setdefault(each, {})
            section[name] = choice.value
        return values


@dataclass(frozen=True)
class _Facts:
    """What the choices depend on; lengths are in clips of the features, ascending."""

    videos: int
    instances: int
    most_in_video: int
    video_lengths: Sequence[float]
    action_lengths: Sequence[float]
    clip: float
    """Seconds from one clip to the next."""

    @property
    def longest(self) -> float:
        """Clips of the longest action."""
        return self.action_lengths[-1]


def plan(train: Annotations, grid: TimeGrid) -> Plan:
    """Choose the settings of model, training and detection.

    Args:
        train: the videos to train on; one of them has an instance.
        grid: of their features.
    """
    facts = _facts(train, grid)
    choices = (*_model(facts), *_training(facts), *_detection(facts))
    chosen = Plan(choices)
    model = parse(ModelConfig, chosen.values["model"], "the plan")
    return Plan(choices, tuple(doubts(train, grid, model)))


def _facts(train: Annotations, grid: TimeGrid) -> _Facts:
    clip = grid.stride / grid.rate
    lengths = [(instance.end - instance.start) / clip for video in train for instance in video.instances]
    assert lengths, "a plan needs an instance"
    return _Facts(
        videos=len(train),
        instances=len(lengths),
        most_in_video=max(len(video.instances) for video in train),
        video_lengths=sorted(clips_of(video.duration, grid) for video in train),
        action_lengths=sorted(lengths),
        clip=clip,
    )


def _model(facts: _Facts) -> Iterator[Choice]:
    width = _width(facts)
    yield Choice(
        "model.width",
        width,
        f"How much the network can hold. {width} suits {_about(facts.instances)} labelled actions; more data can use "
        "more (128, 256, 512), at two to four times the time.",
    )
    yield Choice(
        "model.window",
        9,
        f"How many neighbouring moments each one looks at: 9 at {seconds(facts.clip)} are {seconds(9 * facts.clip)}, "
        "and twice that on each level. Try 19 if actions can only be told by what comes long before or after.",
    )
    levels = _levels(facts)
    covered = 2 * _covers(levels) * facts.clip
    yield Choice(
        "model.downsampling_blocks",
        levels - 1,
        f"Levels above the finest, each for actions twice as long. {levels - 1} of them reach to {seconds(covered)}; "
        f"your longest action takes {seconds(facts.longest * facts.clip)}.",
    )
    yield Choice(
        "model.regression_ranges",
        "overlapping",
        "Neighbouring levels share the actions whose length lies between theirs. Leave it.",
    )
    yield Choice(
        "model.offset_prior",
        1,
        "Onset and offset start a stride away from each moment. From 0, one of the two can die in training. Leave it.",
    )


def _width(facts: _Facts) -> int:
    return 128 if facts.instances < 2000 else 256 if facts.instances < 10_000 else 512


def _covers(levels: int) -> float:
    """Clips from the centre of an action to its ends that the coarsest of so many levels is made for."""
    return 4.0 * 2 ** (levels - 1)


def _levels(facts: _Facts) -> int:
    fewest, most = LEVELS
    return next((n for n in range(fewest, most) if facts.longest / 2 <= _covers(n)), most)


def _training(facts: _Facts) -> Iterator[Choice]:
    width = _width(facts)
    crop = _crop(facts)
    batch = _batch_size(facts, crop)
    per_epoch = math.ceil(facts.videos / batch)
    epochs = _epochs(facts, per_epoch)
    warmup = max(1, epochs // 6)
    yield Choice(
        "training.epochs",
        epochs - warmup,
        f"How often every video is seen, after the warm-up below: {_about(epochs * per_epoch)} steps in all. Train "
        "longer if the mAP still grows at the end, shorter if it has long stopped growing.",
    )
    yield Choice(
        "training.warmup_epochs",
        warmup,
        "Epochs in which the learning rate grows to its height. About a sixth of all.",
    )
    yield Choice(
        "training.batch_size",
        batch,
        f"Videos in a step. {'Double' if batch == 1 else 'Halve it if memory runs out; double'} it on a large GPU.",
    )
    yield Choice(
        "training.validate_every",
        max(1, epochs // 10),
        "Epochs from one scoring on the validation videos to the next.",
    )
    if width <= 128:
        yield Choice(
            "training.threads",
            1,
            "Processor threads. So small a network is fastest with one; it does not matter on a GPU.",
        )
    yield Choice(
        "training.optimiser.learning_rate",
        {128: 1e-3, 256: 5e-4}.get(width, 2e-4),
        "How large a step is. Smaller (a third) if the loss jumps or becomes nan; wider networks need smaller ones.",
    )
    yield Choice(
        "training.crop.max_length",
        crop,
        f"Longer videos are cut at random to so many clips in each epoch: {seconds(crop * facts.clip)}.",
    )
    yield Choice(
        "training.crop.ratio",
        [0.9, 1.0],
        "Shorter videos lose a random tenth, so that no two epochs are the same. Leave it.",
    )
    yield Choice(
        "training.crop.min_visible",
        0.3,
        "An action that such a cut leaves less than this part of is not learnt from. Leave it.",
    )
    yield Choice(
        "training.target.label_smoothing",
        0.1,
        "Keeps the network from being too sure of few examples. 0 with many thousand of them.",
    )


def _crop(facts: _Facts) -> int:
    """Clips of the longest crop: twice the longest action that can be learnt at least."""
    return max(CROP, 256 * math.ceil(2 * min(facts.longest, 2 * LAST) / 256))


def _batch_size(facts: _Facts, crop: int) -> int:
    """As many usual videos as keep the processor busy, but few enough that an epoch has several steps."""
    usual = min(float(np.median(facts.video_lengths)), crop)
    busy = round(CLIPS_IN_BATCH / usual)
    return max(1, min(busy, LARGEST_BATCH, facts.videos // 4))


def _epochs(facts: _Facts, per_epoch: int) -> int:
    steps = min(max(facts.instances, STEPS[0]), STEPS[1])
    return min(max(math.ceil(steps / per_epoch), EPOCHS[0]), EPOCHS[1])


def _detection(facts: _Facts) -> Iterator[Choice]:
    yield Choice(
        "detection.sigma",
        0.4,
        "How gently a detection lowers the score of others of its class that overlap it: lower (0.2) if actions are "
        "found twice, higher (0.7) if actions that really overlap are missed.",
    )
    yield Choice(
        "detection.max_detections",
        max(200, 100 * math.ceil(facts.most_in_video / 10)),
        f"Most detections of a video, right or wrong. Your fullest video has {count(facts.most_in_video, 'action')}; "
        "raise it for videos that are much longer.",
    )


def _about(number: int) -> str:
    """Return a number with two digits that count: `1,300`."""
    digits = max(0, len(str(number)) - 2)
    return f"{round(number, -digits):,}"


def seconds(value: float) -> str:
    """Return a duration as a person would say it: `0.2 s`, `14 s`, `3.5 min`."""
    if value < 120:
        return f"{value:.2g} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.2g} min" if value < 600 else f"{value / 60:.0f} min"
