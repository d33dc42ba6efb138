from __future__ import annotations

import copy
import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.detections import Detections
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.detection_files import read_detections, write_detections
from untrimmed.data.formats.epic_kitchens import read_epic_kitchens
from untrimmed.data.formats.submissions import (
    Benchmark,
    Supervision,
    check_submission,
    checking,
    write_activitynet_submission,
    write_epic_kitchens_submission,
    write_moments_submission,
)
from untrimmed.errors import AnnotationError

ACTIONS = ("0,2", "12,0", "96,299")
TRUTH = Annotations({id_: Video(id_, 100.0, "test") for id_ in ("a", "b", "c")}, ACTIONS)
BENCHMARKS: tuple[Benchmark, ...] = ("activitynet", "epic_kitchens", "ego4d")
DETECTION = {"label": "0,2", "score": 0.5, "segment": [1.0, 2.5]}
ACTION = {"verb": 0, "noun": 2, "action": "0,2", "score": 0.5, "segment": [1.0, 2.5]}


def detections(video: str, *rows: tuple[float, float, float, int], labels: tuple[str, ...] = ACTIONS) -> Detections:
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Detections(video, table[:, :2], table[:, 2], table[:, 3].astype(np.int64), labels)


def write(benchmark: Benchmark, found: list[Detections], path: Path, truth: Annotations | None = None) -> None:
    if benchmark == "epic_kitchens":
        write_epic_kitchens_submission(found, path, truth, supervision=Supervision())
    elif benchmark == "activitynet":
        write_activitynet_submission(found, path, truth)
    else:
        write_moments_submission(found, path, truth)


def content_for(benchmark: Benchmark) -> dict[str, Any]:
    """A submission without a fault, as the published evaluation code reads it."""
    results = {id_: [copy.deepcopy(ACTION if benchmark == "epic_kitchens" else DETECTION)] for id_ in TRUTH.videos}
    if benchmark == "activitynet":
        return {"version": "VERSION 1.3", "results": results, "external_data": {"used": False, "details": ""}}
    if benchmark == "epic_kitchens":
        levels = {"sls_pt": 2, "sls_tl": 3, "sls_td": 3}
        return {"version": "0.2", "challenge": "action_detection", **levels, "results": results}
    both = {"detect_results": results, "retrieve_results": copy.deepcopy(results)}
    return {"version": "1.0", "challenge": "ego4d_moment_queries", **both}


def results_key(benchmark: Benchmark) -> str:
    return "detect_results" if benchmark == "ego4d" else "results"


def findings(benchmark: Benchmark, content: object, folder: Path, truth: Annotations | None = TRUTH) -> list[str]:
    path = folder / "submission.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return [str(problem) for problem in check_submission(path, benchmark, truth)]


rows = st.tuples(st.floats(-1, 90), st.floats(0, 5), st.floats(0, 1), st.integers(0, len(ACTIONS) - 1)).map(
    lambda row: (row[0], max(0.0, row[0]) + row[1], *row[2:])
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.lists(rows, max_size=4)))
@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_what_is_written_is_taken_and_says_the_same(
    tmp_path: Path, benchmark: Benchmark, found: dict[str, list[tuple[float, float, float, int]]]
) -> None:
    path = tmp_path / "submission.json"
    write(benchmark, [detections(id_, *of_video) for id_, of_video in found.items()], path, TRUTH)
    assert check_submission(path, benchmark, TRUTH) == []
    content = json.loads(path.read_text())
    for key in ("detect_results", "retrieve_results") if benchmark == "ego4d" else ("results",):
        assert list(content[key]) == ["a", "b", "c"]
        for id_, entries in content[key].items():
            expected = found.get(id_, [])
            assert [entry["segment"] for entry in entries] == [
                pytest.approx([max(0.0, start), end], abs=1e-6) for start, end, _, _ in expected
            ]
            assert [entry["score"] for entry in entries] == pytest.approx([row[2] for row in expected], abs=1e-9)
            name = "action" if benchmark == "epic_kitchens" else "label"
            assert [entry[name] for entry in entries] == [ACTIONS[row[3]] for row in expected]


