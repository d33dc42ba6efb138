"""From packets to frames, past whatever is damaged."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Generator, Iterator

from av import VideoFrame
from av.container import InputContainer
from av.error import BlockingIOError as NotTaken
from av.error import EOFError as Drained
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

_PATIENCE = 100
"""After so many errors in a row, without a packet in between, nothing more is expected of a file."""

_DEEPEST = 16
"""Over so many frames the order of decoding and the order of showing differ at most (H.264's limit)."""


class Decoder:
    """Decodes one stream of a container from where it stands to its end.

    Attributes:
        damaged: packets that could not be read or decoded, so far; they were left out.
        decoded: frames, so far.
        encrypted: whether there were encrypted packets, so far; they were left out.
        packets_end: in seconds, FFmpeg's, where the last packet of all the container's streams ends, so far.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self.damaged = self.decoded = 0
        self.encrypted = False
        self.packets_end = 0.0

    def frames(self) -> Generator[tuple[VideoFrame, int | None], None, None]:
        """Yield the frames in the order in which they are shown, each with its timestamp if it has one."""
        if self._container.format.name == "avi":
            yield from self._with_sorted_stamps()
        else:
            for frame in self._frames():
                yield frame, _stamp(frame)

    def _with_sorted_stamps(self) -> Iterator[tuple[VideoFrame, int | None]]:
        """Yield the frames with their timestamps put in order: the earliest belongs to the first, and so on.

        AVI has no presentation times; FFmpeg numbers its frames as they are stored, and stored before a frame that is
        predicted from both sides is the one that is shown after it. So their timestamps are swapped.
        """
        held: deque[VideoFrame] = deque()
        stamps: list[int] = []
        for frame in self._frames():
            held.append(frame)
            if (stamp := _stamp(frame)) is not None:
                heapq.heappush(stamps, stamp)
            while len(held) > (_DEEPEST if self._stream.codec_context.has_b_frames else 0):
                yield held.popleft(), heapq.heappop(stamps) if stamps else None
        while held:
            yield held.popleft(), heapq.heappop(stamps) if stamps else None

    def _frames(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            for frame in self._decode(packet):
                if frame.width and frame.height:
                    self.decoded += 1
                    yield frame

    def _packets(self) -> Iterator[Packet[Stream] | None]:
        """Yield the packets of the stream, and `None` at the end, for what the decoder still holds."""
        errors = 0
        while errors < _PATIENCE:
            # An error ends PyAV's iteration, but not FFmpeg's reading: beginning again goes on behind it.
            packets = self._container.demux()
            try:
                for packet in packets:
                    if packet.pts is None and packet.dts is None and not packet.size:
                        continue  # PyAV's own, one for each stream, at the end
                    errors = 0
                    self._note_end(packet)
                    if packet.stream_index == self._stream.index and packet.size:
                        yield packet
                break
            except IndexError:  # PyAV at the end of a file where new streams came up on the way
                break
            except FFmpegError:
                errors += 1
                self.damaged += 1
        yield None

    def _note_end(self, packet: Packet[Stream]) -> None:
        stamp = _stamp(packet)
        if stamp is not None and packet.time_base:
            self.packets_end = max(self.packets_end, float((stamp + (packet.duration or 0)) * packet.time_base))

    def _decode(self, packet: Packet[Stream] | None) -> list[VideoFrame]:
        if packet is not None and packet.has_sidedata("encryption_info"):
            self.encrypted = True  # some of it would decode, to noise
            return []
        try:
            return self._stream.codec_context.decode(packet)
        except (Drained, NotTaken):
            self._stream.codec_context.flush_buffers()  # it takes nothing more until it begins anew
        except (FFmpegError, ValueError):
            pass
        self.damaged += 1
        return []


def _stamp(item: VideoFrame | Packet[Stream]) -> int | None:
    """When it is presented; if that is not said, when it is decoded, which is close."""
    return item.pts if item.pts is not None else item.dts
