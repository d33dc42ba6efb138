from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.suppression import HARD_TIOU, SIGMA, Candidates, suppress


def make(segments: list[tuple[float, float]], scores: list[float], labels: list[int]) -> Candidates:
    return Candidates(
        np.array(segments, np.float32).reshape(-1, 2), np.array(scores, np.float32), np.array(labels, np.int64)
    )


def slow_tiou(a: np.ndarray, b: np.ndarray) -> np.float32:
    overlap = max(min(a[1], b[1]) - max(a[0], b[0]), np.float32(0))
    union = max(a[1] - a[0], np.float32(0)) + max(b[1] - b[0], np.float32(0)) - overlap
    return np.float32(overlap / union) if union > 0 else np.float32(0)


def slow_suppress(candidates: Candidates, config: DetectionConfig) -> list[tuple[int, float]]:
    """Suppress every class to its end, one pair after the other, and take the best of all classes then.

    Returns the number of each kept candidate and its score.
    """
    groups = candidates.labels if config.per_class else np.zeros_like(candidates.labels)
    kept: list[tuple[int, float]] = []
    for group in sorted(set(groups.tolist())):
        rest = {i: candidates.scores[i] for i in np.flatnonzero(groups == group)}
        if config.suppression == "hard":
            rest = {i: score for i, score in rest.items() if score > config.min_score}
        while rest:
            best = max(rest, key=lambda i: rest[i])
            score = rest.pop(best)
            if score < config.min_score or score == 0:
                break
            kept.append((int(best), float(score)))
            for i in list(rest):
                tiou = slow_tiou(candidates.segments[i], candidates.segments[best])
                if config.suppression == "soft":
                    rest[i] *= np.exp(-(tiou * tiou) / np.float32(config.sigma or SIGMA))
                elif tiou >= (config.tiou or HARD_TIOU):
                    del rest[i]
    kept.sort(key=lambda pair: -pair[1])
    return kept[: config.max_detections]


def random_candidates(count: int, classes: int, seed: int) -> Candidates:
    """Make candidates that overlap a lot; some are there twice, some have no length, some have the same score."""
    random = np.random.default_rng(seed)
    starts = random.integers(0, 40, size=count) / 2 + random.choice([0, 0.01], size=count) * random.random(count)
    segments = np.stack([starts, starts + random.integers(0, 20, size=count) / 2], axis=1)
    scores = np.where(random.random(count) < 0.2, random.choice([0.0, 0.25, 0.5], count), random.random(count))
    return Candidates(
        segments.astype(np.float32), scores.astype(np.float32), random.integers(0, classes, size=count).astype(np.int64)
    )


def assert_same(candidates: Candidates, config: DetectionConfig) -> None:
    before = Candidates(candidates.segments.copy(), candidates.scores.copy(), candidates.labels.copy())
    found, expected = suppress(candidates, config), slow_suppress(candidates, config)
    which = [i for i, _ in expected]
    np.testing.assert_allclose(found.scores, [score for _, score in expected], rtol=1e-6)
    np.testing.assert_array_equal(found.segments, candidates.segments[which].reshape(-1, 2))
    np.testing.assert_array_equal(found.labels, candidates.labels[which])
    np.testing.assert_array_equal(candidates.scores, before.scores)  # the input is left as it is
    np.testing.assert_array_equal(candidates.segments, before.segments)


@given(
    count=st.integers(0, 40),
    classes=st.integers(1, 5),
    sigma=st.sampled_from([None, 0.05, 0.4, 2.0]),
    min_score=st.sampled_from([0.0, 0.001, 0.2, 0.6]),
    most=st.integers(1, 45),
    per_class=st.booleans(),
    seed=st.integers(0, 2**31),
)
@example(count=40, classes=5, sigma=0.5, min_score=0.0, most=45, per_class=True, seed=0)
@example(count=40, classes=5, sigma=0.001, min_score=0.0, most=45, per_class=False, seed=0)
def test_soft_suppression_is_that_of_every_class_to_its_end(
    count: int, classes: int, sigma: float | None, min_score: float, most: int, per_class: bool, seed: int
) -> None:
    config = DetectionConfig(sigma=sigma, min_score=min_score, max_detections=most, per_class=per_class)
    assert_same(random_candidates(count, classes, seed), config)


