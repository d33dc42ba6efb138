"""`untrimmed extract` that is killed, or interrupted, and run again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import PROGRAM, files

from extracting import OWN, processes, varied, with_own_extractor
from untrimmed.video.extraction.videos import extract_videos
from untrimmed.video.extractors.opening import open_extractor

__all__ = ["with_own_extractor"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

COMMAND = [PROGRAM, "extract", "videos", "--extractor", OWN, "--stride", "1", "--out"]


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def none_is_left(folder: Path) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in processes(folder))


def start(out: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def contents(folder: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): content for path, content in files(Path(folder)).items()}


def test_killed_at_random_instants_and_run_again(with_own_extractor: Path) -> None:
    for number in range(6):
        varied(Path("videos") / f"{number}.mp4", 20 + number)
    extract_videos(["videos"], "whole", open_extractor(OWN, stride=1, trust_python=True))
    whole = contents("whole")
    assert len(whole) == 7
    Path("processes").unlink()

    instants = random.Random(0)
    seen_unfinished = False
    for _ in range(2):
        with start("killed", SECONDS_PER_CLIP="0.02") as process:
            # Somewhere in the work on the videos, which takes a second for two processes, and more for one.
            wait_until(lambda: any(Path("killed").glob(".*.unfinished")) or process.poll() is not None)
            time.sleep(instants.uniform(0, 0.6))
            process.kill()
        seen_unfinished |= any(path.startswith(".") for path in contents("killed"))
        left = {name: content for name, content in contents("killed").items() if not name.startswith(".")}
        assert left.items() <= whole.items()
    assert seen_unfinished
    assert ended(start("killed"))[0] == 0
    assert contents("killed") == whole
    wait_until(lambda: none_is_left(with_own_extractor))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_and_run_again(with_own_extractor: Path, how: signal.Signals) -> None:
    for number in range(3):
        varied(Path("videos") / f"{number}.mp4", 20)
    with start("features", SECONDS_PER_CLIP="0.05") as process:
        wait_until(lambda: any(Path("features").glob("*.npy")))
        process.send_signal(how)
        code, out, err = ended(process)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == (
        "untrimmed: stopped; the features of finished videos are in features. To go on, run the same command again"
    )
    assert "Traceback" not in err
    assert none_is_left(with_own_extractor)
    assert not any(Path("features").glob(".*"))
