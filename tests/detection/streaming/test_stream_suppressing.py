from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.streaming.suppressing import final_scores, linked, unsettled
from untrimmed.detection.streaming.waiting import WaitingRoom
from untrimmed.detection.suppression import Candidates, suppress

CONFIGS = [
    DetectionConfig(max_detections=10**6),
    DetectionConfig(max_detections=10**6, sigma=0.1, min_score=0.2),
    DetectionConfig(max_detections=10**6, suppression="hard", tiou=0.4),
]


@st.composite
def candidates(draw: st.DrawFn, most: int = 25, classes: int = 1) -> Candidates:
    """Candidates with scores and segments of which no two are the same."""
    count = draw(st.integers(0, most))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    starts = random.uniform(0, draw(st.sampled_from([10, 100])), count)
    segments = np.stack([starts, starts + random.gamma(1.0, 5.0, count) + 0.1], axis=1)
    labels = random.integers(0, classes, count)
    return Candidates(segments.astype(np.float32), random.uniform(0, 1, count).astype(np.float32), labels)


def scores_of(given_: Candidates, config: DetectionConfig) -> np.ndarray:
    free = np.zeros(len(given_), bool)
    segments, scores = given_.segments.astype(float), given_.scores.astype(float)
    scores[(scores < config.min_score) | ((scores == config.min_score) & (config.suppression == "hard"))] = 0
    return final_scores(segments, scores, free, config)


@pytest.mark.parametrize("config", CONFIGS)
@given(candidates())
def test_scores_are_those_of_suppression(config: DetectionConfig, given_: Candidates) -> None:
    final = scores_of(given_, config)
    expected = suppress(given_, config)
    order = np.argsort(-final)[: np.count_nonzero(final)]
    np.testing.assert_allclose(final[order], expected.scores, rtol=1e-4)
    np.testing.assert_array_equal(given_.segments[order], expected.segments)


@pytest.mark.parametrize("config", CONFIGS)
@given(candidates(), st.integers(0, 2**25 - 1))
def test_who_has_left_with_the_right_score_changes_nothing(
    config: DetectionConfig, given_: Candidates, which: int
) -> None:
    final = scores_of(given_, config)
    left = np.array([bool(which >> i & 1) for i in range(len(final))], bool) & (final > 0)
    scores = np.where(left, final, np.where(given_.scores >= config.min_score, given_.scores, 0))
    again = final_scores(given_.segments.astype(float), scores.astype(float), left, config)
    np.testing.assert_allclose(again, final, rtol=1e-6)


def test_a_better_one_is_not_weakened_by_a_worse_one_that_has_left() -> None:
    segments = np.array([[0.0, 10.0], [0.0, 9.0], [0.0, 8.0]])
    left = np.array([True, False, False])
    final = final_scores(segments, np.array([0.5, 0.9, 0.4]), left, DetectionConfig())
    assert final[:2].tolist() == [0.5, 0.9]
    assert 0 < final[2] < 0.4 * math.exp(-(0.8**2) / 0.5)  # by both


@given(candidates())
def test_linked(given_: Candidates) -> None:
    segments = given_.segments.astype(float)
    numbers = linked(segments)
    assert len(numbers) == len(segments)
    reached = np.eye(len(segments), dtype=bool)
    overlap = (segments[:, None, 0] < segments[None, :, 1]) & (segments[None, :, 0] < segments[:, None, 1])
    for _ in segments:
        reached = reached @ overlap | reached
    np.testing.assert_array_equal(numbers[:, None] == numbers, reached)


@pytest.mark.parametrize("config", CONFIGS)
@given(candidates(), candidates(), st.floats(0, 60))
def test_what_is_settled_does_not_change(
    config: DetectionConfig, known: Candidates, later: Candidates, horizon: float
) -> None:
    before = scores_of(known, config)
    segments = known.segments.astype(float)
    settled = ~unsettled(segments, known.scores.astype(float), before, horizon)
    later = Candidates(later.segments + np.float32(horizon), later.scores, later.labels)
    every = Candidates(
        np.concatenate([known.segments, later.segments]),
        np.concatenate([known.scores, later.scores]),
        np.concatenate([known.labels, later.labels]),
    )
    after = scores_of(every, config)[: len(known)]
    np.testing.assert_allclose(after[settled], before[settled], rtol=1e-6)
    assert not settled[segments[:, 1] > horizon].any()


