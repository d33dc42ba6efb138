from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.check import Finding, Pyramid, Report, check, quick_errors, uncovered
from untrimmed.data.check.coverage import Lonely, cover
from untrimmed.data.check.feature_checks import Extent
from untrimmed.data.check.overlap_checks import overlap_findings
from untrimmed.data.check.resolution import cure_for
from untrimmed.data.crops import CropConfig
from untrimmed.data.features import FeatureDescription, open_features
from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.model.config import ModelConfig
from untrimmed.model.moments import pyramid_moments
from untrimmed.time_grid import TimeGrid

RANGES = [(0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000)]
RANDOM = np.random.default_rng(0)
ROLES = {"training": ["train"], "validation": ["val"]}


PYRAMID = Pyramid([2**i for i in range(6)], RANGES, [9] * 6)
"""The six official levels."""


def moments_of(length: int) -> np.ndarray:
    """The moments of the six official levels."""
    levels = []
    for i, (low, high) in enumerate(RANGES):
        time = np.arange(0, length, 2**i)
        levels.append(np.stack([time, *(np.full_like(time, x) for x in (low, high, 2**i))], axis=1))
    return np.concatenate(levels).astype(np.float32)


@pytest.mark.parametrize("length", [1, 2, 31, 33, 500])
def test_the_pyramid_is_that_of_the_model(length: int) -> None:
    model = ModelConfig()
    pyramid = Pyramid(model.strides, model.ranges)
    expected = pyramid_moments(length, model.strides, model.ranges).numpy()
    np.testing.assert_array_equal(pyramid.moments(length), expected)
    np.testing.assert_array_equal(moments_of(length), expected)


# Coverage


def uncovered_one_by_one(segments: np.ndarray, length: int, moments: np.ndarray, radius: float | None) -> list[bool]:
    def trains(moment: np.ndarray, segment: np.ndarray) -> bool:
        (time, low, high, stride), (start, end) = moment.tolist(), segment.tolist()
        near = radius is None or abs(time - (start + end) / 2) < radius * stride
        return time < length and start < time < end and near and low <= max(time - start, end - time) <= high

    return [not any(trains(moment, segment) for moment in moments) for segment in segments]


@given(
    segments=st.lists(st.tuples(st.integers(-8, 160), st.integers(-2, 200)), max_size=6),
    length=st.integers(1, 40),
    radius=st.sampled_from([None, 0.5, 1.5]),
    padding=st.integers(0, 5),
)
def test_uncovered_is_what_a_loop_finds(
    segments: list[tuple[int, int]], length: int, radius: float | None, padding: int
) -> None:
    # Quarters of a cell, so that many a distance lies exactly at the end of a range.
    array = np.array([(start / 4, (start + long) / 4) for start, long in segments]).reshape(-1, 2)
    moments = moments_of(length + padding)
    mask = uncovered(array, length, moments, radius)
    assert mask.dtype == np.bool_
    assert mask.tolist() == uncovered_one_by_one(array, length, moments, radius)


def test_uncovered_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    starts = random.uniform(0, 500, 200)
    segments = np.stack([starts, starts + random.uniform(0, 5, 200)], axis=1)
    whole = uncovered(segments, 500, moments_of(500), 1.5)
    monkeypatch.setattr("untrimmed.data.check.coverage._PAIRS_AT_ONCE", 3000)
    np.testing.assert_array_equal(uncovered(segments, 500, moments_of(500), 1.5), whole)
    assert 0 < whole.sum() < 200


