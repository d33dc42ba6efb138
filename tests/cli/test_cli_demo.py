from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from command_line import refused, run

from untrimmed.cli.demo import RECIPE, RECIPE_EPOCHS
from untrimmed.detection.localizer import Localizer
from untrimmed.experiment.config import load_config

FIGURES = ("--clips", "4", "--epochs", "1")
PEOPLE = ("--data", "timed_up_and_go", "--epochs", "1")


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "moving figures"


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "the people"


def test_moving_figures(figures: Path) -> None:
    outcome = run("demo", "--out", figures, *FIGURES)
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert [line[:3] for line in lines[:6]] == [f"{n}/6" for n in range(1, 7)]
    assert "4 clips drawn" in lines[0]
    assert lines[5].endswith(str(figures / "report.html"))
    assert "Clips that the model has never seen: average precision by tIoU, %" in outcome.out
    assert "│ mAP " in outcome.out
    assert "Detected in clip003" in outcome.out
    assert "What happens in clip003" in outcome.out
    assert f"Open {figures / 'report.html'} in a browser" in lines[-2]
    command = shlex.split(lines[-1].split("`")[1])
    assert command[:2] == ["untrimmed", "detect"]
    assert all(Path(word).exists() for word in command[2:4])
    reference = Localizer.load(figures / "run").extractor
    assert reference is not None
    assert reference.name == "default"


def test_again_it_only_shows(figures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it is the same demo, whatever way its folder is named."""
    first = run("demo", "--out", figures, *FIGURES)
    monkeypatch.chdir(figures)
    again = run("demo", "--out", ".", *FIGURES)
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines()[6:-2] == first.out.splitlines()[6:-2]
    assert again.out.splitlines()[-1].startswith("Next: `untrimmed detect run clips/clip003.mp4 --render seen.mp4`")


def test_another_demo_in_its_place(figures: Path) -> None:
    line = refused("demo", "--out", figures, "--clips", "5", code=2)
    assert "is of another demo, with 4 clips where this one has 5" in line


def test_timed_up_and_go(people: Path) -> None:
    outcome = run("demo", "--out", people, *PEOPLE)
    assert outcome.code == 0
    assert "People that the model has never seen: average precision by tIoU, %" in outcome.out
    assert "│ mAP " in outcome.out
    assert "Detected in " in outcome.out
    assert "What a person had marked in " in outcome.out
    assert outcome.out.splitlines()[-1].startswith(
        f"The model is in {people}. Next: `untrimmed detect '{people}' RECORDING.npy`"
    )
    assert outcome.err.splitlines()[-1].startswith("epoch 1/1")
    assert Localizer.load(people).labels == ("standing_up", "walking", "turning", "sitting_down")


def test_timed_up_and_go_again(people: Path) -> None:
    first, again = (run("demo", "--out", people, *PEOPLE) for _ in range(2))
    assert (again.code, again.out, again.err) == (0, first.out, "")


def test_other_settings(people: Path) -> None:
    line = refused("demo", "--out", people, *PEOPLE[:-1], "2", code=2)
    assert "training.epochs was 1 when the run began, but is 2 now" in line


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--epochs", "0"], "epochs is 0"),
        (["--clips", "3"], "clips is 3, but has to be 4 or more"),
        (["--extractor", "best"], "best"),
        (["--data", "timed_up_and_go", "--epochs", "0"], "training.epochs is 0, but has to be a whole number above 0"),
        (["--data", "timed_up_and_go", "--clips", "8"], "--clips is of no use for --data timed_up_and_go"),
        (["--data", "timed_up_and_go", "--extractor", "default"], "--extractor is of no use"),
    ],
)
def test_what_makes_no_sense(tmp_path: Path, options: list[str], fault: str) -> None:
    assert fault in refused("demo", "--out", tmp_path / "run", *options, code=2)
    assert not list(tmp_path.iterdir())


def test_as_many_epochs_as_the_recipe_has() -> None:
    training = load_config(RECIPE).training
    assert (training.total_epochs, training.warmup_epochs) == (RECIPE_EPOCHS, RECIPE_EPOCHS // 6)
