"""Kill `untrimmed extract` at random instants, run it again, and compare every byte with an uninterrupted run.

    python benchmarks/kill_extract.py [VIDEOS...] [--kills 10] [--extractor default] [--processes 2] [--shots]

Without VIDEOS, small clips are made for it. Only the command itself is killed; its processes have to end by themselves.
The exit code is 0 if the folders are the same in the end.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

PROGRAM = shutil.which("untrimmed", path=Path(sys.executable).parent) or "untrimmed"
WIDTH, HEIGHT, RATE = 160, 120, 25


def main() -> None:
    """Make videos if need be, and do it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path, nargs="*")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--extractor", default="default")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--shots", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = options.videos or [make_clips(folder / "videos", 30, options.seed)]
        command = [PROGRAM, "extract", *map(str, videos), "--extractor", options.extractor]
        command += ["--processes", str(options.processes), *(["--shots"] if options.shots else []), "--out"]
        same = killed_and_resumed(command, folder, options.kills, random.Random(options.seed))
    print("every byte is the same" if same else "NOT THE SAME")
    sys.exit(not same)


def killed_and_resumed(command: list[str], folder: Path, kills: int, instants: random.Random) -> bool:
    """Run a command once as it is, and once with so many kills; whether it makes the same of both."""
    whole, killed = folder / "whole", folder / "killed"
    took, starting = seconds([*command, str(whole)]), seconds([*command, str(whole)])
    print(f"uninterrupted: {took:.1f} s, of which {starting:.1f} to start; {len(contents(whole))} files", flush=True)
    number = done = 0
    while number < kills:
        # Most are killed while they work on videos, of which each does a part; every fourth one while it starts.
        working = number % 4 != 3
        after = instants.uniform(0, 2 * (took - starting) / kills if working else starting)
        if not kill_after(after, [*command, str(killed)], killed if working else None):
            print("    had ended before it was killed; begun anew", flush=True)
            shutil.rmtree(killed)
            done = 0
            continue
        number += 1
        found = contents(killed)
        before, done = done, sum(not path.name.startswith(".") for path in found)
        print(
            f"{number:2}. killed {after:.2f} s after its {'first picture' if working else 'start'}: "
            f"{done} files ({done - before:+}), {len(found) - done} unfinished",
            flush=True,
        )
    subprocess.run([*command, str(killed)], check=True, stdout=subprocess.DEVNULL)
    return contents(whole) == contents(killed)


def seconds(command: list[str]) -> float:
    """Run a command, and return how long it took."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def kill_after(after: float, command: list[str], folder: Path | None) -> bool:
    """Run a command and kill it after so many seconds; `False` if it had ended by then.

    They are counted from its start, or from when there is a new unfinished file in a folder.
    """
    before = unfinished(folder)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while folder is not None and process.poll() is None and not unfinished(folder) - before:
            time.sleep(0.005)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
        return False


def unfinished(folder: Path | None) -> set[Path]:
    """Return the files that are being written, or were when somebody was killed."""
    return set() if folder is None else set(folder.glob(".*.unfinished"))


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the content of every file below a folder; none if there is no folder."""
    files = {}
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                files[path.relative_to(folder)] = path.read_bytes()
        except FileNotFoundError:  # of a process that was just about to end
            pass
    return files


def make_clips(folder: Path, count: int, seed: int) -> Path:
    """Write clips of 2 to 6 seconds, of noise that drifts and changes at a cut."""
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for number in range(count):
        with av.open(str(folder / f"{number:02}.mp4"), "w") as output:
            stream = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
            assert isinstance(stream, VideoStream)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for _ in range(2):
                coarse = generator.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), np.uint8)
                picture = np.repeat(np.repeat(coarse, 4, 0), 4, 1)
                speed = int(generator.integers(-4, 5))
                for i in range(int(generator.integers(1, 4)) * RATE):
                    frame = av.VideoFrame.from_ndarray(np.roll(picture, i * speed, axis=1), "rgb24")
                    output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
    return folder


if __name__ == "__main__":
    main()
