"""Running a model on recordings: together where they are alike, in parts where they are long or memory is limited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from untrimmed.allocation import keep_freed_memory
from untrimmed.detection.onnx_network import OnnxNetwork
from untrimmed.detection.recording import Prepared, held_bytes
from untrimmed.model.batching import alike, pad
from untrimmed.model.chunks import predict_in_chunks, usual_chunk
from untrimmed.model.devices import Precision, autocast, dtype_of
from untrimmed.model.memory import clips_within
from untrimmed.model.moments import level_lengths
from untrimmed.model.network import ActionFormer, Predictions
from untrimmed.model.packed import Packed

MOST_ON_CPU = 4096
"""Clips that a batch has at the most on a CPU."""


@dataclass(frozen=True, eq=False)
class Runner:
    """A model that is ready to compute.

    Attributes:
        model: in eval mode, on the device that it runs on; or an exported one.
        precision: that it computes in.
        max_memory: bytes that it may take; see `Localizer`.
    """

    model: ActionFormer
    precision: Precision
    max_memory: int | None = None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def batches(self, videos: Sequence[Prepared], batch_size: int) -> Iterator[list[int]]:
        """Yield the numbers of recordings that are to share a batch, of nearly the same length."""
        most = usual_chunk(self.model.config)
        if self.device.type == "cpu":  # which is no faster with more at a time
            most = MOST_ON_CPU if most is None else min(most, MOST_ON_CPU)
        return alike([video.clips for video in videos], self.model.config, videos=batch_size, clips=most)

    @torch.inference_mode()
    def predict(self, batch: Sequence[Prepared]) -> tuple[Predictions, list[int]]:
        """Run the model on a batch; also returns how many moments each level has."""
        config, video = self.model.config, batch[0]
        most = self._clips_at_once(video) if len(batch) == 1 else None
        if most is None or video.clips <= most:
            return self.run([video.features() for video in batch])
        with autocast(self.device, self.precision):
            predictions = predict_in_chunks(
                self._network,
                lambda start, stop: video.features(start, stop)[None],
                video.clips,
                clips=most,
            )
        return predictions, level_lengths(video.clips, config.strides)

    @torch.inference_mode()
    def run(self, batch: list[Tensor]) -> tuple[Predictions, list[int]]:
        """Run the model on features `[T, D]`, each as a whole; also returns how many moments each level has."""
        device, config = self.device, self.model.config
        on_cpu = device.type == "cpu"
        dtype = dtype_of(self.precision, device) if on_cpu else None
        features, valid = pad(batch, config, rounded=on_cpu, dtype=dtype)
        with autocast(device, self.precision):
            predictions = self._network(features.to(device), valid.to(device))
        return predictions, level_lengths(features.shape[1], config.strides)

    @cached_property
    def _packed(self) -> Packed:
        if self.device.type == "cpu":
            keep_freed_memory()
        return Packed(self.model, dtype_of(self.precision, self.device))

    @property
    def _network(self) -> ActionFormer:
        """The model as it computes fastest; where memory is limited, without its weights a second time."""
        as_it_is = self.max_memory is not None or isinstance(self.model, OnnxNetwork)
        return self.model if as_it_is else self._packed.current()

    def _clips_at_once(self, video: Prepared) -> int | None:
        """Most clips that the model is given at a time; `None` is any number."""
        if self.max_memory is None:
            return usual_chunk(self.model.config)
        return clips_within(self.max_memory, self.model, besides=held_bytes(self.model.config, video))
