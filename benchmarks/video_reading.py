"""How fast videos are read, and how much memory that takes.

    python benchmarks/video_reading.py

Speeds are ratios to what PyAV alone does, both sides in turn in one run, so that noise hits both alike; `taskset -c 0`
in front gives it one core. Memory is the peak of a process that reads nothing else.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import View

WIDTH, HEIGHT, RATE = 320, 240, 25
VIEWS = {
    "one view, 224 x 224": (View(224, 224, 256),),
    "the default extractor's views": (View(224, 224, every=2), View(27, 48)),
}


def main() -> None:
    """Measure and print everything."""
    with tempfile.TemporaryDirectory() as folder:
        moving = write_video(Path(folder) / "moving.mp4", seconds=40, still=False)
        minute = write_video(Path(folder) / "minute.mp4", seconds=60, still=True)
        hour = write_video(Path(folder) / "hour.mp4", seconds=3600, still=True)
        speeds(moving)
        memory(minute, hour)


def speeds(path: Path) -> None:
    """Print frames a second of each way to read a video, and its ratio to decoding alone."""
    print(f"{WIDTH} x {HEIGHT} H.264, every frame, times as long as decoding alone:\n")
    print("| read | FFmpeg's threads | ratio | frames/s |\n|---|---|---|---|")
    plain = lambda: decode(path, threads=1)  # noqa: E731 - what all others are compared with
    for threads in (1, 2, 0):
        row("PyAV, decoded only", threads, plain, lambda threads=threads: decode(path, threads))  # type: ignore[misc]
    row("frames() without a picture", 1, plain, lambda: read_times(path))
    for name, views in VIEWS.items():
        row(f"sampled({RATE}), {name}", 1, plain, lambda views=views: sample(path, RATE, views))  # type: ignore[misc]


def row(name: str, threads: int, plain: Callable[[], int], ours: Callable[[], int]) -> None:
    """Measure both in turn and print a row."""
    pairs = [(seconds_of(plain), seconds_of(ours)) for _ in range(5)]
    ratio = statistics.median(b / a for a, b in pairs)
    frames = ours()
    print(f"| {name} | {threads} | {ratio:.2f} | {frames / statistics.median(b for _, b in pairs):.0f} |", flush=True)


def memory(minute: Path, hour: Path) -> None:
    """Print the peak memory of reading a short and a long video."""
    print("\n| sampled at 10 frames/s, the default extractor's views | peak memory, MB |\n|---|---|")
    for name, path in (("a minute", minute), ("an hour", hour)):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(f"| {name} | {pool.apply(peak_memory, (path,)):.0f} |", flush=True)


def peak_memory(path: Path) -> float:
    """Read a video; megabytes of this process at its largest."""
    sample(path, 10, VIEWS["the default extractor's views"])
    # Of this program's own memory; ru_maxrss counts what the process that started this one had, too.
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def decode(path: Path, threads: int) -> int:
    """Decode with PyAV alone; how many frames there are."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_type, stream.codec_context.thread_count = "AUTO", threads
        return sum(1 for _ in container.decode(stream))


def read_times(path: Path) -> int:
    """Look at each frame's time only."""
    with VideoFile(path) as video:
        return sum(1 for _ in video.frames())


def sample(path: Path, rate: float, views: tuple[View, ...]) -> int:
    """Sample a video."""
    with VideoFile(path) as video:
        return sum(1 for _ in video.sampled(rate, views))


def write_video(path: Path, *, seconds: int, still: bool) -> Path:
    """Write a video, of a picture that stands still or of noise that moves."""
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8 + 99, WIDTH // 8 + 99, 3), np.uint8)
    picture = np.repeat(np.repeat(noise, 8, 0), 8, 1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast" if not still else "ultrafast"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(seconds * RATE):
            offset = 0 if still else i % 700
            piece = np.ascontiguousarray(picture[offset : offset + HEIGHT, offset : offset + WIDTH])
            output.mux(stream.encode(av.VideoFrame.from_ndarray(piece, "rgb24")))
        output.mux(stream.encode(None))
    return path


def seconds_of(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
