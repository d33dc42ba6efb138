from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import files, refused, run

from making_videos import make_video
from synthetic import experiment, make_videos
from untrimmed.experiment.training import train


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a run, `run`."""
    folder = tmp_path_factory.mktemp("report")
    annotations = make_videos({"train": 4, "test": 4}, without=1)
    train(experiment(folder / "data", {"training.epochs": 3}, annotations=annotations), folder / "run")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder, which may be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "place"))


def data_of(path: Path) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_run(place: Path) -> None:
    before = files(place)
    outcome = run("report", place / "run")
    assert (outcome.code, outcome.err) == (0, "")
    page = place / "run" / "report.html"
    assert files(place).keys() - before.keys() == {page}
    lines = outcome.out.splitlines()
    assert re.fullmatch(r"Average mAP: \d+\.\d\d", lines[0])
    assert lines[-2] == "4 of 4 videos are shown in detail, 0 of them with a player"
    assert lines[-1] == f"The report is {page} ({page.stat().st_size / 1e6:.1f} MB)"
    data = data_of(page)
    assert data["labels"] == ["jump", "run"]
    assert {video["name"] for video in data["videos"]} == {f"test{i}" for i in range(4)}
    assert data["history"]["epochs"] == [1, 2, 3, 4]
    assert all(len(video["heat"]["columns"]) == 3 for video in data["videos"])
    html = page.read_text()
    assert "Evaluated on 4 videos of test" in html
    assert "were trained on" not in html


def test_it_says_the_same_as_evaluate(made: Path, tmp_path: Path) -> None:
    evaluated = run("evaluate", made / "run", "--json").json
    outcome = run("report", made / "run", "--out", tmp_path / "page.html", "--json")
    assert outcome.json == {
        "path": str(tmp_path / "page.html"),
        "bytes": (tmp_path / "page.html").stat().st_size,
        "videos": 4,
        "shown": 4,
        "players": 0,
        "average": evaluated["average"],
        "tious": evaluated["tious"],
        "by_tiou": evaluated["by_tiou"],
        "threshold": outcome.json["threshold"],
    }
    data = data_of(tmp_path / "page.html")
    assert data["meanAP"] == pytest.approx(evaluated["by_tiou"], abs=1e-5)


def test_videos(made: Path, tmp_path: Path) -> None:
    videos = tmp_path / "my videos"
    videos.mkdir()
    make_video(videos / "test0.mp4", 5)
    make_video(videos / "test1.avi", 5)
    make_video(videos / "test2.webm", 5)
    make_video(videos / "another.mp4", 5)
    page = tmp_path / "out" / "page.html"

    def media(*words: object) -> dict[str, str]:
        outcome = run("report", made / "run", "--videos", videos, "--out", page, *words)
        assert outcome.code == 0
        warned = (
            "untrimmed: warning: the page has no player for 1 of 3 video files. There is no player, because browsers"
        )
        assert outcome.err == "" if {"--transcode", "none"} & set(words) else outcome.err.startswith(warned)
        shown = {v["name"]: v["media"] for v in data_of(page)["videos"]}
        return {name: shown[name].get("address", shown[name]["kind"]) for name in sorted(shown)}

    link = {"test0": "../my%20videos/test0.mp4", "test1": "none", "test2": "../my%20videos/test2.webm", "test3": "none"}
    assert media() == {"test0": "embed", "test1": "none", "test2": "embed", "test3": "none"}
    assert media("--media", "link") == link
    copied = media("--media", "link", "--transcode")
    assert copied.pop("test1").startswith("page_videos/test1-")
    assert copied == {name: where for name, where in link.items() if name != "test1"}
    assert media("--transcode")["test1"] == "embed"
    assert set(media("--media", "none").values()) == {"none"}
    shutil.rmtree(page.parent)
    assert "2 of them with a player" in run("report", made / "run", "--videos", videos, "--out", page).out


def test_videos_of_something_else(made: Path, tmp_path: Path) -> None:
    make_video(tmp_path / "other.mp4", 5)
    line = refused("report", made / "run", "--videos", tmp_path, "--out", tmp_path / "page.html", code=1)
    assert line.startswith("--videos: none of the 1 files, such as 'other.mp4', is called as one of the 4 videos of ")


def test_few_videos_in_detail(made: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    outcome = run("report", made / "run", "--out", page, "--most-videos", "2")
    assert "2 of 4 videos are shown in detail" in outcome.out
    assert len(data_of(page)["videos"]) == 2
    assert "2 of 4: those with the most mistakes first." in page.read_text()
    assert run("report", made / "run", "--out", page, "--most-videos", "0").code == 0
    assert data_of(page)["videos"] == []


def test_other_data(made: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run("report", made / "run", "--out", page, "--subset", "test", "--subset", "train").code == 0
    html = page.read_text()
    assert "Evaluated on 8 videos of train, test" in html
    assert "4 of the 8 videos were trained on, so the numbers say little about new ones." in html
    annotations = json.loads((made / "data" / "annotations.json").read_text())
    annotations["database"] = {"test0": annotations["database"]["test0"] | {"annotations": []}}
    (tmp_path / "empty.json").write_text(json.dumps(annotations))
    outcome = run("report", made / "run", "--out", page, "--annotations", tmp_path / "empty.json", "--subset", "test")
    assert outcome.code == 0
    assert outcome.out.startswith("1 of 1 videos are shown in detail")
    assert "so there is no mAP" in page.read_text()


def test_the_best_weights(made: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert run("report", made / "run" / "best", "--out", page).code == 0
    assert "<title>run" in page.read_text()
    assert len(data_of(page)["history"]["epochs"]) == 4


def test_a_run_without_figures(place: Path) -> None:
    (place / "run" / "metrics.csv").unlink()
    assert run("report", place / "run").code == 0
    assert data_of(place / "run" / "report.html")["history"] == {"epochs": [], "columns": {}}


def test_a_run_without_validation(tmp_path: Path) -> None:
    """Then it shows all videos, as `evaluate` scores them, and says that they were trained on."""
    options = {"training.epochs": 1, "data.validate": []}
    train(experiment(tmp_path / "data", options, annotations=make_videos({"train": 3})), tmp_path / "run")
    assert run("report", tmp_path / "run").code == 0
    html = (tmp_path / "run" / "report.html").read_text()
    assert "All videos were trained on, so the numbers say little about new ones." in html


def test_a_model_folder_of_no_run(place: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for name in ("config.yaml", "model.safetensors"):
        shutil.copy(place / "run" / name, model)
    data = ["--annotations", place / "data" / "annotations.json", "--features", place / "data" / "features"]
    assert run("report", model, *data, "--subset", "test").code == 0
    assert data_of(model / "report.html")["history"]["epochs"] == []


def test_the_page_that_was_there_is_replaced_at_once(place: Path) -> None:
    page = place / "run" / "report.html"
    page.write_text("old")
    refused("report", place / "run", "--features", place / "nowhere", code=1)
    assert page.read_text() == "old"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--most-videos", "-1"], 2, "--most-videos is -1, but has to be 0 or more"),
        (["--transcode"], 2, "--transcode has no effect without --videos FOLDER"),
        (["--media", "embed"], 2, "--media has no effect without --videos FOLDER"),
        (["--videos", "/nowhere"], 1, "/nowhere: there is no such file or folder"),
        (["--subset", "tset"], 1, "Did you mean 'test'?"),
        (["--out", "{folder}"], 2, "is a folder; name the file to write"),
    ],
)
def test_wrong_usage(made: Path, tmp_path: Path, words: list[str], code: int, message: str) -> None:
    words = [word.format(folder=tmp_path) for word in words]
    out = [] if "--out" in words else ["--out", tmp_path / "page.html"]
    assert message in refused("report", made / "run", *out, *words, code=code)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_run(tmp_path: Path) -> None:
    assert "a model folder holds" in refused("report", tmp_path, code=1)


def test_help() -> None:
    outcome = run("report", "--help")
    assert outcome.code == 0
    assert "Example: untrimmed report runs/mine --videos videos/" in " ".join(outcome.out.split())
