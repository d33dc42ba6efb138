from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scored_rows import LABELS, NAMES, Row, annotations, detections
from untrimmed.data.annotations import Annotations, Instance
from untrimmed.data.detections import Detection, Detections
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.matching import Reading
from untrimmed.evaluation.recall import average_recall, recall_at_kx

TIOUS = (0.2, 1 / 3, 0.5, 1.0)
MULTIPLES = (1, 2, 5)


# Small whole numbers, so that equal scores, equal overlaps, equal segments and segments without length are common.
spans = st.builds(lambda start, length: (float(start), float(start + length)), st.integers(0, 6), st.integers(0, 4))
instance_rows = st.builds(lambda span, label: (*span, label), spans, st.sampled_from(LABELS))
detection_rows = st.builds(
    lambda span, label, score: (*span, label, score / 4), spans, st.sampled_from(NAMES), st.integers(1, 4)
)
truths = (
    st.dictionaries(st.sampled_from("vwx"), st.lists(instance_rows, max_size=6), min_size=1)
    .map(annotations)
    .filter(lambda truth: any(video.instances for video in truth))
)
some_detections = st.dictionaries(st.sampled_from("vwxy"), st.lists(detection_rows, max_size=9)).map(detections)


def slow_tiou(a: Instance, b: Detection, of_equal_points: float) -> float:
    union = max(a.end, b.end) - min(a.start, b.start)
    if union == 0:
        return of_equal_points
    return max(0.0, min(a.end, b.end) - max(a.start, b.start)) / union  # right where they overlap, else 0 all the same


def best_first(found: Sequence[Detection], *, official: bool) -> list[Detection]:
    if official:
        return sorted(found, key=lambda d: d.score)[::-1]
    return sorted(found, key=lambda d: (-d.score, d.start, d.end))


def slow_recall(
    truth: Annotations, found: Mapping[str, Detections], tiou: float, k: int, reading: Reading
) -> list[float]:
    """Recall of each class of the truth, one video and one instance after the other."""
    official = reading == "official"
    labels = [label for label in LABELS if any(i.label == label for video in truth for i in video.instances)]
    means = {label: [label] for label in labels}  # the labels of detections that count for a class
    if official:
        for number, label in enumerate(labels):
            if (taken := LABELS[number]) not in labels:
                means[label].append(taken)
    recalls = []
    for label in labels:
        right = []
        for video in truth:
            instances = [i for i in video.instances if i.label == label]
            mine = [d for d in found.get(video.id, ()) if d.label in means[label]]
            kept = best_first(mine, official=official)[: k * len(instances)]
            right += [any(slow_tiou(i, d, 0.0 if official else 1.0) >= tiou for d in kept) for i in instances]
        recalls.append(sum(right) / len(right))
    return recalls


def slow_average_recall(truth: Annotations, found: Mapping[str, Detections], n: int) -> float:
    right = []
    for tiou in TIOUS:
        for video in truth:
            kept = best_first(list(found.get(video.id, ())), official=False)[:n]
            right += [any(slow_tiou(i, d, 1.0) >= tiou for d in kept) for i in video.instances]
    return sum(right) / len(right)


def slow_official_average_recall(
    truth: Annotations, found: Mapping[str, Detections], most: int
) -> tuple[list[float], float]:
    """AR at 1 to `most` and the area, as ActivityNet's code counts."""
    videos = [video for video in truth if video.instances]
    share = most * len(videos) / max(1, sum(len(of_video) for of_video in found.values()))
    proposals = {}
    for video in videos:
        ranked = best_first(list(found.get(video.id, ())), official=True)
        proposals[video.id] = ranked[: int(len(ranked) * share)]
    total = sum(map(len, proposals.values()))
    averages = []
    for n in range(1, most + 1):
        part = n / most * (most * len(videos) / max(1, total))
        right = []
        for tiou in TIOUS:
            for video in videos:
                kept = proposals[video.id][: int(len(proposals[video.id]) * part)]
                right += [any(slow_tiou(i, d, 0.0) >= tiou for d in kept) for i in video.instances]
        averages.append(sum(right) / len(right))
    steps = [(a + b) / 2 for a, b in pairwise(averages)]
    return averages, sum(steps) / most


