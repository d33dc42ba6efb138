"""Videos that are decoded in another process than the extractor's: what goes from the one to the other.

First a message of the seconds that the container declares; then chunks of sampled frames; last, where the video ends,
or what is wrong with it. A message is a header, which JSON can hold, and the pixels that belong to it, `[bytes]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.remote import local_copy
from untrimmed.video.extraction.one_video import what_went_wrong
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import Picture, Pictures, View

CHUNK_FRAMES = 64
"""Sampled frames in a chunk at the most."""
CHUNK_BYTES = 8 * 2**20
"""Bytes after which a chunk ends: about 50 pictures of 224 x 224. One is larger only if a single frame is."""

Message = tuple[dict[str, Any], NDArray[np.uint8]]
NO_PIXELS = np.zeros(0, np.uint8)


def decoded(path: str, rate: float, views: Sequence[View], *, allow_truncated: bool) -> Iterator[Message]:
    """Read a video to its end, and tell of it; see `VideoFile.sampled`. Whatever is wrong with it is no exception."""
    frames: list[Pictures] = []
    last: dict[str, Any]
    try:
        with local_copy(path) as file, VideoFile(file, allow_truncated=allow_truncated) as video:
            yield {"declared": video.info.duration}, NO_PIXELS
            size = 0
            for pictures in video.sampled(rate, views):
                frames.append(pictures)
                size += sum(picture.nbytes for picture in pictures if picture is not None)
                if len(frames) >= CHUNK_FRAMES or size >= CHUNK_BYTES:
                    yield packed(frames)
                    frames, size = [], 0
            last = {"end": video.end, "damaged": video.damaged}
    except Exception as fault:  # a video may break anything
        last = {"error": what_went_wrong(fault)}
    if frames:  # those before a fault are seen before it is
        yield packed(frames)
    yield last, NO_PIXELS


def packed(frames: Sequence[Pictures]) -> Message:
    """Put frames into a chunk; a picture that comes several times is there once."""
    numbers: dict[int, int] = {}
    pictures: list[Picture] = []

    def number(picture: Picture | None) -> int | None:
        if picture is None:
            return None
        if id(picture) not in numbers:
            numbers[id(picture)] = len(pictures)
            pictures.append(picture)
        return numbers[id(picture)]

    listed = [[number(picture) for picture in frame] for frame in frames]
    header = {"frames": listed, "shapes": [picture.shape for picture in pictures]}
    return header, np.concatenate([NO_PIXELS, *(picture.reshape(-1) for picture in pictures)])


def unpacked(message: Message) -> Iterator[Pictures]:
    """Yield the frames of a chunk, whose pictures are views of its pixels."""
    header, pixels = message
    pictures: list[Picture] = []
    begin = 0
    for shape in header["shapes"]:
        end = begin + prod(shape)
        pictures.append(pixels[begin:end].reshape(shape))
        begin = end
    for frame in header["frames"]:
        yield tuple(None if number is None else pictures[number] for number in frame)
