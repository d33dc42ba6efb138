"""Writing a video again, as H.264 in mp4, which every browser and player shows, at the same seconds.

Frames are shown when the source's are, also where its rate varies, and the first one from 0:00 on. There are no
frames predicted from later ones: they would make the first decoding time lie before 0:00, which not every player
gets right.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av import VideoFrame
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from untrimmed.errors import VideoError
from untrimmed.video.reading.reader import Frame, VideoFile, VideoInfo
from untrimmed.video.rendering.planes import Upright
from untrimmed.video.rendering.sound import Sound

TICKS = 90_000
"""Units of time in a second, in the copies: a common multiple of most frame rates."""

_ENCODERS = ("libx264", "libopenh264")
_OPTIONS = {"libx264": {"preset": "veryfast", "crf": "20"}}
_KEY_SECONDS = 2
"""From one key frame to the next, so that a player that jumps does not have to decode for long."""

OnProgress = Callable[[float, float | None], object]
"""Is told how many seconds have been written, and how many there are as far as the container says."""

Convert = Callable[[Frame], VideoFrame]
"""Makes what is written of a frame of the source: `yuv420p`, always of the same even size."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of copying a video.

    Attributes:
        frames: how many were written.
        damaged: packets of the source that could not be decoded, and were left out.
        lost_sound: what mp4 cannot hold, and was left out: the codec of the sound; `None` if nothing was.
    """

    frames: int
    damaged: int
    lost_sound: str | None


def copy_video(
    path: Path,
    out: Path,
    make: Callable[[VideoInfo], tuple[Upright, Convert]],
    *,
    allow_truncated: bool = False,
    on_progress: OnProgress | None = None,
) -> Copied:
    """Write a video again, frame by frame, and its sound as it is.

    Written beside its place and renamed, so that no half video ever has the name `out`.

    Args:
        path: of the source.
        out: of the copy.
        make: is told what the source says of itself, and returns what brings frames to size, and what converts them.
        allow_truncated: copy a video that ends before it should as far as it goes.
        on_progress: is called after every frame.

    Raises:
        VideoError: if the source cannot be decoded, or not all of it; if `out` is the source; if this FFmpeg cannot
            encode H.264, or a picture so large.
        OSError: if `out` cannot be written.
    """
    if out.exists() and out.samefile(path):
        raise VideoError(f"{out}: is the video itself, which is never overwritten. Choose another name")
    with (
        VideoFile(path, allow_truncated=allow_truncated, threads=0) as video,
        _renamed_when_done(out) as unfinished,
        closing(Sound(path)) as sound,
    ):
        upright, convert = make(video.info)
        pictures = _converted(video, upright, convert, on_progress)
        try:
            frames = _write(unfinished, out, video.info.rate, pictures, sound)
            lost_sound = sound.lost
        except _UnwritableError:
            if sound.stream is None:
                raise
            pictures.close()
            pictures = _converted(video, upright, convert, on_progress)
            frames = _write(unfinished, out, video.info.rate, pictures, None)
            lost_sound = f"damaged {sound.codec}"
        if not frames:
            raise VideoError(f"{path}: all of its pictures lie before 0:00, so that no player shows any")
        return Copied(frames, video.damaged, lost_sound)


@dataclass(frozen=True, slots=True)
class _Picture:
    """What is written: when, for how long, and what its colours mean."""

    frame: VideoFrame
    seconds: float
    duration: float
    colours: int


class _UnwritableError(VideoError):
    """FFmpeg cannot encode or hold what it is given."""


def _converted(
    video: VideoFile, upright: Upright, convert: Convert, on_progress: OnProgress | None
) -> Generator[_Picture, None, None]:
    for frame in video.frames():
        if frame.seconds + frame.duration <= 0:  # before 0:00, where players do not show it
            continue
        converted = convert(frame)
        assert upright.colours is not None
        yield _Picture(converted, frame.seconds, frame.duration, upright.colours)
        if on_progress is not None:
            on_progress(frame.seconds + frame.duration, video.info.duration)


def _write(path: Path, name: Path, rate: float | None, pictures: Iterable[_Picture], sound: Sound | None) -> int:
    """Write an mp4 file that will be called `name`; returns how many pictures it has."""
    with _Writer(path, name, rate, sound) as writer:
        for picture in pictures:
            writer.write(picture)
    return writer.frames


class _Writer:
    """An mp4 file that is being written; a context manager. It is opened at the first frame, which says its size."""

    def __init__(self, path: Path, name: Path, rate: float | None, sound: Sound | None) -> None:
        self._path, self._name, self._sound = path, name, sound
        self._rate = Fraction(min(max(rate or 25.0, 1.0), 240.0)).limit_denominator(1001)
        self._output: OutputContainer | None = None
        self._last = -1
        self._durations: dict[int, int] = {}
        self.frames = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._output is None:
            return
        try:
            if kind is None:
                with self._told():
                    self._mux(self._pictures.encode(None))
                    self._mux_sound(float("inf"))
                    self._output.close()
        finally:
            with suppress(FFmpegError, ValueError):  # what is not closed by now is thrown away
                self._output.close()

    def write(self, picture: _Picture) -> None:
        """Write a picture, and the sound up to it."""
        with self._told():
            if self._output is None:
                self._open(picture)
            # The first is shown from the start: else a copy without sound would begin with it.
            stamp = max(round(picture.seconds * TICKS), self._last + 1) if self.frames else 0
            self._durations[stamp] = max(round((picture.seconds + picture.duration) * TICKS) - stamp, 1)
            self._last = stamp
            self.frames += 1
            frame = picture.frame
            frame.pts, frame.time_base = stamp, Fraction(1, TICKS)
            frame.pict_type = 0  # how the source coded it is of no interest
            self._mux(self._pictures.encode(frame))

    def _open(self, picture: _Picture) -> None:
        encoder = next((name for name in _ENCODERS if name in av.codecs_available), None)
        if encoder is None:
            raise VideoError(f"{self._name}: this FFmpeg cannot encode H.264. Get PyAV's own: pip install --force av")
        self._output = av.open(f"file:{self._path.absolute()}", "w", format="mp4", options={"movflags": "+faststart"})
        stream = self._output.add_stream(encoder, rate=self._rate, options=_OPTIONS.get(encoder, {}))
        assert isinstance(stream, VideoStream)
        first = picture.frame
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        context = stream.codec_context
        context.time_base = stream.time_base = Fraction(1, TICKS)
        context.max_b_frames = 0
        context.gop_size = max(1, round(_KEY_SECONDS * self._rate))
        context.colorspace, context.color_range = picture.colours, ColorRange.MPEG
        context.color_primaries, context.color_trc = first.color_primaries, first.color_trc
        self._pictures = stream
        heard = None if self._sound is None else self._sound.stream
        self._heard = None if heard is None else self._output.add_stream_from_template(heard)

    def _mux(self, packets: Iterable[Packet[VideoStream]]) -> None:
        assert self._output is not None
        for packet in packets:
            assert packet.pts is not None
            packet.duration = self._durations.pop(packet.pts)
            self._mux_sound(packet.pts / TICKS)
            self._output.mux(packet)

    def _mux_sound(self, until: float) -> None:
        if self._sound is None or self._heard is None:
            return
        assert self._output is not None
        for packet in self._sound.until(until):
            packet.stream = self._heard
            self._output.mux(packet)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Context in which an error of FFmpeg's names the file."""
        try:
            yield
        except (OSError, VideoError):
            raise
        except (FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise _UnwritableError(f"{self._name}: FFmpeg cannot write it ({reason})") from error


@contextmanager
def _renamed_when_done(path: Path) -> Iterator[Path]:
    """Context in which a file is written under another name beside its place; it gets its own when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
