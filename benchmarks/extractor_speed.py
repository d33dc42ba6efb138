"""How fast the default extractor is, its two networks and the whole of it, and how much memory it takes.

    python benchmarks/extractor_speed.py [--long]

The networks compute in one thread, plain and ours in turn, so that noise hits both alike; of each the fastest of the
rounds counts, which is what an idle machine does. The whole is what `untrimmed extract` takes from start to end, in a
process of its own; memory is the peak of its largest process. `--long` measures the memory for an hour of video, too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from untrimmed.video.extractors.efficientnet import SIZE, EfficientNetLite0
from untrimmed.video.extractors.packaged import efficientnet_weights, transnet_weights
from untrimmed.video.extractors.transnet import HEIGHT as STAGE_HEIGHT
from untrimmed.video.extractors.transnet import STAGE_REACH, Stage
from untrimmed.video.extractors.transnet import WIDTH as STAGE_WIDTH
from video_reading import HEIGHT, RATE, WIDTH, write_video

State = Mapping[str, Tensor]

PROGRAM = shutil.which("untrimmed", path=Path(sys.executable).parent) or "untrimmed"
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
"""Of EfficientNet-Lite0's blocks."""
CHUNK = 64
"""Frames that come out of TransNetV2's first stage at once."""
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""Runs a command; a process of its own, because Linux counts the starter's memory to a new process's peak."""
ROUNDS = 12
MINUTES = 4
"""Of the video whose extraction is timed."""


def main() -> None:
    """Measure and print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="also an hour of video, which takes some minutes")
    options = parser.parse_args()
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, load before {load}\n")
    torch.set_num_threads(1)
    with torch.inference_mode():
        appearance()
        motion()
    with tempfile.TemporaryDirectory() as folder:
        whole(Path(folder))
        memory(Path(folder), long=options.long)


def appearance() -> None:
    """Print frames a second of EfficientNet-Lite0."""
    state = efficientnet_weights()
    print(f"EfficientNet-Lite0 at {SIZE} x {SIZE}, one thread, frames/s:\n")
    print("| batch | plain, fp32 | ours, fp32 | plain, bf16 | ours, bf16 |\n|---|---|---|---|---|")
    ours = {name: EfficientNetLite0(state).to(dtype) for name, dtype in PRECISIONS.items()}
    plain = {name: {key: t.to(dtype) for key, t in state.items()} for name, dtype in PRECISIONS.items()}
    for batch in (1, 2, 4, 8, 16):
        pictures = torch.randn(batch, 3, SIZE, SIZE)
        calls: list[Callable[[], object]] = []
        for name, dtype in PRECISIONS.items():
            usual = pictures.to(dtype)
            last = usual.contiguous(memory_format=torch.channels_last)
            calls.append(lambda name=name, x=usual: plain_efficientnet(plain[name], x))  # type: ignore[misc]
            calls.append(lambda name=name, x=last: ours[name](x))  # type: ignore[misc]
        print(f"| {batch} | {' | '.join(f'{batch / seconds:.0f}' for seconds in fastest(calls))} |", flush=True)


def motion() -> None:
    """Print frames a second of TransNetV2's first stage."""
    state = transnet_weights()
    frames = torch.rand(CHUNK + 2 * STAGE_REACH, 3, STAGE_HEIGHT, STAGE_WIDTH)
    calls: list[Callable[[], object]] = [lambda: plain_stage(state, frames)]
    for dtype in PRECISIONS.values():
        stage = Stage(state, 0, padded=False).to(dtype)
        last = frames.to(dtype).contiguous(memory_format=torch.channels_last)
        calls.append(lambda stage=stage, x=last: stage(x))  # type: ignore[misc]
    print(
        f"\nFirst stage of TransNetV2, {CHUNK} frames and their {2 * STAGE_REACH} neighbours, one thread, frames/s:\n"
    )
    print("| plain, fp32 | ours, fp32 | ours, bf16 |\n|---|---|---|")
    print(f"| {' | '.join(f'{CHUNK / seconds:.0f}' for seconds in fastest(calls))} |", flush=True)


