from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.features import FeatureDescription, open_features, read_feature_file
from untrimmed.data.features.writing import FeatureWriter, UnwritableError, feature_folder
from untrimmed.errors import ConfigError, FeatureError

DESCRIPTION = FeatureDescription(dimension=3, extractor="e", fingerprint="f", stride=2, window=4, rate=10)
LEFTOVER = ".0123456789abcdef.unfinished"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@given(pieces=st.lists(st.integers(0, 5), max_size=6), dimension=st.integers(1, 4), half=st.booleans())
def test_the_file_is_what_numpy_would_save(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[int], dimension: int, half: bool
) -> None:
    path = tmp_path_factory.mktemp("features") / "a.npy"
    array = np.random.default_rng(0).normal(size=(sum(pieces), dimension)).astype(np.float32)
    with FeatureWriter(path, dimension, half=half) as writer:
        for piece in np.split(array, np.cumsum(pieces)[:-1] if pieces else []):
            writer.add(piece)
    assert writer.rows == len(array)
    assert path.read_bytes() == saved(array.astype(np.float16) if half else array)
    assert names(path.parent) == ["a.npy"]


def test_pieces_of_any_layout(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    with FeatureWriter(tmp_path / "a.npy", 3) as writer:
        writer.add(array[::2])
    np.testing.assert_array_equal(read_feature_file(tmp_path / "a.npy"), array[::2])


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"old")

    def interrupted() -> None:
        with FeatureWriter(tmp_path / "a.npy", 2) as writer:
            writer.add(np.zeros((1, 2), np.float32))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "a.npy").read_bytes() == b"old"
    assert names(tmp_path) == ["a.npy"]


def test_too_large_for_float16(tmp_path: Path) -> None:
    message = "70000 is among the features, which is too large for float16. Leave --half out"
    with pytest.raises(FeatureError, match=message), FeatureWriter(tmp_path / "a.npy", 1, half=True) as writer:
        writer.add(np.array([[1], [-70000]], np.float32))
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.open"])
def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, full)
    path = tmp_path / "a.npy"
    with pytest.raises(UnwritableError) as error, FeatureWriter(path, 1) as writer:
        writer.add(np.zeros((1, 1), np.float32))
    assert str(error.value).startswith(f"{path}: cannot be written (No space left on device). ")
    assert names(tmp_path) == []


# The folder


def test_a_new_folder_is_described_first(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "features"
    with feature_folder(folder, DESCRIPTION):
        assert names(folder) == ["features.json"]
        np.save(folder / "a.npy", np.zeros((2, 3), np.float32))
    assert json.loads((folder / "features.json").read_text())["extractor"] == "e"
    assert open_features(folder).description == DESCRIPTION


def test_the_same_description_again_touches_nothing(tmp_path: Path) -> None:
    with feature_folder(tmp_path, DESCRIPTION):
        pass
    path = tmp_path / "features.json"
    before = path.stat()
    with feature_folder(tmp_path, DESCRIPTION):
        pass
    after = path.stat()
    assert (before.st_mtime_ns, before.st_ino) == (after.st_mtime_ns, after.st_ino)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("dimension", 4, "dimension was 3 and is 4 now"),
        ("extractor", "g", "extractor was 'e' and is 'g' now"),
        ("fingerprint", "g", "fingerprint was 'f' and is 'g' now"),
        ("stride", 1, "stride was 2.0 and is 1.0 now"),
        ("window", 5, "window was 4.0 and is 5.0 now"),
        ("rate", 10.0001, "rate was 10.0 and is 10.0001 now"),
        ("extractor", None, "extractor was 'e' and is None now"),
    ],
)
def test_features_of_another_making_are_refused(tmp_path: Path, key: str, value: object, shown: str) -> None:
    DESCRIPTION.write(tmp_path)
    (tmp_path / LEFTOVER).touch()
    other = FeatureDescription(**{**json.loads((tmp_path / "features.json").read_text()), key: value})
    with pytest.raises(ConfigError) as error, feature_folder(tmp_path, other):
        pass
    assert str(error.value) == (
        f"{tmp_path / 'features.json'}: the features there were made in another way: {shown}. "
        "Choose another --out, or the same options"
    )
    assert names(tmp_path) == [LEFTOVER, "features.json"]


def test_features_of_unknown_making_are_refused(tmp_path: Path) -> None:
    (tmp_path / "video.npz").touch()
    with pytest.raises(ConfigError, match=r"holds features, such as 'video.npz', but no features.json"):
        feature_folder(tmp_path, DESCRIPTION).__enter__()
    assert names(tmp_path) == ["video.npz"]


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ConfigError, match="is a file, but a folder for the features is expected"):
        feature_folder(tmp_path / "out", DESCRIPTION).__enter__()
    with pytest.raises(UnwritableError, match="cannot be written"):
        feature_folder(tmp_path / "out" / "below", DESCRIPTION).__enter__()


# What killed runs have left

WORK = """
import sys
from pathlib import Path
from untrimmed.data.features import FeatureDescription
from untrimmed.data.features.writing import feature_folder
with feature_folder(Path(sys.argv[1]), FeatureDescription.of_folder(Path(sys.argv[1]))):
    print("at work", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def somebody_else(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is at work in the folder."""
    DESCRIPTION.write(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", WORK, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        yield process
        process.kill()


def test_what_killed_runs_left_is_removed_before_and_after(tmp_path: Path) -> None:
    (tmp_path / "cuts").mkdir()
    (tmp_path / "other").mkdir()
    kept = [".unfinished", ".notes.unfinished", "0123456789abcdef.unfinished", f"other/{LEFTOVER}"]
    for name in (LEFTOVER, f"cuts/{LEFTOVER}", *kept):
        (tmp_path / name).touch()
    with feature_folder(tmp_path, DESCRIPTION, ["cuts", "not there"]):
        assert not (tmp_path / LEFTOVER).exists()
        assert not (tmp_path / "cuts" / LEFTOVER).exists()
        (tmp_path / LEFTOVER).touch()
    assert not (tmp_path / LEFTOVER).exists()
    assert all((tmp_path / name).exists() for name in kept)


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_unfinished_files_of_somebody_at_work_are_left_alone(
    tmp_path: Path, somebody_else: subprocess.Popen[str]
) -> None:
    (tmp_path / LEFTOVER).touch()
    with feature_folder(tmp_path, DESCRIPTION):
        assert (tmp_path / LEFTOVER).exists()
        somebody_else.kill()
        somebody_else.wait()
    assert not (tmp_path / LEFTOVER).exists()


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("untrimmed.data.features.writing.fcntl", None)
    (tmp_path / LEFTOVER).touch()
    with feature_folder(tmp_path, DESCRIPTION):
        pass
    assert names(tmp_path) == [LEFTOVER, "features.json"]
