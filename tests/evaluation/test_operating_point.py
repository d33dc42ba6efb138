from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.detections import Detections
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.operating_point import (
    NEVER,
    PRIOR,
    Outcomes,
    above_thresholds,
    choose_thresholds,
    learn_score_map,
    leave_out,
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
    truth = Annotations({"v": Video("v", 1e6, instances=rows)}, LABELS)
    ordered = sorted(found, key=lambda row: -row[2])
    segments = np.array([(10.0 * place, 10.0 * place + 5) for place, _, _ in ordered]).reshape(-1, 2)
    scores = np.array([score for _, _, score in ordered], dtype=np.float64)
    labels = np.array([LABELS.index(label) for _, label, _ in ordered], dtype=np.int64)
    return truth, {"v": Detections("v", segments, scores, labels, LABELS)}


MANY = 40 * PRIOR  # so many that a class is on its own


def two_classes(a: int, b: int) -> tuple[list[tuple[int, str, float]], dict[str, int]]:
    """Class a, whose detections are right above 0.6, and b, whose are above 0.2; so many instances of each."""
    random = np.random.default_rng(0)
    rows = []
    for label, count, border in (("a", a, 0.6), ("b", b, 0.2)):
        rows += [(i, label, border + 0.3 * x) for i, x in enumerate(random.uniform(0.01, 1, count))]
        rows += [(5000 + i, label, border - 0.2 * x) for i, x in enumerate(random.uniform(0.01, 0.9, count))]
    return rows, {"a": a, "b": b}


def test_a_class_with_many_instances_has_its_own_threshold() -> None:
    a, b = choose_thresholds(*example(*two_classes(MANY, MANY)))
    assert (a.label, b.label) == ("a", "b")
    assert a.threshold == pytest.approx(0.6, abs=0.01)
    assert b.threshold == pytest.approx(0.2, abs=0.01)
    assert min(a.f1, b.f1) > 0.99


def test_a_class_with_few_has_nearly_that_of_all_together() -> None:
    _, b = choose_thresholds(*example(*two_classes(MANY, 3)))
    assert b.threshold > 0.5
    assert (b.instances, b.recall) == (3, 0.0)


def test_what_is_said_of_a_point_is_what_it_keeps() -> None:
    truth, found = example(*two_classes(100, 30))
    for precision in (None, 0.8):
        points = choose_thresholds(truth, found, precision=precision)
        kept = above_thresholds(found["v"], {point.label: point.threshold for point in points})
        for point in points:
            of_class = kept.select(kept.labels == LABELS.index(point.label))
            right = int((of_class.segments[:, 0] < 50_000).sum())
            assert point.precision == pytest.approx(right / max(1, len(of_class)))
            assert point.recall == pytest.approx(right / point.instances)
            assert point.f1 == pytest.approx(2 * right / (len(of_class) + point.instances))


def test_a_wanted_precision_is_reached_with_as_many_detections_as_possible() -> None:
    truth, found = example(*two_classes(MANY, MANY))
    a, b = choose_thresholds(truth, found, precision=0.8)
    for point in (a, b):
        assert point.precision == pytest.approx(0.8, abs=0.02)
        assert point.recall == 1.0
    a, b = choose_thresholds(truth, found, precision=0.95)
    for point in (a, b):
        assert point.precision == pytest.approx(0.95, abs=0.02)
        assert point.recall == 1.0


def test_a_precision_that_is_never_reached() -> None:
    truth, found = example([(i + 500, "a", 0.5) for i in range(9)] + [(0, "a", 0.1)], {"a": 1})
    (point,) = choose_thresholds(truth, found, precision=0.9)
    assert (point.threshold, point.precision, point.recall, point.f1) == (NEVER, 0.0, 0.0, 0.0)
    assert not len(above_thresholds(found["v"], {"a": point.threshold}))
    (nothing,) = choose_thresholds(truth, {})
    assert nothing.threshold == NEVER


RIGHT_AND_WRONG = [*((i, "a", 0.9 - 0.05 * i) for i in range(6)), *((50 + i, "b", 0.6 - 0.05 * i) for i in range(6))]
INSTANCES = {"a": 6, "b": 6}


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
    right, kept, there = 6, 12, 12
    assert (point.precision, point.recall) == (right / kept, right / there)
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
    slow = [
        max(
            min(right[(scores >= low) & (scores <= high)].mean() for high in values if high >= v)
            for low in values
            if low <= v
        )
        for v in values
    ]
    np.testing.assert_allclose(learnt(values), slow, atol=1e-12)


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
    np.testing.assert_allclose([out.low, out.high], [[0.0, 0.9], [0.1, 1.0]])
    assert out.error == pytest.approx((0.05 + 0.45) / 2)
    assert reliability(Outcomes(np.array([1.0]), np.array([True]))).error == 0
    assert reliability(Outcomes(np.empty(0), np.empty(0, bool))).error == 0
    assert learn_score_map(Outcomes(np.empty(0), np.empty(0, bool)))(np.array([0.3])).tolist() == [0.0]


# On videos that were left out


def three_videos() -> tuple[Annotations, dict[str, Detections]]:
    truth, found = example(*two_classes(100, 100))
    ids = ("u", "v", "w")
    videos = {id_: Video(id_, 1e6, instances=truth["v"].instances) for id_ in ids}
    return Annotations(videos, LABELS), {id_: replace(found["v"], video_id=id_) for id_ in ids}


def test_videos_that_are_alike_are_told_by_the_others() -> None:
    truth, found = three_videos()
    left = leave_out(truth, found)
    assert left is not None
    points = choose_thresholds(truth.where(lambda v: v.id != "u"), found)
    assert left.chosen.f1 == pytest.approx(
        quality(truth, {k: above_thresholds(d, {p.label: p.threshold for p in points}) for k, d in found.items()}).f1
    )
    assert left.fixed.f1 == pytest.approx(quality(truth, {k: d.above(0.5) for k, d in found.items()}).f1)
    assert left.scores.error == pytest.approx(reliability(outcomes(truth, found)).error)
    assert left.probabilities.error < 0.01 < left.scores.error


def test_one_video_cannot_be_left_out() -> None:
    assert leave_out(*example(*two_classes(9, 9))) is None


def test_detections_of_other_videos_do_no_harm() -> None:
    truth, found = three_videos()
    alone, together = leave_out(truth, found), leave_out(truth, found | {"x": replace(found["u"], video_id="x")})
    assert alone is not None
    assert together is not None
    assert (together.chosen, together.fixed) == (alone.chosen, alone.fixed)
    for each, other in ((together.scores, alone.scores), (together.probabilities, alone.probabilities)):
        assert each.as_dict() == other.as_dict()
