from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scored_rows import LABELS, NAMES, Row, annotations, detections, overlap, perfect
from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.detections import Detection, Detections
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.diagnosis import CUTS, Kind, diagnose
from untrimmed.evaluation.diagnosis.false_positives import MISTAKES, analyse_false_positives, kinds_of
from untrimmed.evaluation.diagnosis.matched import match_all, normalised_average_precision
from untrimmed.evaluation.mean_ap import average_precision, mean_average_precision

TIOUS = (0.2, 0.5, 0.75)


spans = st.builds(lambda start, length: (float(start), float(start + length)), st.integers(0, 8), st.integers(0, 6))
instance_rows = st.builds(lambda span, label: (*span, label), spans, st.sampled_from(LABELS))
detection_rows = st.builds(
    lambda span, label, score: (*span, label, score / 8), spans, st.sampled_from(NAMES), st.integers(0, 8)
)
some_truths = (
    st.dictionaries(st.sampled_from("vwx"), st.lists(instance_rows, max_size=6), min_size=1)
    .filter(lambda videos: any(videos.values()))
    .map(annotations)
)
some_detections = st.dictionaries(st.sampled_from("vwxy"), st.lists(detection_rows, max_size=12)).map(detections)


def slow_kinds(truth: Annotations, found: Mapping[str, Detections], tiou: float, low: float) -> list[list[str]]:
    """Say of each detection of each class, best first, what it is: the definition, one by one."""
    kinds = []
    for label in sorted({i.label for video in truth for i in video.instances}):
        of_class: list[tuple[str, Detection]] = [(id_, d) for id_, of in found.items() for d in of if d.label == label]
        ranked = sorted(
            ((id_, d) for id_, d in of_class if id_ in truth.videos),
            key=lambda item: (-item[1].score, item[0], item[1].start, item[1].end),
        )
        free = {
            v.id: sorted((i for i in v.instances if i.label == label), key=lambda i: (i.start, i.end)) for v in truth
        }
        kinds.append([_slow_kind(truth[id_], d, free[id_], tiou, low) for id_, d in ranked])
    return kinds


def _slow_kind(video: Video, detection: Detection, free: list[Instance], tiou: float, low: float) -> str:
    best = max(free, key=lambda i: overlap(i, detection.start, detection.end), default=None)
    if best is not None and overlap(best, detection.start, detection.end) >= tiou:
        free.remove(best)
        return "true positive"
    own = [overlap(i, detection.start, detection.end) for i in video.instances if i.label == detection.label]
    other = [overlap(i, detection.start, detection.end) for i in video.instances if i.label != detection.label]
    if any(o >= tiou for o in own):
        return "double detection"
    if any(o >= tiou for o in other):
        return "wrong label"
    if any(o >= low for o in own):
        return "localisation"
    return "confusion" if any(o >= low for o in other) else "background"


def slow_map(kinds: Sequence[Sequence[str]], instances: Sequence[int], without: str, normal: float | None) -> float:
    """Mean average precision of the classes after the detections of a kind have been taken away."""
    aps = []
    for of_class, count in zip(kinds, instances, strict=True):
        kept = [kind for kind in of_class if kind != without]
        points = []  # recall and precision
        right = wrong = 0
        for kind in kept:
            right, wrong = right + (kind == "true positive"), wrong + (kind != "true positive")
            weight = right / count * (normal or count)
            points.append((right / count, weight / (weight + wrong)))
        best = [max((p for r, p in points if r >= k / count - 1e-9), default=0.0) for k in range(1, count + 1)]
        aps.append(sum(best) / count)
    return sum(aps) / len(aps)


@given(some_truths, some_detections, st.sampled_from([0.1, 0.3]))
def test_kinds_are_the_slow_definition(truth: Annotations, found: dict[str, Detections], low: float) -> None:
    matched = match_all(truth, found, TIOUS)
    for of_tiou, tiou in zip(kinds_of(matched, low), TIOUS, strict=True):
        fast = [[Kind(kind).title for kind in of_tiou[rows]] for rows, _ in matched.classes]
        assert fast == slow_kinds(truth, found, tiou, low)


