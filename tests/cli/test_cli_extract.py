from __future__ import annotations

import io
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from command_line import files, refused, run
from rich.console import Console
from rich.progress import Progress, TextColumn

from extracting import OWN, Means, plain, varied, with_own_extractor
from untrimmed.cli.extract import ExtractionBar, extract
from untrimmed.data.features import open_features
from untrimmed.video.extraction.one_video import Outcome
from untrimmed.video.extraction.progress import Progress as Seconds
from untrimmed.video.extraction.videos import extract_videos

__all__ = ["with_own_extractor"]


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Let the command use an extractor in this process; what else it asks for is kept here."""
    asked: dict[str, object] = {}

    def here(paths: list[Path], out: Path, extractor: str, **options: object) -> object:
        asked.update(options, extractor=extractor)
        names = ("half", "shots", "allow_truncated", "on_progress")
        return extract_videos(paths, out, Means(), **{name: options[name] for name in names})  # type: ignore[arg-type]

    monkeypatch.setattr("untrimmed.cli.extract.extract_videos", here)
    return asked


def make_videos(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        varied(folder / name, 10 + number)
    return folder


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_own_extractor_and_deaths_in_processes(with_own_extractor: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_videos(Path("videos"), "a.mp4", "sub/b.mkv")
    plain(Path("videos/blue.mp4"), (0, 0, 255))
    plain(Path("videos/white.mp4"), (255, 255, 255), pictures=300)  # the largest is the first
    words = ["extract", "videos", "--out", "features", "--extractor", OWN, "--stride", "1", "--processes", "1"]
    outcome = run(*words, "--json")
    assert outcome.code == 1
    assert outcome.json["out"] == "features"
    description = open_features(Path("features")).description
    assert description is not None
    assert outcome.json["features"] == asdict(description)
    assert (description.extractor, description.stride, description.rate) == (OWN, 1, 25)
    videos = outcome.json["videos"]
    assert list(videos) == ["a", "b", "blue", "white"]
    assert videos["a"].keys() == {"path", "rows", "duration", "damaged", "cuts", "took", "error", "was_there"}
    assert videos["a"]["path"] == "videos/a.mp4"
    assert [videos[name]["rows"] for name in ("a", "b")] == [9, 10]
    assert videos["a"]["duration"] == pytest.approx(0.4, abs=0.002)
    assert videos["a"]["took"] > 0
    assert videos["blue"]["error"].startswith("LookupError: too blue (own_extractor.py, line ")
    assert videos["white"]["error"] == "its process was ended by SIGSEGV"
    assert sorted(path.name for path in Path("features").iterdir()) == ["a.npy", "b.npy", "features.json"]
    assert capfd.readouterr() == (
        "",
        "not an answer\nnot an answer\n",
    )  # printed by two processes, and not taken for one


def test_the_table_says_what_was_made_and_what_is_next(tmp_path: Path, in_this_process: object) -> None:
    videos, out = make_videos(tmp_path / "videos", "a.mp4", "b.mp4"), tmp_path / "features"
    words = ["extract", videos, "--out", out]
    first = run(*words)
    assert (first.code, first.err) == (0, "")
    line, following = first.out.splitlines()
    assert line.startswith(f"{out}: features of 2 videos were made, 21 rows of 3 dimensions; 0.8 s of video in ")
    assert following == (
        "Next: `untrimmed init` makes a configuration of your labels; "
        f"`untrimmed detect MODEL {out}` detects with a model that you have"
    )
    whole = files(out)
    again = run(*words)
    assert (again.code, again.out.splitlines()[0]) == (0, f"{out}: features of 2 videos were there already")
    (out / "b.npy").unlink()
    last = run(*words)
    assert last.out.startswith(f"{out}: features of 1 video were made, 11 rows of 3 dimensions; 0.4 s of video in ")
    assert "; those of 1 video were there already" in last.out.splitlines()[0]
    assert files(out) == whole
    planned = tmp_path / "untrimmed.yaml"
    planned.touch()
    assert run(*words).out.splitlines()[-1].startswith(f"Next: `untrimmed check {planned}`")


def test_cuts_of_videos_whose_features_are_there(tmp_path: Path, in_this_process: object) -> None:
    words = ["extract", make_videos(tmp_path / "videos", "a.mp4"), "--out", tmp_path / "features"]
    assert run(*words).code == 0
    outcome = run(*words, "--shots")
    assert outcome.code == 0, outcome.err
    first, second, _ = outcome.out.splitlines()
    assert first.endswith("features of 1 video were there already")
    assert second == f"When shots change is in {tmp_path / 'features' / 'shots'}, a CSV file for each video"
    assert (tmp_path / "features" / "shots" / "a.csv").exists()


def test_bad_videos_are_reported_at_the_end(tmp_path: Path, in_this_process: object) -> None:
    videos = make_videos(tmp_path, "a.mp4", "b.mp4")
    (videos / "empty.mp4").touch()
    (videos / "text[bold].mp4").write_text("not a video")
    outcome = run("extract", videos, "--out", tmp_path / "features")
    assert outcome.code == 1
    assert outcome.err == ""
    assert "2 videos were made" in outcome.out
    assert "Not extracted" in outcome.out
    rows = [line.split("│") for line in outcome.out.splitlines() if ".mp4 " in line]
    assert [row[1].strip() for row in rows] == [str(videos / "empty.mp4"), str(videos / "text[bold].mp4")]
    assert rows[0][2].strip().startswith("the file is empty")
    assert outcome.out.splitlines()[-1].startswith("Next: mend these files or leave them out, and run the same command")
    assert open_features(tmp_path / "features").ids() == ("a", "b")
    (videos / "b.mp4").unlink()
    assert run("extract", videos, "--out", tmp_path / "features").out.startswith(
        f"{tmp_path / 'features'}: features of 1 video were there already\n"
    )
    assert run("extract", videos / "empty.mp4", "--out", tmp_path / "new").out.startswith(
        f"{tmp_path / 'new'}: no features were made\n"
    )


def test_damage_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_this_process: object) -> None:
    def damaged(task: object, *_: object) -> Outcome:
        return Outcome(id="a", path="a.mp4", rows=1, duration=1.0, damaged=3)

    monkeypatch.setattr("untrimmed.video.extraction.videos.carry_out", damaged)
    outcome = run("extract", make_videos(tmp_path, "a.mp4"), "--out", tmp_path / "features")
    assert (outcome.code, outcome.err) == (0, "untrimmed: warning: a.mp4: 3 damaged packets were left out\n")


def test_every_option_is_passed_on(tmp_path: Path, in_this_process: dict[str, object]) -> None:
    videos, out = make_videos(tmp_path, "a.mp4"), tmp_path / "features"
    words = ["--extractor", "hf:x", "--stride", "3", "--window", "4", "--rate", "12.5", "--device", "cpu"]
    words += ["--precision", "bf16", "--processes", "3", "--half", "--allow-truncated"]
    assert run("extract", videos, "--out", out, *words).code == 0
    expected = {"extractor": "hf:x", "stride": 3, "window": 4, "rate": 12.5, "device": "cpu", "precision": "bf16"}
    expected |= {"processes": 3, "half": True, "shots": False, "allow_truncated": True, "trust_python": True}
    assert {name: in_this_process[name] for name in expected} == expected
    assert np.load(out / "a.npy").dtype == np.float16


def test_videos_named_twice_and_files_of_any_suffix(tmp_path: Path, in_this_process: object) -> None:
    make_videos(tmp_path, "a.mp4")
    (tmp_path / "a.mp4").rename(tmp_path / "a.recording")
    outcome = run("extract", *[tmp_path / "a.recording"] * 2, "--out", tmp_path / "features", "--json")
    assert (outcome.code, list(outcome.json["videos"])) == (0, ["a"])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["videos", "nothing.mp4", "--out", "new"], 1, "nothing.mp4: there is no such file or folder"),
        (["nothing", "--out", "new"], 1, "nothing: there is no such file or folder"),
        (
            ["videos", "other/a.avi", "--out", "new"],
            1,
            "videos/a.mp4 and other/a.avi would both be video 'a'",
        ),
        (["empty", "--out", "new"], 1, "empty: there are no videos in the folder"),
        (["videos/a.mp4", "--out", "new", "--processes", "0"], 2, "processes is 0, but has to be 1 or more"),
        (["videos/a.mp4", "--out", "videos/a.mp4"], 2, "videos/a.mp4: is a file, but a folder for the features is"),
        (["videos/a.mp4"], 2, "--out requires an argument"),
        (["--out", "new"], 2, "VIDEO requires an argument"),
        (["videos/a.mp4", "--out", "new", "--precision", "fp8"], 2, '"fp8"'),
    ],
)
def test_wrong_usage_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_videos(Path("videos"), "a.mp4")
    make_videos(Path("other"), "a.avi")
    Path("empty").mkdir()
    before = files(tmp_path)
    assert message in refused("extract", *words, code=code)
    assert files(tmp_path) == before
    assert not Path("new").exists()


def test_an_unknown_extractor_writes_nothing(tmp_path: Path) -> None:
    videos = make_videos(tmp_path, "a.mp4")
    line = refused("extract", videos, "--out", tmp_path / "new", "--extractor", "default-motions", code=2)
    assert line.startswith("there is no extractor 'default-motions'; did you mean default-motion?")
    assert not (tmp_path / "new").exists()


def test_another_making_is_refused(tmp_path: Path, in_this_process: object, monkeypatch: pytest.MonkeyPatch) -> None:
    videos, out = make_videos(tmp_path, "a.mp4"), tmp_path / "features"
    assert run("extract", videos, "--out", out).code == 0
    before = files(out)
    monkeypatch.setattr(Means, "fingerprint", "1")
    line = refused("extract", videos, "--out", out, code=2)
    assert line.startswith(f"{out / 'features.json'}: the features there were made in another way: fingerprint was '0'")
    assert files(out) == before


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_this_process: object) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    videos, out = make_videos(tmp_path, "a.mp4", "b.mp4"), tmp_path / "features"
    assert run("extract", videos / "a.mp4", "--out", out).code == 0
    before = files(out)
    monkeypatch.setattr("os.fsync", full)
    assert refused("extract", videos, "--out", out, code=1) == (
        f"{out / 'b.npy'}: cannot be written (No space left on device). "
        "Mend that and run the same again: what is finished is kept"
    )
    assert files(out) == before
    assert refused("extract", videos, "--out", tmp_path / "new", code=1).startswith(
        f"{tmp_path / 'new' / 'features.json'}: cannot be written (No space left on device)"
    )


def test_without_options_everything_is_the_librarys_choice(tmp_path: Path, in_this_process: dict[str, object]) -> None:
    videos = make_videos(tmp_path, "a.mp4")
    extract(videos / "a.mp4", out=tmp_path / "features")
    expected = {"extractor": "default", "stride": None, "window": None, "rate": None, "device": "auto"}
    expected |= {"precision": "auto", "processes": None, "half": False, "shots": False, "allow_truncated": False}
    assert {name: in_this_process[name] for name in expected} == expected


def test_the_bar_is_about_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Progress(TextColumn("{task.fields[note]}"), console=Console(file=io.StringIO(), force_terminal=True))
    monkeypatch.setattr("untrimmed.cli.extract.bar", lambda **_: shown)
    with ExtractionBar() as bar:
        (task,) = shown.tasks
        assert (task.completed, task.fields["note"]) == (0, "starting")
        for progress, completed, note in (
            (Seconds(0, 3, 0.0, None), 0, "0 of 3 videos, 0 s"),
            (Seconds(0, 3, 2.0, 8.0), 0.25, "0 of 3 videos, 2 of 8 s"),
            (Seconds(3, 3, 7200.0, 7200.0), 1, "3 of 3 videos, 7,200 of 7,200 s"),
            (Seconds(3, 3, 0.0, 0.0), 0, "3 of 3 videos, 0 of 0 s"),
        ):
            bar.update(progress)
            assert (task.completed, task.fields["note"]) == (completed, note)