def with_another(found: Mapping[str, Detections], video: str, row: Row) -> dict[str, Detections]:
    rows = [(d.start, d.end, d.label, d.score) for d in found.get(video, ())]
    return {**found, **detections({video: [*rows, row]})}


def shuffled(
    truth: Annotations, found: Mapping[str, Detections], random: Random
) -> tuple[Annotations, dict[str, Detections]]:
    videos = random.sample(list(truth), len(truth))
    other = {v.id: replace(v, instances=tuple(random.sample(v.instances, len(v.instances)))) for v in videos}
    ids = random.sample(list(found), len(found))
    return replace(truth, videos=other), {
        id_: found[id_].select(np.array(random.sample(range(len(found[id_])), len(found[id_])), np.int64))
        for id_ in ids
    }


@given(truths, some_detections)
@pytest.mark.parametrize("reading", ["correct", "official"])
def test_recall_at_kx_is_its_slow_definition(
    reading: Reading, truth: Annotations, found: dict[str, Detections]
) -> None:
    result = recall_at_kx(truth, found, TIOUS, MULTIPLES, reading=reading)
    slow = [[slow_recall(truth, found, tiou, k, reading) for k in MULTIPLES] for tiou in TIOUS]
    np.testing.assert_allclose(result.recall, slow, atol=1e-12)
    np.testing.assert_allclose(result.by_tiou, np.mean(slow, axis=-1), atol=1e-12)
    np.testing.assert_allclose(result.pooled, np.average(slow, axis=-1, weights=result.instances), atol=1e-12)


@given(truths, some_detections)
def test_average_recall_is_its_slow_definition(truth: Annotations, found: dict[str, Detections]) -> None:
    result = average_recall(truth, found, TIOUS, 5)
    slow = [slow_average_recall(truth, found, n) for n in range(1, 6)]
    np.testing.assert_allclose(result.average, slow, atol=1e-12)
    assert result.area == pytest.approx(np.mean([(a + b) / 2 for a, b in pairwise(slow)]))


@given(truths, some_detections, st.integers(2, 12))
def test_official_average_recall_is_its_slow_definition(
    truth: Annotations, found: dict[str, Detections], most: int
) -> None:
    result = average_recall(truth, found, TIOUS, most, reading="official")
    averages, area = slow_official_average_recall(truth, found, most)
    np.testing.assert_allclose(result.average, averages, atol=1e-12)
    assert result.area == pytest.approx(area)


@given(truths, some_detections)
@pytest.mark.parametrize("reading", ["correct", "official"])
def test_falls_with_the_threshold_and_rises_with_how_many_are_kept(
    reading: Reading, truth: Annotations, found: dict[str, Detections]
) -> None:
    tious = np.linspace(0.1, 1.0, 10).tolist()
    found_of_class = recall_at_kx(truth, found, tious, range(1, 8), reading=reading).found
    assert (np.diff(found_of_class, axis=0) <= 0).all()
    assert (np.diff(found_of_class, axis=1) >= 0).all()
    recall = average_recall(truth, found, tious, 8, reading=reading).recall
    assert (np.diff(recall, axis=0) <= 0).all()
    assert (np.diff(recall, axis=1) >= 0).all()


@given(truths, some_detections, st.randoms(use_true_random=False))
def test_order_of_the_input_has_no_influence(truth: Annotations, found: dict[str, Detections], random: Random) -> None:
    other_truth, other = shuffled(truth, found, random)
    expected, result = (recall_at_kx(*case, TIOUS, MULTIPLES) for case in ((truth, found), (other_truth, other)))
    np.testing.assert_array_equal(result.found, expected.found)
    before, after = (average_recall(*case, TIOUS, 6) for case in ((truth, found), (other_truth, other)))
    np.testing.assert_array_equal(after.recall, before.recall)


