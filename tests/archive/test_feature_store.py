"""Features in a folder of this machine and in an object store: the same is made, and found there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from untrimmed.archive.feature_store import FeatureStore
from untrimmed.data.features import FeatureDescription
from untrimmed.data.features.writing import FeatureWriter, UnwritableError
from untrimmed.data.out_folder import LocalFolder, OutFolder, RemoteFolder
from untrimmed.errors import ConfigError
from untrimmed.video.extraction.manifest import Entry
from untrimmed.video.extraction.one_video import Outcome, Task

fsspec = pytest.importorskip("fsspec")

OURS = FeatureDescription(dimension=3, extractor="own", fingerprint="1")
A = Entry("a", "a.mp4")


@pytest.fixture(params=["folder", "address"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OutFolder]:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    yield LocalFolder(tmp_path / "out") if request.param == "folder" else RemoteFolder("memory://bucket/out")
    fsspec.filesystem("memory").store.clear()
    assert not list((tmp_path / "temporary").iterdir())


def store(folder: OutFolder, *, half: bool = False, shots: bool = False) -> FeatureStore:
    return FeatureStore(folder, OURS, Task(id="", path="", half=half), shots)


class Maker:
    """Makes features of videos as the extractor's process does."""

    def __init__(self, error: str | None = None) -> None:
        self.asked: list[tuple[bool, bool]] = []
        self._error = error

    def __call__(self, task: Task) -> Outcome:
        self.asked.append((task.features is not None, task.cuts is not None))
        if self._error is not None:
            return Outcome(id=task.id, path=task.path, error=self._error)
        rows = None
        if task.features is not None:
            rows = 4
            with FeatureWriter(Path(task.features), 3, half=task.half) as writer:
                writer.add(np.arange(12, dtype=np.float32).reshape(4, 3))
        if task.cuts is not None:
            Path(task.cuts).parent.mkdir(exist_ok=True)
            Path(task.cuts).write_text("seconds\n")
        return Outcome(id=task.id, path=task.path, rows=rows, duration=None if rows is None else 1.5)


def test_what_is_missing_is_made_and_only_that(folder: OutFolder) -> None:
    maker = Maker()
    with store(folder).at_work():
        assert store(folder).add(A, maker) == Outcome(id="a", path="a.mp4", rows=4, duration=1.5)
        assert store(folder).add(A, maker) == Outcome(id="a", path="a.mp4", rows=4, was_there=True)
    with store(folder, shots=True).at_work():
        assert store(folder, shots=True).add(A, maker) == Outcome(id="a", path="a.mp4", rows=4)
        assert store(folder, shots=True).add(A, maker) == Outcome(id="a", path="a.mp4", rows=4, was_there=True)
        assert store(folder, shots=True).add(Entry("b", "b.mp4"), maker).duration == 1.5
    assert maker.asked == [(True, False), (False, True), (True, True)]
    assert folder.names() == ["a.npy", "b.npy", "features.json"]
    with folder.brought("a.npy") as path:
        np.testing.assert_array_equal(np.load(path), np.arange(12, dtype=np.float32).reshape(4, 3))
    with folder.brought("features.json") as path:
        assert FeatureDescription.of_folder(path.parent) == OURS
    assert folder.has("shots/b.csv")


def test_of_what_failed_there_is_nothing(folder: OutFolder) -> None:
    with store(folder).at_work():
        assert store(folder).add(A, Maker("is damaged")).error == "is damaged"
        assert folder.names() == ["features.json"]

        def full(task: Task) -> Outcome:
            raise UnwritableError(f"{task.features}: cannot be written")

        with pytest.raises(UnwritableError, match=rf"^{folder}/a.npy: cannot be written"):
            store(folder).add(A, full)


def test_features_of_another_making_are_refused(folder: OutFolder) -> None:
    with store(folder).at_work():
        store(folder).add(A, Maker())
    other = replace(store(folder), description=replace(OURS, fingerprint="2"))
    with pytest.raises(ConfigError, match=rf"^{folder}/features.json: .* fingerprint was '1' and is '2' now"):
        other.at_work().__enter__()
    with pytest.raises(ConfigError, match=rf"^{folder}/a.npy: holds float32, but would be float16 now.* leave --half"):
        store(folder, half=True).add(A, Maker())
    wide = replace(store(folder), description=replace(OURS, dimension=5)).add(A, Maker())
    assert wide.error is not None
    assert wide.error.startswith(f"{folder}/a.npy: ")
    assert wide.error.endswith("remove this file, and run the same again")


def test_features_that_nothing_describes_are_refused(folder: OutFolder) -> None:
    with folder.made("old.npy") as path:
        path.parent.mkdir(exist_ok=True)
        np.save(path, np.zeros((2, 3), np.float32))
    with pytest.raises(ConfigError, match=rf"^{folder}: holds features, such as 'old.npy', but no features.json"):
        store(folder).at_work().__enter__()
    assert folder.names() == ["old.npy"]


def test_a_damaged_file_is_told_of_and_left_alone(folder: OutFolder) -> None:
    with store(folder).at_work():
        for name, content in (("a.npy", b"no array"), ("b.npy", b"")):
            with folder.made(name) as path:
                path.write_bytes(content)
            outcome = store(folder).add(Entry(name[0], "x.mp4"), Maker())
            assert outcome.error is not None
            assert outcome.error.startswith(f"{folder}/{name}: ")
            assert folder.head(name, 100) == content


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(ConfigError, match="is a file, but a folder"):
        store(LocalFolder(tmp_path / "out")).at_work().__enter__()
