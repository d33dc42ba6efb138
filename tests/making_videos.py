"""Small videos made on the fly, in any container, codec, rate and position; their pictures say which they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

WIDTH, HEIGHT = 64, 48
_ROWS, _COLUMNS = 3, 4  # of the blocks; each is one bit of a picture's number

CODECS = {
    ".mp4": "libx264",
    ".m4v": "libx264",
    ".mov": "libx264",
    ".mkv": "libx264",
    ".ts": "libx264",
    ".flv": "libx264",
    ".webm": "libvpx-vp9",
    ".avi": "mpeg4",
    ".mpg": "mpeg2video",
    ".wmv": "wmv1",
    ".gif": "gif",
}
"""What each container is filled with if nothing else is asked for."""

_FAST = {
    "libx264": {"preset": "ultrafast", "crf": "18"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "10"},
    "mpeg4": {"qscale": "2"},
}
_PIXEL_FORMATS = {"gif": "rgb8", "mjpeg": "yuvj420p", "ffv1": "yuv420p", "png": "rgb24", "qtrle": "rgb24"}


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """A picture whose 3 x 4 black and white blocks are the 12 bits of its number."""
    bits = np.array([number >> i & 1 for i in range(_ROWS * _COLUMNS)], np.uint8).reshape(_ROWS, _COLUMNS)
    rows, columns = np.arange(height) * _ROWS // height, np.arange(width) * _COLUMNS // width
    return np.repeat(bits[rows][:, columns, None] * np.uint8(255), 3, axis=2)


def number_of(picture: Picture) -> int:
    """The number of a picture, however it was scaled (in whole) and compressed."""
    height, width = picture.shape[:2]
    rows = [(2 * i + 1) * height // (2 * _ROWS) for i in range(_ROWS)]
    columns = [(2 * i + 1) * width // (2 * _COLUMNS) for i in range(_COLUMNS)]
    bits = picture[rows][:, columns].mean(axis=2).ravel() > 127
    return sum(int(bit) << i for i, bit in enumerate(bits))


def make_video(
    path: Path,
    pictures: int | Iterable[Picture] = 10,
    *,
    rate: Fraction | int = 25,
    times: Sequence[float] | None = None,
    start: float = 0.0,
    codec: str | None = None,
    pixel_format: str | None = None,
    options: Mapping[str, str] | None = None,
    container: str | None = None,
    container_options: Mapping[str, str] | None = None,
    b_frames: int = 0,
    key_every: int = 12,
    rotation: int = 0,
    flip: bool = False,
    pixel_shape: Fraction | None = None,
    colours: Mapping[str, int] | None = None,
    sound: float = 0.0,
    sound_start: float = 0.0,
) -> Path:
    """Write a video.

    Args:
        path: its suffix says which container, unless `container` does.
        pictures: RGB, all of one size; or how many pictures that say their number (see `number_of`).
        rate: frames per second.
        times: of the pictures, in seconds, to the millisecond; for a rate that varies.
        start: added to the times of all pictures, in seconds.
        codec: FFmpeg's name; else by the container (`CODECS`).
        pixel_format: FFmpeg's name; else `yuv420p`, or what the codec needs.
        options: of the codec.
        container: FFmpeg's name of the muxer.
        container_options: of the muxer.
        b_frames: the most frames in a row that are predicted from both sides.
        key_every: frames from one key frame to the next.
        rotation: degrees counterclockwise by which players shall turn the pictures.
        flip: whether they shall then mirror them, left to right.
        pixel_shape: width of a pixel by its height.
        colours: attributes of the codec such as `colorspace` and `color_range`, by FFmpeg's numbers.
        sound: seconds of silence beside the pictures.
        sound_start: when it begins.
    """
    frames = [numbered(i) for i in range(pictures)] if isinstance(pictures, int) else list(pictures)
    codec = codec or CODECS[path.suffix]
    unit = Fraction(1, 1000) if times is not None else 1 / Fraction(rate)
    stamps = list(range(len(frames))) if times is None else [round(t * 1000) for t in times]
    offset = round(start / unit)
    with av.open(str(path), "w", format=container, options=dict(container_options or {})) as output:
        stream = output.add_stream(codec, rate=Fraction(rate), options={**_FAST.get(codec, {}), **(options or {})})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format or _PIXEL_FORMATS.get(codec, "yuv420p")
        stream.codec_context.time_base = unit
        stream.codec_context.gop_size = key_every
        stream.codec_context.max_b_frames = b_frames
        if pixel_shape is not None:
            stream.codec_context.sample_aspect_ratio = pixel_shape
        for name, value in (colours or {}).items():
            setattr(stream.codec_context, name, value)
        if rotation or flip:
            stream.set_display_rotation(rotation, hflip=flip)
        if sound:
            _add_silence(output, path.suffix, sound, sound_start)
        for stamp, picture in zip(stamps, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(
                format=stream.pix_fmt,
                dst_colorspace=(colours or {}).get("colorspace"),
                dst_color_range=(colours or {}).get("color_range"),
            )
            frame.pts, frame.time_base = stamp + offset, unit
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _add_silence(output: av.container.OutputContainer, suffix: str, seconds: float, start: float) -> None:
    codec, rate = {".webm": ("libopus", 48000), ".mpg": ("mp2", 44100)}.get(suffix, ("aac", 48000))
    stream = output.add_stream(codec, rate=rate, layout="mono")
    size, done = 1024, 0
    while done < seconds * rate:
        count = min(size, round(seconds * rate) - done)
        frame = av.AudioFrame(format="s16", layout="mono", samples=count)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = round(start * rate) + done
        output.mux(stream.encode(frame))
        done += count
    output.mux(stream.encode(None))
