from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from making_videos import make_video
from serving_bytes import served
from small_models import make
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.streaming.frames import FrameFeatures
from untrimmed.errors import FeatureError, ModelError, VideoError
from untrimmed.video.extractors.function import FunctionExtractor
from untrimmed.video.view import Pictures


def brightness(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means over six stripes of the picture."""
    stripes = np.array_split(clips, 6, axis=2)
    return np.stack([stripe.mean(axis=(1, 2, 3, 4)) for stripe in stripes], axis=1).astype(np.float32) / 100


def extractor(batch_size: int = 8) -> FunctionExtractor:
    return FunctionExtractor(
        brightness,
        name="brightness",
        dimension=6,
        frames=4,
        stride=2,
        rate=10,
        height=16,
        width=16,
        batch_size=batch_size,
    )


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "seen.ts", 150, rate=20)


@pytest.fixture
def localizer() -> Localizer:
    inputs = InputConfig(stride=2, window=4, rate=10)
    return make(inputs, DetectionConfig(max_detections=10**6)).with_extractor(extractor())


def test_watching_is_detecting(video: Path, localizer: Localizer) -> None:
    expected = localizer.detect(video)
    file = list(localizer.watch(video, latency=None))
    np.testing.assert_allclose(sorted(d.score for d in file), sorted(d.score for d in expected), atol=1e-5)
    with served(video) as address:
        assert list(localizer.watch(address, latency=None)) == file


def test_each_row_comes_as_soon_as_it_can(video: Path) -> None:
    """Not when there are several clips; and the extractor that is given stays as it is."""
    given_ = extractor()
    pieces = list(FrameFeatures(video, given_))
    assert {len(piece) for piece in pieces} == {1}
    assert given_.batch_size == 8
    assert np.concatenate(pieces).shape == (given_.grid.clips(75), 6)


def test_what_cannot_be_opened(localizer: Localizer) -> None:
    with pytest.raises(VideoError, match="there is no such file"):
        list(localizer.watch("not there.mp4"))
    with pytest.raises(VideoError, match="cannot be opened"):
        list(localizer.watch("http://127.0.0.1:9/"))
    with pytest.raises(ModelError, match="does not say which extractor"):
        list(make().watch("http://127.0.0.1:9/"))


class Wrong(FunctionExtractor):
    """Makes features of another dimension than it says."""

    def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
        for _ in frames:
            yield np.zeros((1, 3), np.float32)


def test_an_extractor_that_makes_something_else(video: Path) -> None:
    wrong = Wrong(brightness, name="wrong", dimension=6, frames=4, stride=2, rate=10, height=16, width=16)
    with served(video) as address, pytest.raises(FeatureError, match=r"the extractor 'wrong' made an array \[1, 3\]"):
        list(FrameFeatures(address, wrong))