def test_the_published_keys(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    write("epic_kitchens", [detections("a", (1, 2.5, 0.5, 1))], path)
    entry = {"verb": 12, "noun": 0, "action": "12,0", "score": 0.5, "segment": [1.0, 2.5]}
    levels = {"sls_pt": 2, "sls_tl": 3, "sls_td": 3}
    expected = {"version": "0.2", "challenge": "action_detection", **levels, "results": {"a": [entry]}}
    assert json.loads(path.read_text()) == expected

    both = [{"label": "12,0", "score": 0.5, "segment": [1.0, 2.5]}]
    write("ego4d", [detections("a", (1, 2.5, 0.5, 1))], path)
    assert json.loads(path.read_text()) == {
        "version": "1.0",
        "challenge": "ego4d_moment_queries",
        "detect_results": {"a": both},
        "retrieve_results": {"a": both},
    }
    write_activitynet_submission([detections("a", (1, 2.5, 0.5, 1))], path, external_data="I3D features")
    assert json.loads(path.read_text()) == {
        "version": "VERSION 1.3",
        "results": {"a": both},
        "external_data": {"used": True, "details": "I3D features"},
    }


def test_what_is_retrieved_may_differ_from_what_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    write_moments_submission([detections("a", (1, 2, 0.5, 0))], path, retrieved=[detections("b", (3, 4, 0.25, 1))])
    content = json.loads(path.read_text())
    assert (list(content["detect_results"]), list(content["retrieve_results"])) == (["a"], ["b"])


def test_a_zip_file_for_the_server_of_epic_kitchens(tmp_path: Path) -> None:
    found = [detections("a", (1, 2.5, 0.5, 1))]
    write("epic_kitchens", found, tmp_path / "s.json")
    write("epic_kitchens", found, tmp_path / "s.zip")
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.namelist() == ["test.json"]
        assert archive.read("test.json") == (tmp_path / "s.json").read_bytes()
    assert check_submission(tmp_path / "s.zip", "epic_kitchens") == []
    write("epic_kitchens", found, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "s.zip").read_bytes()
    [finding] = check_submission(tmp_path / "s.zip", "ego4d")
    assert "the server takes .json" in str(finding)


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_what_the_check_would_find_is_not_written(tmp_path: Path, benchmark: Benchmark) -> None:
    path = tmp_path / "s.json"
    for wrong in (
        detections("a", (2, 1, 0.5, 0)),
        detections("a", (1, 2, math.nan, 0)),
        detections("a", (1, math.inf, 0.5, 0)),
        detections("nowhere", (1, 2, 0.5, 0)),
        detections("a", (120, 121, 0.5, 0)),
    ):
        with pytest.raises(AnnotationError, match="not written: ") as error:
            write(benchmark, [wrong], path, TRUTH)
        assert "\n" not in str(error.value)
    with pytest.raises(AnnotationError, match=r"the server takes .*; rename the file"):
        write(benchmark, [], tmp_path / "s.json.gz", TRUTH)
    with pytest.raises(AnnotationError, match=r"label 'jump' is no action|none of the 3 known labels"):
        write(benchmark, [detections("a", (1, 2, 0.5, 0), labels=("jump",))], path, TRUTH)
    assert list(tmp_path.iterdir()) == []


def test_verbs_and_nouns_that_do_not_exist_are_not_written(tmp_path: Path) -> None:
    for label, message in {"97,0": '"verb" is 97', "0,300": '"noun" is 300'}.items():
        with pytest.raises(AnnotationError, match=message):
            write("epic_kitchens", [detections("a", (1, 2, 0.5, 0), labels=(label,))], tmp_path / "s.json")
    with pytest.raises(AnnotationError, match="supervision level of training data, 0 to 5"):
        write_epic_kitchens_submission([], tmp_path / "s.json", supervision=Supervision(data=6))


@pytest.mark.parametrize("benchmark", BENCHMARKS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": math.nan}, '"score" is nan, but has to be a finite number'),
        ({"score": "0.5"}, "\"score\" is '0.5', but"),
        ({"score": True}, '"score" is True'),
        ({"score": 10**400}, "but has to be a finite number"),
        ({"score": None}, '"score" is None'),
        ({"segment": [2.5, 1.0]}, '"segment" is [2.5, 1.0], but has to start before it ends'),
        ({"segment": [-1.0, 1.0]}, '"segment" is [-1.0, 1.0], but times count from 0'),
        ({"segment": [1.0, math.inf]}, "but has to be [start, end] in seconds"),
        ({"segment": [1.0, 10**400]}, "but has to be [start, end] in seconds"),
        ({"segment": [1.0]}, '"segment" is [1.0], but has to be'),
        ({"segment": {"start": 1}}, "but has to be [start, end] in seconds"),
        ({"segment": [900, 901]}, "but the video ends at 100.0 s; are times in seconds?"),
    ],
)
def test_faults_of_a_detection(tmp_path: Path, benchmark: Benchmark, change: dict[str, Any], message: str) -> None:
    content, key = content_for(benchmark), results_key(benchmark)
    content[key]["b"][0].update(change)
    [finding] = findings(benchmark, content, tmp_path)
    assert finding.startswith(f"\"{key}\", video 'b', detection 0: ")
    assert message in finding
    del content[key]["b"][0][next(iter(change))]
    [finding] = findings(benchmark, content, tmp_path)
    assert f'"{next(iter(change))}" is missing' in finding


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_no_fault(tmp_path: Path, benchmark: Benchmark) -> None:
    content, key = content_for(benchmark), results_key(benchmark)
    assert findings(benchmark, content, tmp_path) == []
    content[key]["b"] = []
    content[key]["c"][0]["segment"] = [3, 300]  # longer than its video: servers count it
    assert findings(benchmark, content, tmp_path) == []
    content[key]["d"] = []
    assert findings(benchmark, content, tmp_path, truth=None) == []


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_videos(tmp_path: Path, benchmark: Benchmark) -> None:
    content, key = content_for(benchmark), results_key(benchmark)
    content[key]["v_a"] = content[key].pop("a")
    content[key]["b"] = {"0": 1}
    content[key]["c"][0] = 7
    assert findings(benchmark, content, tmp_path) == [
        f"\"{key}\", video 'v_a': is none of the 3 videos of the evaluated subset; take the prefix 'v_' away",
        f"\"{key}\", video 'a': is missing; if nothing was detected in it, write an empty list",
        f"\"{key}\", video 'b': is {{'0': 1}}, but has to be a list of detections",
        f"\"{key}\", video 'c', detection 0: is 7, but has to be an object",
    ]


