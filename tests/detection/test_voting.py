from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.detection.suppression import Candidates
from untrimmed.detection.voting import vote


def make(segments: list[tuple[float, float]], scores: list[float]) -> Candidates:
    array = np.array(segments, np.float32).reshape(-1, 2)
    return Candidates(array, np.array(scores, np.float32), np.zeros(len(scores), np.int64))


def slow_vote(segment: np.ndarray, candidates: Candidates, threshold: float) -> np.ndarray:
    """Mean of one segment's candidates, one after the other."""
    total, weights = np.zeros(2), 0.0
    for other, score in zip(candidates.segments, candidates.scores, strict=True):
        overlap = max(0.0, min(segment[1], other[1]) - max(segment[0], other[0]))
        tiou = overlap / (segment[1] - segment[0] + other[1] - other[0] - overlap)
        if tiou >= threshold:
            total += score * tiou * other
            weights += score * tiou
    return total / weights


@given(count=st.integers(1, 30), threshold=st.sampled_from([0.1, 0.5, 0.75, 1.0]), seed=st.integers(0, 2**31))
def test_is_the_mean_by_its_definition(count: int, threshold: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    starts = random.random(count) * 5
    candidates = make(list(zip(starts, starts + 0.5 + random.random(count) * 5, strict=True)), random.random(count))
    kept = candidates.segments[random.permutation(count)[: 1 + count // 2]]
    voted = vote(kept, candidates, threshold)
    assert voted.shape == kept.shape
    for segment, result in zip(kept.astype(np.float64), voted, strict=True):
        np.testing.assert_allclose(result, slow_vote(segment, candidates, threshold), rtol=1e-4)


def test_by_hand() -> None:
    # tIoU with the first: 1, and 3/5 of the second; the third is too far away.
    candidates = make([(0, 4), (1, 5), (3, 9)], [0.5, 0.5, 0.9])
    voted = vote(candidates.segments[:1], candidates, 0.6)
    assert voted[0].tolist() == pytest.approx([0.6 / 1.6, (4 + 3) / 1.6])


def test_a_candidate_of_its_own_stays_as_it_is() -> None:
    candidates = make([(0, 4), (10, 14)], [0.5, 0.9])
    np.testing.assert_array_equal(vote(candidates.segments, candidates, 0.3), candidates.segments)


def test_threshold_is_included() -> None:
    candidates = make([(0, 4), (0, 2)], [0.5, 0.5])
    assert vote(candidates.segments[:1], candidates, 0.5)[0, 1] == pytest.approx((4 * 1 + 2 * 0.5) / 1.5)
    assert vote(candidates.segments[:1], candidates, 0.51)[0, 1] == 4
