"""From a decoded frame to the picture that a view asks for: scaled, upright, cut out of the middle, RGB."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from av import VideoFrame
from av.error import FFmpegError
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from untrimmed.errors import VideoError
from untrimmed.video.view import Picture, View

HIGH_DEFINITION = 720
"""Lines from which on BT.709 is meant where a video does not say what its colours mean; below it is BT.601."""

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED

_LONGEST_SIDE = 8
"""In times the shorter side; of a picture that is longer, the ends are cut off before it is scaled."""

_SCALING = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""How FFmpeg scales.

Its bilinear filter grows with the factor by which a picture shrinks, so that nothing aliases: what Pillow, and torch
with `antialias=True`, call bilinear, and what backbones were trained on.
"""

_PLANES = "gbrp"
"""FFmpeg's layout of the scaled pictures.

Its conversion to separate planes is right to rounding, and fast. The one to interleaved RGB is 1 to 3 of 255 too dark,
or, with full chroma interpolation, as right but half as fast.
"""

_CHANNELS = (1, 2, 0)  # which of R, G, B each plane is


class Orientation(NamedTuple):
    """What has to be done to a decoded frame so that it stands upright: first `transpose`, then the flips.

    All eight positions in which a camera or its front lens can record.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Orientation:
        """Read a frame's display matrix; angles other than multiples of 90 degrees count as none."""
        if "DISPLAYMATRIX" not in frame.side_data:
            return cls()
        # x' = a x + c y, y' = b x + d y, in 16.16 fixed point, with y downwards as everywhere in pictures.
        matrix = np.frombuffer(memoryview(frame.side_data["DISPLAYMATRIX"]), np.int32)  # type: ignore[typeddict-item]
        a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
        if a and d and not (b or c):
            return cls(False, d < 0, a < 0)
        if b and c and not (a or d):
            return cls(True, b < 0, c < 0)
        return cls()

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn `[height, width, ...]` upright, as a view."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        return picture[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height after it, or from after it to before."""
        return (height, width) if self.transpose else (width, height)


UPRIGHT = Orientation()


def shown_size(width: int, height: int, pixel_shape: Fraction, orientation: Orientation = UPRIGHT) -> tuple[int, int]:
    """Return the width and height at which players show a frame.

    Pixels that are not square (`pixel_shape` is their width by their height) make the picture wider or higher, never
    smaller.
    """
    if pixel_shape >= 1:
        return orientation.size(round(width * pixel_shape), height)
    return orientation.size(width, round(height / pixel_shape))


@dataclass(frozen=True, slots=True)
class _Cut:
    """A scaled size, and the piece in it that is wanted: all in pixels of the decoded frame's own orientation."""

    width: int
    height: int
    top: int
    left: int
    rows: int
    columns: int


class PictureMaker:
    """Makes pictures of frames, keeping FFmpeg's scalers from one frame to the next."""

    def __init__(self, path: Path, pixel_shape: Fraction = Fraction(1)) -> None:
        """Begin a video.

        Args:
            path: of its file, for messages.
            pixel_shape: width of a pixel by its height.
        """
        self._path, self._pixel_shape = path, pixel_shape
        self._scalers: dict[View, VideoReformatter] = {}

    def picture(self, frame: VideoFrame, view: View) -> Picture:
        """Make `[view.height, view.width, 3]`, RGB, contiguous and new.

        Raises:
            VideoError: if FFmpeg cannot convert the frame.
        """
        scaler = self._scalers.setdefault(view, VideoReformatter())
        orientation = Orientation.of(frame)
        try:
            if view.short_side is not None:
                frame = _less_long(frame, self._pixel_shape)
            cut = _cut(frame, view, self._pixel_shape, orientation)
            return _rgb(_scaled(scaler, frame, cut.width, cut.height), cut, orientation)
        except (FFmpegError, ValueError) as error:
            raise VideoError(
                f"{self._path}: FFmpeg cannot scale a picture of {frame.width} x {frame.height}, {frame.format.name}, "
                f"to {view.width} x {view.height} ({error})"
            ) from error


def _cut(frame: VideoFrame, view: View, pixel_shape: Fraction, orientation: Orientation) -> _Cut:
    columns, rows = orientation.size(view.width, view.height)
    if view.short_side is None:
        return _Cut(columns, rows, 0, 0, rows, columns)
    width, height = shown_size(frame.width, frame.height, pixel_shape)
    scale = Fraction(view.short_side, min(width, height))
    width, height = round(width * scale), round(height * scale)
    return _Cut(width, height, (height - rows) // 2, (width - columns) // 2, rows, columns)


def _less_long(frame: VideoFrame, pixel_shape: Fraction) -> VideoFrame:
    """Cut the ends off a picture that is a narrow strip: scaled as a whole it could need any amount of memory."""
    width, height = shown_size(frame.width, frame.height, pixel_shape)
    if max(width, height) <= _LONGEST_SIDE * min(width, height):
        return frame
    rows, columns = frame.height, frame.width
    if height > width:
        rows = max(1, rows * 2 * width // height)
    else:
        columns = max(1, columns * 2 * height // width)
    middle = _Cut(frame.width, frame.height, (frame.height - rows) // 2, (frame.width - columns) // 2, rows, columns)
    return VideoFrame.from_ndarray(_rgb(_scaled(VideoReformatter(), frame, frame.width, frame.height), middle), "rgb24")


def _scaled(scaler: VideoReformatter, frame: VideoFrame, width: int, height: int) -> VideoFrame:
    """Scale a frame and convert it to RGB, both as its own flags say."""

    def scale() -> VideoFrame:
        colours = _colours(frame)
        return scaler.reformat(frame, width, height, _PLANES, colours, interpolation=_SCALING, threads=1)

    try:
        return scale()
    except (FFmpegError, ValueError):
        frame.colorspace, frame.color_range = _UNSPECIFIED, 0  # what FFmpeg does not know is as good as unsaid
        return scale()


def _colours(frame: VideoFrame) -> Colorspace | None:
    """What a frame's colours mean if it does not say so: what players take them for."""
    if frame.colorspace != _UNSPECIFIED:
        return None
    return Colorspace.ITU709 if min(frame.width, frame.height) >= HIGH_DEFINITION else Colorspace.ITU601


def _rgb(frame: VideoFrame, cut: _Cut, orientation: Orientation = UPRIGHT) -> Picture:
    """Copy a piece of a scaled frame, turned upright, without the padding of FFmpeg's lines."""
    picture = np.empty((*orientation.size(cut.rows, cut.columns), 3), np.uint8)
    for channel, plane in zip(_CHANNELS, frame.planes, strict=True):
        lines = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * frame.height]
        lines = lines.reshape(frame.height, plane.line_size)
        piece = lines[cut.top : cut.top + cut.rows, cut.left : cut.left + cut.columns]
        picture[..., channel] = orientation.apply(piece)
    return picture
