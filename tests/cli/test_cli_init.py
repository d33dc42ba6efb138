from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_line import files, refused, run

from extracting import OWN, with_own_extractor
from making_videos import make_video
from untrimmed.data.annotations import Instance
from untrimmed.data.features import FeatureDescription
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.experiment.config import load_config

__all__ = ["with_own_extractor"]

ROWS = [f"{name},{start},{start + 0.6:.2f},{label}" for name in "abcde" for start, label in [(0.1, "jump"), (1, "run")]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with six videos of 2 s, one of them below."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "sub").mkdir()
    for name in ("a.mp4", "b.mkv", "c.avi", "d.mp4", "sub/e.mp4", "new.mp4"):
        make_video(folder / name, 20, rate=10)
    return folder


@pytest.fixture
def place(made: Path, with_own_extractor: Path) -> Path:
    """The working directory, with `videos`, and `labels.csv` of all but one."""
    shutil.copytree(made, with_own_extractor / "videos")
    write_labels(ROWS)
    return with_own_extractor


def write_labels(rows: Sequence[str], path: str = "labels.csv") -> None:
    Path(path).write_text("\n".join(["video,start,end,label", *rows]), encoding="utf-8")


def test_a_folder_of_videos(place: Path) -> None:
    outcome = run("init", "videos", "--extractor", OWN)
    assert outcome.code == 0
    title, _, columns, _, *rows = outcome.out.splitlines()
    assert title == "labels.csv: videos to train on 4 (0:08), to validate on 1 (0:02)"
    assert [cell.strip() for cell in columns.strip("┃").split("┃")] == [
        *("class", "train: videos", "actions", "validate: videos", "actions")
    ]
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in rows if row.startswith("│")]
    assert cells == [["jump", "4", "4", "1", "1"], ["run", "4", "4", "1", "1"], ["all", "4", "8", "1", "2"]]
    assert rows[-6:] == [
        "Wrote untrimmed.yaml and annotations.json. Next:",
        f"  untrimmed extract videos --out features --extractor {OWN}",
        "  untrimmed check untrimmed.yaml",
        "  untrimmed train untrimmed.yaml --out runs/mine",
        f"  untrimmed detect runs/mine videos/new.mp4 --extractor {OWN}",
        "  untrimmed report runs/mine --videos videos",
    ]
    left_out, few = [line for line in outcome.err.splitlines() if line.startswith("untrimmed: warning: ")]
    assert left_out.startswith("untrimmed: warning: 1 video without a row in labels.csv, not used: new. If they have")
    assert few.startswith("untrimmed: warning: few examples to learn from: 'jump' 4, 'run' 4. ")

    annotations = read_annotations("annotations.json")
    assert annotations.labels == ("jump", "run")
    assert annotations["e"].instances == (Instance(0.1, 0.7, "jump"), Instance(1, 1.6, "run"))
    config = load_config("untrimmed.yaml")
    assert config.data.annotations == Path("annotations.json")
    assert config.data.features == Path("features")


def test_json(place: Path) -> None:
    outcome = run("init", "videos", "--extractor", OWN, "--json")
    assert outcome.code == 0
    found = outcome.json
    assert found["config"] == "untrimmed.yaml"
    assert found["annotations"] == "annotations.json"
    assert found["labels"] == "labels.csv"
    assert sorted(found["videos"]["train"] + found["videos"]["val"]) == list("abcde")
    assert found["seconds"] == {"train": 8.0, "val": 2.0}
    assert found["instances"] == {"jump": {"train": 4, "val": 1}, "run": {"train": 4, "val": 1}}
    assert found["unlisted"] == ["new"]
    assert len(found["warnings"]) == 2
    assert list(found["next"]) == ["extract", "check", "train", "detect", "report"]


def test_the_default_extractor(place: Path) -> None:
    outcome = run("init", "videos", "--json")
    assert outcome.json["next"]["extract"] == "untrimmed extract videos --out features"
    assert outcome.json["next"]["detect"] == "untrimmed detect runs/mine videos/new.mp4"
    assert "every 0.2 s" in Path("untrimmed.yaml").read_text(encoding="utf-8")


def test_unlisted_videos_may_have_no_actions(place: Path) -> None:
    outcome = run("init", "videos", "--extractor", OWN, "--unlisted-are-empty")
    assert "not used" not in outcome.err
    assert "│ (no actions) │" in outcome.out
    assert "to train on 5 (0:10), to validate on 1 (0:02)" in outcome.out
    assert read_annotations("annotations.json")["new"].instances == ()


