"""The parts of archives that need no cluster."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.archive import cluster
from untrimmed.archive.attempts import LocalBook
from untrimmed.archive.cluster import ClusterConfig, connected
from untrimmed.archive.extraction import how_far
from untrimmed.archive.outcomes import SHOWN, OutcomeFile, Tally, outcomes_beside
from untrimmed.archive.pipeline import ArchiveWorker, raise_told, told
from untrimmed.archive.sources import digest, entries, kind_of, refuse_same_ids, repeated
from untrimmed.errors import ConfigError, MissingExtraError, ProcessError, VideoError
from untrimmed.video.extraction.finding import find_sources, find_videos
from untrimmed.video.extraction.manifest import Entry, is_manifest, read_manifest


def outcome(number: int, **known: object) -> dict[str, object]:
    basis = {"id": str(number), "path": f"{number}.mp4", "error": None, "was_there": False, "duration": None}
    return basis | known


def test_a_manifest_is_read_in_its_order_with_paths_from_its_own_folder(tmp_path: Path) -> None:
    manifest = tmp_path / "all.tsv"
    manifest.write_text(
        'id\tpath\tnote\nx\ta/b.mp4\t1\n\t"/c, d.mkv"\t\ny\ts3://bucket/e.mp4\t\n', encoding="utf-8-sig"
    )
    assert is_manifest(manifest)
    assert list(read_manifest(manifest)) == [
        Entry("x", str(tmp_path / "a" / "b.mp4")),
        Entry("c, d", "/c, d.mkv"),
        Entry("y", "s3://bucket/e.mp4"),
    ]


def test_addresses_in_a_manifest_are_taken_if_their_protocol_is_known(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    manifest = tmp_path / "all.csv"
    manifest.write_text("path\nmemory://bucket/a.mp4\nfile:///b.mp4\n")
    expected = {"a": "memory://bucket/a.mp4", "b": "file:///b.mp4"}
    assert {entry.id: entry.path for entry in entries([manifest], "videos")} == expected
    assert find_sources([manifest]) == expected
    with pytest.raises(ConfigError, match=r"memory://bucket/a\.mp4: is an address, but files of this machine"):
        find_videos([manifest])
    manifest.write_text("path\nmemory://u:p@bucket/a.mp4\nnosuch://u:p@bucket/b.mp4\n")
    for read in (lambda: list(entries([manifest], "videos")), lambda: find_sources([manifest])):
        with pytest.raises(ConfigError, match=r"nosuch://\*\*\*@bucket/b\.mp4: 'nosuch' is no protocol"):
            read()
    manifest.write_text("path\nhttps://u:p@h/a.npy?sig=a/b.mp4\nmemory://u:p@x/d/a.mp4\n")
    assert kind_of(manifest) == "features"
    for read in (
        lambda: refuse_same_ids([manifest], "videos", frozenset({digest("a")})),
        lambda: find_sources([manifest]),
    ):
        with pytest.raises(
            VideoError, match=r"https://\*\*\*@h/a\.npy\?\*\*\* and memory://\*\*\*@x/d/a\.mp4 would both"
        ):
            read()
    with pytest.raises(ConfigError, match=r"video s3://bucket/a\.mp4: is an address.* in a manifest"):
        find_sources([Path("s3://bucket/a.mp4")])


def test_a_manifest_of_any_length_is_read_as_it_goes(tmp_path: Path) -> None:
    manifest = tmp_path / "all.csv"
    manifest.write_text("path\n" + "a.mp4\n" * 1000 + ",\n")
    rows = read_manifest(manifest)
    assert next(rows).id == "a"  # the fault of the last row is not known yet
    with pytest.raises(VideoError, match=r"row 1001: path is '', but has to be the path of a file"):
        list(rows)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a manifest has to have a column 'path'"),
        (b"video,id\na,b\n", "its columns are 'video, id'"),
        (b"path\n", "has no rows"),
        (b"id,path\nx\n", "row 1: path is None"),
        (b"path,id\na.mp4,../b\n", "row 1: the id '../b' cannot be the name of a file"),
        (b"path,id\na.mp4,.b\n", "row 1: the id '.b' cannot"),
        (b"path\n\xff\xfe.mp4\n", "is no manifest"),
        (b"path\n" + b'"' + b"a" * 200_000 + b'"\n', "is no manifest"),
    ],
)
def test_a_wrong_manifest_is_one_error(tmp_path: Path, content: bytes, message: str) -> None:
    manifest = tmp_path / "all.csv"
    manifest.write_bytes(content)
    with pytest.raises(VideoError) as error:
        list(read_manifest(manifest))
    assert str(error.value).startswith(f"{manifest}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_parquet_is_one_error(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    manifest = tmp_path / "all.parquet"
    manifest.write_bytes(b"PAR1 no")
    with pytest.raises(VideoError, match=r"all.parquet: is no manifest, which is parquet"):
        list(read_manifest(manifest))


def test_what_a_manifest_holds_is_said_by_its_first_row(tmp_path: Path) -> None:
    manifest = tmp_path / "all.csv"
    manifest.write_text("path\na.npy\nb.mp4\n")
    assert kind_of(manifest) == "features"
    manifest.write_text("path\nb.mp4\n")
    assert kind_of(manifest) == "videos"


@given(st.lists(st.text(min_size=1, max_size=3), max_size=30))
def test_repeated_digests_are_those_of_repeated_names(names: list[str]) -> None:
    digests = np.array([digest(name) for name in names], np.uint64)
    assert repeated(digests) == {digest(name) for name in names if names.count(name) > 1}


def test_names_of_one_digest_are_no_fault_unless_they_are_the_same(tmp_path: Path) -> None:
    manifest = tmp_path / "all.csv"
    manifest.write_text("path\na.mp4\nb.mp4\nc/a.mp4\n")
    refuse_same_ids([manifest], "videos", frozenset({digest("b")}))  # as two others of one digest would be
    with pytest.raises(VideoError, match=r"c/a.mp4 would both be video 'a'"):
        refuse_same_ids([manifest], "videos", frozenset({digest("a")}))


def test_features_in_a_folder_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    for name in ("a-1.npy", "a.npy", "b.csv", "features.json"):
        (tmp_path / name).touch()
    assert [entry.id for entry in entries([tmp_path, tmp_path / "x.npz"], "features")] == ["a", "a-1", "b", "x"]


def test_the_tally_counts_all_and_keeps_a_few() -> None:
    tally = Tally()
    for number in range(30):
        tally.add(outcome(number, error="no", duration=1.0))
    for number in range(30):
        tally.add(outcome(number, duration=2.0, rows=3, damaged=number))
    tally.add(outcome(60, was_there=True, rows=9))
    assert (tally.failed, tally.done, tally.were_there, tally.recordings) == (30, 30, 1, 61)
    assert (tally.rows, tally.seconds) == (90, 90.0)
    assert (len(tally.failures), len(tally.damaged)) == (SHOWN, SHOWN)
    assert tally.failures[0] == ("0", "0.mp4", "no")
    progress = how_far(tally, 121)
    assert (progress.videos, progress.of_videos, progress.seconds, progress.of_seconds) == (61, 121, 90.0, 180.0)
    assert how_far(Tally(), 5).of_seconds is None


def test_what_is_secret_in_an_address_is_not_kept(tmp_path: Path) -> None:
    told, tally = outcome(1, error="no", path="https://u:secret@h/a.mp4?secret", damaged=2), Tally()
    with OutcomeFile(tmp_path / "o.jsonl") as file:
        file.add(told)
    tally.add(told)
    assert json.loads((tmp_path / "o.jsonl").read_text())["path"] == "https://***@h/a.mp4?***"
    assert "secret" not in str(tally)


def test_outcomes_are_there_as_soon_as_they_are_known(tmp_path: Path) -> None:
    path = outcomes_beside(tmp_path / "new" / "features")
    with OutcomeFile(path) as file:
        file.add(outcome(1, error="größer\nline"))
        assert [json.loads(line)["error"] for line in path.read_text().splitlines()] == ["größer\nline"]
    with OutcomeFile(path):
        pass
    assert path.read_text() == ""


def test_errors_are_told_from_process_to_process() -> None:
    for error in (ConfigError("a: b"), MissingExtraError("x", "y", "z")):
        with pytest.raises(type(error)) as raised:
            raise_told(told(error))
        assert str(raised.value) == str(error)


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"workers": (0, 1)}, {"workers": (3, 2)}])
def test_numbers_of_workers_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        ClusterConfig(**wrong)  # type: ignore[arg-type]


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"untrimmed\[ray\]"), connected(ClusterConfig()):
        pass
    with pytest.raises(MissingExtraError):
        cluster.room_for(ClusterConfig(), "cpu")


def test_commands_that_use_no_ray_do_not_import_it() -> None:
    code = "import sys, untrimmed.cli.extract, untrimmed.cli.detect; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere", "ray://127.0.0.1:1", "127.0.0.1:99999"])
def test_a_cluster_that_is_not_there_is_one_error(address: str) -> None:
    pytest.importorskip("ray")
    code = "import sys; from untrimmed.cli import main; main(['extract', 'v', '--out', 'f', '--ray', sys.argv[1]])"
    done = subprocess.run([sys.executable, "-c", code, address], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"untrimmed: --ray {address}: there is no cluster that answers (")


def test_a_signal_does_what_it_did_before() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        for mine in (signal.SIG_IGN, lambda *_: None, signal.SIG_DFL):
            signal.signal(signal.SIGTERM, mine)
            with cluster._own_handler(signal.SIGTERM):
                signal.signal(signal.SIGTERM, lambda *_: None)
            assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


@given(st.sampled_from([KeyError("x"), OSError(2, "No such file or directory"), ZeroDivisionError()]))
def test_a_fault_of_ours_in_a_worker_is_told_of(fault: Exception) -> None:
    class Failing(ArchiveWorker):
        def work(self, window: Sequence[Entry]) -> Iterator[dict[str, Any]]:
            yield outcome(1)
            raise fault

    row = Failing(LocalBook())({"window": json.dumps([["1", "1.mp4"]])})
    assert json.loads(row["outcomes"]) == [outcome(1)]
    with pytest.raises(ProcessError, match=rf"^a worker cannot go on: {type(fault).__name__}: .*_parts\.py"):
        raise_told(row["fault"])
