"""Shards of a run of many workers, each of which may be lost at any instant."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from untrimmed.archive.detection_store import FileStore, ShardStore, digests_there, videos_together
from untrimmed.data.detections import Detections
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.data.formats.detection_shards import ids_there, shards_in

pytest.importorskip("pyarrow")


def found(name: str) -> Detections:
    random = np.random.default_rng(list(name.encode()))
    count = int(random.integers(0, 3))
    segments = np.sort(random.uniform(0, 9, (count, 2)), axis=1)
    return Detections(name, segments, np.linspace(0.9, 0.1, count), random.integers(0, 2, count), ("a", "b"))


class KilledError(Exception):
    pass


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
    out = tmp_path_factory.mktemp("out")
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
        assert set(names[:begin]) - bad <= set(ids_there(out))
        assert max(Counter(ids_there(out)).values(), default=1) == 1
    assert not list(out.glob(".*"))
    if list(shards_in(out)):
        read = read_detections(out, ("a", "b"))
        for name, each in read.items():
            np.testing.assert_array_equal(each.labels, found(name).labels)
            np.testing.assert_allclose(each.segments, found(name).segments, atol=1e-6)


def test_videos_are_written_as_they_come_and_features_together(tmp_path: Path) -> None:
    for as_they_come, expected in ((True, ["a"]), (False, [])):
        store = ShardStore(tmp_path / str(as_they_come), digests_there(tmp_path), as_they_come=as_they_come)
        assert store.begin(["a", "b"]) == {"a", "b"}
        store.keep(found("a"))
        assert list(ids_there(tmp_path / str(as_they_come))) == expected
        store.keep(found("b"))
        store.end()
        assert list(ids_there(tmp_path / str(as_they_come))) == ["a", "b"]
        assert len(list(shards_in(tmp_path / str(as_they_come)))) == 1


def test_a_window_without_results_leaves_no_shard(tmp_path: Path) -> None:
    store = ShardStore(tmp_path, digests_there(tmp_path), as_they_come=False)
    for window in ([], ["a"]):
        store.begin(window)
        store.end()
    assert not list(tmp_path.iterdir())


def test_files_are_missing_unless_they_are_there(tmp_path: Path) -> None:
    store = FileStore(tmp_path, "csv", 0.0)
    assert store.begin(["a", "b"]) == {"a", "b"}
    store.keep(found("a"))
    store.end()
    assert store.begin(["a", "b"]) == {"b"}


def test_shards_of_videos_are_small_where_there_are_few() -> None:
    assert [videos_together(videos, 2) for videos in (1, 8, 15, 16, 80, 10**6)] == [1, 1, 1, 2, 10, 16]