@pytest.mark.parametrize(("length", "expected"), [(0.2, 0.8), (0.6, 0.4), (0.9, 0.1), (1.1, 0.0)])
def test_actions_shorter_than_a_clip(length: float, expected: float) -> None:
    """Of instances as long as this part of a clip, those that fall between two clips have no moment."""
    starts = np.random.default_rng(0).uniform(10, 90, 2000)
    mask = uncovered(np.stack([starts, starts + length], axis=1), 100, moments_of(100), 1.5)
    assert mask.mean() == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("segment", "radius", "expected"),
    [
        ((0, 1), None, True),  # strictly inside: neither moment 0 nor moment 1
        ((0.5, 1.5), None, False),
        ((0, 8), None, False),  # at its middle both distances are 4, the end of the first range
        ((70, 80), None, True),  # after the last moment
    ],
)
def test_uncovered_at_ends(segment: tuple[float, float], radius: float | None, expected: bool) -> None:
    assert uncovered(np.array([segment]), 64, moments_of(64)[:64], radius).tolist() == [expected]


def test_nothing_is_covered_by_no_moments() -> None:
    assert uncovered(np.array([[0.0, 9.0]]), 5, np.zeros((0, 4)), 1.5).tolist() == [True]
    assert uncovered(np.zeros((0, 2)), 5, moments_of(5), 1.5).shape == (0,)


# A whole data set


def noise(*shape: int) -> np.ndarray:
    """Other numbers each time."""
    return RANDOM.normal(size=shape)


