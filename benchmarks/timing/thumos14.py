"""THUMOS14's lengths: detection in all of its test videos, and what an epoch over its validation videos computes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any
from unittest import mock

import torch

from timing.measuring import Table, percent, precisions
from timing.settings import Settings
from timing.subject import Clock, RandomFeatures, features, grid, inputs, listening, localizer, recipe, recording
from untrimmed.data.annotations import Annotations
from untrimmed.data.dataset import TrainingVideos
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.inputs import Inputs
from untrimmed.detection import localizer as detecting
from untrimmed.detection.suppression import Candidates, suppress
from untrimmed.model.batching import pad

EPOCHS, SEEDS = 4, 3


def lengths(settings: Settings, subset: str) -> tuple[Annotations, list[int]]:
    """Videos of a subset, and how many clips each has at 30 frames per second."""
    annotations = read_annotations(settings.thumos14 / "thumos14.json").of_subsets([subset])
    chosen = {video.id: replace(video, rate=None) for video in list(annotations)[:: settings.every]}
    annotations = replace(annotations, videos=chosen)
    rate = grid().rate
    return annotations, [max(1, grid().clips(round(video.duration * rate))) for video in annotations]


def thumos14(settings: Settings) -> None:
    """Print both."""
    _detection(settings)
    _training(settings)


@dataclass
class _Suppression:
    """Stands for `suppress`, and takes its time."""

    seconds: float = 0.0

    def __call__(self, candidates: Candidates, *args: Any) -> Candidates:
        began = time.perf_counter()
        kept = suppress(candidates, *args)
        self.seconds += time.perf_counter() - began
        return kept


def _detection(settings: Settings) -> None:
    _, clips = lengths(settings, "test")
    buffer = features(max(clips))
    table = Table(
        f"### THUMOS14's {len(clips)} test lengths, one after the other",
        "",
        "all, s",
        "clips/s",
        "network",
        "suppression",
        "padding's share of the clips",
        "times as fast as fp32",
    )
    subjects = {precision: localizer(precision) for precision in precisions()}
    took = dict.fromkeys(subjects, 0.0)
    clocks = {precision: Clock() for precision in subjects}
    suppression = {precision: _Suppression() for precision in subjects}
    for subject in subjects.values():
        subject.detect(recording(buffer[: clips[0]]))  # what is prepared once is prepared
    for length in clips:
        video = recording(buffer[:length])
        for precision, subject in subjects.items():
            with listening(clocks[precision]), mock.patch.object(detecting, "suppress", suppression[precision]):
                began = time.perf_counter()
                subject.detect(video)
                took[precision] += time.perf_counter() - began
    for precision, seconds in took.items():
        clock = clocks[precision]
        table.row(
            precision,
            f"{seconds:.1f}",
            f"{sum(clips) / seconds:.0f}",
            percent(sum(clock.seconds) / seconds),
            percent(suppression[precision].seconds / seconds),
            percent(1 - clock.real / clock.clips),
            f"{took['fp32'] / seconds:.2f}",
        )


def _training(settings: Settings) -> None:
    config = recipe()
    annotations, clips = lengths(settings, "validation")
    store = RandomFeatures({video.id: length for video, length in zip(annotations, clips, strict=True)})
    videos = TrainingVideos(annotations, Inputs(store, inputs()), config.training.crop)
    shares, official = [], []
    for seed in range(SEEDS):
        for epoch in range(EPOCHS):
            plan = videos.epoch(epoch, batch_size=config.training.batch_size, seed=seed)
            batches = [
                pad([torch.empty(crop.length, 1) for crop in batch], config.model, rounded=True) for batch in plan
            ]
            moments = [torch.cat([valid[:, ::s] for s in config.model.strides], 1) for _, valid in batches]
            shares.append(1 - sum(int(m.sum()) for m in moments) / sum(m.numel() for m in moments))
            real = sum(crop.length for batch in plan for crop in batch)
            official.append(1 - real / (len(videos) * config.training.crop.max_length))
    table = Table(
        f"One epoch over the {len(videos)} validation lengths ({EPOCHS} epochs of {SEEDS} seeds):",
        "padded moments, mean",
        "largest",
        f"padded to {config.training.crop.max_length}, mean",
    )
    table.row(percent(mean(shares)), percent(max(shares)), percent(mean(official)))
