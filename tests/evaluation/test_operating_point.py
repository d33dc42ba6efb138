from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.detections import Detections
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.operating_point import (
    LEAST_INSTANCES,
    NEVER,
    Outcomes,
    above_thresholds,
    choose_thresholds,
    learn_score_map,
    outcomes,
    quality,
    reliability,
)

LABELS = ("a", "b", "c")


def example(
    found: Sequence[tuple[int, str, float]], instances: dict[str, int]
) -> tuple[Annotations, dict[str, Detections]]:
    """One video; the i-th instance of a class is at 10 i; detections are (place, class, score)."""
    rows = tuple(Instance(10.0 * i, 10.0 * i + 5, label) for label, count in instances.items() for i in range(count))
    truth = Annotations({"v": Video("v", 1000.0, instances=rows)}, LABELS)
    ordered = sorted(found, key=lambda row: -row[2])
    segments = np.array([(10.0 * place, 10.0 * place + 5) for place, _, _ in ordered]).reshape(-1, 2)
    scores = np.array([score for _, _, score in ordered], dtype=np.float64)
    labels = np.array([LABELS.index(label) for _, label, _ in ordered], dtype=np.int64)
    return truth, {"v": Detections("v", segments, scores, labels, LABELS)}


RIGHT_AND_WRONG = [
    *((i, "a", 0.9 - 0.05 * i) for i in range(6)),  # 0.9 to 0.65, right
    *((50 + i, "a", 0.6 - 0.05 * i) for i in range(6)),  # 0.6 to 0.35, wrong
    *((i, "b", 0.3 - 0.02 * i) for i in range(5)),  # 0.3 to 0.22, right
    (60, "b", 0.4),  # wrong, and the best
    *((70 + i, "b", 0.2) for i in range(9)),  # wrong
    (0, "c", 0.7),
    (80, "c", 0.75),
]
INSTANCES = {"a": 6, "b": 5, "c": 1}


def test_each_class_is_cut_off_where_its_f1_is_best() -> None:
    truth, found = example(RIGHT_AND_WRONG, INSTANCES)
    a, b, c = choose_thresholds(truth, found)
    assert (a.label, a.own, a.f1, a.precision, a.recall) == ("a", True, 1.0, 1.0, 1.0)
    assert 0.6 < a.threshold <= 0.65
    assert (b.own, b.recall, b.precision) == (True, 1.0, 5 / 6)
    assert 0.2 < b.threshold <= 0.22
    assert (c.own, c.instances) == (False, 1)  # fewer than LEAST_INSTANCES: that of all together
    assert INSTANCES["c"] < LEAST_INSTANCES
    kept = above_thresholds(found["v"], {point.label: point.threshold for point in (a, b, c)})
    for point in (a, b, c):
        of_class = kept.select(kept.labels == LABELS.index(point.label))
        assert len(of_class) == sum(row[1] == point.label and row[2] >= point.threshold for row in RIGHT_AND_WRONG)


def test_a_wanted_precision_is_reached_with_as_many_detections_as_possible() -> None:
    truth, found = example(RIGHT_AND_WRONG, INSTANCES)
    a, b, _ = choose_thresholds(truth, found, precision=0.75)
    assert a.precision == pytest.approx(6 / 8)
    assert a.threshold == pytest.approx(0.55)
    assert b.precision == pytest.approx(5 / 6)
    a, b, _ = choose_thresholds(truth, found, precision=1.0)
    assert a.precision == 1.0
    assert a.threshold == pytest.approx(0.65)
    assert (b.threshold, b.precision, b.recall, b.f1) == (NEVER, 0.0, 0.0, 0.0)
    assert not (above_thresholds(found["v"], {"a": a.threshold, "b": b.threshold}).labels == 1).any()


def test_classes_without_a_threshold_are_left_out() -> None:
    _, found = example(RIGHT_AND_WRONG, INSTANCES)
    assert set(above_thresholds(found["v"], {"a": 0.0}).labels) == {0}


@pytest.mark.parametrize(("name", "value"), [("tiou", 0.0), ("tiou", 1.5), ("precision", 0.0), ("precision", 90.0)])
def test_numbers_out_of_range(name: str, value: float) -> None:
    truth, found = example(RIGHT_AND_WRONG, INSTANCES)
    with pytest.raises(ConfigError, match="has to be a number in"):
        choose_thresholds(truth, found, **{name: value})