@pytest.mark.parametrize("benchmark", ["activitynet", "ego4d"])
def test_labels(tmp_path: Path, benchmark: Benchmark) -> None:
    content, key = content_for(benchmark), results_key(benchmark)
    content[key]["a"][0]["label"] = "jump"
    content[key]["b"][0]["label"] = 3
    del content[key]["c"][0]["label"]
    unknown, number, missing = findings(benchmark, content, tmp_path)
    assert "\"label\" is 'jump', none of the 3 known labels" in unknown
    assert '"label" is 3, but has to be the name of a class' in number
    assert '"label" is missing' in missing
    assert len(findings(benchmark, content, tmp_path, truth=None)) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verb": 97}, '"verb" is 97, but has to be a whole number from 0 to 96'),
        ({"verb": "0"}, "\"verb\" is '0'"),
        ({"verb": False}, '"verb" is False'),
        ({"noun": -1}, '"noun" is -1, but has to be a whole number from 0 to 299'),
        ({"noun": 2.0}, '"noun" is 2.0'),
        ({"action": "2,0"}, '"action" is \'2,0\', but has to be "0,2", its verb and noun'),
        ({"action": "x"}, "\"action\" is 'x'"),
        ({"action": [0, 2]}, '"action" is [0, 2]'),
    ],
)
def test_classes_of_epic_kitchens(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    content = content_for("epic_kitchens")
    content["results"]["b"][0].update(change)
    [finding] = findings("epic_kitchens", content, tmp_path)
    assert message in finding
    del content["results"]["b"][0][next(iter(change))]
    [finding] = findings("epic_kitchens", content, tmp_path)
    assert "is missing" in finding


@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_every_key_has_to_be_there(tmp_path: Path, benchmark: Benchmark) -> None:
    for key in content_for(benchmark):
        content = content_for(benchmark)
        del content[key]
        [finding] = findings(benchmark, content, tmp_path)
        assert finding.startswith(f'"{key}": is missing, but has to be')
        content[key] = [1]
        [finding] = findings(benchmark, content, tmp_path)
        assert finding.startswith(f'"{key}": is [1], but has to be')


def test_versions_and_levels(tmp_path: Path) -> None:
    changes: list[tuple[Benchmark, str, object]] = [
        ("epic_kitchens", "version", 0.2),
        ("epic_kitchens", "challenge", "action_recognition"),
        ("epic_kitchens", "sls_pt", 6),
        ("epic_kitchens", "sls_td", "3"),
        ("ego4d", "version", "v1"),
        ("ego4d", "challenge", "ego4d_nlq_challenge"),
    ]
    for benchmark, key, value in changes:
        [finding] = findings(benchmark, content_for(benchmark) | {key: value}, tmp_path)
        assert finding.startswith(f'"{key}": is ')


def test_more_detections_than_the_server_takes(tmp_path: Path) -> None:
    content = content_for("activitynet")
    content["results"]["a"] *= 4
    path = tmp_path / "s.json"
    path.write_text(json.dumps(content))
    assert check_submission(path, "activitynet", TRUTH, most_per_video=4) == []
    [finding] = check_submission(path, "activitynet", TRUTH, most_per_video=3)
    assert "video 'a': has 4 detections, but the server takes 3; leave out" in str(finding)


def test_many_faults_are_few_findings(tmp_path: Path) -> None:
    content = content_for("ego4d")
    content["detect_results"]["a"] = [{**DETECTION, "score": None}] * 1000
    found = findings("ego4d", content, tmp_path)
    assert len(found) == 4
    assert found[-1] == "scores: and 997 more like these"


@pytest.mark.parametrize("benchmark", BENCHMARKS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not usable as JSON"),
        ("[" * 100_000, "not usable as JSON"),
        ("[1]", "found [1], but the whole file has to be one object"),
        ("NaN", "found nan"),
        ('{"version": ' + "9" * 5000 + "}", "not usable as JSON"),
        ('{"version": 1, "version": 2}', "the key 'version' is there twice"),
        ('{"results": {"\\ud800": [{}], "\\ud800": []}}', "the key '\\ud800' is there twice"),
    ],
)
def test_files_that_are_none(tmp_path: Path, benchmark: Benchmark, text: str, message: str) -> None:
    [finding] = findings(benchmark, text, tmp_path)
    assert finding.startswith("file: ")
    assert message in finding
    finding.encode()