@given(some_truths, some_detections)
def test_gains_are_the_slow_definition(truth: Annotations, found: dict[str, Detections]) -> None:
    result = diagnose(truth, found, TIOUS)
    counts = Counter(i.label for video in truth for i in video.instances)
    instances = [counts[label] for label in sorted(counts)]
    normal = sum(instances) / len(instances)
    kinds = [slow_kinds(truth, found, tiou, 0.1) for tiou in TIOUS]

    def average(without: str, n: float | None) -> float:
        return sum(slow_map(of_tiou, instances, without, n) for of_tiou in kinds) / len(TIOUS)

    assert result.map == pytest.approx(average("none", None))
    assert result.map_normalised == pytest.approx(average("none", normal))
    for i, kind in enumerate(MISTAKES):
        assert result.false_positives.gains[i] == pytest.approx(average(kind.title, None) - result.map, abs=1e-9)
        expected = average(kind.title, normal) - result.map_normalised
        assert result.false_positives.gains_normalised[i] == pytest.approx(expected, abs=1e-9)


@given(some_truths, some_detections)
def test_parts_add_up_to_the_whole(truth: Annotations, found: dict[str, Detections]) -> None:
    result = diagnose(truth, found, TIOUS, parts=20)
    kinds = result.false_positives
    assert (kinds.counts.sum(axis=1) == result.detections).all()
    np.testing.assert_array_equal(kinds.parts.sum(axis=(1, 2)), _in_best(truth, found, 20))
    for i in range(20):
        np.testing.assert_array_equal(kinds.parts[:, : i + 1].sum(axis=(1, 2)), _in_best(truth, found, i + 1))
    sums = kinds.profile.sum(axis=1)
    np.testing.assert_allclose(sums[kinds.parts[0].sum(axis=1) > 0], 1)
    assert (sums[kinds.parts[0].sum(axis=1) == 0] == 0).all()
    hits = (match_all(truth, found, TIOUS).found >= 0).sum(axis=1)
    np.testing.assert_array_equal(kinds.counts[:, Kind.TRUE_POSITIVE], hits)
    assert (kinds.gains >= -1e-12).all()
    assert (kinds.gains_normalised >= -1e-12).all()


def _in_best(truth: Annotations, found: Mapping[str, Detections], multiple: int) -> int:
    instances = Counter(i.label for video in truth for i in video.instances)
    of_class = Counter(d.label for id_ in truth.videos if id_ in found for d in found[id_])
    return sum(min(multiple * instances[label], of_class[label]) for label in instances)


@given(some_truths, some_detections, st.randoms(use_true_random=False))
def test_order_of_the_input_has_no_influence(truth: Annotations, found: dict[str, Detections], random) -> None:
    def shuffled(items):
        return random.sample(items, len(items))

    videos = {v.id: replace(v, instances=tuple(shuffled(v.instances))) for v in shuffled(list(truth))}
    other = {i: found[i].select(np.array(shuffled(range(len(found[i]))), dtype=int)) for i in shuffled([*found])}
    assert diagnose(replace(truth, videos=videos), other, TIOUS).as_dict() == diagnose(truth, found, TIOUS).as_dict()


PLANTED = [
    ((0, 10, "a", 0.9), Kind.TRUE_POSITIVE),
    ((1, 10, "a", 0.8), Kind.DOUBLE_DETECTION),
    ((0, 9, "b", 0.7), Kind.WRONG_LABEL),
    ((6, 14, "a", 0.6), Kind.LOCALISATION),  # 4 of 14 seconds
    ((6, 14, "b", 0.5), Kind.CONFUSION),
    ((9, 19, "a", 0.4), Kind.BACKGROUND),  # 1 of 19 seconds
]


