"""The features of one video, made while it is read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.remote import local_copy, shown
from untrimmed.errors import FeatureError
from untrimmed.video.reading.ahead import ahead
from untrimmed.video.reading.reader import VideoFile

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor
    from untrimmed.video.view import Pictures, View

READ_AHEAD = 64
"""Sampled frames that are decoded ahead of the extractor: about 10 MB at 224 x 224."""

OnProgress = Callable[[float, float | None], object]
"""Is told how many seconds of the video have been read, and how many it has as far as its container says."""


@dataclass(frozen=True)
class OpenVideo:
    """A video that is being read, in this process or in another one.

    Attributes:
        declared: how many seconds it has, as far as its container says.
        pictures: its sampled frames in their order; what is wrong with the video is raised there.
        ending: called after the last of them; returns the second at which the last picture ends, and how many packets
            were damaged.
    """

    declared: float | None
    pictures: Iterator[Pictures]
    ending: Callable[[], tuple[float, int]]


ReadVideo = Callable[[float, "Sequence[View]"], AbstractContextManager[OpenVideo]]
"""Opens a video for a sampling rate and the sizes in which its pictures are wanted."""


def reading_file(path: str | Path, *, allow_truncated: bool) -> ReadVideo:
    """Return what decodes a file, or a copy of what is at an address, in a thread of this process."""

    @contextmanager
    def read(rate: float, views: Sequence[View]) -> Iterator[OpenVideo]:
        with (
            local_copy(str(path)) as file,
            VideoFile(file, allow_truncated=allow_truncated) as video,
            # Closed before the file is: a thread may be decoding from it.
            closing(ahead(video.sampled(rate, views), READ_AHEAD)) as frames,
        ):
            yield OpenVideo(video.info.duration, frames, lambda: (video.end, video.damaged))

    return read


class FeatureStream:
    """The features of one video, in pieces `[n, D]` in their order; memory does not grow with the video's length.

    It is iterated over once; after that its attributes are known.

    Attributes:
        duration: seconds at which the last picture ends.
        damaged: packets that could not be decoded, and were skipped.
    """

    def __init__(
        self,
        path: str | Path,
        extractor: Extractor,
        *,
        allow_truncated: bool = False,
        on_progress: OnProgress | None = None,
        read: ReadVideo | None = None,
    ) -> None:
        """Take what is to be done.

        Args:
            path: of the video, or its address.
            extractor: what makes features.
            allow_truncated: take a video whose end is missing as far as it goes.
            on_progress: is called for every sampled frame.
            read: opens the video; left out, it is decoded in this process.
        """
        self.duration = 0.0
        self.damaged = 0
        self._path, self._extractor = path, extractor
        self._read = read or reading_file(path, allow_truncated=allow_truncated)
        self._on_progress = on_progress or (lambda *_: None)

    def __iter__(self) -> Generator[NDArray[np.float32], None, None]:
        """Yield pieces `[n, D]`, float32 and finite, one row in all or more.

        Raises:
            VideoError: if the file cannot be decoded, or not all of it.
            FeatureError: if what the extractor makes is not what features have to be.
        """
        rows = 0
        with self._read(self._extractor.grid.rate, self._extractor.views) as video:
            counted = self._counted(video.pictures, video.declared)
            for piece in self._extractor.features(counted):
                checked = self._checked(piece)
                rows += len(checked)
                yield checked
            for _ in counted:  # an extractor may stop reading early, but a damaged end is reported all the same
                pass
            self.duration, self.damaged = video.ending()
        if not rows:
            raise self._fault("made no features at all")

    def _counted(self, frames: Iterator[Pictures], declared: float | None) -> Iterator[Pictures]:
        rate = self._extractor.grid.rate
        self._on_progress(0.0, declared)
        for number, frame in enumerate(frames, start=1):
            yield frame
            self._on_progress(number / rate, declared)

    def _checked(self, piece: NDArray[np.float32]) -> NDArray[np.float32]:
        dimension = self._extractor.dimension
        if piece.ndim != 2 or piece.shape[1] != dimension:
            raise self._fault(f"made an array {list(piece.shape)}, but [n, {dimension}] was expected")
        if not np.isfinite(piece).all():
            raise self._fault("made numbers that are NaN or infinite; try another --precision")
        return np.asarray(piece, dtype=np.float32)

    def _fault(self, what: str) -> FeatureError:
        return FeatureError(f"{shown(str(self._path))}: the extractor {self._extractor.name!r} {what}")