@pytest.mark.parametrize("config", [*CONFIGS, DetectionConfig(max_detections=10**6, per_class=False)])
@given(candidates(60, 3), st.lists(st.integers(0, 60), max_size=5))
def test_who_waits_for_all_gets_the_scores_of_suppression(
    config: DetectionConfig, given_: Candidates, cuts: list[int]
) -> None:
    room = WaitingRoom(config)
    for part in np.split(np.arange(len(given_)), sorted(cuts)):
        room.add(given_.select(part), 0, 0, 1000)
        assert not len(room.leave(-1.0, 0).scores)
    left = room.leave(math.inf, math.inf)
    expected = suppress(given_, config)
    np.testing.assert_allclose(left.scores, expected.scores, rtol=1e-4)
    np.testing.assert_allclose(left.segments, expected.segments, rtol=1e-6)
    np.testing.assert_array_equal(left.labels, expected.labels)
    assert len(room) == 0


def test_each_leaves_at_its_end_and_is_remembered_while_it_matters() -> None:
    room = WaitingRoom(DetectionConfig())
    segments = np.array([[0, 4], [1, 4.5], [20, 30]], np.float32)
    room.add(Candidates(segments, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64)), 100, 100, 125)
    assert not len(room.leave(104.0, 100).scores)
    first = room.leave(104.1, 100)
    assert first.segments.tolist() == [[100, 104]]
    assert len(room) == 3
    second = room.leave(105.0, 104.2)
    assert second.scores[0] == pytest.approx(0.8 * math.exp(-((3 / 4.5) ** 2) / 0.5))
    assert len(room) == 2  # nobody can overlap with the first any more
    assert room.leave(125.1, 110).segments.tolist() == [[120, 130]]  # which ends beyond what its moment sees
    assert len(room) == 1
    assert not len(room.leave(135.0, 130).scores)
    assert len(room) == 0


@pytest.mark.parametrize("config", CONFIGS)
@given(candidates(40), st.integers(0, 10**6))
def test_groups_of_which_all_were_known_when_the_first_had_to_leave(
    config: DetectionConfig, given_: Candidates, seed: int
) -> None:
    """They have the scores of suppression over all, however many others came late."""
    random, steps = np.random.default_rng(seed), np.arange(0, 260, 4.0)
    ends = given_.segments[:, 1].astype(float)
    arrivals = np.maximum(0, ends - random.uniform(0, 30, len(ends)))  # never later than it has to leave
    room, found = WaitingRoom(config), dict[tuple[float, float], float]()
    groups = linked(given_.segments.astype(float))
    for before, now in zip(steps - 4.0, steps, strict=True):
        room.add(given_.select((arrivals >= before) & (arrivals < now)), 0, -100, 1000)
        left = room.leave(now, -100)
        segments = map(tuple, left.segments.astype(np.float32).tolist())
        found.update(zip(segments, left.scores.tolist(), strict=True))
    # The step in which the first that it is linked to has to leave, and that in which it arrives.
    first = np.array([np.searchsorted(steps, ends[groups == group].min(), "right") for group in groups], int)
    late = np.searchsorted(steps, arrivals, "right") > first
    late = np.isin(groups, groups[late])
    expected = suppress(given_, config)
    in_late = {tuple(segment) for segment in given_.segments[late].tolist()}
    offline = {
        tuple(segment): float(score)
        for segment, score in zip(expected.segments.tolist(), expected.scores, strict=True)
        if tuple(segment) not in in_late
    }
    online = {segment: score for segment, score in found.items() if segment not in in_late}
    assert online.keys() == offline.keys()
    assert all(math.isclose(online[segment], score, rel_tol=1e-4) for segment, score in offline.items())
