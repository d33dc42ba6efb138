"""Where a video is cut: TransNetV2 over all of its frames.

The network judges windows of 100 frames, of which the 50 in the middle count, as its authors use it. It marks the last
frame before a hard cut, and one or more in the middle of a gradual change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from untrimmed.model.devices import pick_device
from untrimmed.video.extraction.feature_stream import OnProgress
from untrimmed.video.extractors.packaged import transnet_weights
from untrimmed.video.extractors.transnet import HEIGHT, WIDTH, TransNetV2
from untrimmed.video.reading.ahead import ahead
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import Picture, View

THRESHOLD = 0.5
"""Probability above which a frame belongs to a change of shots."""
STEP, MARGIN = 50, 25
"""Frames that are judged at once, and how many before and after them are looked at as well."""
WINDOW = STEP + 2 * MARGIN
"""Frames that the network is given, always."""
READ_AHEAD = 2 * WINDOW
"""Frames that are decoded ahead of the network: less than 1 MB in its size."""

T = TypeVar("T")


def find_cuts(
    path: str | Path, *, allow_truncated: bool = False, device: str = "auto", on_progress: OnProgress | None = None
) -> tuple[float, ...]:
    """Return the seconds, as players count, at which a new shot begins; the first shot of a video is not new.

    All frames are looked at, at whatever rate they come. Memory does not grow with the video's length.

    Args:
        path: of the video.
        allow_truncated: take a video that ends before it should as it is.
        device: where to compute: `auto`, or as torch calls it.
        on_progress: is called with the seconds read and those that the container declares (`None` where it does not),
            for every frame.

    Raises:
        VideoError: if the file cannot be decoded, or not all of it.
        ModelError: if the package with the weights is not installed.
        ConfigError: if there is no such device.
    """
    place = pick_device(device)
    network = TransNetV2(transnet_weights()).to(place)
    with (
        VideoFile(path, allow_truncated=allow_truncated) as video,
        closing(ahead(_pictures(video), READ_AHEAD)) as pictures,
    ):
        told = _telling(pictures, video.info.duration, on_progress or (lambda *_: None))
        return tuple(new_shots(_judged(told, network, place)))


def windows(frames: Iterable[T]) -> Iterator[tuple[list[T], int]]:
    """Yield windows of `WINDOW` frames, each with the number of its frames from `MARGIN` on that are to be judged.

    Those are all frames in their order, `STEP` in each window but the last. Before the first frame and behind the last
    one, these two are repeated.
    """
    held: list[T] = []
    for frame in frames:
        held = held or [frame] * MARGIN
        held.append(frame)
        if len(held) == WINDOW:
            yield held, STEP
            held = held[STEP:]
    while len(held) > MARGIN:
        padded = held + held[-1:] * (WINDOW - len(held))
        yield padded, min(STEP, len(held) - MARGIN)
        held = held[STEP:]


def new_shots(frames: Iterable[tuple[float, float]]) -> Iterator[float]:
    """Yield the second of each frame that begins a new shot: that comes after a run of frames of a change of shots.

    A run with which the video begins has no shot before it, and one with which it ends has none behind it.

    Args:
        frames: each with its second, and how likely it belongs to a change of shots.
    """
    changing = ((seconds, chance > THRESHOLD) for seconds, chance in frames)
    some_shot = False
    for (_, before), (seconds, now) in pairwise(changing):
        some_shot = some_shot or not before
        if some_shot and before and not now:
            yield seconds


_Frame = tuple[float, Picture]
"""When it is shown, and what it shows."""


def _pictures(video: VideoFile) -> Iterator[_Frame]:
    view = View(HEIGHT, WIDTH)
    return ((frame.seconds, frame.picture(view)) for frame in video.frames())


def _telling(frames: Iterable[_Frame], declared: float | None, on_progress: OnProgress) -> Iterator[_Frame]:
    for frame in frames:
        on_progress(frame[0], declared)
        yield frame


def _judged(frames: Iterable[_Frame], network: TransNetV2, device: torch.device) -> Iterator[tuple[float, float]]:
    """Yield each frame's second, and how likely it belongs to a change of shots."""
    for window, count in windows(frames):
        middle = slice(MARGIN, MARGIN + count)
        chances = _chances([picture for _, picture in window], network, device)[middle]
        yield from zip((seconds for seconds, _ in window[middle]), chances, strict=True)


@torch.inference_mode()
def _chances(pictures: Sequence[Picture], network: TransNetV2, device: torch.device) -> list[float]:
    """Return how likely each picture belongs to a change of shots."""
    chances: list[float] = network(torch.from_numpy(np.stack(pictures)).to(device)).tolist()
    return chances
