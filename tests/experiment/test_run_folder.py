from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

from synthetic import experiment
from untrimmed.errors import ConfigError
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.experiment.run_folder import CHECKPOINT, EXPERIMENT, begin, flatten, is_run
from untrimmed.experiment.training import train

CONFIG = load_config("timed_up_and_go", {"data.annotations": "a.json"})


def changed(option: str, value: object) -> ExperimentConfig:
    return load_config("timed_up_and_go", {"data.annotations": "a.json", option: value})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Beginning


@pytest.mark.parametrize("there", [False, True])
def test_a_new_run(tmp_path: Path, there: bool) -> None:
    out = tmp_path / "runs" / "mine"
    if there:
        out.mkdir(parents=True)
    assert not is_run(out)
    assert begin(out, CONFIG, resume=False) is False
    assert is_run(out)
    assert list(contents(out)) == [EXPERIMENT]
    assert load_config(str(out / EXPERIMENT)).model == CONFIG.model


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    begin(tmp_path, CONFIG, resume=False)
    (tmp_path / CHECKPOINT).write_bytes(b"1")
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match="holds a run already; go on with it by --resume, or choose another --out"):
        begin(tmp_path, CONFIG, resume=False)
    assert contents(tmp_path) == before


def test_a_run_that_was_killed_before_its_first_checkpoint(tmp_path: Path) -> None:
    begin(tmp_path, CONFIG, resume=False)
    assert begin(tmp_path, CONFIG, resume=True) is False
    (tmp_path / CHECKPOINT).write_bytes(b"1")
    assert begin(tmp_path, CONFIG, resume=True) is True


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no run to resume; leave --resume out to start one"):
        begin(tmp_path / "none", CONFIG, resume=True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["thesis.tex", "config.yaml", "folder/file"])
def test_a_folder_with_something_else(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("important")
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match="is there already and holds something else; choose another --out"):
        begin(tmp_path, CONFIG, resume=False)
    assert contents(tmp_path) == before


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("important")
    with pytest.raises(ConfigError, match="out: is there already and holds something else"):
        begin(tmp_path / "out", CONFIG, resume=False)


def test_what_a_killed_process_leaves_is_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".0123456789abcdef.unfinished").write_text("description: ''")
    assert begin(tmp_path, CONFIG, resume=False) is False
    assert is_run(tmp_path)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("model.width", 64, "model.width was 128 when the run began, but is 64 now"),
        ("training.optimiser.learning_rate", 2e-3, "training.optimiser.learning_rate was 0.001 .*but is 0.002 now"),
        ("training.crop.ratio", None, r"training.crop.ratio was \[0.9, 1.0\] .*but is None now"),
        ("data.train", ["fold1"], r"data.train was \['fold1', .*but is \['fold1'\] now"),
        ("training.seed", 1, "training.seed was 0 .*but is 1 now"),
        ("detection.max_detections", 7, "detection.max_detections was 200 .*but is 7 now"),
    ],
)
def test_other_settings_are_not_resumed(tmp_path: Path, option: str, value: object, expected: str) -> None:
    begin(tmp_path, CONFIG, resume=False)
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=expected) as caught:
        begin(tmp_path, changed(option, value), resume=True)
    assert str(tmp_path / EXPERIMENT) in str(caught.value)
    assert "Resume with the same settings, or start another run" in str(caught.value)
    assert contents(tmp_path) == before


def test_other_data_are_not_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path / "run", CONFIG, resume=False)
    monkeypatch.chdir(tmp_path)  # where a.json is another file
    with pytest.raises(ConfigError, match=r"data.annotations was .*/a.json.* but is .*/a.json"):
        begin(tmp_path / "run", CONFIG, resume=True)


def test_settings_that_an_older_version_did_not_have_are_their_defaults(tmp_path: Path) -> None:
    begin(tmp_path, CONFIG, resume=False)
    text = (tmp_path / EXPERIMENT).read_text()
    assert "  ema_warmup: true\n" in text.replace("    ", "  ")
    lines = [line for line in text.splitlines() if "ema_warmup" not in line]
    (tmp_path / EXPERIMENT).write_text("\n".join(lines))
    assert begin(tmp_path, CONFIG, resume=True) is False
    with pytest.raises(ConfigError, match="ema_warmup was True when the run began, but is False now"):
        begin(tmp_path, changed("training.optimiser.ema_warmup", False), resume=True)


def test_flatten() -> None:
    values = {"a": 1, "b": {"c": [1, 2], "d": {"e": None}}, "f": {}}
    assert flatten(values) == {"a": 1, "b.c": [1, 2], "b.d.e": None}


# What is written


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of 4 epochs of 3 steps, validated after every second one."""
    folder = tmp_path_factory.mktemp("experiment")
    return train(experiment(folder), folder / "run").folder


def test_all_that_is_there(run: Path) -> None:
    files = sorted(name for name in contents(run) if not name.startswith("tensorboard/"))
    model = ["config.yaml", "model.safetensors"]
    own = [CHECKPOINT, "checkpoint-before.pt", EXPERIMENT, "metrics.csv"]
    assert files == sorted([*model, *(f"best/{name}" for name in model), *own])


def test_figures_of_each_epoch(run: Path) -> None:
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch",
        "step",
        "loss",
        "classification_loss",
        "regression_loss",
        "learning_rate",
        "seconds",
        "mAP",
    ]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["step"] for row in rows] == ["3", "6", "9", "12"]
    assert [bool(row["mAP"]) for row in rows] == [False, True, False, True]
    history = torch.load(run / CHECKPOINT, weights_only=True)["progress"]["history"]
    assert [float(row["loss"]) for row in rows] == pytest.approx([row["loss"] for row in history], rel=1e-7)


def events(run: Path) -> list[Event]:
    """Read TensorBoard's files: records of length (8 bytes), its checksum (4), content, checksum (4)."""
    found = []
    for path in sorted((run / "tensorboard").iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            size = int.from_bytes(content[at : at + 8], "little")
            found.append(Event.FromString(content[at + 12 : at + 12 + size]))
            at += size + 16
    return found


def test_tensorboard(run: Path) -> None:
    values = {(value.tag, event.step): value.simple_value for event in events(run) for value in event.summary.value}
    tags = {"loss", "classification_loss", "regression_loss", "learning_rate", "seconds"}
    assert set(values) == {(tag, step) for tag in tags for step in (3, 6, 9, 12)} | {("mAP", 6), ("mAP", 12)}
    with (run / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            assert values["loss", int(row["step"])] == pytest.approx(float(row["loss"]), rel=1e-6)
