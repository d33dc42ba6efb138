from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scored_rows import annotations, detections
from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.errors import ConfigError
from untrimmed.evaluation.diagnosis import CUTS, Cuts, diagnose
from untrimmed.evaluation.diagnosis.characteristics import characteristics_of
from untrimmed.evaluation.diagnosis.matched import Matched, match_all
from untrimmed.evaluation.matching import pool_instances

LABELS = ("a", "b")
TIOUS = (0.3, 0.6)
SMALL = Cuts(length=(1, 2, 3, 4), coverage=(0.05, 0.1, 0.15, 0.2), instances=(1, 2, 3))


spans = st.builds(lambda start, length: (float(start), float(start + length)), st.integers(0, 8), st.integers(0, 6))
instance_rows = st.builds(lambda span, label: (*span, label), spans, st.sampled_from(LABELS))
detection_rows = st.builds(
    lambda span, label, score: (*span, label, score / 8), spans, st.sampled_from(LABELS), st.integers(0, 8)
)
some_truths = (
    st.dictionaries(st.sampled_from("vw"), st.lists(instance_rows, max_size=6), min_size=1)
    .filter(lambda videos: any(videos.values()))
    .map(annotations)
)
some_detections = st.dictionaries(st.sampled_from("vw"), st.lists(detection_rows, max_size=12)).map(detections)


def slow_map_of(matched: Matched, chosen: set[int], tiou: int, normal: float) -> float:
    """Normalised mAP of some instances: take away what finds others, then rank by rank."""
    aps = []
    for rows, _ in matched.classes:
        label = _label_of_class(matched, len(aps))
        mine = [i for i in chosen if matched.instances.labels[i] == label]
        found = [i for i in matched.found[tiou, rows].tolist() if i < 0 or i in chosen]
        if not mine:
            aps.append(math.nan)
            continue
        points, right, wrong = [], 0, 0
        for i in found:
            right, wrong = right + (i >= 0), wrong + (i < 0)
            weight = right / len(mine) * normal
            points.append((right, weight / (weight + wrong)))
        best = [max((p for r, p in points if r >= k), default=0.0) for k in range(1, len(mine) + 1)]
        aps.append(sum(best) / len(mine))
    there = [ap for ap in aps if not math.isnan(ap)]
    return sum(there) / len(there) if there else math.nan


def _label_of_class(matched: Matched, index: int) -> int:
    return sorted(set(matched.instances.labels.tolist()))[index]


def slow_missed(matched: Matched, tiou: int, normal: float) -> set[int]:
    missed = set(range(len(matched.instances)))
    for rows, instances in matched.classes:
        found = matched.found[tiou, rows].tolist()
        for last in range(len(found), 0, -1):  # the longest list that is good enough where it ends
            right = sum(i >= 0 for i in found[:last])
            weight = right / instances * normal
            if right and weight / (weight + last - right) > 0.05:
                missed -= {i for i in found[:last] if i >= 0}
                break
    return missed


@given(some_truths, some_detections)
def test_buckets_are_the_slow_definition(truth: Annotations, found: dict[str, Detections]) -> None:
    matched = match_all(truth, found, TIOUS)
    n_classes = len({i.label for video in truth for i in video.instances})
    normal = len(matched.instances) / n_classes
    result = diagnose(truth, found, TIOUS, cuts=SMALL)
    missed = [slow_missed(matched, t, normal) for t in range(len(TIOUS))]
    assert result.missed == pytest.approx(np.mean([len(m) / len(matched.instances) for m in missed]))
    for characteristic, sensitivity in zip(
        characteristics_of(truth, matched.instances, SMALL), result.sensitivities, strict=True
    ):
        assert sum(bucket.instances for bucket in sensitivity.buckets) == len(matched.instances)
        for number, bucket in enumerate(sensitivity.buckets):
            chosen = set(np.flatnonzero(characteristic.numbers == number).tolist())
            assert bucket.instances == len(chosen)
            maps = [slow_map_of(matched, chosen, t, normal) for t in range(len(TIOUS))]
            assert bucket.map_normalised == pytest.approx(np.mean(maps), nan_ok=True)
            if chosen:
                assert bucket.missed == pytest.approx(np.mean([len(m & chosen) / len(chosen) for m in missed]))


