from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from untrimmed.data.annotations import Video
from untrimmed.data.features import FeatureDescription, open_features
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.time_grid import TimeGrid

VIDEO = Video("a", duration=10.0)


def numbers(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


def inputs(tmp_path: Path, array: np.ndarray, expected_dimension: int | None = None, **config: Any) -> Inputs:
    np.save(tmp_path / "a.npy", array)
    return Inputs(open_features(tmp_path), InputConfig(**config), expected_dimension)


# Configuration


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"channels": (0,)}, "channels has an effect on kind 'signals' only"),
        ({"kind": "signals", "stride": 5, "window": 25, "downsample": 2}, "downsample and resample have an effect"),
        ({"kind": "signals", "stride": 5, "window": 25, "resample": 2}, "downsample and resample have an effect"),
        ({"kind": "signals", "window": 25}, "stride is None"),
        ({"kind": "signals", "stride": 5}, "window is None"),
        ({"kind": "signals", "stride": 2.5, "window": 25}, "stride is 2.5"),
        ({"kind": "signals", "stride": 5, "window": 25, "channels": ()}, "at least one"),
        ({"kind": "signals", "stride": 5, "window": 25, "channels": (1, 1)}, "each only once"),
        ({"kind": "signals", "stride": 5, "window": 25, "channels": (-1,)}, "greater than or equal to 0"),
        ({"stride": 0}, "greater than 0"),
        ({"rate": float("inf")}, "finite"),
        ({"downsample": 0}, "greater than or equal to 1"),
        ({"resample": 0}, "greater than or equal to 1"),
        ({"kind": "video"}, "'features' or 'signals'"),
        ({"feat_stride": 4}, "feat_stride"),
    ],
)
def test_wrong_settings(config: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        InputConfig(**config)


def test_completed() -> None:
    description = FeatureDescription(dimension=8, stride=4, window=16, rate=25)
    assert InputConfig().completed(None) == InputConfig()
    assert InputConfig().completed(description) == InputConfig(stride=4, window=16, rate=25)
    stated = InputConfig(stride=4, rate=25.0001, downsample=2)
    assert stated.completed(description) == InputConfig(stride=4, window=16, rate=25.0001, downsample=2)
    with pytest.raises(ConfigError) as error:
        InputConfig(stride=16, window=16).completed(description, "x/features.json")
    assert "x/features.json: stride is 16 in the configuration, but 4 there" in str(error.value)
    assert "window" not in str(error.value)


def test_a_description_gives_signals_their_rate_alone() -> None:
    signals = InputConfig(kind="signals", stride=5, window=25)
    description = FeatureDescription(dimension=6, stride=1, window=1, rate=50)
    assert signals.completed(description) == InputConfig(kind="signals", stride=5, window=25, rate=50)
    with pytest.raises(ConfigError, match="rate is 100 in the configuration, but 50 there"):
        InputConfig(kind="signals", stride=5, window=25, rate=100).completed(description)


# Grids


def test_grids() -> None:
    config = InputConfig(stride=4, window=16)
    assert config.grid(25, 100) == TimeGrid(4, 16, 25)
    assert InputConfig(stride=4, window=16, rate=30).grid(25, 100) == TimeGrid(4, 16, 30)
    assert InputConfig(stride=4, window=16, downsample=3).grid(25, 100) == TimeGrid(12, 16, 25)
    # Official: the stride becomes ((T - 1) * feat_stride + num_frames) / max_seq_len, and the window equals it.
    stride = (99 * 4 + 16) / 192
    assert InputConfig(stride=4, window=16, resample=192).grid(25, 100) == TimeGrid(stride, stride, 25)
    stride = (33 * 12 + 16) / 192
    assert InputConfig(stride=4, window=16, downsample=3, resample=192).grid(25, 100) == TimeGrid(stride, stride, 25)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"window": 4}, "inputs.stride is not known. Set it, or state 'stride' in the folder's features.json"),
        ({"stride": 4}, "inputs.window is not known"),
        ({"stride": 4, "window": 4}, "video 'a': the frame rate is not known. Set inputs.rate"),
    ],
)
def test_a_grid_that_is_not_known(tmp_path: Path, config: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        inputs(tmp_path, numbers(9, 2), **config).read(VIDEO)


# Features


@given(rows=st.integers(1, 40), to=st.integers(1, 60), downsample=st.integers(1, 5))
def test_resampling_is_that_of_torch(rows: int, to: int, downsample: int) -> None:
    array = numbers(rows, 3)
    config = InputConfig(downsample=downsample, resample=to)
    every = torch.from_numpy(array[::downsample].T.copy())[None]
    expected = torch.nn.functional.interpolate(every, size=to, mode="linear", align_corners=False)[0].T
    features = config.features(array)
    np.testing.assert_allclose(features, expected.numpy(), atol=3e-5)
    assert features.dtype == np.float32
    assert features.flags.c_contiguous
    assert len(features) == config.clips(rows) == to


def test_features_are_left_as_they_are() -> None:
    array = numbers(9, 2)
    assert np.shares_memory(InputConfig().features(array), array)
    np.testing.assert_array_equal(InputConfig(downsample=4).features(array), array[[0, 4, 8]])
    assert InputConfig(downsample=4).clips(9) == 3


@given(
    samples=st.integers(1, 40),
    stride=st.integers(1, 12),
    window=st.integers(1, 12),
    channels=st.none() | st.permutations([0, 1, 2]).map(lambda order: tuple(order[:2])),
)
def test_windows_of_signals(samples: int, stride: int, window: int, channels: tuple[int, ...] | None) -> None:
    signal = numbers(samples, 3)
    config = InputConfig(kind="signals", stride=stride, window=window, channels=channels)
    if samples < window:
        with pytest.raises(FeatureError, match=f"x: the recording has {samples} samples, .* a window of {window}"):
            config.features(signal, "x")
        with pytest.raises(FeatureError, match=r"inputs\.window"):
            config.clips(samples)
        return
    expected = [
        np.concatenate([signal[first : first + window, channel] for channel in channels or range(3)])
        for first in range(0, samples - window + 1, stride)
    ]
    features = config.features(signal)
    np.testing.assert_array_equal(features, expected)
    assert features.dtype == np.float32
    assert features.shape == (config.clips(samples), config.dimension(3))
    assert config.clips(samples) == TimeGrid(stride, window, 50).clips(samples)


def test_a_range_of_clips_shares_memory_or_is_converted_alone() -> None:
    array = numbers(9, 2)
    assert np.shares_memory(InputConfig(downsample=2).features(array, "x", 1, 3), array[2:5])
    half = InputConfig(downsample=2).features(array.astype(np.float16), "x", 1, 3)
    assert half.dtype == np.float32
    assert half.base is not None
    assert len(half.base) == 3  # the rows 2 to 4, and not all


def test_a_channel_that_is_not_there() -> None:
    config = InputConfig(kind="signals", stride=5, window=5, channels=(0, 6))
    with pytest.raises(FeatureError, match=r"x: the signals are \[20, 6\], so channels 0 to 5, but .* asks for 6"):
        config.features(numbers(20, 6), "x")


# A store and a configuration


@given(
    config=st.one_of(
        st.builds(InputConfig, downsample=st.integers(1, 4), resample=st.none() | st.integers(1, 30)),
        st.builds(
            InputConfig,
            kind=st.just("signals"),
            stride=st.integers(1, 5),
            window=st.integers(1, 10),
            channels=st.sampled_from([None, (1,), (2, 0)]),
        ),
    ),
    start=st.integers(0, 12),
    stop=st.none() | st.integers(0, 30),
)
def test_a_range_of_clips(
    config: InputConfig, start: int, stop: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("features")
    np.save(folder / "a.npy", numbers(23, 3))
    both = Inputs(open_features(folder), config)
    every = both.features(VIDEO)
    assert len(every) == both.length(VIDEO)
    assert every.shape[1] == both.dimension
    if len(every[start:stop]) == 0:
        with pytest.raises(FeatureError, match=f"it has rows 0 to {len(every)}"):
            both.features(VIDEO, start, stop)
    else:
        np.testing.assert_array_equal(both.features(VIDEO, start, stop), every[start:stop])
        last = len(every) if stop is None else min(stop, len(every))
        np.testing.assert_array_equal(config.features(numbers(23, 3), "a", start, last), every[start:last])


def test_reading(tmp_path: Path) -> None:
    array = numbers(9, 2)
    both = inputs(tmp_path, array, expected_dimension=2, stride=4, window=16, downsample=2)
    features, grid = both.read(Video("a", duration=2.0, rate=25.0))
    np.testing.assert_array_equal(features, array[::2])
    assert grid == TimeGrid(8, 16, 25) == both.grid(Video("a", duration=2.0, rate=25.0))
    with pytest.raises(FeatureError, match="no features of video 'b'"):
        both.read(Video("b", duration=1.0))


def test_features_json_fills_in_and_is_not_contradicted(tmp_path: Path) -> None:
    FeatureDescription(dimension=2, stride=4, window=16, rate=25).write(tmp_path)
    both = inputs(tmp_path, numbers(9, 2))
    assert both.grid(VIDEO) == TimeGrid(4, 16, 25)
    with pytest.raises(ConfigError, match=r"features\.json: stride is 8 in the configuration, but 4 there"):
        inputs(tmp_path, numbers(9, 2), stride=8)
    with pytest.raises(ConfigError, match="dimension is 2048 in the configuration, but 2 there"):
        inputs(tmp_path, numbers(9, 2), expected_dimension=2048)


def test_another_dimension_than_expected(tmp_path: Path) -> None:
    with pytest.raises(FeatureError) as error:
        inputs(tmp_path, numbers(9, 2), expected_dimension=4).features(VIDEO)
    assert "video 'a': the features are [9, 2], which is 2 dimensions, but 4 are expected." in str(error.value)
    assert "transpose" not in str(error.value)
    with pytest.raises(FeatureError, match=r"look stored as \[D, T\]: transpose them"):
        inputs(tmp_path, numbers(4, 9), expected_dimension=4).features(VIDEO)


def test_dimensions(tmp_path: Path) -> None:
    assert inputs(tmp_path, numbers(9, 3)).dimensions == (3,)
    signals = inputs(tmp_path, numbers(9, 3), kind="signals", stride=1, window=4, channels=(0, 2))
    assert signals.dimensions == (8,)
    assert inputs(tmp_path, numbers(9, 3), kind="signals", stride=1, window=4).dimension == 12


@pytest.mark.parametrize(
    ("name", "config", "video", "shape"),
    [
        ("timed_up_and_go", {"stride": 5, "window": 25}, "s01_01_sp", (127, 150)),
        ("sbhar", {"stride": 25, "window": 50, "channels": (0, 1, 2)}, "sbj_0", (1594, 150)),
    ],
)
def test_shared_recordings(shared: Path, name: str, config: dict[str, Any], video: str, shape: tuple[int, int]) -> None:
    path = shared / "data" / name / "signals.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    both = Inputs(open_features(path), InputConfig(kind="signals", rate=50, **config), expected_dimension=150)
    features, grid = both.read(Video(video, duration=0.0))
    assert features.shape == shape
    assert grid.rate == 50


def test_scaled_signals_are_windows_of_the_scaled_samples() -> None:
    signal = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    plain = InputConfig(kind="signals", stride=2, window=4, rate=1, channels=(2, 0))
    scaled = InputConfig(kind="signals", stride=2, window=4, rate=1, channels=(2, 0), scale=(5, 0.5))
    in_place = signal / np.array([0.5, 1, 5], dtype=np.float32)
    np.testing.assert_array_equal(scaled.features(signal), plain.features(in_place))
    assert scaled.features(signal).dtype == np.float32


def test_a_scale_has_a_number_for_each_channel() -> None:
    with pytest.raises(ValidationError, match="scale has 1 numbers, but channels names 2"):
        InputConfig(kind="signals", stride=2, window=4, channels=(0, 1), scale=(5,))
    with pytest.raises(ValidationError, match="scale has an effect on kind 'signals' only"):
        InputConfig(scale=(5,))
    config = InputConfig(kind="signals", stride=2, window=4, scale=(5, 1))
    with pytest.raises(FeatureError, match=r"'v': the signals have 3 channels, but inputs.scale has 2 numbers"):
        config.features(np.zeros((9, 3), np.float32), "'v'")
