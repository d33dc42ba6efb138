"""How far an exported model is from the model that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from untrimmed.model.network import ActionFormer

LENGTHS = (1, 2, 3, 5, 17, 100, 1000)
"""That every export is checked at, in clips."""
TOLERANCE = 1e-4
"""Largest difference of a form in fp32; of numbers above one, relative to them."""


@dataclass(frozen=True)
class Difference:
    """Largest differences between two networks at one length; infinity where an output is no number.

    Attributes:
        length: in clips.
        logits: absolute.
        offsets: absolute, in strides.
        relative: of both, relative to numbers above one.
    """

    length: int
    logits: float
    offsets: float
    relative: float


@torch.inference_mode()
def differences(exported: ActionFormer, model: ActionFormer, lengths: Sequence[int] = LENGTHS) -> list[Difference]:
    """Compare two networks on noise, alone and beside a shorter video.

    Args:
        exported: the one.
        model: the other; both in eval mode, on the CPU.
        lengths: in clips.
    """
    generator = torch.Generator().manual_seed(0)
    found = []
    for length in lengths:
        features = torch.randn(2, length, model.config.input_dim, generator=generator)
        valid = torch.arange(length) < torch.tensor([[length], [(length + 1) // 2]])
        pairs = []
        for videos in (slice(0, 1), slice(0, 2)):
            ours, theirs = (network(features[videos], valid[videos]) for network in (model, exported))
            there = ours.valid
            pairs += [(ours.logits[there], theirs.logits[there]), (ours.offsets[there], theirs.offsets[there])]
            assert torch.equal(ours.moments, theirs.moments)
            assert torch.equal(there, theirs.valid)
        logits, offsets = (max(_largest(a - b) for a, b in pairs[i::2]) for i in range(2))
        relative = max(_largest((a - b) / a.abs().clamp(min=1)) for a, b in pairs)
        found.append(Difference(length, logits, offsets, relative))
    return found


def _largest(difference: Tensor) -> float:
    """The largest in size; infinity where one is no number."""
    return float(difference.abs().nan_to_num(nan=float("inf")).max())
