from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.detections import Detections
from untrimmed.data.formats.audacity import audacity
from untrimmed.data.formats.detection_files import read_detections, write_detections, write_track
from untrimmed.data.formats.subtitles import ass, webvtt
from untrimmed.errors import AnnotationError

SUFFIXES = [".json", ".json.gz", ".csv", ".csv.gz"]
HEADER = "video,start,end,label,score\n"


def write(folder: Path, text: str, name: str = "d.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def of_video(id_: str, rows: list[tuple[float, float, int, float]], names: tuple[str, ...]) -> Detections:
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Detections(id_, table[:, :2], table[:, 3], table[:, 2].astype(np.int64), names)


def test_a_table(tmp_path: Path) -> None:
    rows = "v,1,2.5,run,0.25\nw,0,1,jump,0.5\nv,3,4,jump,0.75\nv,5,6,run,0.25\n"
    found = read_detections(write(tmp_path, HEADER + rows), ["jump", "run"])
    assert found == {
        "v": of_video("v", [(3, 4, 0, 0.75), (1, 2.5, 1, 0.25), (5, 6, 1, 0.25)], ("jump", "run")),
        "w": of_video("w", [(0, 1, 0, 0.5)], ("jump", "run")),
    }


@pytest.mark.parametrize(
    "header",
    [
        "score,video-id,t-start,t-end,label,note",
        " Score,video_id,t_start,t_end,Label,",
        "score,video,start,end,label,x",
    ],
)
def test_other_columns(tmp_path: Path, header: str) -> None:
    found = read_detections(write(tmp_path, f"\ufeff{header}\r\n0.5,v,1,2,a,\r\n\r\n"), ["a"])
    assert found == {"v": of_video("v", [(1, 2, 0, 0.5)], ("a",))}


def test_a_submission(tmp_path: Path) -> None:
    results = {
        "v": [{"label": "a", "score": 0.5, "segment": [1, 2]}, {"label": "b", "score": 1, "segment": [2, 3.5]}],
        "empty": [],
    }
    path = write(tmp_path, json.dumps({"version": "VERSION 1.3", "results": results, "external_data": {}}), "d.json")
    found = read_detections(path, ["a", "b"])
    assert found == {
        "v": of_video("v", [(2, 3.5, 1, 1), (1, 2, 0, 0.5)], ("a", "b")),
        "empty": of_video("empty", [], ("a", "b")),
    }


@pytest.mark.parametrize(
    ("in_file", "known", "numbers", "names"),
    [
        (["b", "a"], ["a", "b"], [1, 0], ("a", "b")),
        (["z", "a", "m"], ["a"], [2, 0, 1], ("a", "m", "z")),
        (["1", "0"], ["a", "b"], [1, 0], ("a", "b")),
        (["4", "0"], ["a", "b"], [4, 0], ("a", "b", "class 2", "class 3", "class 4")),
        (["2", "1"], ["1", "2"], [1, 0], ("1", "2")),
        (["0", "1"], ["1", "2"], [0, 1], ("1", "2")),
        (["0", "a"], ["a"], [1, 0], ("a", "0")),
        (["-1", "0"], [], [0, 1], ("-1", "0")),
    ],
)
def test_labels_are_names_or_numbers(
    tmp_path: Path, in_file: list[str], known: list[str], numbers: list[int], names: tuple[str, ...]
) -> None:
    text = HEADER + "".join(f"v,0,1,{label},0.5\n" for label in in_file)
    found = read_detections(write(tmp_path, text), known)["v"]
    assert found.labels.tolist() == numbers
    assert found.label_names == names


def test_numbers_in_a_submission(tmp_path: Path) -> None:
    content = {"results": {"v": [{"label": 1, "score": 0.5, "segment": [1, 2]}]}}
    assert read_detections(write(tmp_path, json.dumps(content), "d.json"), ["a", "b"])["v"].labels.tolist() == [1]


def test_a_table_without_rows(tmp_path: Path) -> None:
    assert read_detections(write(tmp_path, HEADER), ["a"]) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; the first line has to name the columns video,start,end,label,score"),
        ("video,start,end,label\n", r"no column 'score'.*found video,start,end,label"),
        ("video,video-id,start,end,label,score\n", "more than one column 'video'"),
        (HEADER + "v,1,2,a,0.5\nv,1,2,a\n", "row 2 has 4 values, but there are 5 columns"),
        (HEADER + "v,1,2,a,0.5\nv,1,two,a,0.5\n", "row 2: end is 'two', but has to be a number"),
        (HEADER + "v,1,nan,a,0.5\n", r"row 1 \(video 'v'\): segment \[1.0, nan\] with score 0.5; .*finite"),
        (HEADER + "v,1,2,a,inf\n", "score inf"),
        (HEADER + "v,1,2,a,0.5\nw,3,2,a,0.5\n", r"row 2 \(video 'w'\): segment \[3.0, 2.0\] ends before it starts"),
        (HEADER + "v,1,2,20140101,0.5\n", "class number 20140101 is too large: there are 1 known classes"),
    ],
)
def test_faults_of_tables(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(AnnotationError, match=message) as error:
        read_detections(path, ["a"])
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r'expected an object with "results".*found \[\]'),
        ({"results": []}, 'expected an object with "results"'),
        ({"results": {"v": 1}}, "video 'v': expected a list of detections, found 1"),
        ({"results": {"v": [{"label": "a", "segment": [0, 1]}]}}, "detection 0 of video 'v' is .*has to be"),
        ({"results": {"v": [{"label": "a", "score": 1, "segment": [0]}]}}, "detection 0 of video 'v'"),
        ({"results": {"v": [{"label": None, "score": 1, "segment": [0, 1]}]}}, "detection 0 of video 'v'"),
        ({"results": {"v": [{"label": "a", "score": "x", "segment": [0, 1]}]}}, "detection 0 of video 'v'"),
        ({"results": {"v": [[0, 1]]}}, "detection 0 of video 'v'"),
        (
            {"results": {"u": [], "v": [{"label": "a", "score": 1, "segment": [2, 1]}]}},
            "detection 0 of video 'v': segment",
        ),
    ],
)
def test_faults_of_submissions(tmp_path: Path, content: object, message: str) -> None:
    path = write(tmp_path, json.dumps(content), "d.json")
    with pytest.raises(AnnotationError, match=message):
        read_detections(path, ["a"])


