from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.formats.activitynet import find_problems, read_annotations, write_annotations
from untrimmed.errors import AnnotationError


def write(folder: Path, content: object, name: str = "a.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def database(*items: Any, **entry: Any) -> dict[str, Any]:
    return {"database": {"v": {"duration": 10.0, "annotations": list(items), **entry}}}


def item(label: str | None = "jump", number: int | None = None, segment: Any = (1, 2)) -> dict[str, Any]:
    found = {"label": label, "label_id": number, "segment": segment}
    return {key: value for key, value in found.items() if value is not None}


def test_reads_everything(tmp_path: Path) -> None:
    content = {
        "version": "any",
        "database": {
            "v": {
                "subset": "training",
                "duration": 10,
                "fps": 25,
                "annotations": [{**item("run", 1, [1, 2.5]), "note": "x"}, item("jump", 0, [0, 12])],
            },
            "unlabelled": {"duration": 3.5, "subset": None, "fps": None},
        },
    }
    annotations = read_annotations(str(write(tmp_path, content)))
    assert annotations.labels == ("jump", "run")
    assert list(annotations) == [
        Video("v", 10.0, "training", 25.0, (Instance(1.0, 2.5, "run"), Instance(0.0, 12.0, "jump"))),
        Video("unlabelled", 3.5),
    ]
    assert annotations.source.endswith("a.json")
    assert find_problems(tmp_path / "a.json") == []


def test_reads_compressed_files_and_byte_order_marks(tmp_path: Path) -> None:
    text = json.dumps(database(item("größer")))
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "bom.json").write_bytes(text.encode("utf-8-sig"))
    for name in ("a.json.gz", "bom.json"):
        assert read_annotations(tmp_path / name).labels == ("größer",)


def test_reads_lists_of_actions(tmp_path: Path) -> None:
    path = write(tmp_path, {"v": {"subset": "testing", "duration": 9, "actions": [[2, 1.0, 2.0], [0, 3, 4]]}})
    annotations = read_annotations(path)
    assert annotations.labels == ("class 0", "class 1", "class 2")
    assert annotations["v"] == Video(
        "v", 9.0, "testing", None, (Instance(1.0, 2.0, "class 2"), Instance(3.0, 4.0, "class 0"))
    )


@pytest.mark.parametrize(
    ("items", "labels"),
    [
        ([item("b"), item("a"), item("b")], ("a", "b")),
        ([item("b", 0), item("a", 1)], ("b", "a")),
        ([item("b", 3), item("a", 1), item(None, 4)], ("class 0", "a", "class 2", "b", "class 4")),
        ([item("b", 0), item("b"), item(None, 0)], ("b",)),
        ([], ()),
    ],
    ids=["sorted", "label_id", "gaps", "sometimes", "none"],
)
def test_class_numbers(tmp_path: Path, items: list[dict[str, Any]], labels: tuple[str, ...]) -> None:
    assert read_annotations(write(tmp_path, database(*items))).labels == labels


def test_stated_labels_give_the_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, {"labels": ["z", "b", "a"], **database(item("a"), item("b", 1))})
    assert read_annotations(path).labels == ("z", "b", "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (database(item("a", 0), item("b", 0)), "annotation 1: .*number 0 is 'b', but 'a' elsewhere"),
        (database(item("a", 0), item("a", 1)), "annotation 1: .*'a' is 1, but 0 elsewhere"),
        (database(item("a", 0), item("b")), "annotation 1: 'b' has no number"),
        (database(item("class 0", 1)), "labels: 'class 0' is the name of 2 classes"),
        (database(item("a", -1)), '"label_id" is -1, but has to be a whole number'),
        (database(item("a", 10**9)), '"label_id" is 1000000000'),
        (database({"label": "a", "label_id": "0", "segment": [1, 2]}), "\"label_id\" is '0'"),
        (database({"label": 3, "segment": [1, 2]}), '"label" is 3'),
        (database(item("")), "\"label\" is ''"),
        (database(item(None)), 'neither "label" nor "label_id"'),
        (database([1, 2]), "annotation 0: expected an object"),
        (database({"label": "a"}), '"segment" is None, but has to be'),
        (database(item(segment=[1])), r'"segment" is \[1\]'),
        (database(item(segment=["1", "2"])), r'"segment" is \[\'1\', \'2\'\]'),
        (database(item(segment=[True, 2])), r'"segment" is \[True, 2\]'),
        (database(item(segment=[0, float("inf")])), r'"segment" is \[0, inf\]'),
        (
            database(item(), item(segment=[3, 2])),
            r"video 'v', annotation 1: .*\[3, 2\], but has to start before it ends",
        ),
        (database(item(segment=[250, 500])), "all videos: 1 of 1 segments start behind .* frames or milliseconds"),
        (database(duration=None), '"duration" is None, but has to be a positive number'),
        (database(duration=float("nan")), '"duration" is nan'),
        (database(duration=0), '"duration" is 0'),
        (database(fps="25"), "\"fps\" is '25'"),
        (database(subset=["a"]), r"\"subset\" is \['a'\], but has to be a name"),
        (database(annotations={"a": 1}), '"annotations" is .*has to be a list'),
        ({"database": {"v": {}}}, "video 'v': \"duration\" is missing"),
        ({"database": {"v": 3}}, "video 'v': expected an object, found 3"),
    ],
)
def test_problems_name_place_and_value(tmp_path: Path, content: object, message: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(AnnotationError, match=message) as error:
        read_annotations(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert [f"{path}: {problem}" for problem in find_problems(path)] == [str(error.value)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not usable as JSON: .*line 1"),
        ("[" * 100_000, "not usable as JSON"),
        ('{"database": {"v": {"duration": 1}, "v": {"duration": 2}}}', "the key 'v' is there twice"),
        ([], 'expected an object with the key "database"'),
        ({}, 'no key "database".*none'),
        ({"videos": {}, "version": 1}, "no key \"database\".*'videos', 'version'"),
        ({"database": []}, r'"database" to be an object of videos, found \[\]'),
    ],
)
def test_files_of_another_form(tmp_path: Path, content: object, message: str) -> None:
    path = write(tmp_path, content)
    for function in (read_annotations, find_problems):
        with pytest.raises(AnnotationError, match=message):
            function(path)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"absent\.json: there is no such file"):
        read_annotations(tmp_path / "absent.json")
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_annotations(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"database": {"\xe4": 1}}')
    with pytest.raises(AnnotationError, match="not UTF-8 text"):
        read_annotations(tmp_path / "latin.json")
    (tmp_path / "cut.json.gz").write_bytes(gzip.compress(b"{}" * 1000)[:-9])
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_annotations(tmp_path / "cut.json.gz")


