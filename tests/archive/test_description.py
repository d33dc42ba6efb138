"""Detections of two models are never taken for each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from untrimmed.archive.description import DESCRIPTION, describe, description_of, refuse_other_detections
from untrimmed.archive.detection_job import DetectionJob
from untrimmed.data.out_folder import LocalFolder, OutFolder, RemoteFolder
from untrimmed.errors import ConfigError

JOB = DetectionJob(model="m", out="out", format="csv", kind="features")
OURS = description_of(JOB, "1")


@pytest.fixture(params=["folder", "address"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OutFolder]:
    if request.param == "folder":
        yield LocalFolder(tmp_path / "out")
    else:
        fsspec = pytest.importorskip("fsspec")
        yield RemoteFolder("memory://bucket/out")
        fsspec.filesystem("memory").store.clear()


def put(out: OutFolder, name: str, text: str) -> None:
    with out.made(name) as path:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_a_folder_is_described_once_and_then_held_to_it(out: OutFolder) -> None:
    refuse_other_detections(out, OURS)
    assert not out.has(DESCRIPTION)
    describe(out, OURS)
    put(out, "a.csv", "")
    describe(out, OURS)
    refuse_other_detections(out, OURS)
    for other in (description_of(JOB, "2"), OURS | {"format": "json"}, OURS | {"class_scores": "x"}):
        for refuse in (describe, refuse_other_detections):
            with pytest.raises(ConfigError, match=rf"^{out}: holds detections of another model or with other options"):
                refuse(out, other)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x80"])
def test_a_damaged_description_is_of_nothing_known(out: OutFolder, text: str) -> None:
    put(out, DESCRIPTION, text)
    with pytest.raises(ConfigError, match="holds detections of another model"):
        describe(out, OURS)


def test_files_of_another_format_have_nothing_to_do_with_it(out: OutFolder) -> None:
    put(out, "a.json", "")
    describe(out, OURS)
    assert out.has(DESCRIPTION)


def test_files_that_nothing_describes_are_refused(out: OutFolder) -> None:
    put(out, "a.csv", "")
    with pytest.raises(
        ConfigError, match=rf"^{out}: holds detections, such as 'a.csv', but no {DESCRIPTION} that says"
    ):
        describe(out, OURS)
    refuse_other_detections(out, OURS)  # without a cluster, what is there is overwritten


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ConfigError, match="is a file, but --out has to be the folder"):
        describe(LocalFolder(tmp_path / "out"), OURS)


def test_what_makes_detections_is_in_it() -> None:
    assert description_of(JOB, "1") == OURS
    assert OURS["min_score"] is None
    track = DetectionJob(model="m", out="out", format="vtt", kind="features", min_score=0.3)
    assert description_of(track, "1")["min_score"] == 0.3
    with pytest.raises(ConfigError, match="format is 'mp3', but has to be one of json, csv, "):
        DetectionJob(model="m", out="out", format="mp3", kind="features")