def test_characteristics() -> None:
    truth = annotations({"w": [(0, 1, "a"), (0, 2, "a"), (0, 2, "b")], "v": [(0, 4, "a"), (5, 15, "b")]})
    length, coverage, instances = characteristics_of(truth, pool_instances(truth), SMALL)
    assert length.values.tolist() == [4, 10, 1, 2, 2]  # video by video, then by time
    assert coverage.values.tolist() == [0.2, 0.5, 0.05, 0.1, 0.1]
    assert instances.values.tolist() == [1, 1, 2, 2, 1]
    assert [length.buckets[i] for i in length.numbers] == ["L", "XL", "XS", "S", "S"]
    assert [coverage.buckets[i] for i in coverage.numbers] == ["L", "XL", "XS", "S", "S"]
    assert instances.buckets == ("XS", "S", "M", "L")
    assert instances.numbers.tolist() == [0, 0, 1, 1, 0]


def test_buckets_of_quantiles_are_equally_full() -> None:
    truth = annotations({"v": [(0, 1 + i / 10, "a") for i in range(20)]})
    result = diagnose(truth, {}, [0.5])
    for sensitivity in result.sensitivities[:2]:
        assert [bucket.instances for bucket in sensitivity.buckets] == [4, 4, 4, 4, 4]
    number = result.sensitivities[2]
    assert [bucket.instances for bucket in number.buckets] == [20, 0, 0, 0]  # all values are 20
    assert math.isnan(number.buckets[1].map_normalised)
    written = json.loads(json.dumps(number.as_dict(), allow_nan=False))
    assert written["buckets"][0] == {"name": "XS", "up_to": 20.0, "instances": 20, "mAP_N": 0.0, "missed": 1.0}
    assert written["buckets"][3] == {"name": "L", "up_to": None, "instances": 0, "mAP_N": None, "missed": None}


def test_sensitivity_by_hand() -> None:
    # The long instance is found at once; the short one of the same class after a mistake.
    truth = annotations({"v": [(0, 5, "a"), (8, 9, "a")]})
    found = detections({"v": [(0, 5, "a", 0.9), (12, 14, "a", 0.8), (8, 9, "a", 0.7)]})
    length = diagnose(truth, found, [0.5], cuts=SMALL).sensitivities[0]
    by_name = {bucket.name: bucket for bucket in length.buckets}
    assert by_name["XL"].map_normalised == 1.0
    assert by_name["XS"].map_normalised == pytest.approx(2 / 3)  # recall 1 of N = 2, one false positive
    assert length.overall == pytest.approx((1 + 2 / 3) / 2)
    assert length.lowest == pytest.approx(0.8)
    assert length.highest == pytest.approx(1.2)


def test_what_is_found_too_late_is_missed() -> None:
    truth = annotations({"v": [(0, 5, "a")]})

    def missed(mistakes: int) -> float:
        rows = [(10, 11, "a", 0.9)] * mistakes + [(0, 5, "a", 0.5)]
        return diagnose(truth, detections({"v": rows}), [0.5]).missed

    assert missed(18) == 0.0  # 1 of 19 is right
    assert missed(19) == 1.0  # 1 of 20 is not above 0.05


def test_cut_points_of_the_benchmarks() -> None:
    assert set(CUTS) == {"thumos14", "activitynet"}
    truth = annotations({"v": [(0, 3, "a")] * 40})
    result = diagnose(truth, {}, [0.5], cuts=CUTS["thumos14"])
    filled = [[bucket.name for bucket in s.buckets if bucket.instances] for s in result.sensitivities]
    assert filled == [["XS"], ["XL"], ["S"]]  # 3 seconds, of 20; up to 40 instances


@pytest.mark.parametrize("length", [(3, 2, 4, 5), (1, 2, 3, float("nan"))])
def test_cut_points_have_to_rise(length: tuple[float, float, float, float]) -> None:
    with pytest.raises(ConfigError, match="cut points of length"):
        Cuts(length=length, coverage=(0.2, 0.4, 0.6, 0.8), instances=(1, 2, 3))
