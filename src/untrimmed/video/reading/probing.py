"""What a video file says of itself: its size, its length, and where its time begins."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path

from av import VideoFrame, time_base
from av.container import InputContainer
from av.video.stream import VideoStream

from untrimmed.video.reading.clock import LONGEST_GAP
from untrimmed.video.reading.opening import pixel_shape
from untrimmed.video.reading.pictures import Orientation, shown_size

_MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
_MATROSKA = "matroska,webm"


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video file says of itself.

    Attributes:
        path: of the file.
        duration: the second at which the pictures end, as declared, counted from the player's 0:00; of sound as well if
            the container does not tell them apart. `None` if it does not say.
        width: as players show it: upright, with square pixels.
        height: the same.
        rate: the declared average of frames per second, which need not be true; `None` if nothing is declared.
        codec: FFmpeg's name of it.
        rotation: degrees counterclockwise by which the decoded pictures are turned; 0, 90, 180 or 270.
        has_audio: whether there is sound as well.
    """

    path: Path
    duration: float | None
    width: int
    height: int
    rate: float | None
    codec: str
    rotation: int
    has_audio: bool


class Of(Enum):
    """What a declared length is the length of."""

    PICTURES = "pictures"
    """The stream that is read."""
    EVERYTHING = "everything"
    """The longest of all streams."""
    A_GUESS = "a guess"
    """FFmpeg's own, from the size of the file or its last packets: nothing is declared."""


@dataclass(frozen=True, slots=True)
class DeclaredEnd:
    """Where a video ends, as its container declares it.

    Attributes:
        seconds: from the player's 0:00.
        of: what ends there.
    """

    seconds: float
    of: Of


def time_zero(container: InputContainer) -> Fraction:
    """Return what players call 0:00, in FFmpeg's seconds.

    For the containers that browsers play, MP4 (MOV) and Matroska (WebM), it is the container's own zero: where pictures
    and sound begin later than that, the player's clock begins later too, or it shows the first picture until then; what
    has a negative time is not shown. Compared with Chromium, which goes by the same timestamps; a test repeats it. All
    other containers count from an arbitrary instant, and it is where the earliest of their streams begins, as for
    FFmpeg's own tools. The same for a recording that begins more than an hour (`LONGEST_GAP`) after zero, whose times
    are those of a clock on the wall.
    """
    start = Fraction(container.start_time or 0, time_base)
    if container.format.name in {_MP4, _MATROSKA} and start <= LONGEST_GAP:
        return Fraction(0)
    # FFmpeg rounds the container's start to microseconds; the stream that it comes from has it exactly.
    starts = [s.start_time * s.time_base for s in container.streams if s.start_time is not None and s.time_base]
    return min(starts, key=lambda exact: abs(exact - start), default=start)


def declared_end(container: InputContainer, stream: VideoStream, path: Path) -> DeclaredEnd | None:
    """Return where the container says that the video ends.

    That is the end of the pictures for MP4, AVI, and a Matroska file with its muxer's tags; of everything for other
    Matroska files and Flash. In other containers FFmpeg measures or guesses.
    """
    zero, kind = time_zero(container), container.format.name
    whole = Fraction(container.duration, time_base) if container.duration else None
    unit = stream.time_base or Fraction(0)
    own, start = (stream.duration or 0) * unit, (stream.start_time or 0) * unit
    end, of = own + start - zero if own else whole, Of.A_GUESS
    if kind == _MP4 and own:
        of = Of.PICTURES
    elif kind == "avi" and own:
        end, of = max(own, _avi_header_seconds(path)), Of.PICTURES
    elif kind == _MATROSKA and (tag := _matroska_tag(stream)):
        end, of = min(tag, whole or tag) - zero, Of.PICTURES  # a tag may have stayed from before the video was cut
    elif kind == _MATROSKA and whole:
        end, of = whole - zero, Of.EVERYTHING
    elif kind == "flv" and whole:
        of = Of.EVERYTHING
    elif kind == "asf" and own:  # counted from before the first stream; FFmpeg drops it if the file is too short
        end = own - zero
    return DeclaredEnd(float(end), of) if end else None


def describe(container: InputContainer, stream: VideoStream, path: Path, first: VideoFrame) -> VideoInfo:
    """Put together what a file, and its first frame, say of it."""
    width, height = shown_size(first.width, first.height, pixel_shape(stream), Orientation.of(first))
    end = declared_end(container, stream, path)
    return VideoInfo(
        path=path,
        duration=end.seconds if end and end.seconds > 0 else None,
        width=width,
        height=height,
        rate=float(stream.average_rate) if stream.average_rate else None,
        codec=stream.codec_context.name,
        rotation=first.rotation % 360,
        has_audio=bool(container.streams.audio),
    )


def _matroska_tag(stream: VideoStream) -> Fraction | None:
    """Where a stream ends by the tag that muxers write behind it, `DURATION` (in some with a language)."""
    for name, value in stream.metadata.items():
        match = re.fullmatch(r"(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d{1,12})?)", value)
        if match and name.split("-")[0] == "DURATION":
            hours, minutes, seconds = match.groups()
            return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    return None


def _avi_header_seconds(path: Path) -> Fraction:
    """How long an AVI file is by its main header; FFmpeg shortens that for a file that was cut."""
    with path.open("rb") as file:
        head = file.read(52)
    if len(head) < 52 or head[24:28] != b"avih":
        return Fraction(0)
    microseconds, frames = struct.unpack("<I12xI", head[32:52])
    return Fraction(microseconds * frames, 10**6)
