"""No file of Ego4D may be copied: these are built to the published schema."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from untrimmed.data.annotations import Instance
from untrimmed.data.formats.ego4d import FeatureRows, clip_shifts, is_moments, read_moments
from untrimmed.errors import AnnotationError


def label(name: str, start: float, end: float, *, primary: bool = True, clip_start: float = 12.0) -> dict[str, Any]:
    """A label as published: times in the clip, times in its video, frames in both."""
    return {
        "start_time": start,
        "end_time": end,
        "label": name,
        "video_start_time": start + clip_start,
        "video_end_time": end + clip_start,
        "video_start_frame": round((start + clip_start) * 30),
        "video_end_frame": round((end + clip_start) * 30),
        "primary": primary,
    }


def clip(uid: str, *annotators: list[dict[str, Any]], start: float = 12.0, length: float = 480.0) -> dict[str, Any]:
    return {
        "clip_uid": uid,
        "video_start_sec": start,
        "video_end_sec": start + length,
        "video_start_frame": round(start * 30),
        "video_end_frame": round((start + length) * 30),
        "clip_start_sec": 0,
        "clip_end_sec": length,
        "annotations": [{"annotator_uid": f"a{i}", "labels": labels} for i, labels in enumerate(annotators)],
    }


def moments(split: str, *clips: dict[str, Any]) -> dict[str, Any]:
    videos = [{"video_uid": f"{split}-video", "split": split, "clips": list(clips)}]
    return {"version": "v1", "date": "220218", "description": "...", "videos": videos}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    first = clip(
        "c1",
        [label("wash_hands", 3.5, 9.25), label("drink", 1, 2, primary=False), label('"cut_(a,_b)"', 20, 30)],
        [label("wash_hands", 3.5, 9.25), label("wash_hands", 50, 50.2)],
    )
    write(tmp_path, "train", moments("train", first, clip("c2")))
    write(tmp_path, "val", moments("val", clip("c3", [label("arrange", 0, 480)], start=100.3)))
    return tmp_path


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / f"moments_{name}.json"
    path.write_text(json.dumps(content))
    return path


def test_clips_become_videos(folder: Path) -> None:
    annotations = read_moments(folder)
    assert annotations.subsets == {"train": 2, "val": 1}
    assert annotations.labels == ('"cut_(a,_b)"', "arrange", "wash_hands")
    assert annotations["c1"].instances == (
        Instance(3.5, 9.25, "wash_hands"),
        Instance(20, 30, '"cut_(a,_b)"'),
        Instance(3.5, 9.25, "wash_hands"),
    )
    assert annotations["c1"].duration == 480
    assert annotations["c1"].rate == 30
    assert annotations["c2"].instances == ()
    assert annotations.source == str(folder)


def test_short_instances_count_if_wanted(folder: Path) -> None:
    assert len(read_moments(folder)["c1"].instances) == 3
    assert len(read_moments(folder, shortest=0)["c1"].instances) == 4
    assert read_moments(folder, shortest=1000).labels == read_moments(folder).labels


def test_one_file_several_or_a_folder(folder: Path) -> None:
    paths = [folder / "moments_train.json", folder / "moments_val.json"]
    assert read_moments(paths) == read_moments(folder, labels=read_moments(paths).labels)
    alone = read_moments(paths[1])
    assert alone.labels == ("arrange",)
    assert read_moments(paths[1], labels=read_moments(paths).labels).labels == ('"cut_(a,_b)"', "arrange", "wash_hands")
    assert alone.source == str(paths[1])
    with pytest.raises(AnnotationError, match=r"label 'arrange' is none of the 1 known labels"):
        read_moments(paths[1], labels=["wash_hands"])


def test_the_test_set_has_no_annotations(folder: Path) -> None:
    content = moments("test", clip("c9"))
    del content["videos"][0]["clips"][0]["annotations"]
    write(folder, "test_unannotated", content)
    annotations = read_moments(folder)
    assert annotations["c9"].subset == "test"
    assert annotations["c9"].instances == ()


def test_a_clip_that_is_there_twice(folder: Path) -> None:
    more = moments("train", clip("c1", [label("drink", 5, 6)]), clip("c1", [label("drink", 7, 8)]))
    write(folder, "more", more)
    assert [i.label for i in read_moments(folder)["c1"].instances].count("drink") == 2
    assert len(read_moments(folder)["c1"].instances) == 5
    write(folder, "more", moments("train", clip("c1", start=13)))
    with pytest.raises(AnnotationError, match="clip 'c1' is there twice, with other times or in another split"):
        read_moments(folder)


def official(clip: dict[str, Any], stride: int, size: int) -> tuple[float, list[tuple[float, float]], int]:
    """Duration, segments, and number of feature rows of a clip, computed step by step as the official code says."""
    start, end = max(clip["video_start_sec"], 0), clip["video_end_sec"]
    first, last = max(clip["video_start_frame"], 0), clip["video_end_frame"]
    duration, frames = end - start, last - first
    rate = frames / duration
    prepended = first % stride
    frames += prepended
    duration += prepended / rate
    appended = 0
    while (frames + appended - size) % stride:
        appended += 1
    duration += appended / rate
    labels = [item for annotator in clip["annotations"] for item in annotator["labels"]]
    segments = [
        tuple(item[f"video_{key}_time"] - start + prepended / rate for key in ("start", "end")) for item in labels
    ]
    rows = (last + appended - size) // stride - (first - prepended) // stride
    return duration, segments, rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.floats(-0.5, 2000),
    length=st.floats(20, 480),
    times=st.lists(st.tuples(st.floats(0, 480), st.floats(0.3, 100)), max_size=3),
    stride=st.integers(1, 20),
    size=st.integers(1, 40),
)
def test_features_cut_out_of_those_of_a_video(
    tmp_path: Path, start: float, length: float, times: list[tuple[float, float]], stride: int, size: int
) -> None:
    labels = [label("x", first, first + lasting, clip_start=start) for first, lasting in times]
    content = clip("c", labels, start=start, length=length)
    duration, segments, rows = official(content, stride, size)
    path = write(tmp_path, "val", moments("val", content))
    cut = FeatureRows(stride=stride, window=size)
    video = read_moments(path, cut_from=cut)["c"]
    assert video.duration == pytest.approx(duration, abs=1e-6)
    assert video.segments.reshape(-1).tolist() == pytest.approx([t for s in segments for t in s], abs=1e-6)

    # The features reach to the end of the clip, and a window further at most.
    assert video.rate is not None
    assert (rows * stride + size) / video.rate == pytest.approx(duration, abs=1e-6)
    shift = clip_shifts(path, cut)["c"]
    assert -0.6 < shift < stride / video.rate
    plain = read_moments(path)["c"]
    assert (video.segments - shift).reshape(-1).tolist() == pytest.approx(plain.segments.reshape(-1).tolist(), abs=1e-6)


def test_a_rate_that_is_not_credible(folder: Path) -> None:
    broken = clip("c8", [label("arrange", 1, 2)])
    broken["video_end_frame"] = broken["video_start_frame"] + 10
    write(folder, "broken", moments("val", broken))
    assert read_moments(folder)["c8"].rate is None
    assert read_moments(folder)["c8"].duration == 480
    assert "c8" not in read_moments(folder, cut_from=FeatureRows()).videos
    assert "c8" not in clip_shifts(folder, FeatureRows())


def test_which_files_are_meant(folder: Path) -> None:
    assert is_moments(folder)
    assert is_moments(folder / "moments_val.json")
    assert not is_moments(folder / "thumos14.json")
    assert not is_moments(folder.parent)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["videos"], {}, 'expected a list "videos"'),
        (["videos", 0], 5, "video 0: found 5, expected an object"),
        (["videos", 0, "video_uid"], None, 'video 0: "video_uid" is None, expected a text'),
        (["videos", 0, "split"], "dev", "\"split\" is 'dev', expected one of train, val, test"),
        (["videos", 0, "clips"], {}, '"clips" is {}, expected a list'),
        (["videos", 0, "clips", 0, "clip_uid"], "", "video 'val-video', clip 0: \"clip_uid\" is '', expected a text"),
        (["videos", 0, "clips", 0, "video_end_sec"], 1, '"video_end_sec" is 1.0, expected more than "video_start_sec"'),
        (["videos", 0, "clips", 0, "video_end_sec"], True, '"video_end_sec" is True, expected a number'),
        (["videos", 0, "clips", 0, "video_start_frame"], float("nan"), '"video_start_frame" is nan, expected a number'),
        (["videos", 0, "clips", 0, "video_end_frame"], 10**400, "expected a number"),
        (["videos", 0, "clips", 0, "annotations"], None, '"annotations" is None, expected a list'),
        (["videos", 0, "clips", 0, "annotations", 0, "labels"], "x", "\"labels\" is 'x', expected a list"),
        (
            ["videos", 0, "clips", 0, "annotations", 0, "labels", 0],
            [],
            "annotation 0, label 0: found [], expected an o",
        ),
        (["videos", 0, "clips", 0, "annotations", 0, "labels", 0, "primary"], 1, '"primary" is 1, expected true or'),
        (["videos", 0, "clips", 0, "annotations", 0, "labels", 0, "label"], 7, '"label" is 7, expected a text'),
        (["videos", 0, "clips", 0, "annotations", 0, "labels", 0, "start_time"], "0", "is '0', expected a number"),
        (
            ["videos", 0, "clips", 0, "annotations", 0, "labels", 0, "start_time"],
            500,
            '"end_time" is 480.0, expected n',
        ),
    ],
)
def test_malformed_files(folder: Path, keys: list[str | int], value: object, message: str) -> None:
    path = folder / "moments_val.json"
    content = json.loads(path.read_text())
    part = content
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    write(folder, "val", content)
    with pytest.raises(AnnotationError) as error:
        read_moments(folder)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)

    if isinstance(part, dict):
        del part[keys[-1]]
        write(folder, "val", content)
        with pytest.raises(AnnotationError):
            read_moments(folder)


def test_reversed_instances_can_be_left_out(folder: Path) -> None:
    write(folder, "val", moments("val", clip("c3", [label("arrange", 9, 8), label("arrange", 1, 2)])))
    assert read_moments(folder, strict=False)["c3"].instances == (Instance(1, 2, "arrange"),)


def test_files_that_are_none(folder: Path) -> None:
    with pytest.raises(AnnotationError, match="there is no such file"):
        read_moments(folder / "moments_absent.json")
    with pytest.raises(AnnotationError, match="name at least one"):
        read_moments([])
    (folder / "sub").mkdir()
    with pytest.raises(AnnotationError, match=r"no moments_\*\.json is in this folder"):
        read_moments(folder / "sub")
    write(folder, "val", [1, 2])
    with pytest.raises(AnnotationError, match=r'found \[1, 2\], expected a list "videos"'):
        read_moments(folder)
    (folder / "moments_val.json").write_text("{")
    with pytest.raises(AnnotationError, match="not usable as JSON"):
        read_moments(folder)


def test_the_number_of_other_faults_is_told(folder: Path) -> None:
    content = moments("val", clip("c3"))
    content["videos"] = [{**content["videos"][0], "split": "x"}] * 3
    write(folder, "val", content)
    with pytest.raises(AnnotationError, match=r"download the file again \(and 2 more videos with faults\)$"):
        read_moments(folder)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["videos", "clips", "video_uid", "split", "annotations", "labels"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=json_values, keys=st.integers(0, 8))
def test_any_json_is_read_or_refused(folder: Path, content: object, keys: int) -> None:
    path: list[str | int] = ["videos", 0, "clips", 0, "annotations", 0, "labels", 0]
    whole = moments("val", clip("c3", [label("arrange", 0, 480)]))
    part: Any = whole
    for key in path[: max(0, keys - 1)]:
        part = part[key]
    if keys:
        part[path[keys - 1]] = content
    write(folder, "val", whole if keys else content)
    with suppress(AnnotationError):
        read_moments(folder, cut_from=FeatureRows())
