from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scored_rows import LABELS, annotations, detections, perfect
from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation import matching
from untrimmed.evaluation.mean_ap import average_precision, mean_average_precision

TIOUS = (0.2, 1 / 3, 0.5, 1.0)


# Small whole numbers, so that equal scores, equal overlaps, equal segments and segments without length are common.
spans = st.builds(lambda start, length: (float(start), float(start + length)), st.integers(0, 6), st.integers(0, 4))
instance_rows = st.builds(lambda span, label: (*span, label), spans, st.sampled_from(LABELS))
detection_rows = st.builds(
    lambda span, label, score: (*span, label, score / 4),
    spans,
    st.sampled_from([*LABELS, "unknown"]),
    st.integers(1, 4),
)
truths = st.dictionaries(st.sampled_from("vwx"), st.lists(instance_rows, max_size=6), min_size=1).map(annotations)
some_truths = truths.filter(lambda truth: any(video.instances for video in truth))
some_detections = st.dictionaries(st.sampled_from("vwxy"), st.lists(detection_rows, max_size=8)).map(detections)


def slow_tiou(a: tuple[float, float], b: tuple[float, float]) -> float:
    if a == b:
        return 1.0
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return overlap / ((a[1] - a[0]) + (b[1] - b[0]) - overlap) if overlap else 0.0


def slow_ap(hits: Sequence[bool], instances: int) -> float:
    """Mean over all recalls that can be reached of the best precision at that recall or a higher one."""
    points = [(sum(hits[: k + 1]), sum(hits[: k + 1]) / (k + 1)) for k in range(len(hits))]
    best = [max((precision for found, precision in points if found >= n), default=0.0) for n in range(1, instances + 1)]
    return sum(best) / instances


def slow_class_ap(
    instances: Sequence[tuple[str, float, float]], ranked: Sequence[tuple[str, float, float]], threshold: float
) -> float:
    """AP of one class, of detections and instances as (video, start, end) in order of preference."""
    free = list(instances)
    hits = []
    for video, *segment in ranked:
        overlaps = [(slow_tiou((i[1], i[2]), (segment[0], segment[1])), i) for i in free if i[0] == video]
        overlap, wanted = max(overlaps, key=lambda pair: pair[0], default=(0.0, None))  # the first of equal ones
        hits.append(overlap >= threshold)
        if overlap >= threshold:
            assert wanted is not None
            free.remove(wanted)
    return slow_ap(hits, len(instances))


def slow_correct(truth: Annotations, found: Mapping[str, Detections], threshold: float) -> float:
    instances = sorted((i.start, i.end, video.id, i.label) for video in truth for i in video.instances)
    ranked = sorted(
        (-d.score, id_, d.start, d.end, d.label) for id_, of in found.items() if id_ in truth.videos for d in of
    )
    aps = []
    for label in {i[3] for i in instances}:
        mine = [(video, start, end) for start, end, video, of in instances if of == label]
        aps.append(slow_class_ap(mine, [(v, s, e) for _, v, s, e, of in ranked if of == label], threshold))
    return sum(aps) / len(aps)


def slow_official(truth: Annotations, found: Mapping[str, Detections], threshold: float) -> float:
    instances = [(truth.label_index[i.label], video.id, i.start, i.end) for video in truth for i in video.instances]
    new_number = {number: index for index, number in enumerate(sorted({i[0] for i in instances}))}
    rows = [(d.score, d.start, d.end, id_, of.labels[k]) for id_, of in found.items() for k, d in enumerate(of)]
    ranked = sorted(rows, key=lambda row: row[0])[::-1]
    aps = []
    for number, index in new_number.items():
        mine = [i[1:] for i in instances if i[0] == number][::-1]
        guesses = [(id_, start, end) for _, start, end, id_, label in ranked if new_number.get(label, label) == index]
        aps.append(slow_class_ap(mine, guesses, threshold))
    return sum(aps) / len(aps)


@given(some_truths, some_detections)
def test_is_the_slow_definition(truth: Annotations, found: dict[str, Detections]) -> None:
    result = mean_average_precision(truth, found, TIOUS)
    np.testing.assert_allclose(result.by_tiou, [slow_correct(truth, found, t) for t in TIOUS], atol=1e-12)


@given(some_truths, some_detections)
def test_official_reading_is_its_slow_definition(truth: Annotations, found: dict[str, Detections]) -> None:
    result = mean_average_precision(truth, found, TIOUS, reading="official")
    np.testing.assert_allclose(result.by_tiou, [slow_official(truth, found, t) for t in TIOUS], atol=1e-12)


