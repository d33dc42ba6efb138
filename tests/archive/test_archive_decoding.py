"""Decoding apart from the backbone, on a Ray cluster of this machine: what is written is the same as without."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event, Thread
from time import sleep
from typing import Any

import pytest

from clusters import MARKS, with_extractor
from extracting import plain, varied
from small_models import make
from untrimmed.archive.cluster import ClusterConfig, connected
from untrimmed.archive.decoding import DECODER_DIED, RayDecoding
from untrimmed.archive.detection import ArchiveDetection, detect_archive
from untrimmed.archive.detection_job import DetectionJob
from untrimmed.archive.extraction import ArchiveExtraction, extract_archive
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.data.formats.detection_shards import ids_there, shards_in
from untrimmed.data.inputs import InputConfig
from untrimmed.errors import ConfigError
from untrimmed.video.extraction.lanes import HERE
from untrimmed.video.extraction.one_video import Task
from untrimmed.video.extraction.progress import Progress
from untrimmed.video.extraction.videos import extract_videos
from untrimmed.video.extraction.workers import ExtractorChoice
from untrimmed.video.view import View

pytestmark = [
    *MARKS,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finds decoders as Linux shows them"),
]

OWN = "python:fed_extractor:make"
EXTRACTOR = """
if (HERE / "slowly").exists():
    time.sleep(0.01)
if not (HERE / "workers").exists():
    (HERE / "workers").write_text(str(os.getppid()))
if clips.mean() > 240:  # white
    os.kill(os.getpid(), signal.SIGSEGV)
if clips.mean() < 10:  # black
    raise LookupError("too dark")
clips += 1  # as one may with pictures of one's own
"""
"""What it does besides."""
CHOICE = ExtractorChoice(name=OWN, trust_python=True)
CORES = 4
THREE = ClusterConfig(workers=(1, 1), decoders=3)
"""A worker, which takes a core, and three decoders, which take the others."""
FULL = ClusterConfig(threads=3, decoders=1)
"""As many workers as there is room for, which is one, and a decoder: no core for another worker is free."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:  # as many tasks at once, on however many cores there are
        patch.setattr("untrimmed.archive.cluster.usable_cores", lambda: CORES)
        with connected(ClusterConfig()):
            yield


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: None) -> Path:
    return with_extractor(tmp_path, monkeypatch, "fed_extractor", EXTRACTOR)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def without_times(outcome: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in outcome.items() if key != "took"}


def told(extraction: ArchiveExtraction | ArchiveDetection) -> dict[str, dict[str, Any]]:
    """What came of each video, but for how long it took."""
    by_id: dict[str, dict[str, Any]] = {}
    for line in extraction.outcomes.read_text().splitlines():
        outcome = without_times(json.loads(line))
        assert outcome["id"] not in by_id
        by_id[outcome["id"]] = outcome
    return by_id


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def test_same_bytes_and_same_outcomes_of_good_and_bad_videos(place: Path) -> None:
    for number, pictures in enumerate((5, 63, 64, 65, 400)):
        varied(place / "videos" / f"{number}.mkv", pictures)
    cut_off(varied(place / "videos" / "short.mkv", 200))
    (place / "videos" / "broken.mp4").write_bytes(b"no video")
    plain(place / "videos" / "white.mp4", (255, 255, 255))  # ends every process that looks at it
    plain(place / "videos" / "black.mp4", (0, 0, 0), pictures=400)  # while much is still to be decoded
    without = extract_videos([place / "videos"], place / "plain", OWN, processes=1, trust_python=True).videos
    errors = {name: each.error or "" for name, each in without.items() if each.error}
    assert errors.keys() == {"short", "broken", "white", "black"}
    assert "was not copied to its end" in errors["short"]
    for name, config in (("full", FULL), ("three", THREE)):
        fed = extract_archive([place / "videos"], name, CHOICE, config)
        assert told(fed) == {name: without_times(asdict(each)) for name, each in without.items()}
        assert contents(place / name) == contents(place / "plain")