def test_bytes_that_are_no_text_and_places_without_a_file(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    assert str(check_submission(path, "ego4d")[0]) == "file: there is no such file"
    path.write_bytes(b"\x80\xff")
    assert "not usable as JSON" in str(check_submission(path, "ego4d")[0])
    path.unlink()
    path.mkdir()
    assert str(check_submission(path, "ego4d")[0]) == "file: there is no such file"
    assert "the server takes .json" in str(check_submission(tmp_path / "s.json.gz", "activitynet")[0])


def zipped(**files: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.json", text)
    return content.getvalue()


def test_zip_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.zip"
    good = json.dumps(content_for("epic_kitchens")).encode()

    def found(content: bytes) -> str:
        path.write_bytes(content)
        return "; ".join(map(str, check_submission(path, "epic_kitchens", TRUTH)))

    assert found(zipped(test=good)) == ""
    assert found(zipped(val=good)) == "file: found 'val.json' in it, expected the single file 'test.json'"
    assert "expected the single file" in found(zipped(test=good, other=good))
    assert found(zipped()) == "file: found nothing in it, expected the single file 'test.json'"
    assert "cannot be read as a zip file" in found(b"PK nothing")
    whole = bytearray(zipped(test=good))
    for position in range(0, len(whole), 7):
        damaged = whole.copy()
        damaged[position] ^= 0xFF
        found(bytes(damaged))  # never raises
    monkeypatch.setattr(checking, "LARGEST", 10_000)
    assert "has more than 10000 bytes" in found(zipped(test=b" " * 1_000_000))


def test_files_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "LARGEST", 100)
    [finding] = findings("ego4d", content_for("ego4d"), tmp_path)
    assert finding == "file: has more than 100 bytes; write fewer detections a video"


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)