@given(some_truths, some_detections)
def test_memory_bound_does_not_change_the_result(truth: Annotations, found: dict[str, Detections]) -> None:
    expected = mean_average_precision(truth, found, TIOUS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_MOST_PAIRS", 3)
        np.testing.assert_array_equal(mean_average_precision(truth, found, TIOUS).ap, expected.ap)


@given(some_truths, some_detections, st.randoms(use_true_random=False))
def test_order_of_the_input_has_no_influence(truth: Annotations, found: dict[str, Detections], random) -> None:
    def shuffled(items):
        return random.sample(items, len(items))

    other_truth = replace(
        truth, videos={v.id: replace(v, instances=tuple(shuffled(v.instances))) for v in shuffled(list(truth))}
    )
    other = {
        id_: found[id_].select(np.array(shuffled(range(len(found[id_]))), dtype=int)) for id_ in shuffled([*found])
    }
    expected = mean_average_precision(truth, found, TIOUS)
    np.testing.assert_array_equal(mean_average_precision(other_truth, other, TIOUS).ap, expected.ap)


@given(some_truths, some_detections)
def test_does_not_rise_with_the_threshold(truth: Annotations, found: dict[str, Detections]) -> None:
    # Whoever finds an instance at a high threshold leaves it taken at a lower one, too: the set of taken instances
    # after any number of detections only shrinks.
    ap = mean_average_precision(truth, found, np.linspace(0.1, 1.0, 10)).ap
    assert (np.diff(ap, axis=0) <= 1e-12).all()


@given(some_truths, some_detections, st.sampled_from(LABELS), st.floats(0, 1))
def test_false_positive_never_helps(truth: Annotations, found: dict[str, Detections], label: str, score: float) -> None:
    before = mean_average_precision(truth, found, TIOUS).ap
    video = next(iter(truth.videos))
    rows = [(d.start, d.end, d.label, d.score) for d in found.get(video, ())]
    after = mean_average_precision(truth, found | detections({video: [*rows, (100.0, 101.0, label, score)]}), TIOUS).ap
    assert (after <= before).all()


@given(some_truths)
def test_perfect_detections_score_one(truth: Annotations) -> None:
    assert mean_average_precision(truth, perfect(truth), (0.5, 1.0)).average == 1.0


@given(some_truths, some_detections)
def test_match_gives_an_instance_to_one_detection_of_its_video_and_class(
    truth: Annotations, found: dict[str, Detections]
) -> None:
    instances, pool = matching.pool_instances(truth), matching.pool_detections(truth, found)
    assert (np.diff(pool.scores) <= 0).all()
    for of_threshold, threshold in zip(matching.match(instances, pool, TIOUS), TIOUS, strict=True):
        rows = np.flatnonzero(of_threshold >= 0)
        which = of_threshold[rows]
        assert len(set(which.tolist())) == len(which)
        np.testing.assert_array_equal(pool.videos[rows], instances.videos[which])
        np.testing.assert_array_equal(pool.labels[rows], instances.labels[which])
        for row, instance in zip(rows, which, strict=True):
            assert slow_tiou(tuple(pool.segments[row]), tuple(instances.segments[instance])) >= threshold


def test_a_better_detection_does_not_wait_for_its_second_choice() -> None:
    # The best takes the first instance, the second goes to the other instance, the third finds both taken; at 0.6 the
    # second finds nothing, which leaves the other instance to the third.
    truth = annotations({"v": [(0, 10, "a"), (10, 14, "a")]})
    found = detections({"v": [(0, 10, "a", 0.9), (4, 14, "a", 0.8), (10, 14, "a", 0.7)]})
    instances, pool = matching.pool_instances(truth), matching.pool_detections(truth, found)
    assert matching.match(instances, pool, (0.4, 0.6)).tolist() == [[0, 1, -1], [0, -1, 1]]


def test_classes_that_are_not_in_the_truth() -> None:
    truth = annotations({"v": [(0, 5, "a"), (10, 15, "c")]})
    found = perfect(truth) | detections({"w": []})
    rows = [(0, 5, "a", 0.5), (10, 15, "c", 0.5), (0, 5, "b", 0.9)]
    result = mean_average_precision(truth, detections({"v": rows}), [0.5])
    assert result.average == 1.0
    assert result.labels == ("a", "c")
    assert mean_average_precision(truth, detections({"v": rows}), [0.5], reading="official").average == 0.75
    assert mean_average_precision(truth, found, [0.5], reading="official").average == 1.0


def test_videos_without_instances_count_and_other_videos_do_not() -> None:
    truth = annotations({"v": [(0, 5, "a")], "empty": []})
    right, wrong = [(0, 5, "a", 0.5)], [(0, 5, "a", 0.9)]
    assert mean_average_precision(truth, detections({"v": right, "empty": wrong}), [0.5]).average == 0.5
    assert mean_average_precision(truth, detections({"v": right, "other": wrong}), [0.5]).average == 1.0
    official = mean_average_precision(truth, detections({"v": right, "other": wrong}), [0.5], reading="official")
    assert official.average == 0.5


def test_labels_are_known_by_name() -> None:
    truth = annotations({"v": [(0, 5, "a"), (10, 15, "c")]})
    found = detections({"v": [(0, 5, "a", 0.5), (10, 15, "c", 0.5)]}, names=("c", "other", "a"))
    assert mean_average_precision(truth, found, [0.5]).average == 1.0


def test_no_detections_score_zero() -> None:
    truth = annotations({"v": [(0, 5, "a")]})
    for found in ({}, detections({"v": []}), detections({"v": [(0, 5, "b", 1.0)]})):
        assert mean_average_precision(truth, found, TIOUS).average == 0.0


def test_no_instances_is_an_error() -> None:
    truth = replace(annotations({"v": [], "w": []}), source="test.json")
    with pytest.raises(AnnotationError, match=r"test\.json: none of the 2 videos .* has an instance"):
        mean_average_precision(truth, {}, [0.5])


@pytest.mark.parametrize("tious", [[], [0.0], [0.5, 1.1], [50], [float("nan")]])
def test_thresholds_out_of_range(tious: list[float]) -> None:
    with pytest.raises(ConfigError, match=r"\(0, 1\]"):
        mean_average_precision(annotations({"v": [(0, 5, "a")]}), {}, tious)


def test_unknown_reading() -> None:
    with pytest.raises(ConfigError, match="'offical', but has to be 'correct' or 'official'"):
        mean_average_precision(annotations({"v": [(0, 5, "a")]}), {}, [0.5], reading="offical")  # type: ignore[arg-type]


def test_average_precision_by_hand() -> None:
    # Hits at ranks 1 and 3 of three instances: precision 1 up to recall 1/3, 2/3 up to 2/3, then nothing.
    assert average_precision(np.array([True, False, True, False]), 3) == pytest.approx((1 + 2 / 3) / 3)
    assert average_precision(np.zeros((2, 0), dtype=bool), 3).tolist() == [0.0, 0.0]


def test_summary() -> None:
    truth = annotations({"v": [(0, 4, "a"), (10, 14, "c"), (15, 16, "c")]})
    result = mean_average_precision(truth, detections({"v": [(0, 4, "a", 0.5), (10, 12, "c", 0.5)]}), (0.5, 0.6))
    assert json.loads(json.dumps(result.as_dict())) == {
        "average": 0.625,
        "tious": [0.5, 0.6],
        "by_tiou": [0.75, 0.5],
        "classes": [
            {"label": "a", "instances": 1, "average": 1.0, "by_tiou": [1.0, 1.0]},
            {"label": "c", "instances": 2, "average": 0.25, "by_tiou": [0.5, 0.0]},
        ],
    }


@pytest.mark.parametrize("reading", ["correct", "official"])
def test_official_detections_of_thumos14(shared: Path, reading: str) -> None:
    truth = read_annotations(shared / "data/thumos14/thumos14.json")
    found = read_detections(shared / "data/thumos14/actionformer_official_detections.csv.gz", truth.labels)
    result = mean_average_precision(truth.of_subsets(["test"]), found, np.linspace(0.3, 0.7, 5), reading=reading)  # type: ignore[arg-type]
    np.testing.assert_allclose(100 * result.by_tiou, [82.13, 77.80, 70.95, 59.40, 43.88], atol=0.005)
    assert 100 * result.average == pytest.approx(66.83, abs=0.005)


def order_of_equals(n: int) -> NDArray[np.int64]:
    """How `np.argsort` of numpy 1.26 on a processor with AVX-512 orders n equal values, for n < 100."""
    if n <= 64:
        return np.arange(n)
    block, rest = 8 * (n // 8), n % 8
    if rest == 0:
        runs = [(n - 8, n), (0, 8), (16, n - 8), (8, 16)]
    else:
        runs = [(block - 8, block + 1), (1, 8), (16, block - 8), (8, 16), (block + 1, n), (0, 1)]
    return np.concatenate([np.arange(*run) for run in runs])


def test_activitynet_sample(shared: Path) -> None:
    truth = read_annotations(shared / "data/activitynet/activitynet13_bsn_subset.json").of_subsets(["validation"])
    found = read_detections(shared / "data/activitynet/sample_detection_prediction.json", truth.labels)
    tious = np.linspace(0.5, 0.95, 10)
    assert mean_average_precision(truth, found, tious).average == 1.0  # what is wrong is in other videos

    # All scores are equal, so that the official number rests on the order in which a certain sort leaves equal values:
    # with an other numpy or an other processor it is 0.97198 or 0.97416.
    stable = mean_average_precision(truth, found, tious, reading="official")
    np.testing.assert_allclose(stable.by_tiou, 0.9719758051394811, atol=1e-9)

    labels = np.concatenate([d.labels for d in found.values()])
    scores = np.empty(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        scores[rows[order_of_equals(len(rows))]] = np.linspace(0, 1, len(rows))  # the official order is from the back
    parts = np.split(scores, np.cumsum([len(d) for d in found.values()])[:-1])
    in_that_order = {id_: replace(d, scores=part) for (id_, d), part in zip(found.items(), parts, strict=True)}
    result = mean_average_precision(truth, in_that_order, tious, reading="official")
    np.testing.assert_allclose(result.by_tiou, 0.9715236218680025, atol=1e-9)
