from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from synthetic import DIMENSION, LABELS, experiment, make_videos, write_experiment
from untrimmed.data import dataset
from untrimmed.data.formats.activitynet import read_annotations, write_annotations
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import AnnotationError, ConfigError, FeatureError, ModelError, UntrimmedError
from untrimmed.experiment import run_folder
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.experiment.run_folder import CHECKPOINT
from untrimmed.experiment.training import Trained, train
from untrimmed.learning.trainer import Interrupted, Trainer
from untrimmed.model.checkpoint import checkpoint_before, load_checkpoint, save_checkpoint

pytestmark = pytest.mark.usefixtures("one_thread")


class Spy:
    """A watcher that keeps the averaged weights of each epoch, and calls functions after a step or an epoch."""

    def __init__(
        self,
        at_step: Mapping[int, Callable[[], None]] | None = None,
        at_epoch: Mapping[int, Callable[[], None]] | None = None,
    ) -> None:
        self.at_step, self.at_epoch = at_step or {}, at_epoch or {}
        self.weights: dict[int, dict[str, Tensor]] = {}
        self.interruptions = 0

    def on_step(self, trainer: Trainer) -> None:
        self.at_step.get(trainer.progress.step, lambda: None)()

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float], *, best: bool) -> None:
        with trainer.averaged():
            self.weights[trainer.progress.epoch] = {k: v.clone() for k, v in trainer.model.state_dict().items()}
        self.at_epoch.get(trainer.progress.epoch, lambda: None)()

    def on_interrupt(self, trainer: Trainer) -> None:
        self.interruptions += 1


class KilledError(Exception):
    """Stands in for a process that dies: nothing of ours catches it, and nothing is saved because of it."""


def die() -> None:
    raise KilledError


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def figures(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_seconds(inner) for key, inner in value.items() if key != "seconds"}
    if isinstance(value, list):
        return [without_seconds(inner) for inner in value]
    return value.tolist() if isinstance(value, Tensor) else value


def assert_same_run(a: Path, b: Path) -> None:
    """Bit for bit the same: weights, best weights, all of the state, all figures but the seconds."""
    for name in ("model.safetensors", "best/model.safetensors", "config.yaml", "best/config.yaml"):
        assert (a / name).read_bytes() == (b / name).read_bytes(), name
    states = [without_seconds(load_checkpoint(run / CHECKPOINT)) for run in (a, b)]
    assert states[0] == states[1]
    assert figures(a) == figures(b)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# A run


def test_a_run_ends_in_localizers(tmp_path: Path) -> None:
    spy = Spy()
    config = experiment(tmp_path)
    trained = train(config, tmp_path / "runs" / "a", watchers=[spy])
    assert trained.folder == tmp_path / "runs" / "a"
    assert trained.epochs == 4
    scores = {int(row["epoch"]): float(row["mAP"]) for row in figures(trained.folder) if row["mAP"]}
    assert list(scores) == [2, 4]
    assert trained.last == pytest.approx(scores[4])
    assert trained.best == pytest.approx(max(scores.values()))
    assert trained.best_epoch == max(scores, key=lambda epoch: scores[epoch])
    for folder in (trained.folder, trained.folder / "best"):
        localizer = Localizer.load(folder)
        assert localizer.labels == LABELS
        assert (localizer.inputs.stride, localizer.inputs.window, localizer.inputs.rate) == (4, 4, 4)  # features.json
        assert localizer.detection == config.detection
        assert localizer.detect(tmp_path / "features" / "test0.npy").video_id == "test0"


def test_what_is_saved_is_the_average_and_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.1, 0.4, 0.3, 0.2])

    class Score:
        def __init__(self) -> None:
            self.average = next(scores)

    monkeypatch.setattr("untrimmed.experiment.training.mean_average_precision", lambda *_: Score())
    spy = Spy()
    config = load_config(str(write_experiment(tmp_path)), {"training.validate_every": 1})
    trained = train(config, tmp_path / "run", watchers=[spy])
    assert trained == Trained(tmp_path / "run", 4, 0.2, 0.4, 2)
    for folder, epoch in ((trained.folder, 4), (trained.folder / "best", 2)):
        saved = load_file(folder / "model.safetensors")
        assert saved.keys() == spy.weights[epoch].keys()
        assert all(torch.equal(saved[name], tensor) for name, tensor in spy.weights[epoch].items())
    own = load_checkpoint(trained.folder / CHECKPOINT)["model"]
    assert not all(torch.equal(own[name], tensor) for name, tensor in spy.weights[4].items())


