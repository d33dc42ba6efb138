"""Shards of a run of many workers, each of which may be lost at any instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.archive.detection_store import FileStore, ShardStore, digests_there, videos_together
from untrimmed.data.detections import Detections
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.data.formats.detection_shards import ids_there, shard_ids, shards_in
from untrimmed.data.out_folder import LocalFolder, OutFolder, RemoteFolder

pytest.importorskip("pyarrow")


def found(name: str) -> Detections:
    random = np.random.default_rng(list(name.encode()))
    count = int(random.integers(0, 3))
    segments = np.sort(random.uniform(0, 9, (count, 2)), axis=1)
    return Detections(name, segments, np.linspace(0.9, 0.1, count), random.integers(0, 2, count), ("a", "b"))


class KilledError(Exception):
    pass


@pytest.fixture(params=["a folder", "an address"])
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OutFolder]:
    if request.param == "a folder":
        yield LocalFolder(tmp_path / "out")
    else:
        fsspec = pytest.importorskip("fsspec")
        yield RemoteFolder("memory://bucket/out")
        fsspec.filesystem("memory").store.clear()


def work(store: ShardStore, names: list[str], bad: set[str], lives: int) -> None:
    """Work on a window as a worker does, which is killed before the recording of number `lives`."""
    missing = store.begin(names)
    for name in names:
        if name in missing and name not in bad:
            if lives == 0:
                raise KilledError
            lives -= 1
            store.keep(found(name))
    store.end()


WINDOWS = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@settings(max_examples=30)
@given(WINDOWS, st.lists(WINDOWS, min_size=1, max_size=3), st.booleans(), st.data())
def test_every_recording_is_there_once_whoever_is_killed(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[int],
    more: list[list[int]],
    as_they_come: bool,
    data: st.DataObject,
) -> None:
    path = tmp_path_factory.mktemp("out")
    out = LocalFolder(path)
    names = [f"r{number}" for number in range(max(map(sum, [first, *more])))]
    for sizes in [first, *more]:  # runs, each with windows of other sizes
        bad = data.draw(st.sets(st.sampled_from(names)))
        there = digests_there(out)
        begin = 0
        for size in sizes:
            window = names[begin : begin + size]
            begin += size
            lives = data.draw(st.integers(0, 5))
            try:
                work(ShardStore(out, there, as_they_come=as_they_come), window, bad, lives)
            except KilledError:  # another worker is given the window, and knows what was there when the run began
                work(ShardStore(out, there, as_they_come=as_they_come), window, bad - {window[0]}, 9)
        assert set(names[:begin]) - bad <= set(ids_there(path))
        assert max(Counter(ids_there(path)).values(), default=1) == 1
    assert not list(path.glob(".*"))
    if list(shards_in(path)):
        read = read_detections(path, ("a", "b"))
        for name, each in read.items():
            np.testing.assert_array_equal(each.labels, found(name).labels)
            np.testing.assert_allclose(each.segments, found(name).segments, atol=1e-6)


@pytest.mark.parametrize("as_they_come", [True, False])
def test_videos_are_written_as_they_come_and_features_together(out: OutFolder, as_they_come: bool) -> None:
    store = ShardStore(out, digests_there(out), as_they_come=as_they_come)
    assert store.begin(["a", "b"]) == {"a", "b"}
    store.keep(found("a"))
    assert len(digests_there(out)) == as_they_come
    store.keep(found("b"))
    store.end()
    assert len(digests_there(out)) == 2
    (shard,) = out.names()
    with out.brought(shard) as path:
        assert shard_ids(path) == ["a", "b"]


def test_another_worker_goes_on_with_a_shard(out: OutFolder) -> None:
    there = digests_there(out)
    store = ShardStore(out, there, as_they_come=True)
    store.begin(["a", "b"])
    store.keep(found("a"))  # and is lost
    other = ShardStore(out, there, as_they_come=True)
    assert other.begin(["a", "b"]) == {"b"}
    other.keep(found("b"))
    other.end()
    (shard,) = out.names()
    with out.brought(shard) as path:
        assert shard_ids(path) == ["a", "b"]
    later = ShardStore(out, digests_there(out), as_they_come=True)
    assert later.begin(["a", "b", "c"]) == {"c"}


def test_a_window_without_results_leaves_no_shard(out: OutFolder) -> None:
    store = ShardStore(out, digests_there(out), as_they_come=False)
    for window in ([], ["a"]):
        store.begin(window)
        store.end()
    assert not out.names()


@pytest.mark.parametrize("format", ["csv", "json", "vtt"])
def test_files_are_missing_unless_they_are_there(out: OutFolder, tmp_path: Path, format: str) -> None:  # noqa: A002
    for folder in (out, LocalFolder(tmp_path / "plain")):
        store = FileStore(folder, format, 0.0)
        assert store.begin(["a", "b"]) == {"a", "b"}
        store.keep(found("a"))
        store.end()
        assert store.begin(["a", "b"]) == {"b"}
    with out.brought(f"a.{format}") as path:
        assert path.read_bytes() == (tmp_path / "plain" / f"a.{format}").read_bytes()


def test_shards_of_videos_are_small_where_there_are_few() -> None:
    assert [videos_together(videos, 2) for videos in (1, 8, 15, 16, 80, 10**6)] == [1, 1, 1, 2, 10, 16]