@pytest.mark.parametrize("format", ["json", "parquet"])
def test_detections_are_the_same_whoever_decodes(place: Path, format: str) -> None:  # noqa: A002
    make(InputConfig(stride=1, window=2, rate=25)).save("model")
    for number in range(24):  # in shards, two share one
        varied(place / "videos" / f"{number:02}.mkv", 20 + 13 * (number % 5))
    (place / "videos" / "broken.mp4").write_bytes(b"no video")
    plain(place / "videos" / "white.mp4", (255, 255, 255))
    made = {}
    for name, config in (("here", ClusterConfig(workers=(1, 1))), ("three", THREE)):
        job = DetectionJob(model="model", out=name, format=format, kind="videos", extractor=OWN)
        made[name] = detect_archive(["videos"], job, config)
        assert (made[name].tally.done, made[name].tally.failed) == (24, 2)
    assert told(made["three"]) == told(made["here"])
    if format == "json":
        assert contents(place / "three") == contents(place / "here")
    else:
        for name in made:  # shards of as many videos as windows have, of which more are in work at once
            assert sorted(ids_there(place / name)) == [f"{number:02}" for number in range(24)]
        assert len(list(shards_in(place / "three"))) > len(list(shards_in(place / "here")))
        assert read_detections("three", ()) == read_detections("here", ())


@contextmanager
def killing_decoders(times: dict[str, int]) -> Iterator[dict[str, set[int]]]:
    """Context in which the processes of decoders that have certain files open are killed, so many times each."""
    killed: dict[str, set[int]] = {name: set() for name in times}
    over = Event()

    def kill() -> None:
        while not over.wait(0.02):
            for name, count in times.items():
                for pid in reading(name) - killed[name]:
                    if len(killed[name]) < count:
                        killed[name].add(pid)
                        os.kill(pid, signal.SIGKILL)

    thread = Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def reading(name: str) -> set[int]:
    """Processes of Ray that decode a file."""
    found: set[int] = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            decodes = entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(b"ray::_decoded")
            if decodes and name in {link.readlink().name for link in (entry / "fd").iterdir()}:
                found.add(int(entry.name))
    return found


def test_a_decoder_that_is_killed_costs_its_own_video_at_most(place: Path) -> None:
    (place / "slowly").touch()
    for name in "abc":
        varied(place / "videos" / f"{name}.mp4", 40)
    for name in ("once", "twice"):
        varied(place / "videos" / f"{name}.mp4", 330)
    extract_videos([place / "videos"], place / "plain", OWN, processes=1, trust_python=True)
    times = {"once.mp4": 1, "twice.mp4": 2}
    with killing_decoders(times) as killed:
        extraction = extract_archive([place / "videos"], "features", CHOICE, THREE)
    assert {name: len(pids) for name, pids in killed.items()} == times
    errors = {name: each["error"] for name, each in told(extraction).items() if each["error"]}
    assert errors == {"twice": DECODER_DIED}
    expected = contents(place / "plain")
    del expected["twice.npy"]
    assert contents(place / "features") == expected


def test_a_worker_that_is_killed_takes_its_decoders_with_it_and_is_replaced(place: Path) -> None:
    (place / "slowly").touch()
    for number in range(6):
        varied(place / "videos" / f"{number}.mp4", 100 + 100 * (number % 2))
    extract_videos([place / "videos"], place / "plain", OWN, processes=1, trust_python=True)
    (place / "workers").unlink()
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if not killed:
            killed.append(int((place / "workers").read_text()))
            os.kill(killed[0], signal.SIGKILL)

    extraction = extract_archive([place / "videos"], "features", CHOICE, THREE, on_progress=kill)
    assert killed
    assert (extraction.tally.done + extraction.tally.were_there, extraction.tally.failed) == (6, 0)
    assert sorted(told(extraction)) == [str(number) for number in range(6)]
    assert contents(place / "features") == contents(place / "plain")


def test_where_all_cores_are_taken_nobody_waits_for_a_decoder_for_ever(place: Path) -> None:
    ray: Any = pytest.importorskip("ray")
    video = varied(place / "a.mp4", 5)
    everything = ray.remote(num_cpus=CORES)(lambda: sleep(60)).remote()
    decoding = RayDecoding(Task(id="a", path=str(video)), patience=0.5)
    views = [View(48, 64)]
    try:
        while ray.available_resources().get("CPU"):
            sleep(0.05)
        assert decoding.open(25.0, views) is HERE
    finally:
        ray.cancel(everything, force=True)
    again = RayDecoding(Task(id="a", path=str(video)))
    assert again.open(25.0, views)[0]["declared"] == pytest.approx(0.2)
    assert len(again.more()[0]["frames"]) == 5
    assert again.more()[0] == {"end": pytest.approx(0.2), "damaged": 0}
    again.close()


def test_no_room_for_a_decoder_is_said_at_the_start(place: Path) -> None:
    varied(place / "videos" / "a.mp4", 5)
    config = ClusterConfig(workers=(CORES, CORES), decoders=1)
    with pytest.raises(ConfigError, match=rf"{2 * CORES} are needed\. Use fewer --workers or --threads, or"):
        extract_archive([place / "videos"], "features", CHOICE, config)
    assert not (place / "features").exists()