def evaluated(benchmark: Benchmark, content: Any) -> None:
    """Go through a submission as the published evaluation code of each benchmark does; it raises where that code does.

    What that code does with the numbers is left out, but they have to be some.
    """
    if benchmark == "epic_kitchens":
        assert content["version"] == "0.2"
        assert content["challenge"] == "action_detection"
        assert all(0 <= content[key] <= 5 for key in ("sls_pt", "sls_tl", "sls_td"))
        for entries in content["results"].values():
            for entry in entries:
                verb, noun = (int(part) for part in entry["action"].split(","))
                assert {verb, entry["verb"]} <= set(range(97))
                assert {noun, entry["noun"]} <= set(range(300))
                assert len(entry["segment"]) == 2
                assert not any(map(math.isnan, (*entry["segment"], float(entry["score"]))))
        return
    if benchmark == "ego4d":
        assert content["version"] == "1.0"
        assert content["challenge"] == "ego4d_moment_queries"
        parts = [content["detect_results"], content["retrieve_results"]]
    else:
        assert {"version", "external_data"} <= content.keys()
        parts = [content["results"]]
    for part in parts:
        for entries in part.values():
            for entry in entries:
                assert entry["label"] in TRUTH.label_index
                assert float(entry["segment"][0]) <= float(entry["segment"][1])
                assert not math.isnan(entry["score"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data())
@pytest.mark.parametrize("benchmark", BENCHMARKS)
def test_whatever_stands_anywhere_is_found_or_taken(tmp_path: Path, benchmark: Benchmark, data: st.DataObject) -> None:
    content, key = content_for(benchmark), results_key(benchmark)
    parts: list[tuple[Any, Any]] = [(content, name) for name in content]
    parts += [(content[key], "a"), (content[key]["a"], 0), *((content[key]["a"][0], name) for name in ACTION)]
    part, name = data.draw(st.sampled_from(parts))
    part[name] = data.draw(anything | st.sampled_from([1, 5, 0.5, "0,2", [1, 2], [0.5, 5], []]))
    found = findings(benchmark, content, tmp_path)
    assert all(finding.isprintable() for finding in found)
    if not found:
        evaluated(benchmark, json.loads((tmp_path / "submission.json").read_text()))


def test_what_is_too_large_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "LARGEST", 100)
    with pytest.raises(AnnotationError, match="not written: more than 100 bytes"):
        write("ego4d", [detections("a", (1, 2, 0.5, 0))], tmp_path / "s.json")


def test_the_official_sample_of_activitynet(shared: Path) -> None:
    folder = shared / "data" / "activitynet"
    truth = read_annotations(folder / "activitynet13_bsn_subset.json").of_subsets(["validation"])
    *shown, rest = check_submission(folder / "sample_detection_prediction.json", "activitynet", truth)
    assert all("is none of the 4728 videos" in str(problem) for problem in shown)  # the annotations are a subset
    assert str(rest) == "unknown videos: and 195 more like these"
    assert check_submission(folder / "sample_detection_prediction.json", "activitynet") == []


def test_files_of_detections_are_submissions_to_activitynet(tmp_path: Path) -> None:
    path = tmp_path / "detections.json"
    found = [detections(id_, (1, 2.5, 0.5, 1)) for id_ in TRUTH.videos]
    write_detections(found, path)
    assert check_submission(path, "activitynet", TRUTH) == []
    write("activitynet", found, path)
    assert list(read_detections(path, ACTIONS).values()) == found


def test_the_truth_of_epic_kitchens_as_a_submission(tmp_path: Path, shared: Path) -> None:
    truth = read_epic_kitchens(shared / "data" / "epic_kitchens" / "EPIC_100_validation.csv", "action")
    perfect = [
        Detections(v.id, v.segments, np.ones(len(v.instances)), truth.label_numbers(v), truth.labels) for v in truth
    ]
    path = tmp_path / "s.zip"
    write_epic_kitchens_submission(perfect, path, truth, supervision=Supervision())
    assert check_submission(path, "epic_kitchens", truth) == []
    with zipfile.ZipFile(path) as archive:
        results = json.loads(archive.read("test.json"))["results"]
    written = [(v, e["action"], *e["segment"]) for v, entries in results.items() for e in entries]
    assert written == [(v.id, i.label, round(i.start, 6), round(i.end, 6)) for v in truth for i in v.instances]
    assert len(written) == 9668
