from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from untrimmed.data.annotations import Video
from untrimmed.data.features import FeatureDescription, open_features
from untrimmed.data.inputs import InputConfig
from untrimmed.data.signals import streams as module
from untrimmed.data.signals.normalisation import fitted
from untrimmed.data.signals.opening import open_recording, open_signals
from untrimmed.data.signals.resampling import AVERAGED_FROM, check_times, resampled
from untrimmed.errors import ConfigError, FeatureError


def config(**settings: Any) -> InputConfig:
    return InputConfig(**{"kind": "signals", "stride": 5, "window": 10, "rate": 50, **settings})


def noise(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


def write_table(path: Path, names: str, values: np.ndarray, times: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = values if times is None else np.column_stack([times, values])
    header = names if times is None else f"time,{names}"
    np.savetxt(path, table, delimiter=",", header=header, comments="", fmt="%.17g")


def problem(function: Any, kind: type[Exception] = FeatureError) -> str:
    with pytest.raises(kind) as error:
        function()
    assert "\n" not in str(error.value)
    return str(error.value)


# Resampling


@given(
    own=st.sampled_from([7.0, 20.0, 49.0, 50.0, 74.0, 75.0, 100.0, 333.0]),
    rate=st.sampled_from([20.0, 50.0]),
    jitter=st.sampled_from([0.0, 0.3]),
    start=st.floats(-0.01, 0.01),
)
def test_a_straight_line_stays_one(own: float, rate: float, jitter: float, start: float) -> None:
    random = np.random.default_rng(1)
    times = start + (np.arange(200) + jitter * random.uniform(-0.5, 0.5, 200)) / own
    values = np.column_stack([3 * times - 1, -2 * times, np.ones(200)]).astype(np.float32)
    count = int(times[-1] * rate) + 1
    at = (np.arange(count) / rate).clip(times[0], times[-1])
    expected = np.column_stack([3 * at - 1, -2 * at, np.ones(count)])
    result = resampled(times, values, rate, count)
    np.testing.assert_allclose(result, expected, atol=1e-2 if jitter == 0 and start else 1e-4)
    assert result.dtype == np.float32


@given(own=st.sampled_from([20.0, 60.0, 100.0, 170.0]), seed=st.integers(0, 9))
def test_resampling_beside_a_slow_definition(own: float, seed: int) -> None:
    """The mean over a step of the line through the samples, by a fine sum; or the line itself."""
    random = np.random.default_rng(seed)
    times = np.cumsum(random.uniform(0.5, 1.5, 80)) / own
    times -= times[0]
    values, rate = noise(80, 2, seed), 50.0
    count = int(times[-1] * rate) + 1
    result = resampled(times, values, rate, count)
    averaged = 1 / np.median(np.diff(times)) >= AVERAGED_FROM * rate
    for number in range(count):
        at = number / rate
        half = min(0.5 / rate, at, times[-1] - at) if averaged else 0.0
        fine = np.linspace(at - half, at + half, 4001)
        for channel in range(2):
            line = np.interp(fine, times, values[:, channel].astype(np.float64))
            expected = np.trapezoid(line, fine) / (2 * half) if half > 1e-3 / rate else line[0]
            assert abs(result[number, channel] - expected) < 1e-3


def test_samples_on_the_grid_are_left_as_they_are() -> None:
    values = noise(500, 3)
    times = 1e-4 + np.arange(500) / 50 + np.random.default_rng(0).uniform(-1e-6, 1e-6, 500)
    times -= times[0]
    np.testing.assert_array_equal(resampled(times, values, 50, 490), values[:490])


def test_what_oscillates_too_fast_is_weakened() -> None:
    times = np.arange(1000) / 100
    fast = np.sin(2 * np.pi * 40 * times)[:, None].astype(np.float32)
    slow = np.sin(2 * np.pi * 1 * times)[:, None].astype(np.float32)
    assert np.abs(resampled(times, fast, 50, 499)).max() < 0.15  # at 50 samples a second it would look like 10 Hz
    np.testing.assert_allclose(resampled(times, slow, 50, 499), slow[: 2 * 499 : 2], atol=3e-3)


def test_times() -> None:
    regular = np.arange(100) / 50
    check_times(regular, "x", 1, 50)
    check_times(regular[:1], "x", 1, 50)
    check_times(np.delete(regular, slice(10, 40)), "x", 1, 50)
    message = problem(lambda: check_times(np.delete(regular, slice(10, 70)), "x", 1, 50))
    assert message.startswith(
        "x: there is no sample for 1.22 s, from 0.18 s after the first, row 11 of the samples, on;"
    )
    assert "set inputs.max_gap to bridge it" in message
    check_times(np.delete(regular, slice(10, 70)), "x", 2, 50)
    message = problem(lambda: check_times(regular * 1000, "x", 1, 50))
    assert "Usually they are 20 s apart: if the time is not in seconds, set inputs.time_unit to ms" in message
    backward = regular.copy()
    backward[60:] -= 1
    assert "x: time goes backward, from 1.18 to 0.2 s in row 61 of the samples" in problem(
        lambda: check_times(backward, "x", 1, 50)
    )
    assert "90 of 100 samples have the time of the one before: the time column is too coarse" in problem(
        lambda: check_times(np.floor(regular * 5) / 5, "x", 1, 50)
    )


# Streams


def test_tables_with_a_time_column(tmp_path: Path) -> None:
    values, times = noise(100, 3), np.arange(100) / 50
    write_table(tmp_path / "s" / "a.csv", "x,y,z", values, times + 1.7e9)
    write_table(tmp_path / "s" / "b.csv", "z,x,other,y", noise(100, 4, 1), times)
    (tmp_path / "s" / "notes.txt").write_text("of a phone")
    inputs = open_signals([tmp_path / "s"], config())
    assert inputs.config == config(channels=("x", "y", "z"))
    assert inputs.store.ids() == ("a", "b")
    assert inputs.dimension == 30
    np.testing.assert_array_equal(inputs.store.read("a"), values)
    np.testing.assert_array_equal(inputs.store.read("b"), noise(100, 4, 1)[:, [1, 3, 0]])
    np.testing.assert_array_equal(inputs.store.read("b", 3, 7), noise(100, 4, 1)[3:7, [1, 3, 0]])
    np.testing.assert_array_equal(inputs.features(Video("a", duration=2.0)), config().features(values))
    assert inputs.length(Video("a", duration=2.0)) == config().clips(100)


def test_numbers_of_channels_become_names(tmp_path: Path) -> None:
    write_table(tmp_path / "s" / "a.csv", "x,y,z", noise(100, 3), np.arange(100) / 50)
    inputs = open_signals([tmp_path / "s"], config(channels=(2, 0), scale=(1, 5)))
    assert inputs.config.channels == ("z", "x")
    np.testing.assert_array_equal(inputs.store.read("a"), noise(100, 3)[:, [2, 0]])
    message = problem(lambda: open_signals([tmp_path / "s"], config(channels=(0, 3))))
    assert "there are channels 0 to 2, x, y, z, but inputs.channels asks for 3" in message
    message = problem(lambda: open_signals([tmp_path / "s"], config(channels=("x", "w"))).store.read("a"))
    assert "video 'a': there is no channel 'w', but 'x', 'y', 'z'. Name the columns as inputs.channels does" in message


def test_an_array_of_named_channels_has_all_of_them() -> None:
    named = config(channels=("x", "y"))
    np.testing.assert_array_equal(named.features(noise(30, 2)), config().features(noise(30, 2)))
    message = problem(lambda: named.features(noise(30, 3), "a"))
    assert "a: the signals are [30, 3], without names, so inputs.channels has to name all 3 columns" in message


def two_streams(folder: Path, seconds: float = 4.0, missing: float = 0.0, late: float = 0.0) -> list[Path]:
    """Acceleration at 50 Hz and rotation at 100 Hz, straight lines of time; both have channels x and y."""
    for name, rate, factors, less, begin in (("acc", 50, (1, 2), 0.0, 0.0), ("gyro", 100, (3, 4), missing, late)):
        times = begin + np.arange(round((seconds - less - begin) * rate)) / rate
        write_table(folder / name / "a.csv", "x,y", times[:, None] * np.array(factors), times + 5)
    return [folder / "acc", folder / "gyro"]


def test_streams_of_different_rates(tmp_path: Path) -> None:
    paths = two_streams(tmp_path)
    inputs = open_signals(paths, config())
    assert inputs.config.channels == ("acc.x", "acc.y", "gyro.x", "gyro.y")
    assert inputs.config.stream_names == ("acc", "gyro")
    expected = (np.arange(200) / 50)[:, None] * np.array([1, 2, 3, 4])
    np.testing.assert_allclose(inputs.store.read("a"), expected, atol=1e-4)
    again = open_signals(paths, inputs.config)
    np.testing.assert_array_equal(again.store.read("a"), inputs.store.read("a"))
    some = open_signals(paths, config(channels=("gyro.y", "acc.x")))
    np.testing.assert_array_equal(some.store.read("a"), inputs.store.read("a")[:, [3, 0]])
    alone = open_signals(paths, config(channels=("gyro.y",)))  # of one stream only
    np.testing.assert_array_equal(alone.store.read("a"), inputs.store.read("a")[:, [3]])
    assert "channel 'x' is in several streams. Put the name of its stream before it, as in acc.x" in problem(
        lambda: open_signals(paths, config(channels=("x",))).store.read("a")
    )
    renamed = [path.rename(tmp_path / f"other_{path.name}") for path in paths]
    np.testing.assert_array_equal(open_signals(renamed, inputs.config).store.read("a"), inputs.store.read("a"))
    assert "inputs.stream_names has 2 names, acc, gyro, but there are 3 streams" in problem(
        lambda: open_signals([*renamed, renamed[0]], inputs.config), ConfigError
    )
    assert "the streams are named other_acc, other_acc" in problem(
        lambda: open_signals([renamed[0], renamed[0]], config()), ConfigError
    )


def test_streams_that_begin_or_end_at_other_times(tmp_path: Path) -> None:
    inputs = open_signals(two_streams(tmp_path / "a", missing=0.1), config())
    assert inputs.store.length("a") == 195
    inputs = open_signals(two_streams(tmp_path / "b", late=0.06), config())
    gyro = inputs.store.read("a")[:, 2]
    np.testing.assert_allclose(gyro, 3 * np.maximum(0.06, np.arange(200) / 50), atol=1e-4)
    message = problem(lambda: open_signals(two_streams(tmp_path / "c", missing=0.5), config()).store.shape("a"))
    assert "video 'a': the streams end at different times: 3.98 s in " in message
    assert "acc/a.csv, 3.49 s in " in message
    assert "for a difference of a window, 0.2 s" in message
    message = problem(lambda: open_signals(two_streams(tmp_path / "d", late=0.5), config()).store.shape("a"))
    assert "video 'a': the streams begin at different times: 0 s in " in message


def test_arrays_of_different_rates(tmp_path: Path) -> None:
    slow, fast = np.arange(100)[:, None] / 50, np.arange(200)[:, None] / 100
    np.savez(tmp_path / "slow.npz", a=slow)
    np.savez(tmp_path / "fast.npz", a=np.hstack([fast, 2 * fast]))
    paths = [tmp_path / "slow.npz", tmp_path / "fast.npz"]
    rates = config(stream_rates=(50, 100), channels=(0, 2))
    both = open_signals(paths, rates)
    assert both.config == rates.__class__(**{**vars(rates), "stream_names": ("slow", "fast")})
    np.testing.assert_allclose(both.store.read("a"), slow * [1, 1, 2], atol=1e-5)
    np.testing.assert_allclose(both.config.features(both.store.read("a")).shape, (19, 20))
    assert open_signals(paths, config(rate=None, stream_rates=(50, 100))).config.rate == 50
    halved = open_signals(paths[1:], config(stream_rates=(100,))).store.read("a")
    np.testing.assert_allclose(halved, slow * [1, 2], atol=1e-5)
    message = problem(lambda: open_signals(paths, config(stream_rates=(50,))), ConfigError)
    assert "inputs.stream_rates has 1 rates, but there are 2 streams in data.features" in message


def test_features_json_states_the_rate_of_a_stream(tmp_path: Path) -> None:
    for name, rate in (("slow", 50), ("fast", 100)):
        FeatureDescription(dimension=1, rate=rate).write(tmp_path / name)
        np.save(tmp_path / name / "a.npy", np.arange(2 * rate, dtype=np.float32)[:, None] / rate)
    paths = [tmp_path / "slow", tmp_path / "fast"]
    both = open_signals(paths, config(rate=None))
    assert both.config.rate == 50
    np.testing.assert_allclose(both.store.read("a"), np.arange(100)[:, None] / 50 * [1, 1], atol=1e-5)
    message = problem(lambda: open_signals(paths, config(stream_rates=(50, 200))), ConfigError)
    assert "fast: features.json: rate is 200 in the configuration, but 100 there" in message


def test_arrays_of_one_rate_are_opened_as_ever(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", a=noise(100, 3))
    for settings in ({}, {"stream_rates": (50,)}, {"rate": None}):
        inputs = open_signals([tmp_path / "s.npz"], config(**settings))
        assert type(inputs.store) is type(open_features(tmp_path / "s.npz"))
        assert inputs.config == config(**settings)
    assert open_signals([tmp_path / "s.npz"], config(rate=None, stream_rates=(50,))).config.rate == 50


def test_a_gap_and_a_clock_that_cannot_be(tmp_path: Path) -> None:
    times = np.delete(np.arange(200) / 50, slice(20, 120))
    write_table(tmp_path / "s" / "a.csv", "x", 2 * times[:, None], times)
    message = problem(lambda: open_signals([tmp_path / "s"], config()).store.read("a"))
    assert "a.csv: there is no sample for 2.02 s, from 0.38 s after the first, row 21 of the samples" in message
    bridged = open_signals([tmp_path / "s"], config(max_gap=3)).store.read("a")
    np.testing.assert_allclose(bridged[:, 0], np.arange(200) / 25, atol=1e-5)
    write_table(tmp_path / "t" / "a.csv", "x", times[:, None], 1e9 * times)
    message = problem(lambda: open_signals([tmp_path / "t"], config(max_gap=1e10)).store.read("a"))
    assert "video 'a': lasts 3.98e+09 s by its time column, which is too long at inputs.rate 50" in message
    known = open_signals([tmp_path / "t"], config(time_unit="ns", max_gap=3)).store.read("a")
    np.testing.assert_allclose(known[:, 0], np.arange(200) / 50, atol=1e-5)


def test_a_rate_that_is_not_known(tmp_path: Path) -> None:
    write_table(tmp_path / "s" / "a.csv", "x", noise(100, 1), np.arange(100) / 50)
    message = problem(lambda: open_signals([tmp_path / "s"], config(rate=None)), ConfigError)
    assert "inputs.rate is not set" in message
    assert "there are about 50, as in --data.inputs.rate 50" in message
    write_table(tmp_path / "t" / "a.csv", "x", noise(100, 1))
    message = problem(lambda: open_signals([tmp_path / "t"], config(rate=None)), ConfigError)
    assert "state the samples per second of the files by inputs.stream_rates" in message
    np.testing.assert_array_equal(open_signals([tmp_path / "t"], config()).store.read("a"), noise(100, 1))


def test_what_is_not_there(tmp_path: Path) -> None:
    write_table(tmp_path / "s" / "a.csv", "x", noise(100, 1))
    write_table(tmp_path / "t" / "b.csv", "x", noise(100, 1))
    store = open_signals([tmp_path / "s"], config()).store
    assert "a" in store
    assert "b" not in store
    assert "no features of video 'b': there is no 'b.csv'; the nearest name is 'a.csv'" in problem(
        lambda: store.read("b")
    )
    assert "no recording is in all of the 2 streams" in problem(
        lambda: open_signals([tmp_path / "s", tmp_path / "t"], config())
    )
    assert "a .csv file is of one recording; name the folder" in problem(
        lambda: open_signals([tmp_path / "s" / "a.csv"], config())
    )
    (tmp_path / "empty").mkdir()
    assert "it is empty. Expected is <video id>.csv (.csv, .tsv, .parquet, .npy" in problem(
        lambda: open_signals([tmp_path / "empty"], config())
    )


def test_arrays_go_before_tables_beside_them(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise(100, 2))
    (tmp_path / "a.csv").write_text("start,end,label\n1,2,walk\n")
    np.testing.assert_array_equal(open_signals([tmp_path], config()).store.read("a"), noise(100, 2))


def test_memory_is_bounded_and_not_pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        write_table(tmp_path / f"{name}.csv", "x,y", noise(100, 2, ord(name)))
    monkeypatch.setattr(module, "IN_MEMORY", 1700)
    store = open_signals([tmp_path], config()).store
    assert isinstance(store, module.SignalStreams)
    for _ in range(2):
        for name in "abc":
            np.testing.assert_array_equal(store.read(name), noise(100, 2, ord(name)))
            assert store.shape(name) == (100, 2)
    assert list(store._held) == ["b", "c"]
    store.read("c")[:] = 0  # of a copy
    again = pickle.loads(pickle.dumps(store))
    assert not again._held
    np.testing.assert_array_equal(again.read("c"), noise(100, 2, ord("c")))


def test_one_recording(tmp_path: Path) -> None:
    known = config(channels=("acc.x", "y"), stream_names=("acc", "gyro"), stream_rates=(50, 100))
    write_table(tmp_path / "a.csv", "y,acc.x,z", noise(200, 3), np.arange(200) / 100)
    expected = resampled(np.arange(200) / 100, noise(200, 3)[:, [1, 0]], 50, 100)
    np.testing.assert_array_equal(open_recording(tmp_path / "a.csv", known), expected)
    np.save(tmp_path / "b.npy", noise(100, 2))
    assert isinstance(open_recording(tmp_path / "b.npy", known), np.memmap)
    of_one = config(stream_rates=(100,))
    np.testing.assert_array_equal(
        open_recording(tmp_path / "b.npy", of_one), resampled(np.arange(100) / 100, noise(100, 2), 50, 50)
    )


# Normalisation


@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=6),
    shift=st.sampled_from([0.0, 1e3, -1e5]),
    order=st.randoms(use_true_random=False),
)
def test_the_mean_and_the_deviation_are_those_of_all_samples(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], shift: float, order: Any
) -> None:
    path = tmp_path_factory.mktemp("s") / "s.npz"
    arrays = {f"v{i}": noise(n, 3, i) * [1, 5, 0] + shift * np.array([1, 1, 0.1]) for i, n in enumerate(lengths)}
    np.savez(path, **{name: array.astype(np.float32) for name, array in arrays.items()})
    inputs = open_signals([path], config(normalise="standard", channels=(2, 1)))
    assert inputs.config.unfitted
    names = list(arrays)
    found = fitted(inputs, names)
    assert not found.unfitted
    order.shuffle(names)
    assert fitted(inputs, names) == found
    every = np.concatenate([inputs.store.read(name) for name in names]).astype(np.float64)[:, [2, 1]]
    assert found.offset is not None
    assert found.scale is not None
    np.testing.assert_allclose(found.offset, every.mean(axis=0), rtol=1e-12, atol=1e-12)
    assert found.scale[0] == 1  # it is constant
    if sum(lengths) > 1:
        np.testing.assert_allclose(found.scale[1], every.std(axis=0)[1], rtol=1e-9)


