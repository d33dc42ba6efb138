"""What can go wrong while a training runs, as a user meets it: one clear error, and what was saved stays good."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from command_line import files, refused, run

from synthetic import write_experiment
from untrimmed.cli.train import TrainingBar
from untrimmed.data import dataset
from untrimmed.experiment.config import load_config
from untrimmed.experiment.training import train
from untrimmed.learning.trainer import Trainer

SETTINGS = {"epochs": 3, "warmup_epochs": 1, "validate_every": 1}


class AfterEpoch:
    """A watcher that does something once an epoch is over and saved."""

    def __init__(self, epoch: int, action: Callable[[], object]) -> None:
        self._epoch, self._action = epoch, action

    def on_step(self, trainer: Trainer) -> None: ...

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float], *, best: bool) -> None:
        if trainer.progress.epoch == self._epoch:
            self._action()

    def on_interrupt(self, trainer: Trainer) -> None: ...


class KilledError(Exception):
    pass


def die() -> None:
    raise KilledError


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment in `data`, a run killed after two of four epochs in `run`, a whole one in `whole`."""
    folder = tmp_path_factory.mktemp("begun")
    config = write_experiment(folder / "data", training=SETTINGS)
    assert run("train", config, "--out", folder / "whole").code == 0
    with pytest.raises(KilledError):
        train(load_config(str(config)), folder / "run", watchers=[AfterEpoch(2, die)])
    return folder


@pytest.fixture
def killed(begun: Path, tmp_path: Path) -> Path:
    """A copy of the run that was killed."""
    return Path(shutil.copytree(begun / "run", tmp_path / "run"))


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Context in which the system refuses to write more than so many bytes to a file, as one that is full does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def unlogged(content: Mapping[Path, bytes]) -> dict[Path, bytes]:
    """Leave out the log for TensorBoard, which is written as it goes."""
    return {path: each for path, each in content.items() if path.parent.name != "tensorboard"}


def resume(begun: Path, out: Path) -> tuple[object, ...]:
    return "train", begun / "data" / "experiment.yaml", "--out", out, "--resume"


@pytest.mark.parametrize("name", ["metrics.csv", "model.safetensors", "checkpoint.pt"])
def test_a_full_disk(begun: Path, killed: Path, name: str) -> None:
    """At whichever file of an epoch it is full: that is named, all that was saved is whole, and the run goes on."""
    before = files(killed)
    with no_file_larger_than((killed / name).stat().st_size // 2):
        line = refused(*resume(begun, killed), code=1)
    assert line.startswith(str(killed))
    assert line.endswith("File too large")
    after = files(killed)
    assert unlogged(after).keys() == unlogged(before).keys()  # and nothing half written beside them
    assert after[killed / "checkpoint.pt"] == before[killed / "checkpoint.pt"]
    assert run(*resume(begun, killed)).code == 0
    whole = begun / "whole"
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_full_disk_from_the_start(begun: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with no_file_larger_than(100):
        line = refused("train", begun / "data" / "experiment.yaml", "--out", out, code=1)
    assert line == f"{out / 'experiment.yaml'}: File too large"
    assert files(tmp_path) == {}
    assert run("train", begun / "data" / "experiment.yaml", "--out", out).code == 0


def test_a_folder_that_cannot_be_written_to(begun: Path) -> None:
    out = Path("/proc/untrimmed/run")  # where not even root can make one
    line = refused("train", begun / "data" / "experiment.yaml", "--out", out, code=1)
    assert "/proc/untrimmed" in line
    assert "No such file or directory" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(begun: Path, killed: Path) -> None:
    before = files(killed)
    killed.chmod(0o555)
    try:
        line = refused(*resume(begun, killed), code=1)
    finally:
        killed.chmod(0o755)
    assert line.endswith("Permission denied")
    assert files(killed) == before


@pytest.mark.parametrize(("damage", "said"), [("gone", "No such file"), ("cut short", "cut"), ("not finite", "NaN")])
def test_features_that_vanish_while_it_trains(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str, said: str
) -> None:
    monkeypatch.setattr(dataset, "IN_MEMORY", 0)  # as for features that are too large for it
    data = tmp_path / "data"
    shutil.copytree(begun / "data", data)
    config, out = write_experiment(data, training=SETTINGS), tmp_path / "run"
    victim = next(iter(sorted(data.glob("features/train*.npy"))))
    content = victim.read_bytes()

    def spoil() -> None:
        if damage == "gone":
            victim.unlink()
        elif damage == "cut short":
            victim.write_bytes(content[: len(content) // 2])
        else:
            np.save(victim, np.full_like(np.load(victim), np.nan))
        saved.update(files(out))

    saved: dict[Path, bytes] = {}
    monkeypatch.setattr(TrainingBar, "on_epoch", AfterEpoch(2, spoil).on_epoch)
    outcome = run("train", config, "--out", out)
    assert outcome.code == 1
    line = outcome.err.splitlines()[-1]
    assert line.startswith("untrimmed: ")
    assert victim.stem in line
    assert said in line
    assert unlogged(files(out)) == unlogged(saved)
    victim.write_bytes(content)
    monkeypatch.undo()
    assert run("train", config, "--out", out, "--resume").code == 0
    assert (out / "model.safetensors").read_bytes() == (begun / "whole" / "model.safetensors").read_bytes()
