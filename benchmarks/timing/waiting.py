"""How long training waits for data that are read from disk."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numpy as np

from timing.measuring import Table, percent, precisions
from timing.settings import Settings
from timing.subject import Steps, features, inputs, recipe, train, videos_of
from untrimmed.data import dataset
from untrimmed.data.dataset import TrainingVideos
from untrimmed.data.features import open_features
from untrimmed.data.inputs import Inputs
from untrimmed.learning import trainer
from untrimmed.learning.loader import Batch, read_ahead


def waiting(settings: Settings) -> None:
    """Train on a folder of `.npy` files that are not held in memory, and print the share of the time that is waited."""
    table = Table(
        f"### Waiting for data, {settings.reading} videos of {settings.length // 2} to {settings.length} clips",
        "",
        "steps",
        "a step, ms",
        "waiting for a batch, ms, median",
        "for the first",
        "share of the epoch",
    )
    lengths = np.random.default_rng(0).integers(settings.length // 2, settings.length, settings.reading).tolist()
    annotations = videos_of(lengths)
    with tempfile.TemporaryDirectory() as folder:
        buffer = features(settings.length)
        for video, length in zip(annotations, lengths, strict=True):
            np.save(Path(folder) / f"{video.id}.npy", buffer[:length])
        with mock.patch.object(dataset, "IN_MEMORY", 0):
            crop = replace(recipe().training.crop, max_length=settings.length)
            videos = TrainingVideos(annotations, Inputs(open_features(Path(folder)), inputs()), crop)
        for precision in precisions():
            waited: list[float] = []

            def timed(*args: Any, waited: list[float] = waited, **kwargs: Any) -> Generator[Batch, None, None]:
                return _timed(read_ahead(*args, **kwargs), waited)

            steps = Steps()
            with mock.patch.object(trainer, "read_ahead", timed):
                train(videos, precision, steps)
            table.row(
                precision,
                len(steps.seconds),
                f"{1e3 * median(steps.seconds):.0f}",
                f"{1e3 * median(waited):.2f}",
                f"{1e3 * waited[0]:.0f}",
                percent(sum(waited) / sum(steps.seconds)),
            )


def _timed(batches: Generator[Batch, None, None], waited: list[float]) -> Generator[Batch, None, None]:
    """Pass batches on, and note how long each was waited for."""
    try:
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            waited.append(time.perf_counter() - began)
            if batch is None:
                return
            yield batch
    finally:
        batches.close()
