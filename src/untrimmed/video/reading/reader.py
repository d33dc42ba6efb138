"""Reading the pictures of a video, each with the second at which a player shows it.

Seconds are presentation times, counted from what a player calls 0:00 (`probing.time_zero`). The frame rate that a
container declares is never used for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from av import VideoFrame

from untrimmed.errors import VideoError
from untrimmed.video.reading.clock import Clock
from untrimmed.video.reading.decoding import Decoder
from untrimmed.video.reading.opening import ignore_others, open_container, picture_stream, pixel_shape
from untrimmed.video.reading.pictures import PictureMaker
from untrimmed.video.reading.probing import Of, VideoInfo, declared_end, describe, time_zero
from untrimmed.video.reading.sampling import sample
from untrimmed.video.view import Picture, Pictures, View

__all__ = ["Frame", "VideoFile", "VideoInfo", "probe"]

_TIME_MAY_JUMP = 0x0200  # AVFMT_TS_DISCONT


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A decoded picture, not yet converted.

    Attributes:
        seconds: when a player shows it.
        duration: for how long, in seconds, as the container has it; if it has not, the usual gap between frames.
    """

    seconds: float
    duration: float
    _decoded: VideoFrame = field(repr=False)
    _maker: PictureMaker = field(repr=False)

    @property
    def decoded(self) -> VideoFrame:
        """The frame as FFmpeg decoded it: in its own size, colours and orientation, not to be written to."""
        return self._decoded

    def picture(self, view: View) -> Picture:
        """Convert it, `[view.height, view.width, 3]`; a new array each time.

        Raises:
            VideoError: if FFmpeg cannot.
        """
        return self._maker.picture(self._decoded, view)


class VideoFile:
    """A video file that is open for reading; a context manager.

    One thread at a time may read it, which need not be the one that opened it, and which must have stopped when the
    file is closed.
    """

    def __init__(self, path: Path | str, *, allow_truncated: bool = False, threads: int = 1) -> None:
        """Open a file, and decode its first picture.

        Args:
            path: of a file on disk, never an address.
            allow_truncated: read a file whose end is missing as far as it goes, instead of refusing it.
            threads: in which FFmpeg decodes; 0 for as many as there are processors.

        Raises:
            VideoError: if there is no such file, or it is no video.
        """
        self._path, self._allow_truncated, self._threads = Path(path), allow_truncated, threads
        self._reading = _Reading(self._path, threads)
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. What was read of it stays valid."""
        self._reading.close()

    @property
    def info(self) -> VideoInfo:
        """What the file says of itself."""
        return self._reading.info

    @property
    def damaged(self) -> int:
        """How many packets were damaged and left out, in the reading that began last, so far."""
        return self._reading.decoder.damaged

    @property
    def jumps(self) -> int:
        """How often timestamps went back, or far ahead, in that reading; see `untrimmed.video.reading.clock`."""
        return self._reading.clock.jumps

    @property
    def end(self) -> float:
        """The second at which the last picture ends, in that reading."""
        return self._reading.clock.end

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in the order in which they are shown, from the first one.

        A call ends the reading that an earlier call began.

        Raises:
            VideoError: at the end, if the file is truncated, or more of its packets are damaged than are not.
        """
        if self._begun:
            self._reading.close()
            self._reading = _Reading(self._path, self._threads)
        self._begun = True
        yield from self._reading.frames()
        self._reading.check_whole(allow_truncated=self._allow_truncated)

    def sampled(self, rate: float, views: Sequence[View]) -> Iterator[Pictures]:
        """Yield the sampled frames as each view shows them; see `sampled_views`.

        Args:
            rate: of the sampling, in frames per second.
            views: the sizes of the pictures.

        Raises:
            VideoError: as from `frames`.
        """
        return sampled_views(self.frames(), rate, views)


