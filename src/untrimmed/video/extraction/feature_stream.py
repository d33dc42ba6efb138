"""The features of one video, made while it is read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from untrimmed.errors import FeatureError
from untrimmed.video.reading.ahead import ahead
from untrimmed.video.reading.reader import VideoFile

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor
    from untrimmed.video.view import Pictures

READ_AHEAD = 64
"""Sampled frames that are decoded ahead of the extractor: about 10 MB at 224 x 224."""

OnProgress = Callable[[float, float | None], object]
"""Is told how many seconds of the video have been read, and how many it has as far as its container says."""


class FeatureStream:
    """The features of one video, in pieces `[n, D]` in their order; memory does not grow with the video's length.

    It is iterated over once; after that its attributes are known.

    Attributes:
        duration: seconds at which the last picture ends.
        damaged: packets that could not be decoded, and were skipped.
    """

    def __init__(
        self, path: Path, extractor: Extractor, *, allow_truncated: bool = False, on_progress: OnProgress | None = None
    ) -> None:
        self.duration = 0.0
        self.damaged = 0
        self._path, self._extractor, self._allow_truncated = path, extractor, allow_truncated
        self._on_progress = on_progress or (lambda *_: None)

    def __iter__(self) -> Generator[NDArray[np.float32], None, None]:
        """Yield pieces `[n, D]`, float32 and finite, one row in all or more.

        Raises:
            VideoError: if the file cannot be decoded, or not all of it.
            FeatureError: if what the extractor makes is not what features have to be.
        """
        rows = 0
        with VideoFile(self._path, allow_truncated=self._allow_truncated) as video:
            sampled = video.sampled(self._extractor.grid.rate, self._extractor.views)
            with closing(ahead(sampled, READ_AHEAD)) as frames:  # before the file is: a thread may be decoding from it
                counted = self._counted(frames, video.info.duration)
                for piece in self._extractor.features(counted):
                    checked = self._checked(piece)
                    rows += len(checked)
                    yield checked
                for _ in counted:  # an extractor may stop reading early, but a damaged end is reported all the same
                    pass
            self.duration, self.damaged = video.end, video.damaged
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
        return FeatureError(f"{self._path}: the extractor {self._extractor.name!r} {what}")
