"""Suppression of as many candidates as there can be, held against the plain algorithm."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from timing.measuring import Table, in_turn, milliseconds, ratio
from timing.settings import Settings
from timing.subject import recipe
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.decode import decode
from untrimmed.detection.suppression import SIGMA, Candidates, suppress
from untrimmed.model.moments import level_lengths, pyramid_moments
from untrimmed.model.network import Predictions


def suppression(settings: Settings) -> None:
    """Print the time, and whether the detections are the same."""
    config = recipe().detection
    table = Table(
        f"### Soft suppression, T = {settings.dense_length}, 20 classes, down to {config.max_detections}",
        "candidates",
        "ours, ms",
        "plain, ms",
        "times as fast",
        "same detections",
    )
    for name, favoured in (("of all classes alike", 0.0), ("half of them of one class", 2.0)):
        candidates = _candidates(settings.dense_length, config, favoured)
        ours, others = in_turn(
            [lambda: suppress(candidates, config), lambda: plain(candidates, config)],  # noqa: B023
            settings.rounds,
        )
        same = _equal(suppress(candidates, config), plain(candidates, config))
        table.row(
            f"{len(candidates)}, {name}",
            milliseconds(ours),
            milliseconds(others),
            f"{ratio(others, ours):.0f}",
            "yes" if same else "NO",
        )


def plain(candidates: Candidates, config: DetectionConfig) -> Candidates:
    """Suppress each class by itself and to its end, one pick after the other; then take the best of all classes."""
    sigma = np.float32(SIGMA if config.sigma is None else config.sigma)
    kept: list[tuple[float, int]] = []
    for label in range(int(candidates.labels.max()) + 1):
        place = np.flatnonzero(candidates.labels == label)
        scores, segments = candidates.scores[place].copy(), candidates.segments[place]
        while len(scores) and scores.max() >= config.min_score:
            best = int(scores.argmax())
            kept.append((float(scores[best]), int(place[best])))
            tiou = _tiou(segments, segments[best])
            scores *= np.exp(-(tiou * tiou) / sigma)
            others = np.arange(len(place)) != best
            place, scores, segments = place[others], scores[others], segments[others]
    kept.sort(key=lambda each: -each[0])
    kept = kept[: config.max_detections]
    chosen = candidates.select(np.array([index for _, index in kept], dtype=np.int64))
    return Candidates(chosen.segments, np.array([score for score, _ in kept], dtype=np.float32), chosen.labels)


def _tiou(segments: NDArray[np.float32], one: NDArray[np.float32]) -> NDArray[np.float32]:
    overlap = (np.minimum(segments[:, 1], one[1]) - np.maximum(segments[:, 0], one[0])).clip(min=0)
    union = segments[:, 1] - segments[:, 0] + (one[1] - one[0]) - overlap
    tiou: NDArray[np.float32] = overlap / union
    return tiou


def _equal(a: Candidates, b: Candidates) -> bool:
    return (
        np.array_equal(a.segments, b.segments)
        and np.array_equal(a.labels, b.labels)
        and np.allclose(a.scores, b.scores, rtol=1e-6, atol=0)
    )


def _candidates(length: int, config: DetectionConfig, favoured: float) -> Candidates:
    """Decode random predictions; `favoured` is added to the logits of the first class."""
    model = recipe().model
    counts = level_lengths(length, model.strides)
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(1, sum(counts), len(range(20)), generator=random)
    logits[..., 0] += favoured
    predictions = Predictions(
        logits=logits,
        offsets=torch.rand(1, sum(counts), 2, generator=random) * 4 + 0.1,
        valid=torch.ones(1, sum(counts), dtype=torch.bool),
        moments=pyramid_moments(length, model.strides, model.ranges),
    )
    return decode(predictions, counts, config).to_host()[0]