@given(truths, some_detections, st.sampled_from(NAMES), st.floats(0, 1))
def test_a_false_positive_never_helps_and_the_worst_changes_nothing(
    truth: Annotations, found: dict[str, Detections], label: str, score: float
) -> None:
    video = next(iter(truth.videos))
    before, before_ar = recall_at_kx(truth, found, TIOUS, MULTIPLES), average_recall(truth, found, TIOUS, 6)
    wrong = with_another(found, video, (100.0, 101.0, label, score))
    assert (recall_at_kx(truth, wrong, TIOUS, MULTIPLES).found <= before.found).all()
    assert (average_recall(truth, wrong, TIOUS, 6).recall <= before_ar.recall).all()
    worst = with_another(found, video, (100.0, 101.0, label, 0.0))
    np.testing.assert_array_equal(recall_at_kx(truth, worst, TIOUS, MULTIPLES).found, before.found)
    np.testing.assert_array_equal(average_recall(truth, worst, TIOUS, 6).recall, before_ar.recall)


@given(truths)
def test_perfect_detections_find_everything(truth: Annotations) -> None:
    found = detections({v.id: [(i.start, i.end, i.label, 0.9) for i in v.instances] for v in truth})
    assert (recall_at_kx(truth, found, TIOUS).recall == 1).all()
    most = max(len(video.instances) for video in truth)
    assert average_recall(truth, found, TIOUS, most + 1).at(most) == 1.0


@pytest.mark.parametrize("reading", ["correct", "official"])
@pytest.mark.parametrize("found", [{}, {"v": []}, {"other": [(0.0, 5.0, "a", 1.0)]}])
def test_no_detections_find_nothing(reading: Reading, found: dict[str, list[Row]]) -> None:
    truth = annotations({"v": [(0, 5, "a")], "empty": []})
    assert not recall_at_kx(truth, detections(found), TIOUS, reading=reading).found.any()
    result = average_recall(truth, detections(found), reading=reading)
    assert not result.recall.any()
    assert result.area == 0.0


def test_one_detection_finds_all_instances_that_it_overlaps_enough_with() -> None:
    truth = annotations({"v": [(0, 10, "a"), (1, 10, "a")]})
    found = detections({"v": [(0, 10, "a", 0.9)]})
    assert recall_at_kx(truth, found, [0.5]).found.tolist() == [[[2], [2]]]


def test_what_is_kept_depends_on_the_instances_of_the_class_in_the_video() -> None:
    # One instance: the best detection alone is kept. Two: both are, and five times as many would be.
    rows: list[Row] = [(15, 16, "a", 0.9), (0, 5, "a", 0.8), (8, 9, "b", 1.0)]
    one = annotations({"v": [(0, 5, "a"), (8, 9, "b")]})
    two = annotations({"v": [(0, 5, "a"), (7, 8, "a"), (8, 9, "b")]})
    assert recall_at_kx(one, detections({"v": rows}), [0.5], (1, 2)).recall.tolist() == [[[0.0, 1.0], [1.0, 1.0]]]
    assert recall_at_kx(two, detections({"v": rows}), [0.5], (1, 2)).recall.tolist() == [[[0.5, 1.0], [0.5, 1.0]]]


def test_readings_differ_in_labels_that_the_truth_does_not_have() -> None:
    truth = annotations({"v": [(0, 5, "a"), (10, 15, "c")]})
    found = detections({"v": [(0, 5, "a", 0.5), (10, 15, "c", 0.5), (0, 5, "b", 0.9)]})
    assert recall_at_kx(truth, found, [0.5]).by_tiou.tolist() == [[1.0, 1.0]]
    assert recall_at_kx(truth, found, [0.5], reading="official").by_tiou.tolist() == [[0.5, 1.0]]


