"""What `make bench` runs: ratios of speed, both sides measured in turn in one run, so that noise hits both alike.

    python benchmarks/speed.py

Every row is the median of the pairwise ratios; more than 1 means that ours is that many times as fast as what it is
compared with.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.suppression import Candidates, suppress
from untrimmed.model.attention import dense_attention, local_attention
from untrimmed.model.config import ModelConfig
from untrimmed.model.layers import convolve
from untrimmed.model.network import ActionFormer

LENGTH, WIDTH = 2304, 512


def main() -> None:
    """Measure and print every row."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}\n")
    print("| ours | compared with | times as fast | ours, ms |\n|---|---|---|---|")
    with torch.inference_mode():
        for ours, other, ratio, milliseconds in [*layers(), *attention(), *growth(), *suppression()]:
            print(f"| {ours} | {other} | {ratio:.2f} | {milliseconds:.1f} |", flush=True)


def compare(ours: Callable[[], object], other: Callable[[], object], repeats: int = 9) -> tuple[float, float]:
    """Median of other / ours over runs in turn, and the median of ours in milliseconds."""
    ours(), other()
    pairs = [(_seconds(ours), _seconds(other)) for _ in range(repeats)]
    return statistics.median(b / a for a, b in pairs), 1e3 * statistics.median(a for a, _ in pairs)


def layers() -> Iterator[tuple[str, str, float, float]]:
    """Convolutions and linear maps on `[B, T, C]`, against torch's usual forms of them."""
    x = torch.randn(1, LENGTH, WIDTH)
    usual = x.transpose(1, 2).contiguous()
    for name, weight, groups in (
        ("3-convolution", torch.randn(WIDTH, WIDTH, 3), 1),
        ("depthwise 3-convolution", torch.randn(WIDTH, 1, 3), WIDTH),
    ):
        ratio, ms = compare(
            lambda weight=weight: convolve(x, weight),  # type: ignore[misc]
            lambda weight=weight, groups=groups: F.conv1d(usual, weight, padding=1, groups=groups),  # type: ignore[misc]
        )
        yield f"{name}, width {WIDTH}", "conv1d on [B, C, T]", ratio, ms
    weight = torch.randn(4 * WIDTH, WIDTH, 1)
    ratio, ms = compare(lambda: convolve(x, weight), lambda: F.linear(x, weight.squeeze(2)))
    yield f"linear map {WIDTH} to {4 * WIDTH}", "linear", ratio, ms


def attention() -> Iterator[tuple[str, str, float, float]]:
    """Local attention against its dense definition."""
    q, k, v = (torch.randn(1, LENGTH, WIDTH) for _ in range(3))
    ratio, ms = compare(
        lambda: local_attention(q, k, v, heads=4, window=19),
        lambda: dense_attention(q, k, v, heads=4, window=19),
        repeats=5,
    )
    yield f"local attention, window 19, T = {LENGTH}", "dense attention with a mask", ratio, ms


def growth() -> Iterator[tuple[str, str, float, float]]:
    """The whole network's time for each moment, at two lengths: 1.0 is linear growth."""
    model = ActionFormer(ModelConfig(input_dims=2048, num_classes=20)).eval()
    short, long = torch.randn(1, LENGTH, 2048), torch.randn(1, 4 * LENGTH, 2048)
    ratio, ms = compare(lambda: model(long), lambda: [model(short) for _ in range(4)], repeats=3)
    yield f"network (THUMOS14 settings), T = {4 * LENGTH}", f"4 times T = {LENGTH}", ratio, ms


def suppression() -> Iterator[tuple[str, str, float, float]]:
    """Picking over all classes, against suppressing each class to its end."""
    random = np.random.default_rng(0)
    start = random.uniform(0, LENGTH, 12000).astype(np.float32)
    segments = np.stack([start, start + random.uniform(1, 60, 12000).astype(np.float32)], axis=1)
    candidates = Candidates(segments, random.random(12000, dtype=np.float32), random.integers(0, 20, 12000))
    config = DetectionConfig()
    classes = [candidates.select(candidates.labels == i) for i in range(20)]
    ratio, ms = compare(
        lambda: suppress(candidates, config), lambda: [suppress(each, config) for each in classes], repeats=5
    )
    yield "soft suppression of 12,000 candidates, 20 classes", "each class by itself", ratio, ms


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