def test_all_problems_are_found_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, database(item(segment=[3, 2]), item(), item(None), item(segment=None), fps=25))
    places = [(problem.place, problem.about_one_instance) for problem in find_problems(path)]
    assert places == [(f"video 'v', annotation {i}", i != 2) for i in (0, 2, 3)]
    with pytest.raises(AnnotationError, match=r"annotation 0: .* \(and 2 more: run `untrimmed check`\)$"):
        read_annotations(path)


def test_instances_that_cannot_be_used_are_left_out_unless_strict(tmp_path: Path) -> None:
    path = write(tmp_path, database(item("a", 0, [3, 2]), item("a", 0, [2, 3])))
    assert read_annotations(path, strict=False)["v"].instances == (Instance(2.0, 3.0, "a"),)
    path = write(tmp_path, database(item("a", 0, [3, 2]), item("a", -1)))
    with pytest.raises(AnnotationError, match="annotation 1"):
        read_annotations(path, strict=False)


def test_oddities_of_published_data_stay(tmp_path: Path) -> None:
    segments = [[0, 0], [2, 2], [-0.5, 3], [4, 30], [11, 12]]
    annotations = read_annotations(write(tmp_path, database(*(item(segment=s) for s in segments))))
    assert annotations["v"].segments.tolist() == segments


times = st.floats(0, 100, allow_subnormal=False)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


@st.composite
def any_annotations(draw: st.DrawFn) -> Annotations:
    labels = tuple(draw(st.lists(names, unique=True, max_size=4)))
    videos = {}
    for id_ in draw(st.lists(names, unique=True, max_size=4)):
        spans = draw(st.lists(st.tuples(times, times), max_size=3 if labels else 0))
        instances = tuple(Instance(min(span), max(span), draw(st.sampled_from(labels))) for span in spans)
        rate = draw(st.none() | st.floats(0.1, 100))
        videos[id_] = Video(id_, 101.0, draw(st.sampled_from(["", "training", "Test"])), rate, instances)
    return Annotations(videos, labels)


@given(any_annotations())
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, annotations: Annotations) -> None:
    path = tmp_path_factory.mktemp("round") / "a.json"
    write_annotations(annotations, path)
    read = read_annotations(path)
    assert read.labels == annotations.labels
    assert list(read) == list(annotations)


@pytest.mark.parametrize(
    ("name", "videos", "classes", "instances"),
    [
        ("thumos14/thumos14.json", 412, 20, 6365),
        ("timed_up_and_go/annotations.json", 223, 4, 1338),
        ("sbhar/annotations.json", 30, 12, 1214),
        ("activitynet/activitynet13_bsn_subset.json", 19228, 200, 22152),
        ("other_annotations/multithumos.json", 413, 66, 38690),
    ],
)
def test_real_annotations(shared: Path, name: str, videos: int, classes: int, instances: int) -> None:
    annotations = read_annotations(shared / "data" / name)
    assert len(annotations) == videos
    assert len(annotations.labels) == classes
    assert sum(len(video.instances) for video in annotations) == instances


def test_charades(shared: Path) -> None:
    path = shared / "data/other_annotations/charades.json"
    assert len(find_problems(path)) == 7
    annotations = read_annotations(path, strict=False)
    assert annotations.subsets == {"training": 7985, "testing": 1863}
    assert sum(len(video.instances) for video in annotations) == 66500 - 7
    assert len(annotations.labels) == 157
