from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from command_line import refused, run

from untrimmed.cli.demo import RECIPE, demo
from untrimmed.detection.localizer import Localizer
from untrimmed.experiment.config import load_config


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "run"


def test_demo(out: Path) -> None:
    outcome = run("demo", "--out", out, "--epochs", "1")
    assert outcome.code == 0
    assert "People that the model has never seen: average precision by tIoU, %" in outcome.out
    assert "│ mAP " in outcome.out
    assert "Detected in " in outcome.out
    assert "What a person had marked in " in outcome.out
    assert outcome.out.splitlines()[-1].startswith(
        f"The model is in {out}. Next: `untrimmed detect {out} RECORDING.npy`"
    )
    assert outcome.err.splitlines()[-1].startswith("epoch 1/1")
    assert Localizer.load(out).labels == ("standing_up", "walking", "turning", "sitting_down")


def test_again_it_only_shows(out: Path) -> None:
    first, again = (run("demo", "--out", out, "--epochs", "1") for _ in range(2))
    assert (again.code, again.out, again.err) == (0, first.out, "")


def test_other_settings(out: Path) -> None:
    line = refused("demo", "--out", out, "--epochs", "2", code=2)
    assert "training.epochs was 1 when the run began, but is 2 now" in line


def test_no_epochs(tmp_path: Path) -> None:
    line = refused("demo", "--out", tmp_path / "run", "--epochs", "0", code=2)
    assert "training.epochs is 0, but has to be a whole number above 0" in line
    assert not (tmp_path / "run").exists()


def test_as_many_epochs_as_the_recipe_has() -> None:
    epochs = inspect.signature(demo).parameters["epochs"].default
    training = load_config(RECIPE).training
    assert (epochs, epochs // 6) == (training.total_epochs, training.warmup_epochs)