def test_planted_detections() -> None:
    truth = annotations({"v": [(0, 10, "a")], "w": [(0, 10, "b")]})
    for row, kind in PLANTED:
        rows = [row] if kind is Kind.TRUE_POSITIVE else [PLANTED[0][0], row]
        counts = diagnose(truth, detections({"v": rows}), [0.5]).false_positives.counts[0]
        expected = Counter([Kind.TRUE_POSITIVE, kind] if len(rows) == 2 else [kind])
        assert counts.tolist() == [expected[k] for k in Kind], kind
    counts = diagnose(truth, detections({"v": [row for row, _ in PLANTED]}), [0.5]).false_positives.counts[0]
    assert counts.tolist() == [1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        # All of "a" is taken by the perfect detection; the second detection has also to do with "b".
        ([(0, 10, "a"), (0, 12, "b")], Kind.DOUBLE_DETECTION),  # nearer to "b"
        ([(0, 10, "a"), (8, 16, "b")], Kind.DOUBLE_DETECTION),
        ([(8, 16, "a"), (0, 12, "b")], Kind.WRONG_LABEL),  # some of its own class, enough of another
        ([(8, 16, "a"), (7, 20, "b")], Kind.LOCALISATION),  # nearer to "b", but not enough of either
    ],
)
def test_own_class_comes_first(rows: list[tuple[float, float, str]], kind: Kind) -> None:
    truth = annotations({"v": rows})
    start, end, label = rows[0]
    found = detections({"v": [(start, end, label, 0.9), (0, 12, "a", 0.8)]})
    counts = diagnose(truth, found, [0.5]).false_positives.counts[0]
    assert counts.tolist() == [int(k in (Kind.TRUE_POSITIVE, kind)) for k in Kind]


def test_every_part_of_the_profile() -> None:
    truth = annotations({"v": [(0, 4, "a"), (6, 10, "a"), (12, 16, "b")]})
    rows = [(0, 4, "a", 0.9), (12, 16, "a", 0.8), (6, 10, "a", 0.7), (0, 4, "a", 0.6), (18, 20, "a", 0.5)]
    found = detections({"v": [*rows, (12, 16, "b", 0.4), (18, 20, "b", 0.3)]})
    result = diagnose(truth, found, [0.5], parts=2).false_positives
    # Of "a" two at a time, of "b" one at a time; the fifth of "a" is in neither part.
    assert result.parts.tolist() == [[[2, 0, 1, 0, 0, 0], [1, 1, 0, 0, 0, 1]]]
    np.testing.assert_allclose(result.profile, [[2 / 3, 0, 1 / 3, 0, 0, 0], [1 / 3, 1 / 3, 0, 0, 0, 1 / 3]])
    np.testing.assert_allclose(result.profile_of_best[1], np.array([3, 1, 1, 0, 0, 1]) / 6)
    assert result.counts.tolist() == [[3, 1, 1, 0, 0, 2]]


def test_gain_by_hand() -> None:
    # The one mistake comes before the one hit: precision is 1/2, and 1 without it.
    truth = annotations({"v": [(0, 4, "a")]})
    result = diagnose(truth, detections({"v": [(10, 14, "a", 0.9), (0, 4, "a", 0.5)]}), [0.5])
    assert result.map == 0.5
    assert dict(zip(MISTAKES, result.false_positives.gains.tolist(), strict=True)) == {
        kind: 0.5 if kind is Kind.BACKGROUND else 0.0 for kind in MISTAKES
    }


@given(some_truths)
def test_perfect_detections_have_nothing_to_gain(truth: Annotations) -> None:
    result = diagnose(truth, perfect(truth), TIOUS)
    assert result.map == result.map_normalised == 1.0
    assert result.missed == 0.0
    assert (result.false_positives.counts[:, 1:] == 0).all()
    assert (result.false_positives.gains == 0).all()
    for sensitivity in result.sensitivities:
        assert sensitivity.lowest == sensitivity.highest == 1.0
        assert all(bucket.missed == 0.0 for bucket in sensitivity.buckets if bucket.instances)


@pytest.mark.parametrize("found", [{}, {"v": []}, {"v": [(0, 4, "unknown", 1.0)]}, {"other": [(0, 4, "a", 1.0)]}])
def test_no_detections(found: dict[str, list[Row]]) -> None:
    result = diagnose(annotations({"v": [(0, 4, "a"), (6, 10, "b")]}), detections(found), TIOUS)
    assert result.detections == 0
    assert result.map == result.map_normalised == 0.0
    assert result.missed == 1.0
    assert not result.false_positives.counts.any()
    assert not result.false_positives.profile.any()
    assert not result.false_positives.gains.any()
    written = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert all(entry["lowest"] is None for entry in written["characteristics"])


