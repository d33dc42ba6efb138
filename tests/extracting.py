"""What the tests of extraction share: a cheap extractor, also for other processes, and videos that it is tried on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from making_videos import make_video
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.extractor import Extractor
from untrimmed.video.view import Pictures, View

HEIGHT, WIDTH = 48, 64
OWN = "python:own_extractor:make"
"""The name of the extractor that `with_own_extractor` makes known."""

_SOURCE = """
import os
import signal
import time
from pathlib import Path

from untrimmed.video.extractors.function import FunctionExtractor


def means(clips):
    with open("processes", "a") as file:
        print(os.getpid(), os.environ["OMP_NUM_THREADS"], file=file)
    while len(set(Path("processes").read_text().splitlines())) < int(os.environ.get("PROCESSES", 1)):
        time.sleep(0.01)
    time.sleep(float(os.environ.get("SECONDS_PER_CLIP", 0)) * len(clips))
    red, green, blue = clips.mean(axis=(0, 1, 2, 3))
    if min(red, green, blue) > 240:  # white
        os.kill(os.getpid(), signal.SIGSEGV)
    if blue > 200 > 60 > green:
        raise LookupError("too blue")
    return clips.mean(axis=(2, 3)).reshape(len(clips), -1)


def make(stride=2):
    print("not an answer")  # as libraries do that are loaded
    return FunctionExtractor(
        means, name="own", dimension=6, frames=2, stride=int(stride), rate=25, height=48, width=64, batch_size=2
    )
"""


@pytest.fixture
def with_own_extractor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a module that makes a cheap extractor; returns it.

    The extractor kills its process at white pictures, and raises an error at blue ones. It notes its process and number
    of threads, see `processes`. Its environment tells it how many seconds to sleep over a clip, and how many processes
    to wait for.
    """
    (tmp_path / "own_extractor.py").write_text(_SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # it is imported from there
    monkeypatch.delitem(sys.modules, "own_extractor", raising=False)
    return tmp_path


def processes(folder: Path) -> dict[int, str]:
    """The processes that the extractor has worked in, and how many threads they had."""
    path = folder / "processes"
    lines = path.read_text().splitlines() if path.exists() else []
    return {int(line.split()[0]): line.split()[1] for line in lines}


def plain(path: Path, colour: tuple[int, int, int], pictures: int = 6) -> Path:
    """Write a video of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_video(path, [np.full((HEIGHT, WIDTH, 3), colour, np.uint8)] * pictures)


def varied(path: Path, pictures: int = 10) -> Path:
    """Write a video whose pictures say their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return make_video(path, pictures)


class Means(Extractor):
    """The mean colour of every sampled frame, in pieces of three rows."""

    name = "means"
    fingerprint = "0"
    dimension = 3
    grid = TimeGrid(1, 1, 25)
    views = (View(HEIGHT, WIDTH),)

    def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
        rows: list[NDArray[np.float32]] = []
        for (picture,) in frames:
            assert picture is not None
            rows.append(picture.mean(axis=(0, 1), dtype=np.float32))
            if len(rows) == 3:
                yield np.stack(rows)
                rows.clear()
        if rows:
            yield np.stack(rows)