def test_nothing_to_choose_by() -> None:
    truth, found = example(RIGHT_AND_WRONG, {})
    with pytest.raises(AnnotationError, match="none of the 1 videos has an instance"):
        choose_thresholds(truth, found)


def test_quality() -> None:
    truth, found = example(RIGHT_AND_WRONG, INSTANCES)
    point = quality(truth, found)
    right, kept, there = 12, len(RIGHT_AND_WRONG), 12
    assert (point.precision, point.recall) == (right / kept, 1.0)
    assert point.f1 == pytest.approx(2 * right / (kept + there))
    nothing = quality(truth, {})
    assert (nothing.precision, nothing.recall, nothing.f1) == (0, 0, 0)


def test_what_became_of_detections() -> None:
    truth, found = example([(0, "a", 0.9), (0, "a", 0.8), (1, "a", 0.7), (9, "a", 0.1)], {"a": 2})
    out = outcomes(truth, found)
    assert out.scores.tolist() == [0.9, 0.8, 0.7, 0.1]
    assert out.right.tolist() == [True, False, True, False]


samples = arrays.arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 20)).flatmap(
    lambda scores: st.tuples(st.just(scores / 20), arrays.arrays(np.bool_, len(scores)))
)


@given(samples)
def test_probabilities_never_fall(sample: tuple[np.ndarray, np.ndarray]) -> None:
    learnt = learn_score_map(Outcomes(*sample))
    assert (np.diff(learnt.scores) > 0).all()
    assert (np.diff(learnt.probabilities) >= 0).all()
    out = learnt(np.linspace(0, 1, 50))
    assert ((out >= 0) & (out <= 1)).all()
    assert (np.diff(out) >= 0).all()


@given(samples)
def test_a_score_map_is_the_nearest_step_function(sample: tuple[np.ndarray, np.ndarray]) -> None:
    """Held against the definition of isotonic regression: the largest of the least means on either side (min-max)."""
    scores, right = sample
    learnt = learn_score_map(Outcomes(scores, right))
    values = np.unique(scores)
    # The blocks' right and number add up to all.
    slow = [
        max(
            min(right[(scores >= low) & (scores <= high)].mean() for high in values if high >= v)
            for low in values
            if low <= v
        )
        for v in values
    ]
    steps = np.unique(np.round(slow, 12))
    np.testing.assert_allclose(np.unique(np.round(learnt.probabilities, 12)), steps)


def test_scores_that_are_probabilities_stay_as_they_are() -> None:
    random = np.random.default_rng(0)
    scores = random.uniform(size=20_000)
    found = Outcomes(scores, random.uniform(size=20_000) < scores)
    assert reliability(found).error < 0.02
    learnt = learn_score_map(found)
    assert np.abs(learnt(scores) - scores).mean() < 0.02


def test_scores_that_are_no_probabilities_become_such() -> None:
    random = np.random.default_rng(0)
    scores = random.uniform(size=20_000)
    truth = scores**3
    found = Outcomes(scores, random.uniform(size=20_000) < truth)
    others = random.uniform(size=20_000)
    learnt = learn_score_map(found)
    before = reliability(Outcomes(others, random.uniform(size=20_000) < others**3))
    after = reliability(Outcomes(learnt(others), random.uniform(size=20_000) < others**3))
    assert before.error == pytest.approx(0.25, abs=0.02)  # the mean of s - s^3
    assert after.error < 0.03


def test_the_error_of_bins() -> None:
    found = Outcomes(np.array([0.95, 0.95, 0.05, 0.05]), np.array([True, False, False, False]))
    out = reliability(found, bins=10)
    assert out.count.tolist() == [2, 2]
    np.testing.assert_allclose(out.score, [0.05, 0.95])
    np.testing.assert_allclose(out.right, [0.0, 0.5])
    assert out.error == pytest.approx((0.05 + 0.45) / 2)
    assert reliability(Outcomes(np.array([1.0]), np.array([True]))).error == 0
    assert reliability(Outcomes(np.empty(0), np.empty(0, bool))).error == 0
    assert learn_score_map(Outcomes(np.empty(0), np.empty(0, bool)))(np.array([0.3])).tolist() == [0.0]