def test_readings_differ_in_which_proposals_are_kept() -> None:
    # Three proposals and one make two a video. At 1 we keep one of each, the official code half of each: one and none.
    truth = annotations({"v": [(0, 5, "a")], "w": [(0, 5, "b")]})
    rows: list[Row] = [(0, 5, "a", 0.9), (8, 9, "a", 0.8), (8, 10, "c", 0.7)]
    found = detections({"v": rows, "w": [(0, 5, "unknown", 0.5)]})
    ours, official = average_recall(truth, found, [0.5], 2), average_recall(truth, found, [0.5], 2, reading="official")
    assert (ours.average.tolist(), ours.area) == ([1.0, 1.0], 1.0)
    assert (official.average.tolist(), official.area) == ([0.5, 1.0], 0.375)


def test_no_instances_is_an_error() -> None:
    truth = replace(annotations({"v": [], "w": []}), source="test.json")
    for measure in (lambda: recall_at_kx(truth, {}, [0.5]), lambda: average_recall(truth, {})):
        with pytest.raises(AnnotationError, match=r"test\.json: none of the 2 videos .* has an instance"):
            measure()


@pytest.mark.parametrize("tious", [[], [0.0], [0.5, 1.1], [50], [float("nan")]])
def test_thresholds_out_of_range(tious: list[float]) -> None:
    truth = annotations({"v": [(0, 5, "a")]})
    with pytest.raises(ConfigError, match=r"\(0, 1\]"):
        recall_at_kx(truth, {}, tious)
    with pytest.raises(ConfigError, match=r"\(0, 1\]"):
        average_recall(truth, {}, tious)


def test_other_settings_out_of_range() -> None:
    truth = annotations({"v": [(0, 5, "a")]})
    for multiples in ([], [0], [1, -1]):
        with pytest.raises(ConfigError, match="whole numbers from 1 on"):
            recall_at_kx(truth, {}, [0.5], multiples)
    with pytest.raises(ConfigError, match="are 1, but have to be at least 2"):
        average_recall(truth, {}, most=1)
    for measure in (recall_at_kx, average_recall):
        with pytest.raises(ConfigError, match="'offical', but has to be 'correct' or 'official'"):
            measure(truth, {}, [0.5], reading="offical")  # type: ignore[arg-type]


def test_summaries() -> None:
    truth = annotations({"v": [(0, 4, "a"), (10, 14, "c"), (15, 16, "c")]})
    found = detections({"v": [(0, 4, "a", 0.5), (10, 12, "c", 0.4)]})
    assert json.loads(json.dumps(recall_at_kx(truth, found, (0.5, 0.6), (1,)).as_dict())) == {
        "tious": [0.5, 0.6],
        "multiples": [1],
        "by_tiou": [[0.75], [0.5]],
        "pooled": [[2 / 3], [1 / 3]],
        "classes": [
            {"label": "a", "instances": 1, "by_tiou": [[1.0], [1.0]]},
            {"label": "c", "instances": 2, "by_tiou": [[0.5], [0.0]]},
        ],
    }
    assert json.loads(json.dumps(average_recall(truth, found, (0.5, 0.6), 2).as_dict())) == {
        "area": pytest.approx(5 / 12),
        "tious": [0.5, 0.6],
        "instances": 3,
        "numbers": [1, 2],
        "average": pytest.approx([1 / 3, 1 / 2]),
        "by_tiou": [pytest.approx([1 / 3, 2 / 3]), pytest.approx([1 / 3, 1 / 3])],
    }


@pytest.mark.parametrize("reading", ["correct", "official"])
def test_official_detections_of_thumos14(shared: Path, reading: Reading) -> None:
    truth = read_annotations(shared / "data/thumos14/thumos14.json")
    found = read_detections(shared / "data/thumos14/actionformer_official_detections.csv.gz", truth.labels)
    result = recall_at_kx(truth.of_subsets(["test"]), found, np.linspace(0.3, 0.7, 5).tolist(), reading=reading)
    published = [[83.73, 79.58, 74.00, 64.39, 53.08], [96.78, 95.50, 92.07, 84.41, 71.58]]
    np.testing.assert_allclose(100 * result.by_tiou.T, published, atol=0.005)
