"""A running average of the weights, which generalises better than the last ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a model's parameters and floating-point buffers, in their own precision.

    With `warmup`, step `t` (from 0) averages with a decay of `min(decay, (1 + t) / (10 + t))`: a fixed 0.999 remembers
    mostly the starting weights in a training of a few hundred steps.
    """

    def __init__(self, model: nn.Module, decay: float, *, warmup: bool) -> None:
        self.decay = decay
        self.warmup = warmup
        self.steps = 0
        self._model = model
        self.average = {name: tensor.detach().clone() for name, tensor in self._tracked().items()}

    def _tracked(self) -> dict[str, Tensor]:
        return {name: t for name, t in self._model.state_dict().items() if t.is_floating_point()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the model's weights of now into the average."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) if self.warmup else self.decay
        self.steps += 1
        torch._foreach_lerp_(list(self.average.values()), list(self._tracked().values()), 1 - decay)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Give the model its average inside the `with` block, and its own weights back afterwards."""
        own = {name: tensor.detach().clone() for name, tensor in self._tracked().items()}
        self._copy(self.average)
        try:
            yield
        finally:
            self._copy(own)

    @torch.no_grad()
    def _copy(self, source: dict[str, Tensor]) -> None:
        for name, tensor in self._tracked().items():
            tensor.copy_(source[name])

    def state_dict(self) -> dict[str, object]:
        """Everything that is needed to go on."""
        return {"steps": self.steps, "average": dict(self.average)}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Go on from what `state_dict` gave."""
        steps, average = state["steps"], state["average"]
        assert isinstance(steps, int)
        assert isinstance(average, dict)
        self.steps = steps
        for name, tensor in self.average.items():
            tensor.copy_(average[name])
