"""From what the network says of every moment to candidates on the feature grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.suppression import Candidates
from untrimmed.model.network import Predictions


@dataclass(frozen=True)
class DecodedBatch:
    """Candidates of a batch, still on the model's device: `[B, M]` places, of which those not `kept` are empty."""

    segments: Tensor
    scores: Tensor
    labels: Tensor
    kept: Tensor

    def to_host(self) -> list[Candidates]:
        """Fetch each video's candidates, best first within a level, finest level first.

        The one transfer from the device: suppression takes one candidate after the other, a few hundred times, which is
        work for a host.
        """
        segments, scores, labels, kept = (x.cpu().numpy() for x in (self.segments, self.scores, self.labels, self.kept))
        return [Candidates(segments[b][kept[b]], scores[b][kept[b]], labels[b][kept[b]]) for b in range(len(scores))]


def decode(predictions: Predictions, level_lengths: list[int], config: DetectionConfig) -> DecodedBatch:
    """Make candidates of predictions (paper, Eq. 4): `[time - onset * stride, time + offset * stride]`.

    At each level the best `candidates_per_level` pairs of a moment and a class are kept, of those that score above
    `score_threshold` and, afterwards, last longer than `min_duration`. Nothing waits for the device.

    Args:
        predictions: of a batch of B videos.
        level_lengths: how many of the N moments each level has.
        config: the thresholds.
    """
    scores = predictions.logits.sigmoid().masked_fill(~predictions.valid[..., None], 0.0)  # [B, N, C]
    if config.candidates == "argmax":
        scores = scores * (scores == scores.amax(-1, keepdim=True))
    classes = scores.shape[-1]
    time, stride = predictions.moments[:, 0], predictions.moments[:, 3]
    distances = predictions.offsets * stride[:, None]
    segments = torch.stack([time - distances[..., 0], time + distances[..., 1]], dim=-1)  # [B, N, 2]
    parts = []
    for level_scores, level_segments in zip(
        scores.split(level_lengths, dim=1), segments.split(level_lengths, dim=1), strict=True
    ):
        flat = level_scores.flatten(1)
        best, index = flat.topk(min(config.candidates_per_level, flat.shape[1]), dim=1)
        moment = (index // classes)[..., None].expand(-1, -1, 2)
        parts.append((level_segments.gather(1, moment), best, index % classes))
    chosen, best, labels = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
    long = chosen[..., 1] - chosen[..., 0] > config.min_duration
    return DecodedBatch(chosen, best, labels, (best > config.score_threshold) & long)