def sampled_views(frames: Iterable[Frame], rate: float, views: Sequence[View]) -> Iterator[Pictures]:
    """Yield the sampled frames as each view shows them; see `untrimmed.video.reading.sampling.sample`.

    A picture is converted only if it is shown, and once; if it stands for several sampled frames, the same array comes
    as often.

    Args:
        frames: in the order in which they are shown.
        rate: of the sampling, in frames per second.
        views: the sizes of the pictures.
    """
    shown: Frame | None = None
    made: dict[View, Picture] = {}
    for number, frame in enumerate(sample(frames, rate)):
        if frame is not shown:
            shown, made = frame, {}
        for view in views:
            if view.shows(number) and view not in made:
                made[view] = frame.picture(view)
        yield tuple(made[view] if view.shows(number) else None for view in views)


def probe(path: Path | str) -> VideoInfo:
    """Return what a video file says of itself.

    Raises:
        VideoError: if there is no such file, or it is no video.
    """
    with VideoFile(path) as video:
        return video.info


class _Reading:
    """One way through a file, from its first picture, which is decoded at once, to its last."""

    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        self._container = open_container(path)
        try:
            self._stream = picture_stream(self._container, path, threads)
            self._zero = time_zero(self._container)
            self._declared = declared_end(self._container, self._stream, path)
            if self._declared is None or self._declared.of is not Of.EVERYTHING:
                ignore_others(self._container, self._stream)
            self.decoder = Decoder(self._container, self._stream)
            self._decoded = self.decoder.frames()
            self._first = self._first_frame()
            self.info = describe(self._container, self._stream, path, self._first[0])
        except VideoError:
            self._container.close()
            raise
        end = self._declared.seconds if self._declared and self._declared.of is not Of.A_GUESS else None
        self.clock = Clock(end, self.info.rate, broadcast=bool(self._container.format.flags & _TIME_MAY_JUMP))

    def frames(self) -> Iterator[Frame]:
        """Yield the frames with their seconds; once."""
        unit, maker = self._stream.time_base or Fraction(1), PictureMaker(self._path, pixel_shape(self._stream))
        for frame, stamp in chain([self._first], self._decoded):
            seconds, duration = self.clock.place(
                None if stamp is None else float(stamp * unit - self._zero),
                float(frame.duration * unit) if frame.duration else None,
            )
            yield Frame(seconds, duration, frame, maker)

    def check_whole(self, *, allow_truncated: bool) -> None:
        """Look back when all is read.

        Raises:
            VideoError: if the file is truncated, encrypted in part, or more of its packets are damaged than are not.
        """
        if self.decoder.encrypted:
            raise VideoError(f"{self._path}: is encrypted from {self.clock.end:.1f} seconds on")
        if self.decoder.damaged > self.decoder.decoded:
            raise VideoError(
                f"{self._path}: {self.decoder.damaged} of its packets are damaged, and only {self.decoder.decoded} "
                "pictures could be decoded. Copy it again"
            )
        if allow_truncated or self._declared is None or self._declared.of is Of.A_GUESS or self.clock.jumps:
            return
        found, declared = self.clock.end, self._declared.seconds
        if self._declared.of is Of.EVERYTHING:
            found = max(found, self.decoder.packets_end - float(self._zero))
        if declared - found > max(1.0, 0.02 * declared):
            raise VideoError(
                f"{self._path}: ends after {found:.1f} of {declared:.1f} seconds: it was not copied to its end, or is "
                "damaged. Copy it again, or read what is there with --allow-truncated"
            )

    def close(self) -> None:
        """Close the file."""
        self._decoded.close()
        self._container.close()

    def _first_frame(self) -> tuple[VideoFrame, int | None]:
        first = next(self._decoded, None)
        if first is None:
            if self.decoder.encrypted:
                raise VideoError(f"{self._path}: is encrypted")
            raise VideoError(
                f"{self._path}: not one picture of it can be decoded: it is damaged, or was not copied to its end"
            )
        return first
