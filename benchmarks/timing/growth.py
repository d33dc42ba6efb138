"""Time per moment and peak memory as a video grows."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from timing.measuring import Table
from timing.settings import Settings
from timing.subject import Clock, features, listening, localizer, recording

ROUNDS = 3
SHORT_RUNS = 8
"""In a round, of a video that is a hundredth of the longest; of longer ones fewer in proportion, but at least one."""


def growth(settings: Settings) -> None:
    """Print both."""
    _time(settings)
    _memory(settings)


def _time(settings: Settings) -> None:
    longest = max(settings.growing)
    subject, whole = localizer("fp32"), features(longest)
    took: dict[int, list[tuple[float, float]]] = {length: [] for length in settings.growing}
    subject.detect(recording(whole[: settings.growing[0]]))
    clock = Clock()
    with listening(clock):
        for _ in range(ROUNDS):
            for length in settings.growing:
                for _ in range(max(1, SHORT_RUNS * longest // length // 100)):
                    clock.seconds.clear()
                    began = time.perf_counter()
                    subject.detect(recording(whole[:length]))
                    took[length].append((time.perf_counter() - began, sum(clock.seconds)))
    table = Table(
        "### Growth with the length, fp32",
        "T",
        "detection, ms",
        "a clip, ms",
        "relative",
        "the network alone, a clip, ms",
        "relative",
    )
    first: list[float] = []
    for length, runs in took.items():
        each = [1e3 * median(run) / length for run in zip(*runs, strict=True)]
        first = first or each
        table.row(
            length,
            f"{each[0] * length:.0f}",
            f"{each[0]:.4f}",
            f"{each[0] / first[0]:.2f}",
            f"{each[1]:.4f}",
            f"{each[1] / first[1]:.2f}",
        )


def _memory(settings: Settings) -> None:
    length = max(settings.growing)
    table = Table(
        f"Peak memory of a process that detects in one video of T = {length} (its features alone are "
        f"{length * 2048 * 4 / 2**30:.2f} GiB):",
        "",
        "before detection, GB",
        "peak, GB",
        "s",
    )
    limited = f"fp32, max_memory of {settings.max_memory / 1e9:g} GB"
    for name, limit in (("fp32", 0), (limited, settings.max_memory)):
        done = subprocess.run(
            [sys.executable, "-m", "timing.growth", str(length), str(limit)],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            check=True,
        )
        found = json.loads(done.stdout)
        table.row(name, f"{found['before'] / 1e9:.2f}", f"{found['peak'] / 1e9:.2f}", f"{found['seconds']:.1f}")


def _detect_alone(length: int, limit: int) -> None:
    """In a process of its own: detect, and print what memory that took."""
    subject = localizer("fp32", max_memory=limit or None)
    video = recording(features(length))
    before, began = _peak(), time.perf_counter()
    subject.detect(video)
    print(json.dumps({"before": before, "peak": _peak(), "seconds": time.perf_counter() - began}))


def _peak() -> int:
    """Return the largest memory of this process so far, in bytes; what `getrusage` says has the starter's in it."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    _detect_alone(*map(int, sys.argv[1:]))
