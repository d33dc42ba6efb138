from __future__ import annotations

import json
from pathlib import Path
from statistics import mean, stdev

import pytest
import yaml
from command_line import refused, run

from synthetic import make_videos, write_experiment
from untrimmed.data.formats.activitynet import read_annotations

pytestmark = pytest.mark.usefixtures("one_thread")
SHORT = {"epochs": 1, "warmup_epochs": 0, "validate_every": 5, "patience": 1}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_experiment(tmp_path / "data", training=SHORT)


def test_split(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, make_videos({"train": 10}))
    made = tmp_path / "made.json"
    outcome = run("split", config.parent / "annotations.json", "--parts", "train=0.8,val=0.2", "--out", made)
    assert (outcome.code, outcome.err) == (0, "")
    annotations = read_annotations(made)
    assert annotations.subsets == {"train": 8, "val": 2}
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in outcome.out.splitlines() if "│" in line]
    assert [row[0] for row in rows] == ["jump", "run", "videos"]
    assert rows[-1] == ["videos", "8", "2"]
    words = ["split", made, "--folds", 5, "--seed", 3, "--group", "[0-9]$", "--out", made, "--force", "--json"]
    facts = json.loads(run(*words).out)
    assert facts.keys() == {f"fold{i}" for i in range(5)}
    assert sum(fold["videos"] for fold in facts.values()) == 10


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "say into what"),
        (["--folds", 2, "--parts", "a=1,b=1"], "say into what"),
        (["--parts", "a=1,a=2"], "'a=2' is not a new name and its size"),
        (["--parts", "a=1,b"], "'b' is not a new name and its size"),
        (["--parts", "a=1,b=nan"], "'b=nan' is not"),
        (["--parts", "a=1"], "there have to be two or more"),
        (["--folds", 99], "cannot be split into 99 parts"),
        (["--folds", 2, "--group", "("], "is no regular expression"),
    ],
)
def test_what_cannot_be_split(words: list[object], message: str, config: Path) -> None:
    place = config.parent / "annotations.json"
    assert message in refused("split", place, *words, "--out", config.parent / "out.json", code=2)
    assert not (config.parent / "out.json").exists()
    assert "is there already" in refused("split", place, "--folds", 2, "--out", place, code=2)


def test_cross_validation(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "folds"
    outcome = run("train", config, "--folds", 3, "--out", out, "--json")
    assert outcome.code == 0
    facts = json.loads(outcome.out)
    averages = [fold["average"] for fold in facts["folds"]]
    assert facts["mean"] == pytest.approx(mean(averages))
    assert facts["spread"] == pytest.approx(stdev(averages))
    folds = read_annotations(out / "annotations.json")
    assert len(folds) == 7  # those to train on and those to validate on
    for i, fold in enumerate(facts["folds"]):
        assert fold["videos"] == folds.subsets[f"fold{i}"]
        settings = yaml.safe_load((out / f"fold{i}" / "experiment.yaml").read_text())
        assert settings["data"]["validate"] == [f"fold{i}"]
        assert f"fold{i}" not in settings["data"]["train"]
        assert settings["training"]["patience"] is None
        score = json.loads(run("evaluate", out / f"fold{i}", "--json").out)
        assert score["average"] == pytest.approx(fold["average"])

    assert "go on with it by --resume" in refused("train", config, "--folds", 3, "--out", out, code=2)
    other = refused("train", config, "--folds", 2, "--out", out, "--resume", code=2)
    assert "holds other videos or folds" in other
    table = run("train", config, "--folds", 3, "--out", out, "--resume").out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "│" in line]
    assert [row[0] for row in rows] == ["fold0", "fold1", "fold2", "mean", "spread"]
    assert rows[3][-1] == f"{100 * mean(averages):.2f}"
    assert rows[4][-1] == f"{100 * stdev(averages):.2f}"


def test_folds_that_are_there_already(tmp_path: Path) -> None:
    videos = make_videos({"fold0": 2, "fold1": 3})
    data = {"train": ["fold0"], "validate": ["fold1"]}
    config = write_experiment(tmp_path / "data", videos, training=SHORT, data=data)
    outcome = run("train", config, "--folds", 2, "--out", tmp_path / "out", "--json")
    assert [fold["videos"] for fold in json.loads(outcome.out)["folds"]] == [2, 3]
    assert read_annotations(tmp_path / "out" / "annotations.json").videos == videos.videos


def test_options_that_do_not_go_together(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "--group has an effect with --folds" in refused("train", config, "--group", "x", "--out", out, code=2)
    assert "no cross-validation to resume" in refused("train", config, "--folds", 2, "--out", out, "--resume", code=2)
    assert "cannot be split into 99 parts" in refused("train", config, "--folds", 99, "--out", out, code=2)
    assert "two or more" in refused("train", config, "--folds", 1, "--out", out, code=2)
    assert not out.exists()
