"""Extraction of an archive on a Ray cluster: nothing lost when workers are killed, and how fast it is.

    python benchmarks/archive.py [--videos 200] [--kills 3] [--rounds 2] [--seconds 300]

First, short drawn videos are extracted without Ray, and with Ray while workers are killed with SIGKILL, in turn the
actor of Ray and the process that holds its backbone; every video has to be in the store once, with the same bytes.
Then the throughput of one worker on one core and of two workers on two cores is measured in turn, so that noise hits
both alike; of each the fastest round counts. Starting the cluster is not in it: it is the same for ten videos and for
a million. At last the same for a backbone that takes no time, on pictures of 224 x 224: what a GPU can be fed with, by
a thread of its own process, and by a decoder apart. The exit code is 0 if the stores are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kill_extract import contents, make_clips
from untrimmed.archive.cluster import ClusterConfig
from untrimmed.archive.extraction import ArchiveExtraction, extract_archive
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extraction.progress import Progress
from untrimmed.video.extraction.videos import extract_videos
from untrimmed.video.extraction.workers import ExtractorChoice
from untrimmed.video.extractors.extractor import Extractor
from untrimmed.video.view import Pictures, View
from video_reading import HEIGHT, RATE, WIDTH, write_video

VIDEOS_IN_A_ROUND = 12
"""Of the same length, so that two workers can share them evenly."""
SAMPLED = 10
"""Frames per second that the default extractor looks at."""
NO_BACKBONE = "python:archive:NoBackbone"


def main() -> None:
    """Do it all, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=200, help="that are extracted while workers are killed")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2, help="of each number of workers")
    parser.add_argument("--seconds", type=int, default=300, help="of video in a round")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timed", nargs=5, metavar=tuple("VOWDE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.timed:
        videos, out, workers, decoders, extractor = options.timed
        print(json.dumps(timed(Path(videos), Path(out), int(workers), int(decoders), extractor)))
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    print(f"load before {' '.join(f'{value:.1f}' for value in os.getloadavg())}\n")
    with tempfile.TemporaryDirectory() as name:
        same = killed(Path(name), options.videos, options.kills, options.seed)
        throughput(Path(name), options.rounds, options.seconds)
    sys.exit(not same)


