"""The training loss: `L = (sum of focal losses + weight * sum of DIoU losses over positives) / T+` (paper, Eq. 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from untrimmed.learning.config import TargetConfig
from untrimmed.learning.losses import diou_loss, focal_loss, giou_loss
from untrimmed.learning.targets import Targets, assign_targets
from untrimmed.model.network import Predictions


@dataclass(frozen=True)
class Losses:
    """Scalars: what is minimised, and its two parts before weighting."""

    total: Tensor
    classification: Tensor
    regression: Tensor


def _same(mine: Tensor) -> Tensor:
    return mine


class Criterion(nn.Module):
    """Weighs and adds up the losses of a batch; keeps the running normaliser T+ as its only state.

    T+ is a running mean of the number of positive moments in a batch, at least 1 each: a batch of a few videos has too
    noisy a count to divide by.

    `total` sums over all processes of a distributed run, `processes` is how many there are; each process
    then has its share of the loss times `processes`, since their gradients are averaged.
    """

    normaliser: Tensor

    def __init__(self, config: TargetConfig, *, processes: int = 1, total: Callable[[Tensor], Tensor] = _same) -> None:
        super().__init__()
        self.config = config
        self.processes = processes
        self.total = total
        self.register_buffer("normaliser", torch.tensor(float(config.initial_normaliser)))

    def targets(self, predictions: Predictions, segments: list[Tensor], labels: list[Tensor]) -> Targets:
        """Targets of a batch, `[B, N, C]` and `[B, N, 2]`; segments `[n, 2]` on the feature grid, labels `[n]` each."""
        each = [
            assign_targets(
                predictions.moments,
                video_segments,
                video_labels,
                predictions.logits.shape[-1],
                center_radius=self.config.center_radius,
                every_instance=self.config.every_instance,
                valid=valid,
            )
            for video_segments, video_labels, valid in zip(segments, labels, predictions.valid, strict=True)
        ]
        return Targets(torch.stack([t.classes for t in each]), torch.stack([t.offsets for t in each]))

    def forward(self, predictions: Predictions, segments: list[Tensor], labels: list[Tensor]) -> Losses:
        """Loss of a batch; in training mode the normaliser is updated first."""
        config = self.config
        with torch.no_grad():
            targets = self.targets(predictions, segments, labels)
            positive = targets.positive & predictions.valid
            if self.training:
                count = self.total(positive.sum()).clamp(min=1).to(self.normaliser.dtype)
                self.normaliser.lerp_(count, 1 - config.normaliser_momentum)
            smooth = config.label_smoothing
            wanted = targets.classes * (1 - smooth) + smooth / (targets.classes.shape[-1] + 1)
            scale = self.processes / self.normaliser
        # Every moment is computed, and some weigh nothing: to pick them out, a GPU would have to wait for their number.
        focal = focal_loss(predictions.logits, wanted, config.focal_alpha, config.focal_gamma)
        classification = (focal * predictions.valid[..., None]).sum() * scale
        chosen = positive[..., None]
        distance = giou_loss if config.regression_loss == "giou" else diou_loss
        boundary = distance(
            predictions.offsets.where(chosen, torch.ones_like(predictions.offsets)),
            targets.offsets.where(chosen, torch.ones_like(targets.offsets)),
        )
        regression = (boundary * positive).sum() * scale
        if config.regression_weight == "auto":
            both = self.total(torch.stack([classification, regression]).detach())
            weight: Tensor | float = both[0] / both[1].clamp(min=0.01 * self.processes)
        else:
            weight = config.regression_weight
        return Losses(classification + weight * regression, classification, regression)
