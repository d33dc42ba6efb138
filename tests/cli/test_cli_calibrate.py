from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import refused, run

from synthetic import experiment
from untrimmed.experiment.training import train

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learnt something."""
    place = tmp_path_factory.mktemp("calibrate")
    options = {"training.epochs": 13, "training.validate_every": 13, "training.optimiser.learning_rate": 1e-2}
    return train(experiment(place, options), place / "run").folder


def test_what_is_printed_and_written(folder: Path) -> None:
    outcome = run("calibrate", folder, "--tiou", "0.25")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{folder}: what counts, at tIoU 0.25, on the videos that it was chosen on\n")
    for part in ("jump", "run", "On videos left out, with these thresholds: precision ", "with 0.5 for all classes"):
        assert part in outcome.out
    assert "How many detections are right, by what is said of them" in outcome.out
    assert "Expected calibration error there" in outcome.out
    assert outcome.out.endswith(
        f"Written: {folder / 'confidence.yaml'}. `untrimmed detect --confident` shows what counts\n"
    )
    assert (folder / "confidence.yaml").is_file()


def test_detect_shows_what_counts(folder: Path) -> None:
    points = json.loads(run("calibrate", folder, "--tiou", "0.25", "--json").out)
    thresholds = {point["label"]: point["threshold"] for point in points["classes"]}
    features = folder.parent / "features"
    every = json.loads(run("detect", folder, features, "test0", "--min-score", "0", "--top", "1000", "--json").out)
    shown = json.loads(run("detect", folder, features, "test0", "--confident", "--top", "1000", "--json").out)
    expected = [(d["start"], d["label"]) for d in every["test0"] if d["score"] >= thresholds[d["label"]]]
    assert 0 < len(expected) < len(every["test0"])
    assert sorted((d["start"], d["label"]) for d in shown["test0"]) == sorted(expected)
    assert all(0 <= d["score"] <= 1 for d in shown["test0"])


def test_json(folder: Path) -> None:
    found = json.loads(run("calibrate", folder, "--wanted-precision", "0.6", "--tiou", "0.25", "--json").out)
    assert found["path"] == str(folder / "confidence.yaml")
    assert [point["label"] for point in found["classes"]] == ["jump", "run"]
    assert set(found["left_out"]) == {"chosen", "fixed", "scores", "probabilities"}
    bins = found["left_out"]["scores"]["bins"]
    assert all(each["low"] <= each["score"] <= each["high"] and 0 <= each["right"] <= 1 for each in bins)


def test_a_precision_out_of_range(folder: Path) -> None:
    before = (folder / "confidence.yaml").read_bytes() if (folder / "confidence.yaml").exists() else None
    line = refused("calibrate", folder, "--wanted-precision", "90", code=2)
    assert "the precision is 90.0, but has to be a number in (0, 1]" in line
    after = (folder / "confidence.yaml").read_bytes() if (folder / "confidence.yaml").exists() else None
    assert after == before


def test_confident_and_class_scores(folder: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.json"
    scores.write_text("{}")
    line = refused("detect", folder, folder.parent / "features", "--confident", "--class-scores", scores, code=2)
    assert "leave one out" in line


def test_a_model_that_was_not_calibrated(folder: Path) -> None:
    line = refused("detect", folder / "best", folder.parent / "features", "--confident", code=1)
    assert "has no confidence.yaml" in line
