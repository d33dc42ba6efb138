"""Videos at addresses, from a manifest to features, without a cluster."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import refused, run

from extracting import varied
from small_models import make
from untrimmed.data.inputs import InputConfig
from untrimmed.video.extraction.apart import decoded
from untrimmed.video.extraction.videos import extract_features, extract_videos
from untrimmed.video.extractors.function import FunctionExtractor
from untrimmed.video.view import View

fsspec = pytest.importorskip("fsspec")


def own() -> FunctionExtractor:
    return FunctionExtractor(
        lambda clips: clips.mean(axis=(2, 3)).reshape(len(clips), -1),
        name="own",
        dimension=6,
        frames=2,
        stride=1,
        rate=25,
        height=48,
        width=64,
        batch_size=2,
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A store in memory with a video, beside `a.mp4` in the working directory."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    varied(tmp_path / "a.mp4", 12)
    system = fsspec.filesystem("memory")
    system.pipe("/store/a.mp4", (tmp_path / "a.mp4").read_bytes())
    system.pipe("/store/broken.mp4", b"no video")
    yield "memory://store"
    system.rm("/store", recursive=True)
    assert not list((tmp_path / "temporary").iterdir())


def test_features_are_those_of_the_file_and_faults_are_of_the_video(store: str) -> None:
    names = ("a", "broken", "none")
    Path("list.csv").write_text("path\n" + "".join(f"{store}/{name}.mp4\n" for name in names))
    made = extract_videos(["list.csv"], "features", own())
    assert {each.id: each.error for each in made.failed} == {
        "broken": made.videos["broken"].error,
        "none": "there is no such file",
    }
    assert str(made.videos["broken"].error).startswith("is not a video that FFmpeg can read")
    assert made.videos["a"].path == f"{store}/a.mp4"
    extract_videos(["a.mp4"], "plain", own())
    assert Path("features/a.npy").read_bytes() == Path("plain/a.npy").read_bytes()
    again = extract_videos(["list.csv"], "features", own())
    assert [each.id for each in again.were_there] == ["a"]
    extracted = extract_features(f"{store}/a.mp4", own())
    np.testing.assert_array_equal(extracted.features, np.load("plain/a.npy"))


def test_a_video_that_is_decoded_apart(store: str) -> None:
    view = (View(48, 64),)
    here = [header for header, _ in decoded("a.mp4", 25, view, allow_truncated=False)]
    assert [header for header, _ in decoded(f"{store}/a.mp4", 25, view, allow_truncated=False)] == here
    (last, _), *_ = decoded("memory://store/none.mp4", 25, view, allow_truncated=False)
    assert last == {"error": f"{store}/none.mp4: there is no such file"}


def test_features_are_detected_in_where_they_are(store: str) -> None:
    make(InputConfig(stride=1, window=2, rate=25)).save("model")
    extract_videos(["a.mp4"], "features", own())
    system = fsspec.filesystem("memory")
    system.pipe("/store/a.npy", Path("features/a.npy").read_bytes())
    system.pipe("/store/features.json", Path("features/features.json").read_bytes())
    Path("list.csv").write_text(f"path\n{store}/a.npy\n")
    words = ["--min-score", "0", "--json"]
    there = run("detect", "model", "list.csv", *words)
    assert there.json == run("detect", "model", "features", *words).json

    description = json.loads(Path("features/features.json").read_text())
    system.pipe("/store/features.json", json.dumps(description | {"stride": 7}).encode())
    assert f"{store}: features.json" in refused("detect", "model", "list.csv", *words, code=2)
    system.rm("/store/a.npy")
    assert refused("detect", "model", "list.csv", *words, code=1) == f"{store}/a.npy: there is no such file"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["extract", "a.mp4", "--out", "s3://b/f"], "--out s3://b/f: is an address, but a path is expected"),
        (["detect", "model", "a.mp4", "--out", "s3://b/f"], "--out s3://b/f: is an address"),
        (
            ["detect", "m", "a.mp4", "--out", "http://b/f", "--ray", "local"],
            "--out http://b/f: has to be a folder, or in",
        ),
        (
            ["extract", "a.mp4", "--out", "no://b/f", "--ray", "local"],
            "no://b/f: 'no' is no protocol that fsspec knows",
        ),
        (["extract", "s3://b/a.mp4", "--out", "f"], "video s3://b/a.mp4: is an address"),
        (["detect", "model", "s3://b/a.npy"], "path s3://b/a.npy: is an address, but a path is expected. Name it in"),
        (["extract", "list.csv", "--out", "f"], "nosuch://***@b/a.mp4: 'nosuch' is no protocol that fsspec knows"),
    ],
)
def test_addresses_where_they_cannot_be_are_one_error(store: str, words: list[str], message: str) -> None:
    Path("list.csv").write_text("path\nnosuch://u:p@b/a.mp4\n")
    assert refused(*words, code=2).startswith(message)
    assert not Path("s3:").exists()
    assert not Path("f").exists()
