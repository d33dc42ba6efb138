from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from untrimmed.errors import ConfigError, FeatureError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.function import FunctionExtractor
from untrimmed.video.view import View

Function = Callable[[NDArray[np.uint8]], Any]


def means(clips: NDArray[np.uint8]) -> NDArray[np.float64]:
    return clips.mean(axis=(1, 2, 3))


def make(function: Function = means, **options: Any) -> FunctionExtractor:
    usual: dict[str, Any] = {"name": "means", "dimension": 3, "frames": 4, "stride": 2, "rate": 15}
    return FunctionExtractor(function, **{**usual, "height": 6, "width": 8, **options})


def frames(n: int, seed: int = 0) -> list[tuple[NDArray[np.uint8]]]:
    rng = np.random.default_rng(seed)
    return [(rng.integers(0, 256, (6, 8, 3), np.uint8),) for _ in range(n)]


def features(extractor: FunctionExtractor, n: int = 10) -> NDArray[np.float32]:
    return np.concatenate(list(extractor.features(frames(n))))


def test_features() -> None:
    extractor = make()
    video = np.stack([picture for (picture,) in frames(10)])
    expected = [video[i : i + 4].mean(axis=(0, 1, 2)) for i in (0, 2, 4, 6)]
    found = features(extractor)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert extractor.grid == TimeGrid(2, 4, 15)
    assert extractor.views == (View(6, 8),)
    described = extractor.description
    assert (described.extractor, described.dimension, described.window) == ("means", 3, 4)
    assert described.fingerprint == extractor.fingerprint


def test_a_video_shorter_than_a_clip() -> None:
    np.testing.assert_allclose(features(make(frames=16), 1)[0], frames(1)[0][0].mean(axis=(0, 1)), rtol=1e-6)


def test_the_function_gets_batches_of_clips() -> None:
    shapes: list[tuple[int, ...]] = []

    def function(clips: NDArray[np.uint8]) -> NDArray[np.float64]:
        assert clips.dtype == np.uint8
        shapes.append(clips.shape)
        return means(clips)

    found = features(make(function, batch_size=3, short_side=8, stride=1))
    assert shapes == [(3, 4, 6, 8, 3), (3, 4, 6, 8, 3), (1, 4, 6, 8, 3)]
    np.testing.assert_allclose(found, features(make(stride=1, batch_size=1)))


@pytest.mark.parametrize(
    "convert",
    [
        torch.from_numpy,
        lambda x: torch.from_numpy(x).bfloat16(),
        lambda x: torch.from_numpy(x).requires_grad_(),
        lambda x: x.astype(np.float16),
        np.ndarray.tolist,
        lambda x: x.round().astype(np.int64),
        lambda x: x > 100,
    ],
)
def test_whatever_holds_numbers_is_taken(convert: Callable[[NDArray[np.float64]], Any]) -> None:
    found = features(make(lambda clips: convert(means(clips))))
    assert found.dtype == np.float32
    expected = features(make())
    assert found.shape == expected.shape
    if found.max() > 1:
        np.testing.assert_allclose(found, expected, atol=1)


def test_a_function_may_use_its_output_again() -> None:
    mine = np.empty((2, 3), np.float32)

    def function(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        mine[: len(clips)] = means(clips)
        return mine[: len(clips)]

    np.testing.assert_allclose(features(make(function, batch_size=2)), features(make()))


def test_fingerprint() -> None:
    usual = make().fingerprint
    assert usual == make().fingerprint
    assert usual == make(stride=2.0, rate=15.0, frames=4.0, height=6.0).fingerprint  # the same numbers
    assert usual == make(batch_size=3).fingerprint  # is no part of what the features are
    changes: list[dict[str, Any]] = [
        {"name": "x"},
        {"fingerprint": "v2"},
        {"dimension": 4},
        {"frames": 8},
        {"stride": 1},
        {"rate": 30},
        {"height": 8},
        {"width": 6},
        {"short_side": 8},
    ]
    assert len({usual, *(make(**change).fingerprint for change in changes)}) == len(changes) + 1
    assert make(fingerprint="v2").fingerprint == make(fingerprint="v2", name="x").fingerprint


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (
            lambda clips: clips.mean(axis=(2, 3)),
            ConfigError,
            r"an array of shape \[4, 4, 3\], but numbers \[4, 3\] are",
        ),
        (
            lambda clips: means(clips)[:, :2],
            ConfigError,
            r"shape \[4, 2\], but numbers \[4, 3\] are expected of \[4, 4, 6,",
        ),
        (lambda clips: means(clips)[:1], ConfigError, r"shape \[1, 3\]"),
        (lambda clips: means(clips).T, ConfigError, r"shape \[3, 4\]"),
        (lambda _: None, ConfigError, "returned object values"),
        (lambda clips: means(clips).astype(str), ConfigError, "returned <U.* values"),
        (lambda clips: means(clips).astype(complex), ConfigError, "returned complex128 values"),
        (lambda _: [[1, 2], [3]], ConfigError, "returned what is no array"),
        (lambda _: torch.ones(4, 3).to_sparse(), ConfigError, "returned what is no array"),
        (lambda _: [torch.ones(3, requires_grad=True)] * 4, ConfigError, "returned what is no array"),
        (lambda clips: means(clips) * np.nan, FeatureError, "returned numbers that are NaN or infinite"),
        (lambda clips: means(clips) + 1e300, FeatureError, "NaN or infinite"),
    ],
)
def test_wrong_output(function: Function, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^extractor 'means': the function .*{message}") as caught:
        features(make(function))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimension": 0}, "dimension is 0, but has to be a whole number above 0"),
        ({"frames": 2.5}, "frames is 2.5"),
        ({"stride": -1}, "stride is -1"),
        ({"stride": float("nan")}, "stride is nan"),
        ({"height": 0}, "height is 0"),
        ({"rate": 0}, "rate is 0"),
        ({"short_side": 7}, "short_side is 7, but 6 x 8 pixels are to be cut out: it has to be 8 or more"),
        ({"batch_size": 0}, "batch_size is 0"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**options)


def test_an_error_of_the_function_is_the_users_own() -> None:
    def function(_: NDArray[np.uint8]) -> NDArray[np.float64]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        features(make(function))