def whole(folder: Path) -> None:
    """Print how many times faster than it is played a video is extracted."""
    video = write_video(folder / "moving.mp4", seconds=60 * MINUTES, still=False)
    print(f"\n`untrimmed extract`, {MINUTES} minutes of {WIDTH} x {HEIGHT} H.264, {RATE} frames/s:\n")
    print("| cores | precision | seconds | times real time |\n|---|---|---|---|")
    for cores in sorted({1, min(2, os.cpu_count() or 1)}):
        for precision in PRECISIONS:
            seconds = min(extract(video, cores, precision)[0] for _ in range(2))
            print(f"| {cores} | {precision} | {seconds:.1f} | {60 * MINUTES / seconds:.1f} |", flush=True)


def memory(folder: Path, *, long: bool) -> None:
    """Print the peak memory of extracting a short and a long video."""
    print("\n| `untrimmed extract` | peak memory, MB | times real time |\n|---|---|---|")
    for minutes in (1, 60) if long else (1,):
        video = write_video(folder / f"{minutes}.mp4", seconds=60 * minutes, still=True)
        seconds, megabytes = extract(video, min(2, os.cpu_count() or 1), "auto")
        name = "1 minute" if minutes == 1 else f"{minutes} minutes"
        print(f"| {name} | {megabytes:.0f} | {60 * minutes / seconds:.1f} |", flush=True)


def extract(video: Path, cores: int, precision: str) -> tuple[float, float]:
    """Extract a video as a user would; seconds, and megabytes of the largest process."""
    with tempfile.TemporaryDirectory() as out:
        command = [PROGRAM, "extract", str(video), "--out", out, "--precision", precision]
        all_cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(all_cores)[:cores])  # which the process inherits
        began = time.perf_counter()
        run = subprocess.run([sys.executable, "-c", MEASURED, *command], stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.perf_counter() - began
        os.sched_setaffinity(0, all_cores)
        return seconds, int(run.stdout) / 1024


def plain_efficientnet(state: State, x: Tensor) -> Tensor:
    """The network step by step, as it was trained: `[B, 3, 224, 224] -> [B, 1280]`."""

    def convolve(name: str, norm: str, x: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        missing = max(0, weight.shape[-1] - stride)
        x = F.pad(x, (missing // 2, missing - missing // 2) * 2) if missing else x
        return normed(state, norm, F.conv2d(x, weight, stride=stride, groups=groups))

    x = F.relu6(convolve("_conv_stem", "_bn0", x, 2))
    for i, stride in enumerate(STRIDES):
        block, skipped = f"_blocks.{i}.", x
        if i:
            x = F.relu6(convolve(f"{block}_expand_conv", f"{block}_bn0", x))
        x = F.relu6(convolve(f"{block}_depthwise_conv", f"{block}_bn1", x, stride, x.shape[1]))
        x = convolve(f"{block}_project_conv", f"{block}_bn2", x)
        x = x + skipped if x.shape == skipped.shape else x
    return F.relu6(convolve("_conv_head", "_bn1", x)).mean((2, 3))


def plain_stage(state: State, frames: Tensor) -> Tensor:
    """The stage of 3-D convolutions, as it was trained: `[T + 32, 3, H, W] -> [1, 64, T + 32, H // 2, W // 2]`."""

    def branches(name: str, x: Tensor) -> Iterator[Tensor]:
        for d in (1, 2, 4, 8):
            spatial, temporal = (state[f"{name}.Conv3D_{d}.layers.{i}.weight"] for i in (0, 1))
            y = F.conv3d(x, spatial, padding=(0, 1, 1))
            yield F.conv3d(y, temporal, padding=(d, 0, 0), dilation=(d, 1, 1))

    def cell(name: str, x: Tensor) -> Tensor:
        return F.relu(normed(state, f"{name}.bn", torch.cat(list(branches(name, x)), 1)))

    first = cell("SDDCNN.0.DDCNN.0", frames.transpose(0, 1).unsqueeze(0))
    return F.avg_pool3d(cell("SDDCNN.0.DDCNN.1", first) + first, (1, 2, 2))


def normed(state: State, name: str, x: Tensor) -> Tensor:
    """Batch normalisation with the statistics of the training."""
    mean, variance, gain, bias = (state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
    return F.batch_norm(x, mean, variance, gain, bias, False, 0.0, 1e-3)


def fastest(calls: list[Callable[[], object]]) -> list[float]:
    """Seconds of each call: the least of some rounds, in each of which every one has its turn."""
    for call in calls:
        call()
    best = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for i, call in enumerate(calls):
            began = time.perf_counter()
            call()
            best[i] = min(best[i], time.perf_counter() - began)
    return best


if __name__ == "__main__":
    main()