def test_where_one_stands_is_the_folder(made: Path, with_own_extractor: Path) -> None:
    shutil.copytree(made, with_own_extractor, dirs_exist_ok=True)
    write_labels(ROWS)
    outcome = run("init", "--extractor", OWN, "--json")
    assert outcome.code == 0
    assert outcome.json["next"]["extract"] == f"untrimmed extract . --out features --extractor {OWN}"
    assert outcome.json["next"]["detect"] == f"untrimmed detect runs/mine new.mp4 --extractor {OWN}"


def test_printed_commands_can_be_pasted(place: Path) -> None:
    """Also where paths have blanks, quotes, and a dash in front."""
    shutil.move("videos", "-my 'best' videos")
    outcome = run("init", "./-my 'best' videos", "--out=-x/place here/y.yml", "--extractor", OWN, "--json")
    assert outcome.code == 0
    commands = {name: shlex.split(command) for name, command in outcome.json["next"].items()}
    folder = Path("-x/place here")
    for name in ("extract", "check"):
        assert run(*commands[name][1:]).code == 0
    assert FeatureDescription.of_folder(folder / "features") is not None
    assert load_config(f"./{folder}/y.yml").data.features == folder / "features"
    assert commands["train"] == ["untrimmed", "train", "./-x/place here/y.yml", "--out", "./-x/place here/runs/mine"]
    assert commands["report"][2:] == ["./-x/place here/runs/mine", "--videos", "./-my 'best' videos"]
    assert commands["detect"][2:4] == ["./-x/place here/runs/mine", "./-my 'best' videos/new.mp4"]


def test_nothing_is_overwritten(place: Path) -> None:
    assert run("init", "videos", "--extractor", OWN).code == 0
    before = files(place)
    expected = "untrimmed.yaml: is there already; choose another --out, or replace it by --force"
    assert refused("init", "videos", "--extractor", OWN, code=2) == expected
    Path("untrimmed.yaml").unlink()
    assert refused("init", "videos", code=2).startswith("annotations.json: is there already; ")
    assert not Path("untrimmed.yaml").exists()
    write_labels(ROWS[:4])
    assert run("init", "videos", "--extractor", OWN, "--force").code == 0
    assert list(read_annotations("annotations.json").videos) == ["a", "b"]
    write_labels(ROWS)
    assert run("init", "videos", "--extractor", OWN, "--force").code == 0
    assert files(place) == before


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["missing"], 2, "missing: there is no such folder; name the folder that the videos are in"),
        (["labels.csv"], 2, "labels.csv: is a file; name the folder that the videos are in"),
        (["videos", "--out", "x.json"], 2, "--out x.json: a configuration is a .yaml file, as in --out untrimmed.yaml"),
        (["videos", "--labels", "none.csv"], 1, "none.csv: there is no such file"),
        (["empty"], 1, "empty: there are no videos in the folder"),
        (["videos", "--extractor", "defalt"], 2, "there is no extractor 'defalt'; did you mean default?"),
        (["videos", "--extractor", OWN, "--window", "3"], 2, f"extractor '{OWN}': the function takes no window."),
    ],
)
def test_wrong_usage(place: Path, words: list[str], code: int, message: str) -> None:
    Path("empty").mkdir()
    before = files(place)
    assert message in refused("init", *words, code=code)
    assert {path: content for path, content in files(place).items() if "__pycache__" not in path.parts} == before


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "D.mp4,1,2,x",
            "labels.csv: row 12, column 'video': there is no video 'D.mp4' in videos; did you mean 'd.mp4'",
        ),
        ("a,1,9,jump", "labels.csv: row 12, column 'end': 9 s lies behind the end of 'a', which lasts 0:02 (2.00 s)"),
        ("a,1,x,jump", "labels.csv: row 12, column 'end': 'x' is no time; it has to be in seconds, or mm:ss, or"),
        ("a,,,", "labels.csv: row 12: says that 'a' has no actions, but row 2 has one; remove a row"),
    ],
)
def test_wrong_rows(place: Path, row: str, message: str) -> None:
    write_labels([*ROWS, row])
    before = files(place)
    assert refused("init", "videos", code=1).startswith(message)
    assert files(place) == before


