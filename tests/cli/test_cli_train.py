from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from command_line import PROGRAM, files, refused, run

from synthetic import make_videos, write_experiment
from untrimmed.detection.localizer import Localizer

SHORT = {"epochs": 1, "warmup_epochs": 1, "validate_every": 1}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a small experiment of two epochs, beside its data."""
    return write_experiment(tmp_path / "data", training=SHORT)


def test_train(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    outcome = run("train", config, "--out", out)
    assert outcome.code == 0
    first, second = outcome.out.splitlines()
    assert first == f"Trained 2 epochs; the model is in {out}"
    assert second.startswith("Average mAP on the validation videos: ")
    assert f"in {out / 'best'})" in second
    assert [line.split("  ")[0] for line in outcome.err.splitlines()] == ["epoch 1/2", "epoch 2/2"]
    assert "best so far" in outcome.err.splitlines()[0]
    assert {path.name for path in out.iterdir()} >= {
        "best",
        "checkpoint.pt",
        "config.yaml",
        "experiment.yaml",
        "metrics.csv",
        "model.safetensors",
    }
    for folder in (out, out / "best"):
        assert Localizer.load(folder).labels == ("jump", "run")


def test_json(config: Path, tmp_path: Path) -> None:
    outcome = run("train", config, "--out", tmp_path / "run", "--json")
    assert outcome.code == 0
    assert outcome.json.keys() == {"folder", "epochs", "last", "best", "best_epoch"}
    assert outcome.json["epochs"] == 2
    assert outcome.json["folder"] == str(tmp_path / "run")


def test_settings_on_the_command_line(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["--model.width", "8", "--training.optimiser.learning-rate=1e-2", "--data.validate", "[]"]
    outcome = run(
        "train", config, *words, "--out", out, "--detection.max_detections", "7", "--model.window", "[3, 5, 3]"
    )
    assert outcome.code == 0
    assert outcome.out == f"Trained 2 epochs; the model is in {out}\n"
    experiment = yaml.safe_load((out / "experiment.yaml").read_text())
    assert experiment["model"]["width"] == 8
    assert experiment["model"]["window"] == [3, 5, 3]
    assert experiment["training"]["optimiser"]["learning_rate"] == 0.01
    localizer = Localizer.load(out)
    assert (localizer.model.config.width, localizer.detection.max_detections) == (8, 7)


def test_out_that_is_taken(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("train", config, "--out", out).code == 0
    before = files(tmp_path)
    line = refused("train", config, "--out", out, code=2)
    assert line == f"{out}: holds a run already; go on with it by --resume, or choose another --out"
    line = refused("train", config, "--out", out, "--resume", "--training.epochs", "5", code=2)
    assert line.startswith(f"{out / 'experiment.yaml'}: training.epochs was 1 when the run began, but is 5 now.")
    folder = tmp_path / "data" / "features"
    line = refused("train", config, "--out", folder, code=2)
    assert line == f"{folder}: is there already and holds something else; choose another --out"
    assert files(tmp_path) == before


def test_nothing_to_resume(config: Path, tmp_path: Path) -> None:
    line = refused("train", config, "--out", tmp_path / "run", "--resume", code=2)
    assert line == f"{tmp_path / 'run'}: there is no run to resume; leave --resume out to start one"
    assert not (tmp_path / "run").exists()


def test_resuming_what_is_finished_says_the_same_again(config: Path, tmp_path: Path) -> None:
    first = run("train", config, "--out", tmp_path / "run")
    again = run("train", config, "--out", tmp_path / "run", "--resume")
    assert (again.code, again.out) == (0, first.out)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_interrupted_and_gone_on(tmp_path: Path) -> None:
    settings = {"epochs": 15, "warmup_epochs": 0}
    config = write_experiment(tmp_path / "data", make_videos({"train": 2}), training=settings, data={"validate": []})
    out = tmp_path / "run"
    words = ["train", str(config), "--model.width", "8", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([PROGRAM, *words], stderr=subprocess.PIPE, text=True, env=environment) as process:
        while not (out / "checkpoint.pt").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    again = f"untrimmed train {config} --model.width 8 --out {out} --resume"
    assert error.strip().splitlines()[-1] == f"untrimmed: stopped, and saved in {out}. To go on: {again}"
    assert "Traceback" not in error

    epochs_before = len((out / "metrics.csv").read_text().splitlines()) - 1
    assert epochs_before < 15
    experiment = yaml.safe_load((out / "experiment.yaml").read_text())
    assert experiment["training"]["epochs"] == 15
    outcome = run(*again.split()[1:], "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["epochs"] == 15
    assert len((out / "metrics.csv").read_text().splitlines()) - 1 == 15
