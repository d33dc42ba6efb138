from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.decode import decode
from untrimmed.detection.suppression import Candidates
from untrimmed.model.moments import level_lengths, pyramid_moments
from untrimmed.model.network import Predictions

STRIDES = (1, 2, 4)
RANGES = ((0.0, 4.0), (4.0, 8.0), (8.0, 10000.0))


def random_predictions(lengths: list[int], classes: int, seed: int) -> Predictions:
    """Make predictions of videos of these lengths, padded to the longest one; what is padded scores highest."""
    generator = torch.Generator().manual_seed(seed)
    longest = max(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    valid = torch.cat([mask[:, ::stride] for stride in STRIDES], dim=1)
    logits = torch.randn(*valid.shape, classes, generator=generator) * 3 - 2
    offsets = torch.rand(*valid.shape, 2, generator=generator) * 3
    logits = logits.masked_fill(~valid[..., None], 50.0)
    return Predictions(logits, offsets, valid, pyramid_moments(longest, STRIDES, RANGES))


def slow_decode(predictions: Predictions, levels: list[int], config: DetectionConfig, video: int) -> Candidates:
    """One moment and class after the other."""
    scores = predictions.logits.sigmoid()[video].numpy()
    found: list[tuple[tuple[np.float32, np.float32], np.float32, int]] = []
    first = 0
    for count in levels:
        pairs = []
        for n in range(first, first + count):
            if not predictions.valid[video, n]:
                continue
            time, _, _, stride = predictions.moments[n].numpy()
            onset, offset = predictions.offsets[video, n].numpy()
            for label, score in enumerate(scores[n]):
                if config.candidates == "every" or label == scores[n].argmax():
                    pairs.append(((time - onset * stride, time + offset * stride), score, label))
        pairs.sort(key=lambda pair: -pair[1])
        found += [
            (segment, score, label)
            for segment, score, label in pairs[: config.candidates_per_level]
            if score > config.score_threshold and segment[1] - segment[0] > config.min_duration
        ]
        first += count
    return Candidates(
        np.array([segment for segment, _, _ in found], np.float32).reshape(-1, 2),
        np.array([score for _, score, _ in found], np.float32),
        np.array([label for _, _, label in found], np.int64),
    )


@given(
    lengths=st.lists(st.integers(1, 20), min_size=1, max_size=3),
    classes=st.integers(1, 4),
    candidates=st.sampled_from(["every", "argmax"]),
    per_level=st.integers(1, 60),
    score_threshold=st.sampled_from([0.0, 0.001, 0.3]),
    min_duration=st.sampled_from([0.0, 0.05, 4.0]),
    seed=st.integers(0, 2**31),
)
@example([20, 1], 4, "every", 1000, 0.0, 0.0, 0)
@example([1], 1, "argmax", 1, 0.3, 4.0, 1)
def test_is_what_a_loop_finds(
    lengths: list[int],
    classes: int,
    candidates: Literal["every", "argmax"],
    per_level: int,
    score_threshold: float,
    min_duration: float,
    seed: int,
) -> None:
    config = DetectionConfig(
        candidates=candidates,
        candidates_per_level=per_level,
        score_threshold=score_threshold,
        min_duration=min_duration,
    )
    predictions = random_predictions(lengths, classes, seed)
    levels = level_lengths(max(lengths), STRIDES)
    decoded = decode(predictions, levels, config).to_host()
    assert len(decoded) == len(lengths)
    for video, found in enumerate(decoded):
        expected = slow_decode(predictions, levels, config, video)
        np.testing.assert_array_equal(found.labels, expected.labels)
        np.testing.assert_array_equal(found.scores, expected.scores)
        np.testing.assert_allclose(found.segments, expected.segments, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("padding", [50.0, torch.inf, torch.nan])
@pytest.mark.parametrize("candidates", ["every", "argmax"])
def test_padding_neither_comes_out_nor_takes_a_place(padding: float, candidates: Literal["every", "argmax"]) -> None:
    config = DetectionConfig(candidates=candidates, candidates_per_level=4)
    predictions = random_predictions([5, 16], 3, seed=0)
    padded = ~predictions.valid[..., None]
    odd, plain = (
        replace(
            predictions,
            logits=predictions.logits.masked_fill(padded, value),
            offsets=predictions.offsets.masked_fill(padded, value),
        )
        for value in (padding, 0.0)
    )
    levels = level_lengths(16, STRIDES)
    for video, found in enumerate(decode(odd, levels, config).to_host()):
        expected = slow_decode(plain, levels, config, video)
        assert len(found)
        np.testing.assert_array_equal(found.scores, expected.scores)
        np.testing.assert_allclose(found.segments, expected.segments, rtol=1e-6, atol=1e-6)


def test_nothing_scores_enough() -> None:
    predictions = random_predictions([7], 2, seed=0)
    quiet = replace(predictions, logits=predictions.logits - 100)
    (found,) = decode(quiet, level_lengths(7, STRIDES), DetectionConfig()).to_host()
    assert len(found) == 0
    assert found.segments.shape == (0, 2)


def test_best_come_first_within_a_level_and_fine_levels_before_coarse_ones() -> None:
    predictions = random_predictions([12], 2, seed=0)
    levels = level_lengths(12, STRIDES)
    (found,) = decode(predictions, levels, DetectionConfig(candidates_per_level=3, min_duration=0)).to_host()
    assert len(found) == 9
    by_level = found.scores.reshape(3, 3)
    assert (np.diff(by_level, axis=1) <= 0).all()