def test_a_threshold_below_the_low_one() -> None:
    truth = annotations({"v": [(0, 10, "a")]})
    found = detections({"v": [(0, 10, "a", 0.9), (0, 2, "a", 0.8), (8, 9, "a", 0.7)]})
    counts = diagnose(truth, found, [0.15, 0.5], low=0.3).false_positives.counts
    assert counts.tolist() == [[1, 1, 0, 0, 0, 1], [1, 0, 0, 0, 0, 2]]


@given(st.lists(st.booleans(), max_size=8), st.integers(1, 4))
def test_normalised_precision_is_the_ordinary_one_for_the_number_of_instances(row: list[bool], more: int) -> None:
    hits = np.array([row], dtype=bool)
    instances = int(hits.sum()) + more
    ordinary = average_precision(hits, instances)
    np.testing.assert_allclose(normalised_average_precision(hits, ~hits, instances, instances), ordinary, atol=1e-12)
    kept = hits.any(axis=0) | (np.arange(hits.shape[1]) % 2 == 0)  # without every second mistake
    gone = normalised_average_precision(hits, ~hits & kept, instances, instances)
    np.testing.assert_allclose(gone, average_precision(hits[:, kept], instances), atol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tious": []}, r"\(0, 1\]"),
        ({"tious": [0.5, 1.5]}, r"\(0, 1\]"),
        ({"low": 0.0}, "low tIoU threshold is 0.0"),
        ({"low": float("nan")}, "low tIoU threshold is nan"),
        ({"parts": 0}, "parts is 0"),
    ],
)
def test_options_out_of_range(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        diagnose(annotations({"v": [(0, 4, "a")]}), {}, **({"tious": [0.5]} | options))


def test_no_instances_is_an_error() -> None:
    truth = replace(annotations({"v": []}), source="test.json")
    with pytest.raises(AnnotationError, match=r"test\.json: none of the 1 videos .* so there is no mAP"):
        diagnose(truth, {}, [0.5])


def test_thumos14(shared: Path) -> None:
    truth = read_annotations(shared / "data/thumos14/thumos14.json")
    found = read_detections(shared / "data/thumos14/actionformer_official_detections.csv.gz", truth.labels)
    truth = truth.of_subsets(["test"])
    tious = np.linspace(0.3, 0.7, 5)
    result = diagnose(truth, found, tious, cuts=CUTS["thumos14"])
    assert (result.instances, result.detections) == (3358, 42400)
    assert 100 * result.map == pytest.approx(66.83, abs=0.005)
    assert result.map == pytest.approx(mean_average_precision(truth, found, tious).average, abs=1e-12)

    kinds = result.false_positives
    assert (kinds.counts.sum(axis=1) == 42400).all()
    assert kinds.counts[2].tolist() == [3151, 2970, 8687, 5819, 5696, 16077]
    np.testing.assert_allclose(100 * kinds.gains, [0.51, 1.44, 6.72, 0.30, 4.22], atol=0.005)
    matched = match_all(truth, found, [0.5])
    alone = analyse_false_positives(matched, low=0.1, parts=10)
    np.testing.assert_array_equal(alone.parts[0], kinds.parts[2])
    slow = Counter(kind for of_class in slow_kinds(truth, found, 0.5, 0.1) for kind in of_class)
    assert [slow[kind.title] for kind in Kind] == kinds.counts[2].tolist()

    by_name = {sensitivity.name: sensitivity for sensitivity in result.sensitivities}
    assert [b.instances for b in by_name["length"].buckets] == [1626, 851, 730, 114, 37]
    assert [b.instances for b in by_name["coverage"].buckets] == [2384, 657, 166, 61, 90]
    assert [b.instances for b in by_name["instances"].buckets] == [20, 2435, 574, 329]
    for sensitivity in result.sensitivities:
        missed = sum(bucket.missed * bucket.instances for bucket in sensitivity.buckets)
        assert missed == pytest.approx(result.missed * 3358)
