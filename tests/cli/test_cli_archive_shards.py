"""Shards and addresses on a Ray cluster of this machine."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from command_line import files, run

from clusters import MARKS, with_extractor
from extracting import varied
from small_models import make
from untrimmed.archive.cluster import ClusterConfig, connected
from untrimmed.archive.detection import detect_archive
from untrimmed.archive.detection_job import DetectionJob
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.data.formats.detection_shards import ids_there, shards_in
from untrimmed.data.inputs import InputConfig
from untrimmed.video.extraction.progress import Progress
from untrimmed.video.extraction.videos import extract_videos

pytestmark = MARKS

OWN = "python:shard_extractor:make"
EXTRACTOR = """
with open(HERE / "workers", "a") as file:
    print(os.getppid(), file=file)
if (HERE / "slowly").exists():
    time.sleep(0.01)
"""
"""What it does besides."""
ONE = ("--ray", "local", "--workers", "1")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    pytest.importorskip("ray")
    with connected(ClusterConfig()):
        yield


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: None) -> Path:
    return with_extractor(tmp_path, monkeypatch, "shard_extractor", EXTRACTOR)


def test_shards_of_features_are_those_without_ray(place: Path) -> None:
    make().save("model")
    Path("features").mkdir()
    random = np.random.default_rng(0)
    for number in range(70):  # more than one window
        np.save(f"features/r{number:03}.npy", random.normal(size=(5 + 7 * number % 40, 6)).astype(np.float32))
    words = ["detect", "model", "features", "--format", "parquet", "--json"]
    assert run(*words, "--out", "plain").code == 0
    outcome = run(*words, "--out", "found", *ONE)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json["done"] == 70
    found, plain = files(place / "found"), files(place / "plain")
    assert {path.name: content for path, content in found.items()} == {
        path.name: content for path, content in plain.items()
    }

    np.save("features/r070.npy", np.zeros((9, 6), np.float32))
    for out in ("plain", "found"):  # each goes on with what the other kind of run has left
        again = run(*words, "--out", out, *(ONE if out == "plain" else ()))
        assert again.code == 0
    assert again.json.keys() == {"r070"}
    assert sorted(ids_there(Path("found"))) == sorted(ids_there(Path("plain"))) == [f"r{n:03}" for n in range(71)]
    assert read_detections("found", ()) == read_detections("plain", ())


def test_a_killed_worker_leaves_every_video_once(place: Path) -> None:
    make(InputConfig(stride=1, window=2, rate=25)).save("model")
    (place / "slowly").touch()
    for number in range(16):  # two in a shard
        varied(place / "videos" / f"{number:02}.mp4", 20)
    (place / "videos" / "16.mp4").write_bytes(b"no video")
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.videos >= 4 and not killed:
            killed.append(int((place / "workers").read_text().splitlines()[-1]))
            os.kill(killed[0], signal.SIGKILL)

    job = DetectionJob(model="model", out="found", format="parquet", kind="videos", extractor=OWN)
    detection = detect_archive(["videos"], job, ClusterConfig(workers=(2, 2)), on_progress=kill)
    assert killed
    assert (detection.tally.failed, detection.tally.recordings) == (1, 17)
    assert sorted(ids_there(Path("found"))) == [f"{number:02}" for number in range(16)]
    assert len(list(shards_in(Path("found")))) < 16
    run("detect", "model", "videos", "--extractor", OWN, "--out", "plain", "--format", "parquet")
    assert read_detections("found", ()).keys() == read_detections("plain", ()).keys()


@pytest.fixture
def web(place: Path) -> Iterator[str]:
    """A web server on loopback, for the folder of the test."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(place))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://u:secret@127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_videos_and_features_at_addresses(place: Path, web: str) -> None:
    for name in "ab":
        varied(place / "videos" / f"{name}.mp4", 12)
    manifest = place / "list.csv"
    rows = [f"file://{place}/videos/a.mp4", f"{web}/videos/b.mp4?token=secret", f"{web}/none.mp4"]
    manifest.write_text("path\n" + "\n".join(rows) + "\n")
    extract_videos([place / "videos"], "plain", OWN, processes=1, trust_python=True)
    outcome = run("extract", "list.csv", "--out", "features", "--extractor", OWN, *ONE, "--json")
    assert outcome.code == 1
    assert [outcome.json[key] for key in ("done", "failed")] == [2, 1]
    for name in ("a.npy", "b.npy", "features.json"):
        assert (place / "features" / name).read_bytes() == (place / "plain" / name).read_bytes()
    lines = (place / "features.outcomes.jsonl").read_text()
    assert "secret" not in lines + outcome.out
    told = {each["id"]: each for each in map(json.loads, lines.splitlines())}
    assert told["none"]["error"] == "there is no such file"

    manifest.write_text("path\nnosuch://a.mp4\n")
    refusal = run("extract", "list.csv", "--out", "other", "--extractor", OWN, *ONE)
    assert (refusal.code, refusal.out) == (2, "")
    assert "'nosuch' is no protocol that fsspec knows" in refusal.err
    assert not (place / "other").exists()

    make(InputConfig(stride=1, window=2, rate=25)).save("model")
    manifest.write_text("path\n" + "".join(f"{web}/features/{name}.npy\n" for name in "ab"))
    assert run("detect", "model", "list.csv", "--out", "found", "--format", "parquet", *ONE).code == 0
    assert sorted(ids_there(Path("found"))) == ["a", "b"]
    assert run("detect", "model", "plain", "--out", "alone", "--format", "parquet").code == 0
    assert read_detections("found", ()) == read_detections("alone", ())
