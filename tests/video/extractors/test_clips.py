from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from untrimmed.errors import ConfigError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.clips import ClipExtractor, PictureExtractor, batches, clip_grid, windows
from untrimmed.video.view import Picture, Pictures, View

SIZES = st.integers(1, 7)


def rows_of(n: int, window: int, stride: int) -> list[list[int]]:
    """Which pictures each row is of: the definition, in its slowest form."""
    if n == 0:
        return []
    pictures = list(range(n)) + [n - 1] * max(0, window - n)
    return [pictures[i : i + window] for i in range(0, len(pictures), stride) if i + window <= len(pictures)]


@given(st.integers(0, 30), SIZES, SIZES)
def test_windows(n: int, window: int, stride: int) -> None:
    found = [list(one) for one in windows(range(n), window, stride)]
    assert found == rows_of(n, window, stride)
    assert len(found) == (max(1, TimeGrid(stride, window, 1).clips(n)) if n else 0)


@given(SIZES, SIZES, st.integers(1, 5))
def test_a_window_is_given_as_soon_as_it_is_complete(window: int, stride: int, count: int) -> None:
    items = itertools.count()
    first = list(itertools.islice(windows(items, window, stride), count))
    assert first[-1] == tuple(range((count - 1) * stride, (count - 1) * stride + window))
    assert next(items) == (count - 1) * stride + window


@given(st.integers(0, 20), SIZES)
def test_batches(n: int, size: int) -> None:
    found = list(batches(range(n), size))
    assert [item for batch in found for item in batch] == list(range(n))
    assert all(len(batch) == size for batch in found[:-1])
    assert all(found)


def picture(value: int) -> Picture:
    return np.full((2, 3, 3), value, np.uint8)


class Clips(ClipExtractor):
    """A row is the first values of the pictures, side by side."""

    def __init__(self, window: int, stride: int, batch_size: int) -> None:
        grid = clip_grid("clips", TimeGrid(stride, window, 10.0))
        super().__init__("clips", "0", window, grid, View(2, 3), batch_size)
        self.shapes: list[tuple[int, ...]] = []

    def encode(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.shapes.append(clips.shape)
        return clips[:, :, 0, 0, 0].astype(np.float32)


class SinglePictures(PictureExtractor):
    """A row is the mean of the first value, and of its square."""

    def __init__(self, window: int, stride: int, batch_size: int) -> None:
        grid = clip_grid("pictures", TimeGrid(stride, window, 10.0))
        super().__init__("pictures", "0", 2, grid, View(2, 3), batch_size)
        self.seen: list[int] = []

    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        values = pictures[:, 0, 0, 0].astype(np.float32)
        self.seen += [int(value) for value in values]
        return np.stack([values, values**2], axis=1)


@given(st.integers(1, 30), SIZES, SIZES, SIZES)
def test_clip_extractor(n: int, window: int, stride: int, batch_size: int) -> None:
    extractor = Clips(window, stride, batch_size)
    pieces = list(extractor.features((picture(i),) for i in range(n)))
    rows = np.concatenate(pieces)
    assert rows.dtype == np.float32
    assert rows.tolist() == rows_of(n, window, stride)
    assert len(rows) == max(1, extractor.grid.clips(n))
    assert all(shape == (batch_size, window, 2, 3, 3) for shape in extractor.shapes[:-1])
    assert 1 <= extractor.shapes[-1][0] <= batch_size


@given(st.integers(1, 30), SIZES, SIZES, SIZES)
def test_picture_extractor(n: int, window: int, stride: int, batch_size: int) -> None:
    extractor = SinglePictures(window, stride, batch_size)
    rows = np.concatenate(list(extractor.features((picture(i),) for i in range(n))))
    expected = [[np.mean(row), np.mean(np.square(row))] for row in rows_of(n, window, stride)]
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    assert extractor.seen == [i for i in range(n) if i % stride < window]  # each once, none between two windows


@pytest.mark.parametrize("make", [Clips, SinglePictures])
@pytest.mark.parametrize(("window", "stride"), [(4, 2), (2, 5)])
def test_memory_does_not_grow_with_the_video(
    make: type[Clips] | type[SinglePictures], window: int, stride: int
) -> None:
    living = most = 0

    def frames() -> Iterator[Pictures]:
        nonlocal living, most

        def gone() -> None:
            nonlocal living
            living -= 1

        for _ in range(400):
            one = picture(1)
            weakref.finalize(one, gone)
            living += 1
            most = max(most, living)
            yield (one,)

    batch_size = 3
    assert sum(map(len, make(window, stride, batch_size).features(frames()))) == TimeGrid(stride, window, 1).clips(400)
    # The clips of two batches, one done and one growing, and the window that is being filled.
    assert most <= (2 * batch_size + 1) * window + 2


@pytest.mark.parametrize("make", [Clips, SinglePictures])
def test_features_come_while_the_video_is_read(make: type[Clips] | type[SinglePictures]) -> None:
    endless = ((picture(i % 7),) for i in itertools.count())
    stream = make(4, 2, 3).features(endless)
    assert [len(piece) for piece in itertools.islice(stream, 3)] == [3, 3, 3]


@pytest.mark.parametrize("make", [Clips, SinglePictures])
def test_a_video_without_a_frame_has_no_row(make: type[Clips] | type[SinglePictures]) -> None:
    assert list(make(4, 2, 3).features([])) == []


def test_grid() -> None:
    default = TimeGrid(4, 16, 30.0)
    assert clip_grid("x", default) == default
    assert clip_grid("x", default, stride=8.0, rate=7.5) == TimeGrid(8, 16, 7.5)
    assert repr(clip_grid("x", default, stride=8.0, window=16.0, rate=15)) == repr(TimeGrid(8, 16, 15.0))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"stride": 2.5}, "x: stride is 2.5, but has to be a whole number of sampled frames"),
        ({"window": 0.5}, "x: window is 0.5, but"),
        ({"stride": 0}, "stride is 0, but has to be a positive number"),
        ({"window": -16}, "window is -16, but has to be"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"stride": float("inf")}, "stride is inf"),
    ],
)
def test_wrong_grid(asked: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        clip_grid("x", TimeGrid(4, 16, 30.0), **asked)


def test_wrong_batch_size() -> None:
    with pytest.raises(ConfigError, match="clips: batch_size is 0, but has to be 1 or more"):
        Clips(4, 2, 0)


def test_frames_of_a_longer_span_are_a_lower_rate() -> None:
    """16 frames, every 4th of 30 per second, are seen at the same instants as 16 at 7.5 per second."""
    native = np.arange(0, 64, 4) / 30
    sampled = np.arange(16) / 7.5
    np.testing.assert_allclose(native, sampled)
