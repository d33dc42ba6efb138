"""Detections as parquet shards: what is written is read back, and what is no shard is one error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.data.detections import Detections
from untrimmed.data.formats.detection_files import read_detections, write_detections
from untrimmed.data.formats.detection_shards import (
    ids_there,
    shard_ids,
    shard_name,
    shard_table,
    shards_in,
    write_shard,
)
from untrimmed.errors import AnnotationError, MissingExtraError

pa = pytest.importorskip("pyarrow")
from pyarrow import parquet  # noqa: E402

LABELS = ("jump", "run", "fall")


def found(name: str, count: int, seed: int = 0) -> Detections:
    random = np.random.default_rng([seed, count])
    segments = np.sort(random.uniform(0, 1000, (count, 2)), axis=1)
    scores = np.sort(random.uniform(0, 1, count))[::-1]
    return Detections(name, segments, scores, random.integers(0, len(LABELS), count), LABELS)


def shard(path: Path, *detections: Detections) -> Path:
    write_shard([shard_table(detections)], path)
    return path


@settings(max_examples=25)
@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 5), min_size=1, max_size=6), st.integers(1, 3))
def test_shards_are_read_as_the_json_of_the_same_detections(
    tmp_path_factory: pytest.TempPathFactory, counts: dict[str, int], size: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    all_of_them = [found(name, count) for name, count in counts.items()]
    for begin in range(0, len(all_of_them), size):
        part = all_of_them[begin : begin + size]
        shard(folder / "found" / shard_name(each.video_id for each in part), *part)
    write_detections(all_of_them, folder / "found.json")
    assert read_detections(folder / "found", LABELS) == read_detections(folder / "found.json", LABELS)
    assert sorted(ids_there(folder / "found")) == sorted(counts)


def test_columns_are_those_that_are_documented(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.parquet", found("x", 3), found("nothing", 0), found("y", 1))
    schema = parquet.read_schema(path)
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "id": "string",
        "start": "double",
        "end": "double",
        "label": "dictionary<values=string, indices=int32, ordered=0>",
        "score": "double",
    }
    rows = parquet.read_table(path).to_pylist()
    assert [row["id"] for row in rows] == ["x", "x", "x", "nothing", "y"]
    assert rows[3] == {"id": "nothing", "start": None, "end": None, "label": None, "score": None}
    assert shard_ids(path) == ["x", "nothing", "y"]


def test_other_programs_read_the_folder_as_one_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    shard(tmp_path / "a.parquet", found("x", 3))
    other = Detections("y", np.array([[0.0, 1.0]]), np.array([0.5]), np.array([0]), ("swim",))
    shard(tmp_path / "b.parquet", other, found("nothing", 0))
    (tmp_path / ".detections.json").write_text("{}")
    table = pandas.read_parquet(tmp_path)
    assert table["id"].tolist() == ["x", "x", "x", "y", "nothing"]
    assert str(table["label"].dtype) == "category"
    assert table[table["score"] >= 0].groupby("id").size().to_dict() == {"x": 3, "y": 1}


def test_tables_of_other_dictionaries_make_one_shard(tmp_path: Path) -> None:
    other = Detections("y", np.array([[0.0, 1.0]]), np.array([0.5]), np.array([1]), ("swim", "run"))
    write_shard([shard_table([found("x", 2)]), shard_table([other])], tmp_path / "a.parquet")
    read = read_detections(tmp_path / "a.parquet", LABELS)
    assert [(each.label, each.score) for each in read["y"]] == [("run", 0.5)]
    assert read["x"].labels.tolist() == found("x", 2).labels.tolist()


def test_names_tell_sets_of_ids_apart() -> None:
    names = [shard_name(ids) for ids in (["a", "b"], ["a"], ["b"], ["a,b"], ["b", "a"], ['a", "b'])]
    assert len(set(names)) == len(names)
    assert shard_name(iter(["a", "b"])) == names[0]


def test_a_recording_in_two_shards_is_refused(tmp_path: Path) -> None:
    shard(tmp_path / "a.parquet", found("x", 1), found("y", 0))
    shard(tmp_path / "b.parquet", found("y", 2))
    with pytest.raises(AnnotationError, match=r"b\.parquet: recording 'y' is in a\.parquet already"):
        read_detections(tmp_path, LABELS)


def test_what_is_half_written_or_hidden_is_no_shard(tmp_path: Path) -> None:
    shard(tmp_path / "a.parquet", found("x", 1))
    for name in (".0123456789abcdef.unfinished", ".b.parquet", "notes.txt"):
        (tmp_path / name).write_bytes(b"PAR1")
    assert [path.name for path in shards_in(tmp_path)] == ["a.parquet"]
    assert list(shards_in(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["x"], "start": [0.0]}, "no column 'end'"),
        ({"start": [0.0], "end": [1.0], "label": ["a"], "score": [None]}, "row 1 has some of start,end,label,score"),
        ({"start": ["soon"], "end": [1.0], "label": ["a"], "score": [0.5]}, "have to be numbers"),
        ({"start": [2.0], "end": [1.0], "label": ["a"], "score": [0.5]}, "ends before it starts"),
        ({"start": [0.0], "end": [1.0], "label": ["a"], "score": [float("nan")]}, "have to be finite numbers"),
        ({"start": [0.0], "end": [1.0], "label": [[1]], "score": [0.5]}, "column 'label' has to hold texts"),
        ({"id": [None], "start": [0.0], "end": [1.0], "label": ["a"], "score": [0.5]}, "column 'id' has to hold texts"),
    ],
)
def test_a_wrong_shard_is_one_error(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    parquet.write_table(pa.table({"id": ["x"]} | columns), tmp_path / "a.parquet")
    with pytest.raises(AnnotationError) as error:
        read_detections(tmp_path, LABELS)
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kept", [0, 3, 100, -1])
def test_a_damaged_shard_is_one_error(tmp_path: Path, kept: int) -> None:
    path = shard(tmp_path / "a.parquet", found("x", 50))
    path.write_bytes(path.read_bytes()[:kept])
    for read in (lambda: read_detections(tmp_path, LABELS), lambda: list(ids_there(tmp_path))):
        with pytest.raises(AnnotationError, match=r"a\.parquet: cannot be read as parquet .* Remove it") as error:
            read()
        assert "\n" not in str(error.value)


def test_a_shard_with_wrong_bytes_is_read_or_one_error(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.parquet", found("x", 20), found("y", 20))
    content, random = path.read_bytes(), np.random.default_rng(0)
    messages: list[str] = []
    for _ in range(200):
        changed = bytearray(content)
        for place in random.integers(len(content), size=random.integers(1, 4)):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        for read in (lambda: read_detections(path, LABELS), lambda: shard_ids(path)):
            try:
                read()
            except AnnotationError as error:
                messages.append(str(error))
    assert len(messages) > 50
    assert not any("\n" in message for message in messages)


def test_folders_and_files_that_hold_none_are_one_error(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no file in it ends in \.parquet"):
        read_detections(tmp_path, LABELS)
    with pytest.raises(AnnotationError, match=r"none\.parquet: cannot be read"):
        read_detections(tmp_path / "none.parquet", LABELS)


def test_numbers_of_classes_are_taken_as_such(tmp_path: Path) -> None:
    table = {"id": ["x"], "start": [0.0], "end": [1.0], "label": [2], "score": [0.5]}
    parquet.write_table(pa.table(table), tmp_path / "a.parquet")
    assert [each.label for each in read_detections(tmp_path / "a.parquet", LABELS)["x"]] == ["fall"]


def test_without_pyarrow_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard(tmp_path / "a.parquet", found("x", 1))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for do in (lambda: read_detections(tmp_path, LABELS), lambda: shard_table([])):
        with pytest.raises(MissingExtraError, match=r"untrimmed\[signals\]"):
            do()
