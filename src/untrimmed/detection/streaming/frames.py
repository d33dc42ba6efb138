"""Features of video while it comes: of a file, a camera, an address or a pipe."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from untrimmed.errors import FeatureError

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor

READ_AHEAD = 16
"""Sampled frames that are decoded ahead of the extractor."""


class FrameFeatures:
    """Features of a source, in pieces `[n, D]`, each as soon as the extractor has made it; iterated over once.

    A file is read as `Localizer.detect` reads it, as fast as it can be; anything else at its own pace.

    Attributes:
        name: of the source, without a password.
    """

    def __init__(self, source: str | Path, extractor: Extractor) -> None:
        """Name a source; it is opened when the iteration begins.

        Args:
            source: a video file, an address, a camera, or a named pipe.
            extractor: what makes features. Where it gathers clips until there are some, it is given one at a time.
        """
        from untrimmed.video.reading.live import shown_name  # noqa: PLC0415  streams of numbers need no decoder

        self.name = shown_name(str(source))
        self._source, self._extractor = str(source), _undelayed(extractor)

    def __iter__(self) -> Generator[NDArray[np.float32], None, None]:
        """Yield the pieces.

        Raises:
            VideoError: if the source cannot be opened, or a file cannot be decoded, or not all of it.
            FeatureError: if what the extractor makes is not what features have to be.
        """
        from untrimmed.video.extraction.feature_stream import FeatureStream  # noqa: PLC0415
        from untrimmed.video.reading.live import is_live  # noqa: PLC0415

        if is_live(self._source):
            yield from self._live()
        else:
            yield from FeatureStream(Path(self._source), self._extractor)

    def _live(self) -> Iterator[NDArray[np.float32]]:
        from untrimmed.video.reading.ahead import ahead  # noqa: PLC0415
        from untrimmed.video.reading.live import LiveVideo  # noqa: PLC0415

        extractor = self._extractor
        with LiveVideo(self._source) as video:
            sampled = video.sampled(extractor.grid.rate, extractor.views)
            with closing(ahead(sampled, READ_AHEAD)) as pictures:  # before the source is: a thread may be reading it
                for piece in extractor.features(pictures):
                    if piece.ndim != 2 or piece.shape[1] != extractor.dimension:
                        raise FeatureError(
                            f"{self.name}: the extractor {extractor.name!r} made an array {list(piece.shape)}, but "
                            f"[n, {extractor.dimension}] was expected"
                        )
                    yield np.asarray(piece, dtype=np.float32)


def _undelayed(extractor: Extractor) -> Extractor:
    """Return an extractor that does not wait until it has several clips, where it gathers them only to be faster."""
    if getattr(extractor, "batch_size", 1) == 1:
        return extractor
    single = copy.copy(extractor)
    single.batch_size = 1  # type: ignore[attr-defined]
    return single
