"""Training in several processes, as a user types it."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import PROGRAM, refused, run
from safetensors.torch import load_file

from synthetic import make_videos, write_experiment

pytestmark = pytest.mark.slow
SETTINGS: dict[str, Any] = {"epochs": 24, "warmup_epochs": 1, "validate_every": 25, "accelerator": "cpu"}
PLAIN = {"dropout": 0.0, "drop_path": 0.0}
"""Without chance in the network, which is not the same in one process and in two."""


def in_processes(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the program itself, since processes start it again."""
    call = [PROGRAM, *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(call, capture_output=True, text=True, env=environment, timeout=240, check=False)


def losses(run_folder: Path) -> list[list[float]]:
    with (run_folder / "metrics.csv").open() as file:
        return [[float(row[name]) for name in row if name.endswith("loss")] for row in csv.DictReader(file)]


def test_two_processes_are_one_with_batches_twice_as_large(tmp_path: Path) -> None:
    # Of five videos, the last batch of four has one: a process has nothing to do in that step.
    config = write_experiment(tmp_path / "data", make_videos({"train": 5, "test": 3}), training=SETTINGS, model=PLAIN)
    one, two = tmp_path / "one", tmp_path / "two"
    assert run("train", config, "--training.batch_size", 4, "--out", one).code == 0
    outcome = in_processes("train", config, "--training.batch_size", 2, "--devices", 2, "--out", two)
    assert outcome.returncode == 0, outcome.stderr
    alone, together = losses(one), losses(two)
    assert len(alone) == 25  # of two steps each
    torch.testing.assert_close(torch.tensor(together), torch.tensor(alone), rtol=0, atol=1e-5)
    weights, others = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    for name, tensor in weights.items():
        torch.testing.assert_close(others[name], tensor, rtol=0, atol=1e-4, msg=name)
    last = [Path(folder, "metrics.csv").read_text().splitlines()[-1].split(",")[-1] for folder in (one, two)]
    assert float(last[0]) == pytest.approx(float(last[1]), abs=1e-6)  # mAP, of videos that were shared out
    assert outcome.stdout.count("Trained 25 epochs") == 1


def test_a_process_that_dies_ends_the_others(tmp_path: Path) -> None:
    config = write_experiment(tmp_path / "data", training=SETTINGS | {"epochs": 40})
    out = tmp_path / "run"
    call = [PROGRAM, "train", str(config), "--devices", "2", "--out", str(out)]
    quiet = {"stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL, "text": True, "start_new_session": True}
    started = subprocess.Popen(call, env=os.environ | {"OMP_NUM_THREADS": "1"}, **quiet)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + 120
        while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline and started.poll() is None:
            time.sleep(0.02)
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        assert len(children) == 1
        os.kill(int(children[0]), signal.SIGKILL)
        _, said = started.communicate(timeout=120)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
    assert started.returncode not in (0, None)
    assert "another process of this run has ended" in said
    assert "Traceback" not in said
    assert 0 < len(losses(out)) < 41
    again = in_processes("train", config, "--devices", 2, "--out", out, "--resume")
    assert again.returncode == 0, again.stderr
    assert len(losses(out)) == 41


def test_processes_that_torchrun_starts_are_those_of_the_run(tmp_path: Path) -> None:
    config = write_experiment(tmp_path / "data", training=SETTINGS | {"epochs": 1, "warmup_epochs": 0})
    torchrun = [str(Path(PROGRAM).parent / "torchrun"), "--standalone", "--nproc-per-node", "2", "--no-python"]
    words = ["train", str(config), "--out", str(tmp_path / "run")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = subprocess.run(
        [*torchrun, PROGRAM, *words], capture_output=True, text=True, env=environment, timeout=240, check=False
    )
    assert started.returncode == 0, started.stderr
    assert "training.devices was 2 when the run began, but is 1 now" in refused(*words, "--resume", code=2)
    with_as_many = in_processes(*words, "--devices", 2, "--resume")
    assert with_as_many.returncode == 0, with_as_many.stderr