def test_unknown_suffix(tmp_path: Path) -> None:
    for act in (lambda: read_detections(tmp_path / "d.pkl", []), lambda: write_detections([], tmp_path / "d.pkl")):
        with pytest.raises(AnnotationError, match=r"d\.pkl: .*\.json, \.json\.gz, \.csv, \.csv\.gz"):
            act()


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no such file"):
        read_detections(tmp_path / "d.csv.gz", [])


def test_what_is_in_the_files(tmp_path: Path) -> None:
    found = [of_video("v", [(1 / 3, 2.5, 1, 2 / 3)], ("a", "b, c"))]
    write_detections(found, tmp_path / "d.csv")
    assert (tmp_path / "d.csv").read_text() == HEADER + 'v,0.333333,2.5,"b, c",0.666666667\n'
    write_detections(found, tmp_path / "d.json")
    assert json.loads((tmp_path / "d.json").read_text()) == {
        "version": "1.0",
        "results": {"v": [{"label": "b, c", "score": 0.666666667, "segment": [0.333333, 2.5]}]},
        "external_data": {},
    }
    write_detections(found, tmp_path / "d.csv.gz")
    once = (tmp_path / "d.csv.gz").read_bytes()
    write_detections(found, tmp_path / "d.csv.gz")
    assert (tmp_path / "d.csv.gz").read_bytes() == once
    assert gzip.decompress(once) == (tmp_path / "d.csv").read_bytes()


@pytest.mark.parametrize(("suffix", "make"), [(".vtt", webvtt), (".ass", ass), (".TXT", audacity)])
def test_tracks_of_one_video(tmp_path: Path, suffix: str, make: Callable[[Detections], str]) -> None:
    found = of_video("v", [(1, 2.5, 1, 0.5)], ("jump", "größer\n"))
    write_track(found, tmp_path / "new" / f"t{suffix}")
    assert (tmp_path / "new" / f"t{suffix}").read_text(encoding="utf-8") == make(found)


texts = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=5)
millis = st.integers(0, 10**6).map(lambda n: n / 1000)
scores = st.integers(1, 10**9).map(lambda n: n / 10**9)


@st.composite
def any_detections(draw: st.DrawFn) -> list[Detections]:
    names = tuple(draw(st.lists(texts, min_size=1, max_size=4, unique=True)))
    result = []
    for id_ in draw(st.lists(texts, unique=True, max_size=3)):
        row = st.tuples(millis, millis, st.integers(0, len(names) - 1), scores)
        rows = sorted(draw(st.lists(row, min_size=1, max_size=5)), key=lambda r: -r[3])
        result.append(of_video(id_, [(min(a, b), max(a, b), label, score) for a, b, label, score in rows], names))
    return result


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(detections=any_detections())
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, detections: list[Detections]
) -> None:
    path = tmp_path_factory.mktemp("round") / f"d{suffix}"
    write_detections(detections, path)
    names = detections[0].label_names if detections else ()
    assert read_detections(path, names) == {of.video_id: of for of in detections}


def test_official_detections_of_thumos14(shared: Path) -> None:
    path = shared / "data/thumos14/actionformer_official_detections.csv.gz"
    found = read_detections(path, [f"name of {number}" for number in range(20)])
    assert len(found) == 212
    assert sum(map(len, found.values())) == 42_400
    assert all((np.diff(of.scores) <= 0).all() for of in found.values())
    assert len(found["video_test_0000004"].label_names) == 20


def test_activitynet_sample(shared: Path) -> None:
    found = read_detections(shared / "data/activitynet/sample_detection_prediction.json", ["Skiing", "Archery"])
    assert len(found) == 4926
    assert sum(map(len, found.values())) == 7654
    names = found["W_hux-Z6Ll0"].label_names
    assert len(names) == 200
    assert names[:2] == ("Skiing", "Archery")
    assert [str(d) for d in found["W_hux-Z6Ll0"]] == ["    0.01 s      0.02 s   1.00  Skiing"]
