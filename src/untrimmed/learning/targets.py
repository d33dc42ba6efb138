"""What every moment should say: moments and instances in, targets out (paper, section 3.3, and center sampling)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Targets:
    """What the moments of one video or of a batch should say.

    Attributes:
        classes: `[..., N, C]`, 1 where a moment is a positive of a class, 0 elsewhere.
        offsets: `[..., N, 2]`, distances to onset and offset in strides of the moment's level; arbitrary at moments
            that are no positive of any class.
    """

    classes: Tensor
    offsets: Tensor

    @property
    def positive(self) -> Tensor:
        """`[..., N]`, whether a moment is a positive of any class."""
        return self.classes.any(-1)


def assign_targets(
    moments: Tensor,
    segments: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    center_radius: float | None,
    every_instance: bool = False,
    valid: Tensor | None = None,
) -> Targets:
    """Assign the instances of one video to the moments that are trained on them.

    A moment is a positive of an instance if it lies strictly inside it and, with center sampling, strictly within
    `center_radius` strides of its centre; and if the larger of its distances to onset and offset is in the moment's
    regression range, both ends included. Of several instances the shortest wins; those that are at most 0.001 longer
    share the moment's classes with it.

    Args:
        moments: `[N, 4]`, see `Predictions.moments`.
        segments: `[n, 2]`, on the feature grid.
        labels: `[n]`, class numbers.
        num_classes: C.
        center_radius: in strides; `None` makes every moment inside an instance a candidate.
        every_instance: give each instance that no moment would be trained on, one that is too short for the grid for
            instance, a moment all the same: see `_nearest`. Of the distances to its onset and offset, one that would be
            negative, since the moment is outside, becomes 0.
        valid: `[N]`, which moments are no padding; needed with `every_instance` only. `None` is all.

    Returns:
        `classes` `[N, C]` and `offsets` `[N, 2]`.
    """
    if not len(segments):
        return Targets(moments.new_zeros(len(moments), num_classes), moments.new_zeros(len(moments), 2))
    time, low, high, stride = (column[:, None] for column in moments.unbind(1))
    start, end = segments.to(moments.dtype).unbind(1)
    distances = torch.stack([time - start, end - time], dim=-1)  # [N, n, 2]
    inside = distances.amin(-1) > 0
    if center_radius is not None:
        center = 0.5 * (start + end)
        left = torch.maximum(center - stride * center_radius, start)
        right = torch.minimum(center + stride * center_radius, end)
        inside = (time - left > 0) & (right - time > 0)
    larger = distances.amax(-1)
    candidate = inside & (larger >= low) & (larger <= high)
    if every_instance:
        real = torch.ones_like(time, dtype=torch.bool) if valid is None else valid[:, None]
        orphan = ~(candidate & real).any(dim=0)
        candidate = candidate | (orphan & _nearest(moments, start, end, real))
        distances = distances.clamp(min=0)
    lengths = torch.where(candidate, (end - start).expand_as(larger), torch.inf)  # [N, n]
    shortest, chosen = lengths.min(dim=1)
    shared = candidate & (lengths <= shortest[:, None] + 1e-3)
    one_hot = F.one_hot(labels, num_classes).to(moments.dtype)
    classes = (shared.to(moments.dtype) @ one_hot).clamp(max=1)
    offsets = distances.gather(1, chosen[:, None, None].expand(-1, 1, 2)).squeeze(1) / stride
    return Targets(classes, offsets)


def _nearest(moments: Tensor, start: Tensor, end: Tensor, real: Tensor) -> Tensor:
    """Return which moment each instance would get that gets none by the rules, `[N, n]`: one, or none without moments.

    It is a moment of the level whose regression range is nearest to half the instance's length (of several, the
    finest); on this level, the one that is nearest to the instance's centre (of two, the earlier one).

    Args:
        moments: `[N, 4]`.
        start: `[n]`.
        end: `[n]`.
        real: `[N, 1]`, which moments are no padding.
    """
    time, low, high, stride = (column[:, None] for column in moments.unbind(1))
    half, center = 0.5 * (end - start), 0.5 * (start + end)
    left = real.expand(-1, len(start))
    for cost in (torch.maximum(low - half, half - high).clamp(min=0), stride, (time - center).abs(), time):
        among = torch.where(left, cost, torch.inf)
        left = left & (among == among.amin(dim=0))
    return left
