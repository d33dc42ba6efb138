from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_pages import LABELS, TIOUS, Row, annotations, detections, example

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.evaluation.matching import match, pool_detections, pool_instances
from untrimmed.report.results import STEPS, Tally, assess, found_instances

spans = st.builds(lambda start, length: (float(start), float(start + length)), st.integers(0, 6), st.integers(0, 4))
truths = st.dictionaries(
    st.sampled_from("vw"), st.lists(st.builds(lambda s, k: (*s, k), spans, st.sampled_from(LABELS)), max_size=5)
).map(annotations)
rows = st.builds(lambda s, k, score: (*s, k, score / 4), spans, st.sampled_from(LABELS), st.integers(0, 4))
some_detections = st.dictionaries(st.sampled_from("vwx"), st.lists(rows, max_size=8)).map(detections)


def test_the_example() -> None:
    results = example()
    assert results.tious[results.tiou] == 0.5
    assert results.tally(results.truth["one"]) == Tally(right=1, wrong=1, missed=1)
    assert results.tally(results.truth["two"]) == Tally(right=1, wrong=0, missed=0)
    assert results.most_telling(5) == ("one", "two")
    assert results.most_telling(1) == ("one",)
    assert results.most_telling(0) == ()
    assert results.found["one"].tolist() == [[0, -1, -1]] * 3  # the third finds again what the first has found


@given(truths, some_detections)
def test_videos_alone_are_matched_as_all_together(truth: Annotations, found: dict[str, Detections]) -> None:
    results = assess(truth, found, TIOUS)
    together = match(pool_instances(truth), pool_detections(truth, found), TIOUS) >= 0
    for k in range(len(TIOUS)):
        assert sum((each[k] >= 0).sum() for each in results.found.values()) == together[k].sum()
    for video in truth:
        of_video = results.detections[video.id]
        for k, row in enumerate(results.found[video.id]):
            hits = row[row >= 0]
            assert len(set(hits.tolist())) == len(hits)  # nobody is found twice
            for i in np.flatnonzero(row >= 0):
                assert of_video[int(i)].label == video.instances[row[i]].label
                assert overlap(video.segments[row[i]], of_video.segments[i]) >= TIOUS[k]


def overlap(a: Sequence[float], b: Sequence[float]) -> float:
    if tuple(a) == tuple(b):
        return 1.0
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / (a[1] - a[0] + b[1] - b[0] - shared) if shared else 0.0


@given(truths, some_detections)
def test_the_threshold_is_the_best_step(truth: Annotations, found: dict[str, Detections]) -> None:
    results = assess(truth, found, TIOUS)

    def f1(threshold: float) -> float:
        there = replace(results, threshold=threshold)
        tallies = [there.tally(video) for video in truth]
        right, mistakes = sum(t.right for t in tallies), sum(t.mistakes for t in tallies)
        return 2 * right / (2 * right + mistakes) if right else 0.0

    assert f1(results.threshold) == pytest.approx(max(f1(float(t)) for t in results.thresholds))
    assert results.threshold in results.thresholds


@pytest.mark.parametrize(
    ("best", "top"), [(0.95, 1.0), (0.5, 0.5), (0.51, 1.0), (0.18, 0.2), (0.0123, 0.02), (1.0, 1.0), (0.0, 1.0)]
)
def test_the_slider_goes_as_far_as_the_scores(best: float, top: float) -> None:
    results = assess(annotations({"v": [(1, 2, "run")]}), detections({"v": [(1, 2, "run", best)]}), TIOUS)
    assert len(results.thresholds) == STEPS + 1
    assert results.thresholds[0] == 0
    assert results.thresholds[-1] == pytest.approx(top)


def test_order_and_rubbish_of_a_file() -> None:
    """Files may hold detections in any order, and numbers that are none."""
    found: list[Row] = [(1, 2, "run", 0.1), (1, 2, "run", 0.9), (1, np.nan, "run", 0.8), (1, 2, "run", np.inf)]
    results = assess(annotations({"v": [(1, 2, "run")]}), detections({"v": found}), TIOUS)
    assert results.detections["v"].scores.tolist() == [0.9, 0.1]


def test_without_truth() -> None:
    results = assess(annotations({"v": []}), detections({"v": [(1, 2, "run", 0.9)], "w": [(1, 2, "run", 0.9)]}), TIOUS)
    assert results.score is None
    assert results.threshold == pytest.approx(0.2)
    assert results.tally(results.truth["v"]) == Tally(right=0, wrong=1, missed=0)
    assert set(results.detections) == {"v"}


def test_without_videos_and_without_detections() -> None:
    assert assess(annotations({}), {}, TIOUS).most_telling(9) == ()
    results = assess(annotations({"v": [(1, 2, "run")]}), {}, [0.9])
    assert results.score is not None
    assert results.score.average == 0
    assert results.tally(results.truth["v"]) == Tally(right=0, wrong=0, missed=1)


def test_labels_are_known_by_name() -> None:
    truth = annotations({"v": [(1, 2, "run")]})
    (video,) = truth
    found = detections({"v": [(1, 2, "run", 0.9), (1, 2, "swim", 0.8)]}, ("swim", "run"))["v"]
    assert found_instances(video, found, (0.5,)).tolist() == [[0, -1]]