class DataSet:
    """Two training and two validation videos of 10 s at 10 frames/s, features of stride 2 and window 4."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        walk, run = Instance(1.0, 3.0, "walk"), Instance(4.0, 8.0, "run")
        self.instances = (walk, run)
        names = {"a": "train", "b": "train", "c": "val", "d": "val"}
        self.videos = {id_: Video(id_, 10.0, subset, 10.0, (walk, run)) for id_, subset in names.items()}
        for id_ in names:
            self.write(id_, noise(49, 3))

    def write(self, id_: str, array: np.ndarray) -> None:
        np.save(self.folder / f"{id_}.npy", array)

    def change(self, id_: str, **values: Any) -> None:
        self.videos[id_] = replace(self.videos[id_], **values)

    def check(
        self,
        subsets: dict[str, list[str]] = ROLES,
        expected: int | None = None,
        pyramid: Pyramid = PYRAMID,
        drops_unusable: bool = False,
        **config: Any,
    ) -> Report:
        labels = sorted({i.label for video in self.videos.values() for i in video.instances})
        annotations = Annotations(self.videos, tuple(labels), "labels.json")
        inputs = Inputs(open_features(self.folder), InputConfig(**{"stride": 2, "window": 4, **config}), expected)
        return check(annotations, inputs, subsets, pyramid=pyramid, drops_unusable=drops_unusable)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataSet:
    monkeypatch.setattr("untrimmed.data.check.label_checks.FEW", 1)  # there are two of each class
    return DataSet(tmp_path)


def only(findings: Sequence[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


def test_nothing_is_wrong(data: DataSet) -> None:
    report = data.check(expected=3)
    assert report.ok
    assert report.findings == ()
    assert report.videos == {"training": 2, "validation": 2}
    row = {"label": "run", "instances": {"training": 2, "validation": 2}, "uncovered": 0}
    assert report.as_dict() == {
        "ok": True,
        "videos": {"training": 2, "validation": 2},
        "errors": [],
        "warnings": [],
        "classes": [row, {**row, "label": "walk"}],
        "levels": [level.as_dict() for level in report.levels],
        "lengths": [2.0, 2.0, 4.0, 4.0],
    }
    assert len(report.levels) == 6


def test_a_subset_that_matches_nothing(data: DataSet) -> None:
    report = data.check({"training": ["trian"], "validation": ["VAL"]})
    error = only(report.errors)
    assert error.place == "training subsets"
    assert "labels.json: no video is in subset 'trian'" in error.message
    assert "Did you mean 'train'?" in error.message
    assert not report.ok
    assert report.videos == {"training": 0, "validation": 2}
    assert "no subset is named" in only(data.check({"training": []}).errors).message


def test_missing_features(data: DataSet) -> None:
    (data.folder / "a.npy").unlink()
    (data.folder / "d.npy").unlink()
    error = only(data.check().errors)
    assert error.place == str(data.folder)
    assert error.message.startswith("2 of 4 videos without features: a, d.")
    assert "there is no 'a.npy'" in error.message
    assert error.videos == ("a", "d")


def test_features_that_cannot_be_read(data: DataSet) -> None:
    bad = noise(49, 3)
    bad[7, 1] = np.nan
    data.write("a", bad)
    (data.folder / "b.npy").write_bytes(b"\x93NUMPY")
    data.write("c", np.array([[{}]], dtype=object))
    errors = data.check().errors
    assert [error.place for error in errors] == ["a", "b", "c"]
    assert "1 of 147 values are NaN or infinite" in errors[0].message
    assert "cannot be read" in errors[1].message
    assert "pickled" in errors[2].message


def test_signals_shorter_than_a_window(data: DataSet) -> None:
    data.write("a", noise(3, 3))
    errors = data.check(kind="signals", rate=4.9).errors
    assert "3 samples, which is shorter than a window of 4" in errors[0].message


def test_another_dimension_than_most(data: DataSet) -> None:
    data.write("d", noise(3, 49))
    error = next(finding for finding in data.check().errors if finding.place == "feature dimension")
    assert error.message == (
        "1 of 4 videos with features of another dimension than the 3 that are usual: 'd' has 49. "
        "They look stored as [D, T]: transpose them to [T, D]."
    )
    assert error.videos == ("d",)


def test_another_dimension_than_expected(data: DataSet) -> None:
    error = only(data.check(expected=2048).errors)
    assert "4 of 4 videos with features of another dimension than the 2048 that are expected" in error.message
    assert "'a' has 3, 'b' has 3, 'c' has 3 and 1 more" in error.message


def test_features_that_end_too_early(data: DataSet) -> None:
    data.write("a", noise(45, 3))
    data.write("b", noise(47, 3))  # ends a window and a stride before its video, which is allowed
    report = data.check()
    warning = only(report.findings)
    assert warning.severity == "warning"
    assert "features of 1 of 4 videos end more than a window and a stride before or after" in warning.message
    assert "those of 'a', which end at 9.20 s of 10.00 s" in warning.message
    assert warning.videos == ("a",)


def test_a_wrong_rate_is_an_error(data: DataSet) -> None:
    report = data.check(rate=20.0)
    error = next(finding for finding in report.errors if finding.place == "feature length")
    assert "4 of 4 videos" in error.message
    assert "typically they end at 0.5 of the duration. Correct inputs.stride or inputs.rate" in error.message


def test_features_that_all_end_a_little_early_are_a_warning(data: DataSet) -> None:
    for name in "abcd":
        data.write(name, noise(45, 3))
    warning = only(data.check().findings)
    assert warning.severity == "warning"
    assert "4 of 4 videos" in warning.message
    assert "typically they end at 0.92 of the duration. What happens there cannot be learnt or found" in warning.message


def test_no_rate(data: DataSet) -> None:
    data.change("a", rate=None)
    data.change("b", rate=None)
    error = only(data.check().errors)
    assert error.message.startswith("2 of 4 videos without a time grid. video 'a': the frame rate is not known")
    assert error.videos == ("a", "b")


def test_labels(data: DataSet) -> None:
    run = Instance(4, 8, "run")
    more = tuple(Instance(i, i + 0.5, "run") for i in range(4))
    data.change("c", instances=(Instance(1, 3, "walks"), Instance(1, 3, "wulk"), Instance(4, 8, "fly"), *more))
    data.change("d", instances=(run, Instance(1, 3, "walk")))
    report = data.check()
    warning = only(report.warnings)
    assert report.ok
    assert warning.place == "validation labels"
    assert warning.videos == ("c",)
    assert warning.message.startswith(
        "3 labels without a training instance, so never found: "
        "'walks' (1 instance), perhaps 'walk', 'wulk' (1 instance), perhaps 'walk', 'fly' (1 instance). Correct"
    )


def test_labels_of_which_most_are_unknown(data: DataSet) -> None:
    for id_ in "cd":
        data.change(id_, instances=(Instance(1, 3, "fly"),))
    error = only(data.check().errors)
    assert "They are 2 of 2 instances: name the subsets that belong together" in error.message


def test_labels_that_differ_by_case(data: DataSet) -> None:
    data.change("c", instances=(Instance(1, 3, "Walk"), Instance(4, 8, "run"), Instance(5, 8.5, "run")))
    error = only(data.check().errors)
    assert error.message == (
        "different classes that differ only by case or spaces: 'Walk' (1 instance), 'walk' (3 instances); 'Walk' is in "
        "c. Rename them if they are one, or let them be two by data.unusable drop"
    )
    assert "'Walk' (1 instance)" in data.check(drops_unusable=True).warnings[0].message
    assert data.check(drops_unusable=True).ok


@pytest.mark.parametrize("other", ["cafe\u0301", "caf\u00e9\u200b"])
def test_labels_that_look_alike(data: DataSet, other: str) -> None:
    one = "caf\u00e9"
    for id_ in "abd":
        data.change(id_, instances=(Instance(1, 3, one), Instance(4, 6, one)))
    data.change("c", instances=(Instance(1, 3, other), Instance(4, 6, one)))
    error = only(data.check().errors)
    assert error.message.startswith("different classes that differ only by what is not seen, such as two ways to write")


def test_a_label_that_is_trained_on_only(data: DataSet) -> None:
    data.change("a", instances=(*data.videos["a"].instances, Instance(8, 9, "hop")))
    warning = only(data.check().findings)
    assert warning.message.startswith("1 label with training instances only, so never scored: 'hop' (1 instance)")
    assert data.check({"training": ["train"]}).findings == ()


def test_rare_labels(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("untrimmed.data.check.label_checks.FEW", 3)
    data.change("a", instances=(Instance(1, 3, "walk"), Instance(4, 6, "run"), Instance(6, 9, "run")))
    assert only(data.check().findings).message.startswith("1 label with fewer than 3 training instances: 'walk' 2. ")


@pytest.mark.parametrize(
    ("end", "expected"),
    [(8.1, "1 instance almost the same as another one"), (9.9, "1 instance mostly upon another one"), (None, "")],
)
def test_instances_upon_each_other(data: DataSet, end: float | None, expected: str) -> None:
    more = () if end is None else (Instance(end - 4, end, "run"),)
    data.change("c", instances=(*data.videos["c"].instances, *more))
    findings = data.check().findings
    assert [f.message[: len(expected)] for f in findings] == ([expected] if expected else [])


def test_overlaps_in_parts_are_the_same(data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = np.random.default_rng(0).uniform(0, 8, (60, 2))
    instances = tuple(Instance(float(s), float(s + 0.1 + n / 4), "ab"[int(n) % 2]) for s, n in starts)
    video = Video("v", 10.0, instances=instances)
    whole = list(overlap_findings("training", [video], refuses_doubles=True))
    monkeypatch.setattr("untrimmed.data.check.overlap_checks._PAIRS_AT_ONCE", 130)
    assert list(overlap_findings("training", [video], refuses_doubles=True)) == whole
    assert whole


def test_actions_below_shorter_ones_of_other_classes(data: DataSet) -> None:
    for id_ in "ab":
        data.change(id_, instances=(Instance(1, 6, "walk"), Instance(2, 5, "run")))
    warning = only(data.check().findings)
    assert warning.message.startswith(
        "2 of 4 instances have most of their time covered by shorter ones of other classes, such as 'walk' from 1 to 6"
    )


def test_an_instance_twice(data: DataSet) -> None:
    data.change("a", instances=data.videos["a"].instances * 2)
    assert "2 instances given more than once" in only(data.check().errors).message
    assert only(data.check(drops_unusable=True).findings).severity == "warning"


def test_a_recording_under_two_names(data: DataSet) -> None:
    array = noise(49, 3)
    data.write("a", array)
    data.write("b", array)
    warning = only(data.check().findings)
    assert warning.message == (
        "1 recording under several names, with the same numbers: 'a' and 'b'. Remove all but one"
    )
    data.write("d", array)
    assert data.check().warnings[0].message.endswith("scores say nothing about new videos")


def test_constant_features(data: DataSet) -> None:
    for id_ in "ab":
        data.write(id_, np.ones((49, 3)))
    warning = only(data.check().findings)
    assert warning.message.startswith("2 videos with the same numbers from beginning to end: a, b.")


def test_features_json_that_states_another_dimension(data: DataSet) -> None:
    FeatureDescription(dimension=4).write(data.folder)
    assert (
        "dimension is 4 there, but arrays of 4 of 4 videos have another one: 'a' has 3"
        in only(data.check().errors).message
    )


def test_segments(data: DataSet) -> None:
    run = Instance(4, 8, "run")
    odd = [
        Instance(5, 3, "run"),
        Instance(float("nan"), 3, "run"),
        Instance(5, 5, "run"),
        Instance(11, 12, "run"),
        Instance(9, 10.25, "run"),
        Instance(-0.5, 2, "run"),
        Instance(9, 10.0005, "run"),
    ]
    data.change("c", instances=(*odd, run, run))
    report = data.check()
    error = only(report.errors)
    assert error.place == "validation segments"
    assert error.message == (
        "2 instances that end before they start, such as 'run' from 5 to 3 s in video 'c' of 10 s. Correct them"
    )
    empty, outside, over, twice, *_ = report.warnings
    assert "1 instance without length" in empty.message
    assert "1 instance outside the duration" in outside.message
    assert "2 instances over the end of their video, by up to 0.5 s, such as 'run' from -0.5 to 2 s" in over.message
    assert "1 instance given more than once" in twice.message


def test_videos_without_instances(data: DataSet) -> None:
    data.change("a", instances=())
    warning = only(data.check().findings)
    assert warning.severity == "warning"
    assert warning.message.startswith("1 of 2 videos without instances: a. The whole of each is taken for background")
    data.change("b", instances=())
    assert "none of the 2 videos has an instance" in only(data.check().errors).message


def test_videos_in_both_roles(data: DataSet) -> None:
    warning = only(data.check({"training": ["train"], "validation": ["train"]}).findings)
    assert warning.place == "training and validation"
    assert warning.message.startswith("2 videos in both: a, b.")


def test_wrong_durations(data: DataSet) -> None:
    data.change("a", duration=float("nan"))
    error = only(data.check().errors)
    assert error.message == "1 video with a duration like nan: a. Correct it"


def test_uncovered_instances(data: DataSet) -> None:
    # Clips are 0.2 s apart, at 0.2, 0.4, ... s: the first of these has none inside.
    data.change("a", instances=(Instance(1.01, 1.19, "walk"), Instance(4, 8, "run")))
    report = data.check()
    assert report.ok
    assert only(report.warnings).message == (
        "1 of 4 instances without a moment to be trained on: 'walk' 1 of 2 (0.18 s); by length: 0.1 to 0.2 s 1 of 1. "
        "They fall between clips, 0.2 s apart. The largest stride that cures it is 0.1 s: extract the features again "
        "with --stride 1; or else training.target.every_instance true gives each its nearest moment"
    )
    assert {row.label: row.uncovered for row in report.classes} == {"run": 0, "walk": 1}
    assert data.check(pyramid=replace(PYRAMID, every_instance=True)).findings == ()
    for id_ in "ab":
        data.change(id_, instances=(Instance(1.01, 1.19, "walk"),))
    assert "2 of 2 instances" in only(data.check().errors).message


def test_uncovered_instances_of_downsampled_features(data: DataSet) -> None:
    data.change("a", instances=(Instance(1.55, 1.85, "walk"), Instance(4, 8, "run")))
    assert "is 0.2 s: --data.inputs.downsample 1;" in only(data.check(downsample=3, window=6).findings).message


@given(st.integers(2, 40), st.lists(st.tuples(st.floats(1, 8), st.floats(0.03, 1)), min_size=1, max_size=5))
def test_the_cure_is_the_largest_stride_that_cures(stride: int, parts: list[tuple[float, float]]) -> None:
    """Found by trying the whole check with each stride."""
    config = InputConfig(kind="signals", stride=stride, window=10, rate=50)
    instances = tuple(Instance(start, start + length, "a") for start, length in parts)
    video = Video("v", 10.0, instances=instances)

    def extent_of(samples: int) -> Extent:
        grid = TimeGrid(samples, 10, 50)
        return Extent(video, grid.clips(500), 1, 1, grid)

    def short_of(samples: int) -> list[Lonely]:
        lonely = cover([extent_of(samples)], PYRAMID).lonely
        return [each for each in lonely if each.visible and each.clips < 2]

    lonely = cover([extent_of(stride)], PYRAMID).lonely
    if not short_of(stride) or any(not each.visible for each in lonely):
        return
    cure = cure_for(lonely, [extent_of(stride)], PYRAMID, config)
    cured = [samples for samples in range(1, stride) if not cover([extent_of(samples)], PYRAMID).lonely]
    assert (None if cure is None else cure.value) == (max(cured) if cured else None)


def test_instances_longer_than_the_coarsest_range(data: DataSet) -> None:
    narrow = Pyramid([1, 2], [(0, 4), (4, 8)], [9, 9])  # to 16 clips, 3.2 s: `run` takes 4 s
    message = data.check(pyramid=narrow).warnings[0].message
    assert "2 of 4 instances without a moment to be trained on: 'run' 2 of 2 (4 s)" in message
    assert "longer than 3.2 s, the end of the coarsest range" in message


def test_instances_longer_than_the_coarsest_level_is_made_for(data: DataSet) -> None:
    few = Pyramid([1, 2], [(0, 4), (4, 10000)], [9, 9])
    warning = only(data.check(pyramid=few).findings)
    assert warning.place == "levels"
    assert "2 of 4 instances longer than 3.2 s, which the coarsest level is made for" in warning.message
    assert "1 level more by model.downsampling_blocks" in warning.message


def test_instances_between_regression_ranges(data: DataSet) -> None:
    holes = Pyramid([1, 2], [(0, 6), (16, 10000)], [9, 9])
    assert "fall between the regression ranges" in data.check(pyramid=holes).warnings[0].message


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        (CropConfig(max_length=19), "2 instances longer than a crop of 19 clips (3.8 s), so never seen whole. Make"),
        (
            CropConfig(max_length=9),
            "4 instances longer than a crop of 9 clips (1.8 s), so never seen whole, and 2 never",
        ),
        (CropConfig(max_length=200), "training.crop.max_length is 200 clips, but the longest video has 49: "),
        (CropConfig(max_length=100), None),
        (CropConfig(), None),
    ],
)
def test_crops(data: DataSet, crop: CropConfig, message: str | None) -> None:
    findings = data.check(pyramid=replace(PYRAMID, crop=crop)).findings
    assert [finding.message[: len(message or "")] for finding in findings] == ([] if message is None else [message])


def test_windows(data: DataSet) -> None:
    wide = replace(PYRAMID, windows=[99] * 6)
    assert "attention looks at 99 moments" in only(data.check(pyramid=wide).findings).message
    assert data.check(pyramid=replace(PYRAMID, windows=[None] * 6)).findings == ()
    for name in "abcd":
        data.write(name, noise(50, 3))
    assert "between two of them is never looked at" in only(data.check(window=1).findings).message
    for name in "abcd":
        data.write(name, noise(31, 3))
    messages = [finding.message for finding in data.check(window=40).findings]
    assert any("a clip covers 4 s, longer than half of all instances (3 s and less)" in m for m in messages)


def test_levels_count_what_a_loop_finds(data: DataSet) -> None:
    report = data.check()
    moments = moments_of(49)
    grid = TimeGrid(2, 4, 10)
    for level, stride in zip(report.levels, PYRAMID.strides, strict=True):
        mine = moments[moments[:, 3] == stride]
        of = [
            [not uncovered_one_by_one(grid.to_grid(np.array([[i.start, i.end]])), 49, m[None], 1.5)[0] for m in mine]
            for i in data.videos["a"].instances
        ]
        assert level.instances == 2 * sum(any(row) for row in of)
        assert level.positives == 2 * np.count_nonzero(np.any(of, axis=0))
        assert level.moments == 2 * len(mine)
        assert level.stride == pytest.approx(0.2 * stride)


def test_quick_errors_are_those_of_the_whole_check(data: DataSet) -> None:
    roles = {"training": [data.videos["a"], data.videos["b"]]}
    inputs = Inputs(open_features(data.folder), InputConfig(stride=2, window=4))
    assert quick_errors(roles, inputs) == ((), ())
    data.change("a", instances=(Instance(20, 30, "run"), *data.videos["a"].instances))
    (data.folder / "b.npy").write_bytes(b"x")
    roles = {"training": [data.videos["a"], data.videos["b"]]}
    of_annotations, of_features = quick_errors(roles, inputs)
    assert "outside the duration" in only(of_annotations).message
    assert only(of_features).place == "b"
    assert quick_errors(roles, inputs, drops_unusable=True)[0] == ()


def test_without_moments_and_with_progress(data: DataSet) -> None:
    seen: list[tuple[int, int]] = []
    annotations = Annotations(data.videos, ("run", "walk"))
    inputs = Inputs(open_features(data.folder), InputConfig(stride=2, window=4))
    report = check(annotations, inputs, ROLES, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {row.uncovered for row in report.classes} == {None}


def test_everything_wrong_at_once_can_be_written(data: DataSet) -> None:
    for path in data.folder.iterdir():
        path.unlink()
    data.write("x", noise(3, 3))
    data.change("a", duration=0.0, instances=(Instance(3, 2, "Run"),))
    report = data.check({"training": ["train", "no"], "validation": ["train", "val"]})
    assert json.loads(json.dumps(report.as_dict()))["ok"] is False


def test_check_needs_no_torch() -> None:
    program = "import sys, untrimmed.data.check; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("name", "config", "count"),
    [
        ("timed_up_and_go", {"stride": 5, "window": 25}, 1338),
        ("sbhar", {"stride": 25, "window": 50, "channels": (0, 1, 2)}, 1214),
    ],
)
def test_shared_data_are_sound(shared: Path, name: str, config: dict[str, Any], count: int) -> None:
    folder = shared / "data" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    videos = {}
    for id_, content in json.loads((folder / "annotations.json").read_text())["database"].items():
        instances = tuple(Instance(*map(float, i["segment"]), i["label"]) for i in content["annotations"])
        videos[id_] = Video(id_, content["duration"], content["subset"], content["fps"], instances)
    labels = tuple(sorted({i.label for video in videos.values() for i in video.instances}))
    inputs = Inputs(open_features(folder / "signals.npz"), InputConfig(kind="signals", **config), 150)
    folds = sorted({video.subset for video in videos.values()})
    report = check(
        Annotations(videos, labels),
        inputs,
        {"training": folds[1:], "validation": folds[:1]},
        pyramid=PYRAMID,
    )
    assert report.findings == ()
    assert sum(sum(row.instances.values()) for row in report.classes) == count


@pytest.mark.parametrize(
    ("path", "train", "validate"),
    [
        ("thumos14/thumos14.json", "validation", "test"),
        ("other_annotations/charades.json", "training", "testing"),
        ("other_annotations/multithumos.json", "training", "testing"),
    ],
)
def test_published_annotations_have_no_errors(shared: Path, path: str, train: str, validate: str) -> None:
    """With what their recipes set: instances that cannot be used are left out."""
    file = shared / "data" / path
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    annotations = open_annotations(file, strict=False)
    report = check(annotations, None, {"training": [train], "validation": [validate]}, drops_unusable=True)
    assert report.ok, report.errors
    assert report.videos["training"] > 100
