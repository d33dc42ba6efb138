"""A very long video in overlapping chunks: the outputs of the whole, in memory that does not grow with its length.

With windows in its attention, the network sees no further than its `margin`. So a chunk of the video gives the same
outputs as the whole but for those within a margin of where it was cut, and chunks that overlap by two margins give all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from untrimmed.errors import ConfigError
from untrimmed.model.config import ModelConfig
from untrimmed.model.moments import level_lengths, pyramid_moments
from untrimmed.model.network import ActionFormer, Predictions

USUAL = 2**14
"""Clips of a chunk where memory is not limited. Measured at a width of 512 on a CPU: from here on a clip takes about a
fifth more time, since arrays are so large that the system has to find new memory for each."""


@dataclass(frozen=True)
class Chunk:
    """A part of a video, in clips.

    Attributes:
        start: first clip that the network is given.
        stop: behind the last one.
        first: first clip of those whose moments are kept; moments sit at every `stride`-th clip.
        last: behind the last one.
    """

    start: int
    stop: int
    first: int
    last: int


def margin(config: ModelConfig) -> int:
    """How many clips to either side of a moment its outputs can depend on, rounded up to the coarsest stride.

    Raises:
        ConfigError: if they depend on the whole video (see `needs_whole_video`).
    """
    reason = needs_whole_video(config)
    if reason is not None:
        raise ConfigError(f"max_memory is for models that can look at a video in parts, but {reason}. Leave it out")
    coarsest = config.strides[-1]
    return -(-max(reaches(config)) // coarsest) * coarsest


def reaches(config: ModelConfig) -> tuple[int, ...]:
    """How many clips to either side of a moment of each level its outputs can depend on, finest level first.

    Of a model that does not need the whole video (see `needs_whole_video`).
    """
    strides, found = config.strides, _encoder_reaches(config)
    if config.neck == "top_down":
        for i in reversed(range(len(found) - 1)):
            # A moment is given the coarser one at or before it, less than a coarse stride away.
            found[i] = max(found[i], found[i + 1] + strides[i + 1] - strides[i])
        found = [reach + stride for reach, stride in zip(found, strides, strict=True)]
    head = config.head_layers * (config.head_kernel // 2)
    return tuple(reach + head * stride for reach, stride in zip(found, strides, strict=True))


def needs_whole_video(config: ModelConfig) -> str | None:
    """Return the setting because of which every output depends on the whole video, and why; `None` if none does."""
    if config.padding == "official":
        return "model.padding is 'official', which goes by the length of the whole video"
    if config.position in ("sinusoid", "both"):
        return f"model.position is {config.position!r}, which counts from the start of the video"
    if config.encoder == "transformer" and None in (*_stem_windows(config), *_branch_windows(config)):
        return f"model.window is {_in_yaml(config.window)}, and null is attention to the whole video"
    return None


def usual_chunk(config: ModelConfig) -> int | None:
    """How many clips a model should be given at a time where memory is not limited; `None` is the whole video.

    Few enough to be fast, but so many that overlaps are a small part of them.
    """
    if needs_whole_video(config) is not None:
        return None
    return max(USUAL // config.strides[-1] * config.strides[-1], 16 * margin(config))


def _in_yaml(window: int | tuple[int | None, ...] | None) -> str:
    if isinstance(window, tuple):
        return f"[{', '.join(map(_in_yaml, window))}]"
    return "null" if window is None else str(window)


def _stem_windows(config: ModelConfig) -> tuple[int | None, ...]:
    stem = config.stem_blocks
    return config.windows[:stem] if config.pyramid == "every_block" else config.windows[:1] * stem


def _branch_windows(config: ModelConfig) -> tuple[int | None, ...]:
    return config.windows[config.levels - config.downsampling_blocks :]


def _encoder_reaches(config: ModelConfig) -> list[int]:
    """How many clips to either side of it a moment of each level comes from, before the neck."""
    reach = config.projection_layers * (config.projection_kernel // 2)
    stem = [reach := reach + _block_reach(config, window, 1) for window in _stem_windows(config)]
    levels = stem if config.pyramid == "every_block" else [reach]
    stride = 1
    for window in _branch_windows(config):
        reach += stride * _block_reach(config, window, config.factor)
        stride *= config.factor
        levels.append(reach)
    return levels


def _block_reach(config: ModelConfig, window: int | None, factor: int) -> int:
    """How many moments of its input to either side of it a block's output comes from; `factor` is its stride.

    What downsamples, be it a convolution or pooling, looks at `factor + 1` moments.
    """
    downsampling = factor // 2
    if config.encoder == "conv":
        return 1 + factor  # a strided convolution, then one on its output, both over 3
    assert window is not None
    half = window // 2
    if not config.qkv_convolution:
        return half + downsampling
    if config.downsampling == "convolution" and factor > 1:  # before attention
        return downsampling + half * factor
    return 1 + half + downsampling


def chunks(length: int, clips: int, margin: int, multiple: int) -> Iterator[Chunk]:
    """Divide a video, so that each clip is kept once, and lies a margin away from where its chunk was cut.

    Args:
        length: clips of the video.
        clips: of a chunk, more than two margins; all but the last are of this length, the last may be shorter.
        margin: in clips.
        multiple: the coarsest stride. Chunks begin at multiples of it, so that their moments are those of the whole.
    """
    assert margin % multiple == clips % multiple == 0, (margin, clips, multiple)
    assert clips > 2 * margin, (clips, margin)
    start = 0
    while start + clips < length:
        yield Chunk(start, start + clips, start + margin if start else 0, start + clips - margin)
        start += clips - 2 * margin
    yield Chunk(start, length, start + margin if start else 0, length)


def predict_in_chunks(
    model: ActionFormer, read: Callable[[int, int], Tensor], length: int, *, clips: int
) -> Predictions:
    """Run a model over a long video in chunks; to rounding, the same as running it over the whole.

    Args:
        model: in eval mode. Chunks are moved to its device, one at a time.
        read: returns the features of the clips from one to another, `[B, T, D]`, without padding.
        length: clips of the video.
        clips: of a chunk; a multiple of the coarsest stride, and more than two margins.

    Raises:
        ConfigError: if the model needs to see a video as a whole.
    """
    strides, around = model.config.strides, margin(model.config)
    device = next(model.parameters()).device
    lengths = level_lengths(length, strides)
    # Filled as we go: to join the chunks' outputs in the end would take the memory twice.
    logits, offsets = torch.empty(0), torch.empty(0)
    for chunk in chunks(length, clips, around, strides[-1]):
        part = model(read(chunk.start, chunk.stop).to(device))
        if chunk.start == 0:
            logits = part.logits.new_empty(len(part.logits), sum(lengths), part.logits.shape[2])
            offsets = part.offsets.new_empty(len(part.offsets), sum(lengths), 2)
        for to, of in _places(chunk, length, strides):
            logits[:, to], offsets[:, to] = part.logits[:, of], part.offsets[:, of]
    return Predictions(
        logits=logits,
        offsets=offsets,
        valid=torch.ones(logits.shape[:2], dtype=torch.bool, device=device),
        moments=pyramid_moments(length, strides, model.config.ranges, device),
    )


def _places(chunk: Chunk, length: int, strides: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Yield where the moments of each level that are kept of a chunk lie, in the video's outputs and in the chunk's."""
    firsts = [0, *accumulate(level_lengths(length, strides))]
    own_firsts = [0, *accumulate(level_lengths(chunk.stop - chunk.start, strides))]
    for stride, first, own_first in zip(strides, firsts, own_firsts, strict=False):
        count = -(-(chunk.last - chunk.first) // stride)
        to, of = first + chunk.first // stride, own_first + (chunk.first - chunk.start) // stride
        yield slice(to, to + count), slice(of, of + count)