def test_without_validation(tmp_path: Path) -> None:
    trained = train(experiment(tmp_path, {"data.validate": []}), tmp_path / "run")
    assert trained == Trained(tmp_path / "run", 4, None, None, 0)
    assert not (trained.folder / "best").exists()
    assert Localizer.load(trained.folder).labels == LABELS


def test_patience(tmp_path: Path) -> None:
    options = {"training.patience": 1, "training.validate_every": 1, "training.optimiser.learning_rate": 1e-30}
    trained = train(experiment(tmp_path, options), tmp_path / "run")
    assert (trained.epochs, trained.best_epoch) == (2, 1)


def test_too_many_features_for_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = experiment(tmp_path)
    train(config, tmp_path / "held")
    monkeypatch.setattr(dataset, "IN_MEMORY", 0)
    train(config, tmp_path / "read")
    assert_same_run(tmp_path / "held", tmp_path / "read")


def test_raw_signals(tmp_path: Path) -> None:
    inputs = {"kind": "signals", "stride": 2, "window": 4, "rate": 1, "channels": [0, 1, 5]}
    path = write_experiment(tmp_path)
    (tmp_path / "features" / "features.json").unlink()
    trained = train(load_config(str(path), {"data.inputs": inputs}), tmp_path / "run")
    assert Localizer.load(trained.folder).model.config.input_dims == 12


def test_streams(tmp_path: Path) -> None:
    path = write_experiment(tmp_path)
    shutil.copytree(tmp_path / "features", tmp_path / "flow")
    streams = {"data.features": [str(tmp_path / "features"), str(tmp_path / "flow")], "training.epochs": 1}
    joined = train(load_config(str(path), streams), tmp_path / "joined")
    assert Localizer.load(joined.folder).model.config.input_dims == 2 * DIMENSION
    widths = {"model.input_dims": [DIMENSION, DIMENSION], "model.stream_widths": [6, 10]}
    apart = train(load_config(str(path), streams | widths), tmp_path / "apart")
    assert Localizer.load(apart.folder).model.config.input_dims == (DIMENSION, DIMENSION)


# Bad input: one clear error, and nothing is written


