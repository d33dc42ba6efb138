"""The sound of a video, packet by packet, as it is copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition

from untrimmed.video.reading.opening import open_container
from untrimmed.video.reading.probing import time_zero

CODECS = frozenset({"aac", "alac", "flac", "mp3", "opus"})
"""Codecs of sound that mp4 holds and players of mp4 play."""

SoundPacket: TypeAlias = "Packet[AudioStream]"


class Sound:
    """The packets of a video's sound in their order, on the player's clock.

    Attributes:
        stream: where they come from; `None` if there is no sound, or mp4 cannot hold it.
        codec: of the sound, also if mp4 cannot hold it; `None` if there is none.
        lost: the same, if mp4 cannot hold it.
    """

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            VideoError: if it is no video.
        """
        self._container = open_container(path)
        self._zero = time_zero(self._container)
        streams = self._container.streams.audio
        stream = max(streams, key=lambda s: bool(s.disposition & Disposition.default), default=None)
        self.codec = None if stream is None else _codec_of(stream)
        self.stream = stream if self.codec in CODECS else None
        self.lost = None if self.stream is not None else self.codec
        self._packets: Iterator[tuple[float, SoundPacket]] = (
            iter(()) if self.stream is None else self._read(self.stream)
        )
        self._next = next(self._packets, None)

    def until(self, seconds: float) -> Iterator[SoundPacket]:
        """Yield the packets that begin before that second and have not been yielded."""
        while self._next is not None and self._next[0] < seconds:
            yield self._next[1]
            self._next = next(self._packets, None)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _read(self, stream: AudioStream) -> Iterator[tuple[float, SoundPacket]]:
        packets = self._container.demux(stream)
        last: int | None = None
        while True:
            try:
                packet = next(packets)
            except (StopIteration, FFmpegError):  # damage is reported where the pictures are read; sound is an extra
                return
            if packet.dts is None or packet.pts is None or packet.time_base is None or not packet.size:
                continue
            shift = round(self._zero / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if last is None or packet.dts > last:
                last = packet.dts
                yield float(packet.dts * packet.time_base), packet


def _codec_of(stream: AudioStream) -> str:
    context = stream.codec_context
    return "unknown" if context is None else context.codec.canonical_name
