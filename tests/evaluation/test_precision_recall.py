from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scored_rows import NAMES, Row, annotations, detections, overlap
from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.evaluation.mean_ap import mean_average_precision
from untrimmed.evaluation.precision_recall import Curve, precision_recall, roundest

LABELS = ("a", "b")


spans = st.builds(lambda start, length: (float(start), float(start + length)), st.integers(0, 6), st.integers(0, 4))
instance_rows = st.builds(lambda span, label: (*span, label), spans, st.sampled_from(LABELS))
detection_rows = st.builds(
    lambda span, label, score: (*span, label, score / 4), spans, st.sampled_from(NAMES), st.integers(0, 4)
)
truths = st.dictionaries(st.sampled_from("vw"), st.lists(instance_rows, max_size=5), min_size=1).map(annotations)
some_detections = st.dictionaries(st.sampled_from("vw"), st.lists(detection_rows, max_size=8)).map(detections)


def rightly_kept(truth: Annotations, found: Mapping[str, Detections], tiou: float, threshold: float) -> tuple[int, int]:
    """Count kept and right detections one by one, as the definition of matching says."""
    kept = right = 0
    for video in truth:
        free = sorted(video.instances, key=lambda i: (i.start, i.end))
        of_video = found.get(video.id, [])
        for d in sorted(of_video, key=lambda d: (-d.score, d.start, d.end)):
            if d.score < threshold:
                continue
            kept += 1
            best, most = None, 0.0
            for i in free:
                if i.label == d.label and overlap(i, d.start, d.end) > most:
                    best, most = i, overlap(i, d.start, d.end)
            if best is not None and most >= tiou:
                free.remove(best)
                right += 1
    return kept, right


@given(truths, some_detections)
def test_is_the_slow_definition(truth: Annotations, found: dict[str, Detections]) -> None:
    found = {id_: each for id_, each in found.items() if id_ in truth.videos}
    thresholds = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.1])
    for curves in precision_recall(truth, found, (0.3, 0.5)):
        kept, right = curves.overall.at(thresholds)
        slow = [rightly_kept(truth, found, curves.tiou, threshold) for threshold in thresholds]
        assert list(zip(kept.tolist(), right.tolist(), strict=True)) == slow
        assert curves.overall.instances == sum(len(video.instances) for video in truth)


@given(truths, some_detections)
def test_a_class_is_a_data_set_of_its_own(truth: Annotations, found: dict[str, Detections]) -> None:
    (curves,) = precision_recall(truth, found, (0.5,))
    assert curves.labels == tuple(name for name in LABELS if any(i.label == name for v in truth for i in v.instances))
    for label, curve in zip(curves.labels, curves.by_class, strict=True):
        only = annotations({v.id: [(i.start, i.end, i.label) for i in v.instances if i.label == label] for v in truth})
        own = {id_: each.select(each.labels == NAMES.index(label)) for id_, each in found.items()}
        alone = precision_recall(only, own, (0.5,))[0].overall
        assert curve.instances == alone.instances
        for name in ("scores", "kept", "right"):
            np.testing.assert_array_equal(getattr(curve, name), getattr(alone, name))


@given(truths, some_detections)
def test_the_best_point(truth: Annotations, found: dict[str, Detections]) -> None:
    (curves,) = precision_recall(truth, found, (0.5,))
    curve, best = curves.overall, curves.overall.best
    f1_at = [2 * right / (kept + curve.instances) for kept, right in zip(curve.kept, curve.right, strict=True)]
    np.testing.assert_allclose(curve.f1, f1_at)
    if best is None:
        assert not curve.right.any()
        return
    assert best.f1 == max(f1_at)
    (kept,), (right,) = curve.at(np.array([best.threshold]))
    assert best.precision == right / kept
    assert best.recall == right / curve.instances
    assert best.f1 == pytest.approx(2 * best.precision * best.recall / (best.precision + best.recall))


def test_distinct_scores_agree_with_average_precision() -> None:
    """Without equal scores, the area under the interpolated curve is the average precision."""
    rng = np.random.default_rng(0)
    starts = rng.uniform(0, 15, 40)
    truth = annotations({"v": [(s, s + 2, "a") for s in starts[:20]]})
    rows = [(s + rng.normal(0, 0.7), s + 2.3, "a", score) for s, score in zip(starts, rng.permutation(40), strict=True)]
    found = detections({"v": [(s, e, label, score / 40) for s, e, label, score in rows if e > s]})
    (curves,) = precision_recall(truth, found, (0.5,))
    curve = curves.by_class[0]
    envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
    area = (envelope * np.diff(curve.recall, prepend=0.0)).sum()
    assert area == pytest.approx(mean_average_precision(truth, found, (0.5,)).average)
    assert 0.1 < area < 0.9


def test_a_perfect_detector() -> None:
    truth = annotations({"v": [(1, 3, "a"), (4, 6, "b")]})
    (curves,) = precision_recall(
        truth, detections({"v": [(1, 3, "a", 0.9), (4, 6, "b", 0.6), (8, 9, "a", 0.2)]}), (0.5,)
    )
    best = curves.overall.best
    assert best is not None
    assert (best.precision, best.recall, best.f1) == (1, 1, 1)
    assert best.threshold == 0.4  # in the middle of 0.2 and 0.6


@pytest.mark.parametrize("truth", [annotations({}), annotations({"v": []}), annotations({"v": [(1, 2, "a")]})])
@pytest.mark.parametrize("found", [{}, {"v": []}, {"v": [(5, 6, "b", 0.5)]}])
def test_nothing_right(truth: Annotations, found: dict[str, list[Row]]) -> None:
    (curves,) = precision_recall(truth, detections(found), (0.5,))
    assert curves.overall.best is None
    assert not curves.overall.precision.any()
    assert not curves.overall.recall.any()
    (kept,), (right,) = curves.overall.at(np.array([0.0]))
    assert (kept, right) == (sum(len(rows) for id_, rows in found.items() if id_ in truth.videos), 0)


def test_only_zero_scores() -> None:
    curve = Curve(np.array([0.0]), np.array([2]), np.array([1]), 1)
    assert curve.best is not None
    assert curve.best.threshold == 0.0


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.391, 0.437, 0.4),
        (0.0, 1.0, 0.5),
        (0.2, 1.0, 0.6),
        (0.4, 0.5, 0.5),
        (0.5, 0.52, 0.51),
        (0.1234, 0.12345, 0.12342),
        (0.0, 0.0004, 0.0002),
        (0.3, np.nextafter(0.3, 1), np.nextafter(0.3, 1)),
    ],
)
def test_roundest(low: float, high: float, expected: float) -> None:
    assert roundest(low, high) == expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_roundest_is_between_and_round(a: float, b: float) -> None:
    low, high = sorted((a, b))
    if low == high:
        return
    number = roundest(low, high)
    assert low < number <= high
    for decimals in range(1, 6):  # nothing rounder lies between
        grid = np.arange(10**decimals + 1) / 10**decimals
        if ((low < grid) & (grid <= high)).any():
            assert number == round(number, decimals)
            break


def test_several_tious_are_several_curves() -> None:
    truth = annotations({"v": [(0, 10, "a")]})
    found = detections({"v": [(0, 5, "a", 0.5)]})
    strict, lax = (curves.overall.right.tolist() for curves in precision_recall(truth, found, (0.7, 0.3)))
    assert (strict, lax) == ([0], [1])
    assert not any(itertools.chain(*precision_recall(annotations({}), {}, (0.5,))[0].by_class))