def rewrite(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "features" / f"{name}.npy"
        np.save(path, change(np.load(path)))

    return apply


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut_short(folder: Path) -> None:
    path = folder / "features" / "train1.npy"
    path.write_bytes(path.read_bytes()[:-50])


def with_nan(array: np.ndarray) -> np.ndarray:
    array[7, 1] = np.nan
    return array


def annotated(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "annotations.json"
        content = json.loads(path.read_text())
        change(content["database"])
        path.write_text(json.dumps(content))

    return apply


def emptied(subset: str) -> Callable[[dict[str, Any]], None]:
    def apply(database: dict[str, Any]) -> None:
        for entry in database.values():
            if entry["subset"] == subset:
                entry["annotations"] = []

    return apply


def placed(start: float, end: float) -> Callable[[dict[str, Any]], None]:
    return lambda database: database["train1"]["annotations"][0].update(segment=[start, end])


@pytest.mark.parametrize(
    ("kind", "expected", "damage", "options"),
    [
        (FeatureError, "no features of video 'train1'", remove("features/train1.npy"), {}),
        (FeatureError, "no features of video 'test1'", remove("features/test1.npy"), {}),
        (FeatureError, "'train1'.*NaN or infinite.*row 7", rewrite("train1", with_nan), {}),
        (FeatureError, "'test1'.*NaN or infinite.*row 7", rewrite("test1", with_nan), {}),
        (FeatureError, "'train1'.* 5 dimensions, but 8", rewrite("train1", lambda array: array[:, :5]), {}),
        (FeatureError, "'test1'.* 5 dimensions, but 8", rewrite("test1", lambda array: array[:, :5]), {}),
        (FeatureError, "'train1'.* They look stored as .D, T.", rewrite("train1", lambda array: array.T), {}),
        (FeatureError, "train1.npy: the file is cut short", cut_short, {}),
        (FeatureError, "'train1'.*is empty", rewrite("train1", lambda array: array[:0]), {}),
        (FeatureError, "there is no such folder", lambda _: None, {"data.features": "/no/where"}),
        (ConfigError, "data.features is not set", lambda _: None, {"data.features": None}),
        (ConfigError, "data.annotations is not set", lambda _: None, {"data.annotations": None}),
        (AnnotationError, "annotations.json", remove("annotations.json"), {}),
        (AnnotationError, "no video is in subset 'trian'.* mean 'train'", lambda _: None, {"data.train": "trian"}),
        (AnnotationError, "no video is in subset 'val'", lambda _: None, {"data.validate": "val"}),
        (ConfigError, "data.train is empty: name the subsets", lambda _: None, {"data.train": []}),
        (AnnotationError, "none of the 5 videos of data.train has an instance", annotated(emptied("train")), {}),
        (AnnotationError, "none of the 2 videos of data.validate has an", annotated(emptied("test")), {}),
        (AnnotationError, "'train1'", annotated(placed(9.0, 5.0)), {}),
        (AnnotationError, "'train1'.*outside of the video", annotated(placed(900.0, 905.0)), {}),
        (ConfigError, "model.num_classes is 3 .*but the data have 2", lambda _: None, {"model.num_classes": 3}),
        (ConfigError, "model.input_dims is 9 .*but the data have 8", lambda _: None, {"model.input_dims": 9}),
        (ConfigError, r"model: empty_classes \[5\] go beyond the 2", lambda _: None, {"model.empty_classes": [5]}),
        (ConfigError, "stride is 8 in the configuration, but 4 there", lambda _: None, {"data.inputs.stride": 8}),
        (ConfigError, "the frame rate is not known", remove("features/features.json"), {"data.inputs.stride": 4,
         "data.inputs.window": 4}),
        (ConfigError, "training.devices 2 cannot be had here", lambda _: None, {"training.accelerator": "mps",
         "training.devices": 2}),
    ],
)  # fmt: skip
def test_bad_input(
    tmp_path: Path,
    kind: type[UntrimmedError],
    expected: str,
    damage: Callable[[Path], None],
    options: dict[str, Any],
) -> None:
    config = experiment(tmp_path, options)
    damage(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(kind, match=expected) as caught:
        train(config, tmp_path / "runs" / "bad")
    assert len(str(caught.value).splitlines()) <= 2
    assert not (tmp_path / "runs").exists()
    assert contents(tmp_path) == before


def test_instances_outside_of_their_video_can_be_dropped(tmp_path: Path) -> None:
    config = experiment(tmp_path, {"data.unusable": "drop", "training.epochs": 1})
    annotated(placed(900.0, 905.0))(tmp_path)
    assert train(config, tmp_path / "run").epochs == 2


def test_a_run_that_is_there_is_left_alone(tmp_path: Path) -> None:
    config = experiment(tmp_path, {"training.epochs": 1})
    train(config, tmp_path / "run")
    before = contents(tmp_path / "run")
    with pytest.raises(ConfigError, match="holds a run already"):
        train(config, tmp_path / "run")
    with pytest.raises(ConfigError, match=r"model.width was 16 when the run began, but is 32 now"):
        train(load_config(str(tmp_path / "experiment.yaml"), {"model.width": 32}), tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == before


# Interrupted, killed and resumed


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ExperimentConfig:
    path = write_experiment(tmp_path_factory.mktemp("experiment"))
    options = {"model.dropout": 0.1, "model.drop_path": 0.2, "training.batch_size": 1, "training.accumulate": 2}
    return load_config(str(path), options)


@pytest.fixture(scope="module")
def whole(config: ExperimentConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 4 epochs of 3 steps, two of them of two batches and one of one, that nothing interrupts."""
    return train(config, tmp_path_factory.mktemp("whole") / "run").folder


@pytest.mark.parametrize("step", [2, 12])
def test_ctrl_c_and_resume(config: ExperimentConfig, whole: Path, tmp_path: Path, step: int) -> None:
    spy = Spy({step: press_ctrl_c})
    with pytest.raises(Interrupted):
        train(config, tmp_path / "run", watchers=[spy])
    assert spy.interruptions == 1
    assert load_checkpoint(tmp_path / "run" / CHECKPOINT)["progress"]["step"] == step
    trained = train(config, tmp_path / "run", resume=True)
    assert trained.epochs == 4
    assert_same_run(whole, tmp_path / "run")


def test_ctrl_c_again_and_again(config: ExperimentConfig, whole: Path, tmp_path: Path) -> None:
    for step in (1, 2, 3, 6, 9, 11):
        with pytest.raises(Interrupted):
            train(config, tmp_path / "run", resume=step > 1, watchers=[Spy({step: press_ctrl_c})])
    train(config, tmp_path / "run", resume=True)
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.parametrize(
    "spies",
    [
        [Spy(at_epoch={2: die}), Spy(at_epoch={3: die})],
        [Spy({1: die})],  # before there is a checkpoint
        [Spy({5: die}), Spy({5: press_ctrl_c}), Spy({6: die})],
        [Spy(at_epoch={4: die})],
    ],
    ids=["after-epochs-2-and-3", "at-step-1", "at-steps-5-and-6", "after-the-last-epoch"],
)
def test_killed_and_resumed(config: ExperimentConfig, whole: Path, tmp_path: Path, spies: list[Spy]) -> None:
    for i, spy in enumerate(spies):
        with pytest.raises((KilledError, Interrupted)):
            train(config, tmp_path / "run", resume=i > 0, watchers=[spy])
    train(config, tmp_path / "run", resume=True)
    assert_same_run(whole, tmp_path / "run")


@pytest.mark.parametrize(
    ("writer", "epoch"),
    [("write_atomically", 1), ("write_model_folder", 2), ("save_checkpoint", 1), ("save_checkpoint", 4)],
)
def test_killed_while_writing(
    config: ExperimentConfig, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, epoch: int
) -> None:
    """Whatever part of an epoch's files has been written, the run goes on from the epoch before."""
    real = getattr(run_folder, writer)

    def dying(path: Path, *rest: Any) -> None:
        if path.name != "experiment.yaml" and len(spy.weights) == epoch - 1:
            raise KilledError
        real(path, *rest)

    spy = Spy()
    monkeypatch.setattr(run_folder, writer, dying)
    with pytest.raises(KilledError):
        train(config, tmp_path / "run", watchers=[spy])
    monkeypatch.setattr(run_folder, writer, real)
    train(config, tmp_path / "run", resume=True)
    assert_same_run(whole, tmp_path / "run")


def test_resuming_a_finished_run_changes_nothing(config: ExperimentConfig, whole: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    before = contents(run)
    spy = Spy()
    again = train(config, run, resume=True, watchers=[spy])
    assert contents(run) == before
    assert not spy.weights
    scores = [float(row["mAP"]) for row in figures(run) if row["mAP"]]
    assert again.epochs == 4
    assert again.last == pytest.approx(scores[-1])
    assert again.best == pytest.approx(max(scores))


def test_resuming_with_other_annotations(tmp_path: Path) -> None:
    config = experiment(tmp_path, {"training.epochs": 1})
    train(config, tmp_path / "run")
    annotations = read_annotations(tmp_path / "annotations.json")
    write_annotations(
        type(annotations)(annotations.videos, (*annotations.labels, "swim")), tmp_path / "annotations.json"
    )
    with pytest.raises(
        ModelError, match=r"checkpoint.pt: does not fit the model .*Have the annotations or the features"
    ):
        train(config, tmp_path / "run", resume=True)


def test_resuming_from_a_damaged_checkpoint(tmp_path: Path) -> None:
    config = experiment(tmp_path, {"training.epochs": 1})
    said: list[str] = []
    train(config, tmp_path / "run")
    checkpoint = tmp_path / "run" / CHECKPOINT
    whole = without_seconds(load_checkpoint(checkpoint))
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    train(config, tmp_path / "run", resume=True, told=said.append)  # from the one before, an epoch earlier
    assert without_seconds(load_checkpoint(checkpoint)) == whole
    assert [str(checkpoint) in line and "checkpoint-before.pt, is taken" in line for line in said] == [True]
    for path in (checkpoint, checkpoint_before(checkpoint)):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"checkpoint-before.pt"):
        train(config, tmp_path / "run", resume=True)
    checkpoint_before(checkpoint).unlink()
    with pytest.raises(ModelError, match=r"checkpoint.pt"):
        train(config, tmp_path / "run", resume=True)
    save_checkpoint(checkpoint, {"model": {}})
    with pytest.raises(ModelError, match=r"checkpoint.pt: does not fit the model"):
        train(config, tmp_path / "run", resume=True)


def test_the_same_run_again_and_another_seed(config: ExperimentConfig, whole: Path, tmp_path: Path) -> None:
    train(config, tmp_path / "same")
    assert_same_run(whole, tmp_path / "same")
    other = load_config(str(tmp_path / "same" / "experiment.yaml"), {"training.seed": 1, "training.epochs": 1})
    train(other, tmp_path / "other")
    assert figures(tmp_path / "other")[0] != figures(whole)[0]


# Several processes

SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
from untrimmed.experiment.config import load_config
from untrimmed.experiment.training import train
from untrimmed.learning.trainer import Interrupted

class Stopper:
    def on_step(self, trainer):
        if trainer.progress.step == 3 and not resumed:
            os.kill(os.getpid(), signal.SIGTERM)  # one of the processes alone is asked to stop

    def on_epoch(self, trainer, row, *, best):
        print("epoch", trainer.progress.epoch, flush=True)

    def on_interrupt(self, trainer):
        print("interrupted", flush=True)

torch.set_num_threads(1)
resumed = False
config, out = load_config(sys.argv[1]), Path(sys.argv[2])
try:
    train(config, out, watchers=[Stopper()])
except Interrupted:
    resumed = True
    train(config, out, resume=True, watchers=[Stopper()])
"""


def run_in_processes(script: Path, *words: str) -> list[str]:
    """Run the script, which starts the other process by itself; returns the lines that both have printed."""
    clean = {key: value for key, value in os.environ.items() if key not in ("LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT")}
    done = subprocess.run(
        [sys.executable, str(script), *words],
        env=clean | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_two_processes_are_one_with_batches_of_both(tmp_path: Path) -> None:
    """Stopped in the middle of an epoch, and resumed; validated in the first process; a batch of one for two."""
    path = write_experiment(tmp_path, make_videos({"train": 6, "test": 2}, without=1), model={"drop_path": 0.0})
    alone = load_config(str(path), {"training.batch_size": 4})
    train(alone, tmp_path / "alone")
    both = tmp_path / "both.yaml"
    both.write_text(path.read_text().replace("accelerator: cpu", "accelerator: cpu\n  devices: 2"))
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    out = tmp_path / "run"
    printed = run_in_processes(script, str(both), str(out))
    assert printed == ["epoch 1", "interrupted", "epoch 2", "epoch 3", "epoch 4"]  # watchers are in the first alone
    expected, found = figures(tmp_path / "alone"), figures(out)
    assert [row["step"] for row in found] == [row["step"] for row in expected] == ["2", "4", "6", "8"]
    for one, other in zip(expected, found, strict=True):
        for key in ("loss", "classification_loss", "regression_loss", "learning_rate"):
            assert float(other[key]) == pytest.approx(float(one[key]), rel=1e-4), key
    states = [load_checkpoint(folder / CHECKPOINT) for folder in (tmp_path / "alone", out)]
    torch.testing.assert_close(states[1]["criterion"], states[0]["criterion"], rtol=1e-5, atol=0)
    torch.testing.assert_close(states[1]["model"], states[0]["model"], rtol=1e-3, atol=1e-4)
