"""Losses as pure functions, one value an element; weighting and summing is the criterion's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def focal_loss(logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sigmoid focal loss (Lin et al., ICCV 2017, Eq. 5), which well classified elements hardly add to.

    `alpha_t * (1 - p_t)^gamma * cross entropy`, of the shape of `logits` and `targets`; targets in [0, 1].
    """
    probability = logits.sigmoid()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    wrong = probability + targets - 2 * probability * targets  # 1 - p_t
    if gamma < 1:  # whose power has no finite gradient at 0
        wrong = wrong.clamp(min=torch.finfo(wrong.dtype).tiny)
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return weight * cross_entropy * wrong**gamma


def diou_loss(predicted: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """Distance-IoU loss (Zheng et al., AAAI 2020) of two segments around the same moment.

    Both are `[..., 2]`, distances to onset and offset, not negative; the loss is `[...]`, in [0, 2]:
    `1 - IoU + (distance of the centres / length of the hull)^2`.
    """
    iou, hull, _ = _overlap(predicted, target, eps)
    distance = 0.5 * ((predicted[..., 1] - predicted[..., 0]) - (target[..., 1] - target[..., 0]))
    return 1 - iou + (distance / hull.clamp(min=eps)) ** 2


def giou_loss(predicted: Tensor, target: Tensor, eps: float = 1e-8) -> Tensor:
    """Generalised-IoU loss (Rezatofighi et al., CVPR 2019), `1 - IoU + (hull - union) / hull`; see `diou_loss`."""
    iou, hull, union = _overlap(predicted, target, eps)
    return 1 - iou + (hull - union) / hull.clamp(min=eps)


def _overlap(predicted: Tensor, target: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """IoU, length of the hull and of the union. Both segments hold the moment, so they always overlap."""
    intersection = torch.minimum(predicted, target).sum(-1)
    union = predicted.sum(-1) + target.sum(-1) - intersection
    hull = torch.maximum(predicted, target).sum(-1)
    return intersection / union.clamp(min=eps), hull, union
