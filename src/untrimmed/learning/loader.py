"""Batches of tensors, read ahead of the training step."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import cycle, islice

import torch
from torch import Tensor

from untrimmed.data.dataset import Crop, Sample, TrainingVideos
from untrimmed.model.batching import pad
from untrimmed.model.config import ModelConfig


@dataclass
class Batch:
    """What one step trains on: features `[B, T, D]`, valid `[B, T]`; per video segments `[n, 2]` and labels `[n]`.

    One that does not count only lets a process take part in a step for which there are not enough videos.
    """

    features: Tensor
    valid: Tensor
    segments: list[Tensor]
    labels: list[Tensor]
    counts: bool = True

    def to(self, device: torch.device) -> Batch:
        """Move it to a device."""
        return replace(
            self,
            features=self.features.to(device, non_blocking=True),
            valid=self.valid.to(device, non_blocking=True),
            segments=[x.to(device, non_blocking=True) for x in self.segments],
            labels=[x.to(device, non_blocking=True) for x in self.labels],
        )


def collate(samples: Sequence[Sample], config: ModelConfig) -> Batch:
    """Make one batch of samples, padded to the longest or a little more; see `pad`."""
    features, valid = pad([torch.from_numpy(sample.features) for sample in samples], config, rounded=True)
    return Batch(
        features,
        valid,
        [torch.from_numpy(sample.segments).float() for sample in samples],
        [torch.from_numpy(sample.labels) for sample in samples],
    )


def share_of_rank(plan: Sequence[Sequence[Crop]], rank: int, processes: int) -> list[list[Crop]]:
    """Return a process's share of every batch.

    A batch with fewer videos than processes is filled up from the plan's start: what processes of a rank from its
    length on have of it must not count.
    """
    every = [crop for batch in plan for crop in batch]
    full = [[*batch, *islice(cycle(every), max(0, processes - len(batch)))] for batch in plan]
    return [batch[rank::processes] for batch in full]


def read_ahead(
    videos: TrainingVideos, plan: Sequence[Sequence[Crop]], config: ModelConfig, *, workers: int
) -> Generator[Batch, None, None]:
    """Read the batches of a plan in its order, `workers` threads always at one batch each ahead.

    Threads suffice, since reading, copying and windowing release the interpreter's lock; an error of theirs, such as an
    unreadable file, is raised here.
    """

    def load(crops: Sequence[Crop]) -> Batch:
        return collate([videos.sample(crop) for crop in crops], config)

    with ThreadPoolExecutor(workers, thread_name_prefix="read-ahead") as pool:
        waiting: deque[Future[Batch]] = deque()
        try:
            for crops in plan:
                waiting.append(pool.submit(load, crops))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