def test_standardised_signals(tmp_path: Path) -> None:
    signal = noise(100, 2) * [3, 7] + [10, -4]
    np.savez(tmp_path / "s.npz", a=signal)
    inputs = open_signals([tmp_path / "s.npz"], config(stride=1, window=1, normalise="standard"))
    features = fitted(inputs, ["a"]).features(signal)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-5)
    assert features.dtype == np.float32


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"normalise": "standard", "scale": (1,)}, "leave out scale, or normalise"),
        ({"normalise": "standard", "offset": (1,)}, "leave out offset, or normalise"),
        ({"normalise": "minmax"}, "'none' or 'standard'"),
        ({"offset": (1, 2), "channels": (0,)}, "offset has 2 numbers, but channels names 1"),
        ({"channels": ("a", "a")}, "each only once"),
        ({"kind": "features", "normalise": "standard"}, "normalise has an effect on kind 'signals' only"),
        ({"kind": "features", "max_gap": 3}, "max_gap has an effect on kind 'signals' only"),
        ({"time_unit": "h"}, "time_unit"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        config(**settings)


def test_an_offset_for_each_channel() -> None:
    message = problem(lambda: config(offset=(1, 2)).features(noise(30, 3), "a"))
    assert message == (
        "a: the signals have 3 channels, but inputs.offset has 2 numbers. Name one for each channel that is used"
    )
