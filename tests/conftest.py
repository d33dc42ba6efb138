"""What several test modules share: the golden cases, and where data that are not part of the project may lie."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from torch import Tensor

GOLDEN = Path(__file__).parent / "golden"
SHARED = Path(os.environ.get("UNTRIMMED_SHARED", Path(__file__).parents[2] / "shared"))

# Threads cost small tensors more than they bring, most of all on a busy machine. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples every time; `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=50, print_blob=True)
settings.register_profile("explore", deadline=None, derandomize=False, max_examples=1000, print_blob=True)
settings.load_profile("default")


@dataclass(frozen=True)
class Video:
    """One of the two videos of a golden case: features `[T, D]`, segments on the feature grid `[n, 2]`, labels."""

    features: Tensor
    segments: Tensor
    labels: Tensor


class Golden:
    """One golden case: an official configuration, and what the official code made of random weights and inputs.

    `arrays` are those of the npz: `state/*`, `video<i>/*`, `batch/*`, and `train/*` in the training run.
    """

    def __init__(self, path: Path) -> None:
        self.config: dict[str, Any] = json.loads(path.read_text())
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
            self.arrays: dict[str, np.ndarray] = {name: file[name] for name in file.files}

    @property
    def length(self) -> int:
        """Clips that every video is padded to."""
        return self.config["dataset"]["max_seq_len"]

    @cached_property
    def videos(self) -> list[Video]:
        """Both videos."""
        import torch

        return [
            Video(
                torch.from_numpy(self.arrays[f"video{i}/feats"]).T.contiguous(),
                torch.from_numpy(self.arrays[f"video{i}/segments"]),
                torch.from_numpy(self.arrays[f"video{i}/labels"]),
            )
            for i in range(2)
        ]

    def state(self, prefix: str = "state/") -> dict[str, Tensor]:
        """The official `state_dict` that is stored under a prefix."""
        import torch

        return {
            name.removeprefix(prefix): torch.from_numpy(array.copy())
            for name, array in self.arrays.items()
            if name.startswith(prefix)
        }

    def levels(self, video: int, what: str) -> Tensor:
        """`logits`, `offsets` or `points` of a video, levels concatenated, finest first."""
        import torch

        count = len(self.config["model"]["regression_range"])
        return torch.cat([torch.from_numpy(self.arrays[f"video{video}/level{i}/{what}"]) for i in range(count)])

    def batch(self) -> tuple[Tensor, Tensor, list[Tensor], list[Tensor]]:
        """Both videos, padded: features `[2, T, D]`, valid `[2, T]`, segments and labels."""
        import torch

        features = torch.zeros(2, self.length, self.videos[0].features.shape[1])
        valid = torch.zeros(2, self.length, dtype=torch.bool)
        for i, video in enumerate(self.videos):
            features[i, : len(video.features)] = video.features
            valid[i, : len(video.features)] = True
        return features, valid, [v.segments for v in self.videos], [v.labels for v in self.videos]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `golden` on every golden case: the project's few, and all others that are at hand."""
    if "golden" in metafunc.fixturenames:
        paths = {path.stem: path for folder in (SHARED / "golden", GOLDEN) for path in folder.glob("*.json")}
        cases = [paths[name] for name in sorted(paths)]
        metafunc.parametrize("golden", cases, ids=[path.stem for path in cases], indirect=True)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """A golden case; the test runs on each of them."""
    return Golden(request.param)


@pytest.fixture
def local_attention_case() -> Golden:
    """The golden case with the official default settings, for tests to which the settings do not matter."""
    return Golden(GOLDEN / "local_attention.json")


@pytest.fixture
def training_run() -> Golden:
    """The golden case with six optimiser steps."""
    return Golden(GOLDEN / "training_run.json")


@pytest.fixture
def shared() -> Path:
    """Folder with data sets that are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip(f"needs data that are not part of the project: {SHARED} is not there; UNTRIMMED_SHARED names it")
    return SHARED


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, the fastest for tensors as small as those of the tests."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
