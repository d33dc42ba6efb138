"""`untrimmed detect --format parquet` on one machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from command_line import files, refused, run

from extracting import varied
from small_models import make
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.data.formats.detection_shards import ids_there, shards_in
from untrimmed.data.inputs import InputConfig

pytest.importorskip("pyarrow")

OWN = "python:small_extractor:make"
_SOURCE = """
from untrimmed.video.extractors.function import FunctionExtractor


def means(clips):
    return clips.mean(axis=(2, 3)).reshape(len(clips), -1)


def make():
    return FunctionExtractor(
        means, name="own", dimension=6, frames=2, stride=1, rate=25, height=48, width=64, batch_size=2
    )
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make().save("model")
    Path("features").mkdir()
    random = np.random.default_rng(0)
    for number in range(70):  # more than one window
        array = random.normal(size=(5 + 7 * number % 20, 6)).astype(np.float32)
        np.save(Path("features", f"r{number:03}.npy"), array)
    return tmp_path


WORDS = ("detect", "model", "features", "--out", "found", "--format", "parquet", "--json")


def test_shards_hold_what_a_file_would_and_are_added_to(place: Path) -> None:
    assert run("detect", "model", "features", "--out", "all.json").code == 0
    expected = read_detections("all.json", ())
    for name in ("r003", "r069"):
        Path("features", f"{name}.npy").rename(f"{name}.npy")
    first = run(*WORDS)
    assert (first.code, len(first.json)) == (0, 68)
    before = files(place / "found")
    assert len(list(shards_in(Path("found")))) == 2
    for name in ("r003", "r069"):
        Path(f"{name}.npy").rename(f"features/{name}.npy")
    second = run(*WORDS)
    assert sorted(second.json) == ["r003", "r069"]
    after = files(place / "found")
    assert before.items() <= after.items()
    assert sorted(ids_there(Path("found"))) == sorted(expected)  # each once
    found = read_detections("found", ())
    for name, each in expected.items():
        assert len(found[name]) == len(each)
        np.testing.assert_allclose(found[name].scores, each.scores, atol=1e-6)
    outcome = run(*WORDS[:-1])
    assert outcome.out == "found: detections of 70 recordings were there already\n"
    assert files(place / "found") == after


def test_a_whole_run_has_the_numbers_of_the_json_file(place: Path) -> None:
    assert run(*WORDS).code == 0
    assert run("detect", "model", "features", "--out", "all.json").code == 0
    assert read_detections("found", ()) == read_detections("all.json", ())


def test_files_and_folders_of_shards_are_evaluated(place: Path) -> None:
    assert run(*WORDS).code == 0
    assert run("detect", "model", "features", "--out", "all.json").code == 0
    found = read_detections("all.json", ())["r001"]
    database = {
        "r001": {
            "subset": "test",
            "duration": 1000.0,
            "annotations": [{"label": found[0].label, "segment": [found[0].start, found[0].end]}],
        }
    }
    Path("truth.json").write_text(json.dumps({"database": database}))
    scores = [
        run("evaluate", "--detections", source, "--annotations", "truth.json", "--json").json
        for source in ("all.json", "found")
    ]
    assert scores[0] == scores[1]


def test_shards_of_another_making_are_refused_and_left_alone(place: Path) -> None:
    assert run(*WORDS).code == 0
    before = files(place / "found")
    make(width=16).save("other")
    message = refused("detect", "other", *WORDS[2:], code=2)
    assert "found: holds detections of another model" in message
    (shard, *_) = shards_in(Path("found"))
    shard.write_bytes(shard.read_bytes()[:50])
    message = refused(*WORDS, code=1)
    assert f"{shard}: cannot be read as parquet" in message
    assert files(place / "found").keys() == before.keys()
    Path("file").touch()
    assert "is a file" in refused("detect", "model", "features", "--out", "file", "--format", "parquet", code=2)


def test_videos_are_kept_one_by_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "small_extractor.py").write_text(_SOURCE)
    monkeypatch.syspath_prepend(str(place))
    make(InputConfig(stride=1, window=2, rate=25)).save("model")
    for name in "abc":
        varied(place / "videos" / f"{name}.mp4", 20)
    (place / "videos" / "b.mp4").rename(place / "b.mp4")
    (place / "videos" / "b.mp4").write_bytes(b"no video")
    words = ["detect", "model", "videos", "--extractor", OWN, "--out", "found", "--format", "parquet"]
    assert run(*words).code == 1
    assert sorted(ids_there(Path("found"))) == ["a", "c"]
    (place / "b.mp4").replace(place / "videos" / "b.mp4")
    assert run(*words).code == 0
    assert sorted(ids_there(Path("found"))) == ["a", "b", "c"]
    assert len(list(shards_in(Path("found")))) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_one_error(place: Path) -> None:
    Path("found").mkdir(mode=0o500)
    assert "found" in refused(*WORDS, code=1)