def killed(folder: Path, count: int, kills: int, seed: int) -> bool:
    """Extract with and without Ray, kill workers meanwhile, and print what came of it; whether all is the same."""
    videos = make_clips(folder / "videos", count, seed)
    extract_videos([videos], folder / "plain", processes=min(2, os.cpu_count() or 1))
    instants = sorted(random.Random(seed).sample(range(count // 10, count * 9 // 10), kills))
    dead: list[str] = []

    def kill(progress: Progress) -> None:
        if len(dead) < kills and progress.videos >= instants[len(dead)]:
            actors = descendants(os.getpid(), "ExtractionWorker")
            if len(dead) % 2 == 0 and actors:
                os.kill(actors[0], signal.SIGKILL)
                dead.append(f"an actor after {progress.videos} videos")
            elif backbones := [child for actor in actors for child in descendants(actor, "worker_process")]:
                os.kill(backbones[0], signal.SIGKILL)
                dead.append(f"a backbone after {progress.videos} videos")

    extraction = extract(videos, folder / "killed", 2, kill)
    tally = extraction.tally
    told = [json.loads(line)["id"] for line in extraction.outcomes.read_text().splitlines()]
    once = len(told) == len(set(told)) == count
    same = (
        contents(folder / "plain") == contents(folder / "killed") and once and not tally.failed and len(dead) == kills
    )
    print(
        "| videos | killed | in the store | told of once | failed | bytes as without Ray |\n|---|---|---|---|---|---|"
    )
    there = len(list((folder / "killed").glob("*.npy")))
    print(f"| {count} | {'; '.join(dead)} | {there} | {'yes' if once else 'NO'} | {tally.failed} | ", end="")
    print(f"{'yes' if same else 'NO'} |\n", flush=True)
    return same


def throughput(folder: Path, rounds: int, seconds: int) -> None:
    """Print how fast workers are, alone and with a decoder, and what they read and write."""
    videos = folder / "long"
    videos.mkdir()
    first = write_video(videos / "00.mp4", seconds=max(2, seconds // VIDEOS_IN_A_ROUND), still=False)
    for number in range(1, VIDEOS_IN_A_ROUND):
        shutil.copyfile(first, videos / f"{number:02}.mp4")
    cases = [("default", 1, 0)]
    if (os.cpu_count() or 1) > 1:
        cases += [("default", 2, 0), ("default", 1, 1), (NO_BACKBONE, 1, 0), (NO_BACKBONE, 1, 1)]
    best: dict[tuple[str, int, int], dict[str, float]] = {}
    for turn in range(rounds):
        for case in cases:
            extractor, workers, decoders = case
            out = folder / f"out{turn}{cases.index(case)}"
            command = [sys.executable, __file__, "--timed", *map(str, (videos, out, workers, decoders)), extractor]
            measured = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            if case not in best or measured["speed"] > best[case]["speed"]:
                best[case] = measured
    one = best[cases[0]]
    print(f"`untrimmed extract --ray local`, {WIDTH} x {HEIGHT} H.264, {RATE} frames/s, a core for each worker")
    print("and each decoder; the ratio is that to the first line:\n")
    print("| extractor | workers | decoders | times real time | ratio | sampled frames/s | frames decoded/s |")
    print("|---|---|---|---|---|---|---|")
    for (extractor, workers, decoders), measured in best.items():
        speed, name = measured["speed"], "none" if extractor == NO_BACKBONE else extractor
        print(f"| {name} | {workers} | {decoders} | {speed:.1f} | {speed / one['speed']:.2f} | ", end="")
        print(f"{speed * SAMPLED:.0f} | {speed * RATE:.0f} |")
    print("\n| of an hour of video | MB |\n|---|---|")
    print(f"| read | {one['read']:.1f} |\n| written, float32 | {one['written']:.1f} |", flush=True)


def timed(videos: Path, out: Path, workers: int, decoders: int, extractor: str) -> dict[str, float]:
    """Extract on as many cores as there are workers and decoders.

    Returns:
        The speed, and MB read and written by hour of video.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: workers * (1 + decoders)])
    ended: list[float] = []
    extraction = extract(videos, out, workers, lambda _: ended.append(time.perf_counter()), decoders, extractor)
    seconds = extraction.tally.seconds
    # Of each worker, the first video waits for its backbone to open.
    between = (len(ended) - workers) / len(ended) * seconds
    hours = seconds / 3600
    return {
        "speed": between / (ended[-1] - ended[workers - 1]),
        "read": sum(path.stat().st_size for path in videos.iterdir()) / 1e6 / hours,
        "written": sum(path.stat().st_size for path in out.glob("*.npy")) / 1e6 / hours,
    }


def extract(
    videos: Path, out: Path, workers: int, on_progress: object, decoders: int = 0, extractor: str = "default"
) -> ArchiveExtraction:
    """Extract with so many workers, of a core each, on a cluster of this machine."""
    cluster = ClusterConfig(workers=(workers, workers), decoders=decoders)
    choice = ExtractorChoice(name=extractor, trust_python=True)
    return extract_archive([videos], out, choice, cluster, on_progress=on_progress)  # type: ignore[arg-type]


class NoBackbone(Extractor):
    """Takes no time."""

    name = "none"
    fingerprint = "0"
    dimension = 1
    grid = TimeGrid(1, 1, SAMPLED)
    views = (View(224, 224),)

    def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
        """Make a zero of each frame."""
        for _ in frames:
            yield np.zeros((1, 1), np.float32)


def descendants(process: int, name: str) -> list[int]:
    """Return the processes below one in whose command line a name stands (Linux)."""
    parents: dict[int, int] = {}
    lines: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                lines[int(entry.name)] = (entry / "cmdline").read_text()
            except OSError:  # it has ended
                continue
    below, found = {process}, list[int]()
    while new := {child for child, parent in parents.items() if parent in below and child not in below}:
        below |= new
        found += [child for child in sorted(new) if name in lines.get(child, "")]
    return found


if __name__ == "__main__":
    main()
