"""Archives on a Ray cluster of this machine: one for all tests here, started by the code that users start it by."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import files, refused, run
from numpy.typing import NDArray

from clusters import MARKS, with_extractor
from extracting import plain, varied
from small_models import make
from untrimmed.archive.cluster import ClusterConfig, connected
from untrimmed.archive.description import DESCRIPTION, description_of
from untrimmed.archive.detection_job import DetectionJob
from untrimmed.archive.extraction import extract_archive
from untrimmed.archive.pipeline import count
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import VideoError
from untrimmed.processors import usable_cores
from untrimmed.video.extraction.progress import Progress
from untrimmed.video.extraction.videos import extract_videos
from untrimmed.video.extraction.workers import ExtractorChoice

pytestmark = MARKS

OWN = "python:archive_extractor:make"
EXTRACTOR = """
with open(HERE / "workers", "a") as file:
    print(os.getppid(), os.environ["OMP_NUM_THREADS"], file=file)
if (HERE / "slowly").exists():
    time.sleep(0.02)
if clips.mean() > 240:  # white
    os.kill(os.getpid(), signal.SIGSEGV)
"""
"""What it does besides."""
CHOICE = ExtractorChoice(name=OWN, trust_python=True)
ALL = ClusterConfig(workers=(usable_cores(), usable_cores()))
"""Workers that take every core that there is, from the beginning."""
WORDS = ("--ray", "local", "--workers", "1:2")
ONE = ("--ray", "local", "--workers", "1")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    pytest.importorskip("ray")
    with connected(ClusterConfig()):
        yield


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cluster: None) -> Path:
    return with_extractor(tmp_path, monkeypatch, "archive_extractor", EXTRACTOR)


def without_ray(videos: Path, out: Path) -> dict[Path, bytes]:
    extract_videos([videos], out, OWN, processes=1, trust_python=True)
    return relative(out)


def relative(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): content for path, content in files(folder).items()}


def lines(path: Path) -> dict[str, dict[str, object]]:
    told = [json.loads(line) for line in path.read_text().splitlines()]
    by_id = {each["id"]: each for each in told}
    assert len(by_id) == len(told)  # every video exactly once
    return by_id


def test_same_bytes_bad_videos_recorded_and_only_what_is_missing_made_again(place: Path) -> None:
    for number in range(5):
        varied(place / "videos" / "sub" / f"{number}.mp4", 8 + number)
    plain(place / "videos" / "white.mp4", (255, 255, 255))  # ends every process that looks at it
    (place / "videos" / "broken.mp4").write_bytes(b"no video")
    expected = without_ray(place / "videos", place / "plain")

    words = ["extract", "videos", "--out", "features", "--extractor", OWN, *WORDS, "--json"]
    first = run(*words)
    assert (first.code, first.err) == (1, "")
    assert {key: first.json[key] for key in ("done", "were_there", "failed", "rows")} == {
        "done": 5,
        "were_there": 0,
        "failed": 2,
        "rows": sum(7 + number for number in range(5)),
    }
    assert relative(place / "features") == expected
    told = lines(place / "features.outcomes.jsonl")
    assert told["white"]["error"] == "its process was ended by SIGSEGV"
    assert str(told["broken"]["error"]).startswith("is not a video that FFmpeg can read")
    assert told["3"]["rows"] == 10
    assert {line.split()[1] for line in (place / "workers").read_text().splitlines()} == {"1"}  # threads

    (place / "videos" / "white.mp4").unlink()
    varied(place / "videos" / "broken.mp4", 5)
    (place / "features" / "2.npy").unlink()
    before = {path: path.stat().st_mtime_ns for path in (place / "features").iterdir()}
    second = run(*words)
    assert second.code == 0
    assert (second.json["done"], second.json["were_there"]) == (2, 4)
    assert relative(place / "features").keys() == expected.keys() | {Path("broken.npy")}
    assert (place / "features" / "2.npy").read_bytes() == expected[Path("2.npy")]
    assert all(path.stat().st_mtime_ns == time for path, time in before.items() if path.stem != "2")
    assert {name for name, each in lines(place / "features.outcomes.jsonl").items() if each["was_there"]} == set("0134")


def test_manifests_name_videos_wherever_they_are(place: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (place / "lists").mkdir()
    for number, name in enumerate(("a/x.mp4", "b/x.mp4", "b/y.mp4")):
        varied(place / name, 6 + number)
    (place / "lists" / "some.csv").write_text(
        'number,path,id\n1,"../a/x.mp4",007\n2,../b/x.mp4,NA\n', encoding="utf-8-sig"
    )
    parquet.write_table(pa.table({"path": [str(place / "b/y.mp4")]}), place / "lists" / "more.parquet")
    manifests = [place / "lists" / "some.csv", place / "lists" / "more.parquet"]
    extract_videos(manifests, "plain", OWN, processes=1, trust_python=True)
    expected = relative(place / "plain")
    assert expected.keys() == {Path(name) for name in ("features.json", "007.npy", "NA.npy", "y.npy")}
    extraction = extract_archive(manifests, "features", CHOICE, ClusterConfig(workers=(1, 1)))
    assert extraction.tally.done == 3
    assert relative(place / "features") == expected


def test_a_worker_that_is_killed_is_replaced_and_every_video_is_there_once(place: Path) -> None:
    (place / "slowly").touch()
    for number in range(10):
        varied(place / "videos" / f"{number}.mp4", 9)
    expected = without_ray(place / "videos", place / "plain")
    (place / "workers").unlink()
    killed: list[int] = []

    def kill(progress: Progress) -> None:
        if progress.videos >= 2 and not killed:
            killed.append(int((place / "workers").read_text().splitlines()[-1].split()[0]))
            os.kill(killed[0], signal.SIGKILL)

    extraction = extract_archive([place / "videos"], "features", CHOICE, ALL, on_progress=kill)
    assert killed
    assert (extraction.tally.failed, extraction.tally.recordings) == (0, 10)
    assert relative(place / "features") == expected
    told = lines(extraction.outcomes)
    assert sorted(told) == [str(number) for number in range(10)]


def test_a_worker_that_cannot_go_on_says_why(place: Path) -> None:
    random_features(place / "features", 2)
    make().save("model")
    (place / "found" / "r001.csv").mkdir(parents=True)
    said = refused("detect", "model", "features", "--out", "found", "--format", "csv", *ONE, code=1)
    assert said.startswith(f"{place}/found/r001.csv: cannot be opened (Is a directory)")
    (place / "long.csv").write_text(f"path,id\na.mp4,a\nb.mp4,{'b' * 241}\n")
    said = refused("extract", "long.csv", "--out", "features", "--extractor", OWN, *ONE, code=1)
    assert "long.csv: row 2: the id 'bbb" in said
    assert "is longer than 240 bytes" in said


def test_two_files_of_one_id_and_wrong_rows_are_found_before_anything_is_done(place: Path) -> None:
    rows = "".join(f"v{i}.mp4\n" for i in range(20_000))
    (place / "long.csv").write_text(f"path\n{rows}")
    assert count([place / "long.csv"], "videos") == 20_000
    (place / "twice.csv").write_text(f"path\n{rows}sub/v19.mp4\n")
    with pytest.raises(VideoError, match=r"sub/v19\.mp4 would both be video 'v19'"):
        count([place / "twice.csv"], "videos")
    (place / "wrong.csv").write_text("path,id\na.mp4,a/b\n")
    outcome = run("extract", "wrong.csv", "--out", "features", "--extractor", OWN, *WORDS)
    assert (outcome.code, outcome.out) == (1, "")
    assert "wrong.csv: row 1: the id 'a/b' cannot be the name of a file" in outcome.err
    assert not (place / "features").exists()


def test_features_of_another_making_are_refused_and_left_alone(place: Path) -> None:
    varied(place / "videos" / "a.mp4", 5)
    (place / "features").mkdir()
    (place / "features" / "features.json").write_text('{"dimension": 7}')
    before = files(place / "features")
    outcome = run("extract", "videos", "--out", "features", "--extractor", OWN, *WORDS)
    assert outcome.code == 2
    assert "dimension was 7 and is 6 now" in outcome.err
    assert files(place / "features") == before
    outcome = run("extract", "videos", "--out", "features", "--extractor", "python:archive_extractor:none", *WORDS)
    assert outcome.code == 2
    assert "archive_extractor has no 'none'" in outcome.err


def random_features(folder: Path, count: int) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        array: NDArray[np.float32] = random.normal(size=(5 + 7 * number % 40, 6)).astype(np.float32)
        np.save(folder / f"r{number:03}.npy", array)
    return folder


def test_detecting_in_features_gives_the_files_that_it_gives_without_ray(place: Path) -> None:
    make().save("model")
    random_features(place / "features", 70)  # more than one window
    alone = run("detect", "model", "features", "--out", "plain", "--format", "csv", "--json")
    assert alone.code == 0
    expected = relative(place / "plain")
    # One run goes on with what another one has left: nothing of the second window, and a part of the first.
    (place / "found").mkdir()
    for name in list(expected)[:30]:
        (place / "found" / name).write_bytes(expected[name])
    np.save(place / "features" / "r070.npy", np.full((5, 6), np.nan, np.float32))
    words = ["detect", "model", "features", "--out", "found", "--format", "csv", *ONE, "--json"]
    assert "no .detections.json that says what made them" in refused(*words, code=2)
    job = DetectionJob(model="model", out="found", format="csv", kind="features")
    (place / "found" / DESCRIPTION).write_text(json.dumps(description_of(job, Localizer.load("model").fingerprint)))
    outcome = run(*words)
    assert (outcome.code, outcome.err) == (1, "")
    assert [outcome.json[key] for key in ("done", "were_there", "failed")] == [40, 30, 1]
    assert "NaN" in str(lines(place / "found.outcomes.jsonl")["r070"]["error"])
    found = relative(place / "found")
    assert found.pop(Path(".detections.json"))
    assert found == expected

    make(width=16).save("other")
    for without_ray in (words[2:], words[2:7]):
        assert "holds detections of another model" in refused("detect", "other", *without_ray, code=2)
    assert relative(place / "found") == found | {Path(DESCRIPTION): (place / "found" / DESCRIPTION).read_bytes()}


def test_detecting_in_videos_gives_the_files_that_it_gives_without_ray(place: Path) -> None:
    from untrimmed.data.inputs import InputConfig

    make(InputConfig(stride=1, window=2, rate=25)).save("model")
    for name in "abc":
        varied(place / "videos" / f"{name}.mp4", 30)
    (place / "videos" / "broken.mp4").write_bytes(b"no video")
    (place / "list.csv").write_text("path\n" + "".join(f"videos/{name}.mp4\n" for name in ("a", "b", "c", "broken")))
    words = ["detect", "model", "list.csv", "--extractor", OWN, "--format", "json"]
    assert run(*words, "--out", "plain").code == 1
    outcome = run(*words, "--out", "found", *ONE)
    assert outcome.code == 1
    assert "detections of 3 recordings were made" in outcome.out
    found = relative(place / "found")
    del found[Path(".detections.json")]
    assert found == relative(place / "plain")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["extract", "v", "--out", "f", "--workers", "2"], "--workers has an effect with --ray only"),
        (
            ["extract", "v", "--out", "f", "--ray", "local", "--workers", "x"],
            "--workers is 'x', but has to be",
        ),
        (["extract", "v", "--out", "f", "--ray", "local", "--workers", "3:2"], "workers is 3:2"),
        (["extract", "v", "--out", "f", "--ray", "local", "--processes", "2"], "with --ray, say --workers"),
        (["detect", "m", "v", "--ray", "local"], "say where, by --out FOLDER"),
        (
            ["detect", "m", "v", "--ray", "local", "--out", "f", "--render", "r"],
            "--render has an effect on one",
        ),
        (["detect", "m", "v", "--threads", "2"], "--threads has an effect with --ray only"),
        (["detect", "m", "v", "--decoders", "2"], "--decoders has an effect with --ray only"),
        (["detect", "m", "f.npy", "--ray", "local", "--decoders", "2"], "--decoders has an effect on videos only"),
        (["detect", "m", "f.npy", "--ray", "local", "--extractor", "e"], "--extractor has an effect on videos only"),
    ],
)
def test_options_without_effect_are_refused(words: list[str], message: str) -> None:
    assert message in refused(*words, code=2)
