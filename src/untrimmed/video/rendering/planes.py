"""Decoded frames as H.264 takes them: upright, of one even size, brightness and colours apart (`yuv420p`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from av import VideoFrame
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from untrimmed.errors import VideoError
from untrimmed.video.reading.pictures import HIGH_DEFINITION, Orientation
from untrimmed.video.reading.reader import Frame, VideoInfo

BT709, BT601 = 1, 6
"""What the colours of high and of standard definition mean, by the numbers of ITU-T H.273, table 4 (and FFmpeg's)."""

_KNOWN = {1, 4, 5, 6, 7, 9}
"""The meanings that FFmpeg's scaler knows. It has the same numbers, with one for 5 and 6, which are the same matrix."""


@dataclass(frozen=True, slots=True)
class Planes:
    """The pixels of a `yuv420p` picture; writing into them changes it.

    Attributes:
        y: brightness, `[height, width]`, 16 to 235.
        u: blueness, `[height / 2, width / 2]`, 16 to 240, 128 is grey.
        v: redness, the same.
    """

    y: NDArray[np.uint8]
    u: NDArray[np.uint8]
    v: NDArray[np.uint8]

    @classmethod
    def of(cls, frame: VideoFrame) -> Self:
        """Return the planes of a frame, without the padding of their lines, without a copy."""
        assert frame.format.name == "yuv420p"
        return cls(*(np.asarray(memoryview(p)).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes))

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return iter((self.y, self.u, self.v))


class Upright:
    """Brings the frames of a video to one size, upright, in `yuv420p`, with their colours meaning what they meant.

    Attributes:
        width: of what it makes, even.
        height: the same.
        colours: what the colours of what it makes mean (H.273, table 4): what those of the first frame mean.
    """

    def __init__(self, width: int, height: int) -> None:
        assert width % 2 == height % 2 == 0
        self.width, self.height = width, height
        self.colours: int | None = None
        self._scaler = VideoReformatter()

    def scaled(self, frame: Frame) -> tuple[VideoFrame, Orientation]:
        """Scale a frame; the orientation says what has to be done to its planes for them to stand upright.

        Raises:
            VideoError: if FFmpeg cannot.
        """
        decoded = frame.decoded
        colours = colours_of(decoded)
        self.colours = self.colours or colours
        orientation = Orientation.of(decoded)
        width, height = orientation.size(self.width, self.height)
        full_range = decoded.color_range == ColorRange.JPEG or decoded.format.name.startswith("yuvj")
        same_size = (decoded.width, decoded.height) == (width, height)
        if same_size and decoded.format.name == "yuv420p" and colours == self.colours and not full_range:
            return decoded, orientation
        smaller = width * height < decoded.width * decoded.height
        try:
            made = self._scaler.reformat(
                decoded,
                width,
                height,
                "yuv420p",
                src_colorspace=_for_scaler(colours),
                dst_colorspace=_for_scaler(self.colours),
                src_color_range=ColorRange.JPEG if full_range else None,
                dst_color_range=ColorRange.MPEG,
                interpolation=Interpolation.AREA if smaller else Interpolation.BICUBIC,
                threads=1,
            )
        except (FFmpegError, ValueError) as error:
            raise VideoError(
                f"the picture at {frame.seconds:.3f} s, {decoded.width} x {decoded.height} {decoded.format.name}, "
                f"cannot be scaled to {width} x {height} ({error})"
            ) from error
        return made, orientation

    def __call__(self, frame: Frame) -> VideoFrame:
        """Return a frame as it is shown."""
        scaled, orientation = self.scaled(frame)
        if orientation == Orientation():
            return scaled
        upright = VideoFrame(self.width, self.height, "yuv420p")
        for into, plane in zip(Planes.of(upright), Planes.of(scaled), strict=True):
            into[:] = orientation.apply(plane)
        return upright


def even_size(info: VideoInfo) -> tuple[int, int]:
    """Return the width and height at which a video is shown, each rounded up to an even number, as H.264 needs it."""
    return info.width + info.width % 2, info.height + info.height % 2


def rgb_planes(picture: NDArray[np.uint8], colours: int) -> Planes:
    """Return the planes of an RGB picture `[height, width, 3]`, of even size, whose colours mean `colours` then."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
    meaning = _for_scaler(colours)
    return Planes.of(frame.reformat(format="yuv420p", dst_colorspace=meaning, dst_color_range=ColorRange.MPEG))


def colours_of(frame: VideoFrame) -> int:
    """Return what a frame's colours mean (H.273, table 4); where it does not say so, what players take them for."""
    if frame.colorspace in _KNOWN:
        return frame.colorspace
    return BT709 if min(frame.width, frame.height) >= HIGH_DEFINITION else BT601


def _for_scaler(colours: int) -> int:
    return 5 if colours == BT601 else colours