@given(
    count=st.integers(0, 40),
    classes=st.integers(1, 5),
    tiou=st.sampled_from([None, 0.25, 0.5, 1.0]),
    min_score=st.sampled_from([0.0, 0.25, 0.6]),
    most=st.integers(1, 45),
    per_class=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_hard_suppression_is_that_of_every_class_to_its_end(
    count: int, classes: int, tiou: float | None, min_score: float, most: int, per_class: bool, seed: int
) -> None:
    config = DetectionConfig(
        suppression="hard", tiou=tiou, min_score=min_score, max_detections=most, per_class=per_class
    )
    assert_same(random_candidates(count, classes, seed), config)


@given(count=st.integers(0, 30), most=st.integers(1, 35), seed=st.integers(0, 2**31))
def test_none_only_sorts_and_cuts(count: int, most: int, seed: int) -> None:
    candidates = random_candidates(count, 3, seed)
    found = suppress(candidates, DetectionConfig(suppression="none", max_detections=most))
    order = sorted(range(count), key=lambda i: -candidates.scores[i])[:most]
    np.testing.assert_array_equal(found.scores, candidates.scores[order])
    np.testing.assert_array_equal(found.segments, candidates.segments[order].reshape(-1, 2))


@pytest.mark.parametrize("suppression", ["soft", "hard", "none"])
@pytest.mark.parametrize("per_class", [True, False])
def test_nothing_to_suppress(suppression: Literal["soft", "hard", "none"], per_class: bool) -> None:
    found = suppress(make([], [], []), DetectionConfig(suppression=suppression, per_class=per_class))
    assert len(found) == 0
    assert found.segments.shape == (0, 2)


def test_soft_by_hand() -> None:
    # The second overlaps with the first by 1/3; the third is of another class.
    candidates = make([(0, 2), (1, 3), (0, 2)], [0.9, 0.6, 0.5], [0, 0, 1])
    found = suppress(candidates, DetectionConfig(sigma=0.5))
    assert found.labels.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.scores, [0.9, 0.5, 0.6 * math.exp(-(1 / 9) / 0.5)], rtol=1e-6)
    together = suppress(candidates, DetectionConfig(sigma=0.5, per_class=False))
    weak = 0.5 * math.exp(-1 / 0.5) * math.exp(-(1 / 9) / 0.5)
    np.testing.assert_allclose(together.scores, [0.9, 0.6 * math.exp(-(1 / 9) / 0.5), weak], rtol=1e-6)


def test_hard_by_hand() -> None:
    # The second overlaps with the first by 1/3 and with the third by 1/5.
    candidates = make([(0, 2), (1, 3), (2.5, 4)], [0.9, 0.6, 0.5], [0, 0, 0])

    def kept(tiou: float) -> list[float]:
        return suppress(candidates, DetectionConfig(suppression="hard", tiou=tiou)).scores.tolist()

    assert kept(0.34) == pytest.approx([0.9, 0.6, 0.5])
    assert kept(0.33) == pytest.approx([0.9, 0.5])  # what is removed itself, removes nothing
    assert kept(0.1) == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize(
    ("suppression", "kept"),
    [("soft", [0.5, 0.25]), ("hard", [0.5])],  # as the official code: soft ends below, hard drops all not above
)
def test_lowest_score(suppression: Literal["soft", "hard"], kept: list[float]) -> None:
    candidates = make([(0, 1), (2, 3), (4, 5)], [0.5, 0.25, 0.125], [0, 0, 0])
    assert suppress(candidates, DetectionConfig(suppression=suppression, min_score=0.25)).scores.tolist() == kept


def test_a_suppressed_candidate_is_no_detection_even_where_every_score_will_do() -> None:
    candidates = make([(0, 1), (0, 1)], [0.5, 0.4], [0, 0])
    assert len(suppress(candidates, DetectionConfig(suppression="hard", min_score=0))) == 1
    assert len(suppress(candidates, DetectionConfig(sigma=0.001, min_score=0))) == 1  # exp(-1000) is 0


@given(count=st.integers(1, 40), per_class=st.booleans(), seed=st.integers(0, 2**31))
def test_scores_only_fall_and_come_best_first(count: int, per_class: bool, seed: int) -> None:
    candidates = random_candidates(count, 3, seed)
    found = suppress(candidates, DetectionConfig(per_class=per_class, min_score=0))
    assert (np.diff(found.scores) <= 0).all()
    for segment, score, label in zip(found.segments, found.scores, found.labels, strict=True):
        same = (candidates.segments == segment).all(axis=1) & (candidates.labels == label)
        assert score <= candidates.scores[same].max()


def test_more_detections_only_add_to_fewer() -> None:
    candidates = random_candidates(200, 4, seed=0)
    many = suppress(candidates, DetectionConfig(max_detections=100))
    few = suppress(candidates, DetectionConfig(max_detections=10))
    np.testing.assert_array_equal(many.scores[:10], few.scores)
    np.testing.assert_array_equal(many.segments[:10], few.segments)
