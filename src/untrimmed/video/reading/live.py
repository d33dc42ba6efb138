"""Pictures of a source that is live: a camera, an address, a pipe; each with the second at which it is shown.

Seconds count from the first picture. They are presentation times, as in files; where a source's clock jumps by more
than ten seconds, because it was away or began anew, its pictures follow each other without a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Stream

from untrimmed.errors import VideoError
from untrimmed.video.reading.clock import Clock
from untrimmed.video.reading.decoding import Decoder
from untrimmed.video.reading.opening import FORMATS, MOST_PIXELS, ignore_others, picture_stream, pixel_shape
from untrimmed.video.reading.pictures import PictureMaker
from untrimmed.video.reading.reader import Frame, sampled_views
from untrimmed.video.view import Pictures, View

PROTOCOLS = ("http", "https", "rtsp", "rtsps", "rtmp", "rtmps", "tcp", "udp", "rtp", "srt")
"""Kinds of addresses that may be opened; through these FFmpeg can reach nothing on this machine's disks."""
_BELOW = "crypto,tls,httpproxy,rtmp,rtmpt,ffrtmphttp"
PATIENCE = 10.0
"""Seconds without a picture, or without an answer, after which a source is taken to be gone."""
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_SECRET = re.compile(r"(://)[^/@\s]*@")


def is_live(source: str) -> bool:
    """Whether a source is an address, a camera or a pipe, and not a file."""
    if _ADDRESS.match(source):
        return True
    path = Path(source)
    return path.exists() and not path.is_file() and not path.is_dir()


def shown_name(source: str) -> str:
    """Return a source as it may be printed: without a user's name and password."""
    return _SECRET.sub(r"\1", source)


class LiveVideo:
    """A source that is open for reading, once, from now on; a context manager. One thread at a time may read it."""

    def __init__(self, source: str, *, patience: float = PATIENCE) -> None:
        """Open a source.

        Args:
            source: an address (`rtsp://...`, `http://...`), a camera (`/dev/video0`), or a named pipe.
            patience: seconds after which a source is given up that sends nothing; a pipe is waited for.

        Raises:
            VideoError: if it cannot be opened, or there are no pictures in it.
        """
        self._name = Path(shown_name(source))
        self.name = shown_name(source)
        self._container = _open(source, self.name, patience)
        try:
            self._stream = picture_stream(self._container, self._name, 1)
            ignore_others(self._container, self._stream)
            self._decoder = Decoder(cast(InputContainer, _UntilGone(self._container)), self._stream)
            rate = self._stream.average_rate
            self._clock = Clock(None, float(rate) if rate else None, broadcast=True)
        except VideoError as error:
            self._container.close()
            raise VideoError(str(error).replace(str(self._name), self.name, 1)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the source."""
        self._container.close()

    @property
    def damaged(self) -> int:
        """How many packets were damaged and left out, so far."""
        return self._decoder.damaged

    def sampled(self, rate: float, views: Sequence[View]) -> Iterator[Pictures]:
        """Yield the sampled frames as each view shows them, as `VideoFile.sampled` does, until the source ends.

        Raises:
            VideoError: if not one picture comes.
        """
        came = False
        for pictures in sampled_views(self._frames(), rate, views):
            came = True
            yield pictures
        if not came:
            raise VideoError(f"{self.name}: not one picture came. Is it sending video?")

    def _frames(self) -> Iterator[Frame]:
        unit, maker = self._stream.time_base or Fraction(1), PictureMaker(self._name, pixel_shape(self._stream))
        zero: int | None = None
        for frame, stamp in self._decoder.frames():
            if zero is None:
                zero = stamp
            seconds, duration = self._clock.place(
                None if stamp is None or zero is None else float((stamp - zero) * unit),
                float(frame.duration * unit) if frame.duration else None,
            )
            yield Frame(seconds, duration, frame, maker)


class _UntilGone:
    """A container whose packets end when its source is gone; of a file, a decoder would try to go on behind it."""

    def __init__(self, container: InputContainer) -> None:
        self.format, self._container = container.format, container

    def demux(self) -> Iterator[Packet[Stream]]:
        """Yield packets; what is damaged among them is an error, as everywhere."""
        try:
            yield from self._container.demux()
        except InvalidDataError:
            raise
        except FFmpegError:  # it does not answer, has closed the connection, or was unplugged
            return


def _open(source: str, name: str, patience: float) -> InputContainer:
    options = {"max_pixels": str(MOST_PIXELS)}
    address = _ADDRESS.match(source)
    kind: str | None = None
    if address:
        protocol = address[1].lower()
        if protocol not in PROTOCOLS:
            raise VideoError(f"{name}: {protocol}:// cannot be opened; expected is one of {', '.join(PROTOCOLS)}")
        options |= {
            "protocol_whitelist": ",".join((*PROTOCOLS, _BELOW)),
            "format_whitelist": f"{FORMATS},hls,rtsp,rtp,sdp",
        }
        if protocol.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # without lost packets
        place = source
    else:
        place = f"file:{Path(source).absolute()}"
        options |= {"protocol_whitelist": "file", "format_whitelist": FORMATS}
        if Path(source).is_char_device():  # FFmpeg's own name for cameras on Linux
            kind, place = "video4linux2", source
            del options["protocol_whitelist"], options["format_whitelist"]
    timeout = (patience, patience) if address else None
    try:
        return av.open(place, format=kind, options=options, timeout=timeout, metadata_errors="replace")
    except (FFmpegError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(
            f"{name}: cannot be opened ({reason}). Does it send video, and may this program read it?"
        ) from (error)