def test_damaged_video(place: Path) -> None:
    path = place / "videos" / "c.avi"
    path.write_bytes(path.read_bytes()[:100])
    assert "c.avi: " in refused("init", "videos", code=1)


def test_features_that_are_there_have_to_be_those_that_are_planned_for(place: Path) -> None:
    first = run("init", "videos", "--extractor", OWN, "--json")
    assert run(*shlex.split(first.json["next"]["extract"])[1:]).code == 0
    assert run("init", "videos", "--extractor", OWN, "--force").code == 0
    before = files(place)
    outcome = run("init", "videos", "--extractor", OWN, "--stride", "1", "--force")
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1] == (
        "untrimmed: features: holds features with stride 2, but the configuration would be for 1. Give the options "
        "that they were extracted with (--extractor, --stride, --window, --rate), or a new place, as in "
        "--out finer/untrimmed.yaml"
    )
    assert files(place) == before
    assert run("init", "videos", "--extractor", OWN, "--stride", "1", "--out", "finer/untrimmed.yaml").code == 0
    assert load_config("finer/untrimmed.yaml").data.features == Path("finer/features")


def test_actions_too_short_for_the_features(place: Path) -> None:
    write_labels([f"{name},{i / 10},{i / 10 + 0.1:.2f},jump" for name in "abcd" for i in range(0, 15, 3)])
    outcome = run("init", "videos", "--extractor", OWN)
    assert outcome.code == 0
    (warning,) = [line for line in outcome.err.splitlines() if "shorter" in line]
    assert warning.startswith("untrimmed: warning: 15 of 15 actions are shorter than two clips, 0.16 s ('jump')")
    assert warning.endswith("Finer features suit them: --stride 1")


def test_names_are_printed_as_they_are(place: Path) -> None:
    odd = "[red]jump[/red] :smile: größer"
    write_labels([row.replace("jump", odd) for row in ROWS])
    assert f"│ {odd} │" in run("init", "videos", "--extractor", OWN).out
    assert json.loads(Path("annotations.json").read_text(encoding="utf-8"))["labels"] == [odd, "run"]


def test_a_folder_in_the_place_of_a_file(place: Path) -> None:
    Path("annotations.json").mkdir()
    for options in ([], ["--force"]):
        line = refused("init", "videos", "--extractor", OWN, *options, code=2)
        assert line.startswith("annotations.json: is a folder, in the place of a file that is to be written; ")
    assert refused("init", "videos", "--out", "labels.csv/x.yaml", code=2) == (
        "--out labels.csv/x.yaml: labels.csv is a file, not a folder"
    )


def test_a_disk_that_is_full_leaves_nothing_new(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(path: Path, content: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    before = files(place)
    with monkeypatch.context() as full:
        full.setattr("untrimmed.cli.init.write_atomically", fails)
        assert refused("init", "videos", code=1).endswith("untrimmed.yaml: No space left on device")
        assert files(place) == before
    assert run("init", "videos").code == 0


def test_commands_in_the_configuration_can_be_pasted(place: Path) -> None:
    """However long the names are, they stand in one line."""
    long = Path("a  b " * 30)
    shutil.move("videos", long)
    outcome = run("init", long, "--extractor", OWN, "--json")
    lines = Path("untrimmed.yaml").read_text(encoding="utf-8").splitlines()
    assert [line.removeprefix("#   ") for line in lines if line.startswith("#   ")] == list(
        outcome.json["next"].values()
    )


def test_subsets_changed_by_hand_are_kept(place: Path) -> None:
    """Those of one person, for example, belong together; the table may be corrected all the same."""
    assert run("init", "videos", "--extractor", OWN).code == 0
    content = json.loads(Path("annotations.json").read_text(encoding="utf-8"))
    chosen = {"a": "val", "b": "train", "c": "train", "d": "train", "e": "val"}
    for id_, subset in chosen.items():
        content["database"][id_]["subset"] = subset
    Path("annotations.json").write_text(json.dumps(content), encoding="utf-8")
    write_labels([*ROWS, "c,0.5,0.9,jump"])
    outcome = run("init", "videos", "--extractor", OWN, "--force")
    assert "another subset" not in outcome.err
    assert {video.id: video.subset for video in read_annotations("annotations.json")} == chosen
    assert len(read_annotations("annotations.json")["c"].instances) == 3
    Path("annotations.json").write_text("damaged", encoding="utf-8")
    assert run("init", "videos", "--extractor", OWN, "--force").code == 0
