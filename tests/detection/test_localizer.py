from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import untrimmed
from small_models import LABELS, make
from untrimmed.data.detections import Detections
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.localizer import LOOK_AHEAD, Localizer
from untrimmed.detection.recording import Recording
from untrimmed.errors import ConfigError, FeatureError, ModelError


def random_features(length: int, seed: int = 0, dimension: int = 6) -> np.ndarray:
    return np.random.default_rng([seed, length]).normal(size=(length, dimension)).astype(np.float32)


def assert_close(found: Detections, expected: Detections) -> None:
    assert found.video_id == expected.video_id
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.segments, expected.segments, atol=1e-3)


# One recording


def test_detections_are_in_seconds_and_best_first() -> None:
    found = make().detect(random_features(40))
    assert len(found) == 20
    assert found.label_names == LABELS
    assert (np.diff(found.scores) <= 0).all()
    assert (found.segments[:, 0] < found.segments[:, 1]).all()
    assert found.segments.min() >= 0
    assert found.segments.max() <= (39 * 4 + 16) / 10  # the end of the last clip
    first = found[0]
    assert first.label in LABELS
    assert f"{first.start:.2f} s" in str(first)


def test_any_kind_of_array_will_do() -> None:
    localizer, features = make(), random_features(20).round(1)
    expected = localizer.detect(features)
    assert len(expected)
    for same in (
        features.astype(np.float64),
        features.tolist(),
        torch.from_numpy(features),
        np.asfortranarray(features),
    ):
        assert localizer.detect(same) == expected
    readonly = features.copy()
    readonly.flags.writeable = False
    assert localizer.detect(readonly) == expected


def test_feature_file(tmp_path: Path) -> None:
    localizer, features = make(), random_features(20)
    np.save(tmp_path / "one.npy", features)
    expected = replace(localizer.detect(features), video_id="one")
    assert localizer.detect(tmp_path / "one.npy") == expected
    assert localizer.detect(str(tmp_path / "one.npy")) == expected


def test_duration_clips() -> None:
    localizer, features = make(), random_features(20)
    plain, clipped = localizer.detect(features), localizer.detect(features, duration=3.0)
    np.testing.assert_array_equal(clipped.segments, plain.segments.clip(0, 3))
    assert plain.segments.max() > 3
    assert localizer.detect(Recording(features, duration=3.0)) == clipped
    assert localizer.detect(Recording(features, duration=2.0), duration=3.0) == clipped


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan"), float("inf")])
def test_duration_that_cannot_be(duration: float) -> None:
    with pytest.raises(FeatureError, match=r"^clip: its duration is \S+, but has to be a positive number$"):
        make().detect(Recording(random_features(20), id="clip", duration=duration))


def test_rate_of_each_recording() -> None:
    localizer, features = make(InputConfig(stride=4, window=16)), random_features(20)
    fast, slow = localizer.detect(features, rate=20), localizer.detect(Recording(features, rate=10))
    np.testing.assert_allclose(slow.segments, 2 * fast.segments)
    with pytest.raises(ConfigError, match=r"^lab/clip: the frame rate is not known\. Set inputs\.rate"):
        localizer.detect(Recording(features, id="clip", source="lab/clip"))


def test_rate_of_the_model_goes_first() -> None:
    localizer, features = make(), random_features(20)
    assert localizer.detect(features, rate=99) == localizer.detect(features)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (random_features(20, dimension=5), r"the features are \[20, 5\], which is 5 dimensions, but 6 are expected"),
        (random_features(20).T, r".*but 6 are expected\. They look stored as \[D, T\]: transpose them"),
        (np.zeros(6, np.float32), r"the array has 1 axes, \[6\], but features are \[T, D\]"),
        (np.zeros((1, 20, 6), np.float32), r"the array has 3 axes, \[1, 20, 6\]"),
        (np.zeros((0, 6), np.float32), r"the array is empty, \[0, 6\]"),
        (np.full((4, 6), np.nan, np.float32), r"24 of 24 values are NaN or infinite, in 4 rows, .* row 0"),
        (np.where(np.arange(24) == 8, np.inf, 0).reshape(4, 6), r"1 of 24 values are NaN or infinite.* row 1"),
        (np.array([["a"] * 6]), r"the array holds <U1, but features are numbers"),
    ],
    ids=["dimension", "transposed", "1-D", "3-D", "empty", "NaN", "infinite", "text"],
)
def test_unusable_features(tmp_path: Path, array: np.ndarray, message: str) -> None:
    localizer = make()
    with pytest.raises(FeatureError, match=f"^recording: {message}"):
        localizer.detect(array)
    with pytest.raises(FeatureError, match=f"^clip: {message}"):
        localizer.detect(Recording(array, id="clip"))
    path = tmp_path / "clip.npy"
    np.save(path, array)
    with pytest.raises(FeatureError, match=str(path)):
        localizer.detect(path)


def test_missing_feature_file(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r"none\.npy: there is no such file"):
        make().detect(tmp_path / "none.npy")


# Raw signals


def test_signals_are_cut_into_windows() -> None:
    signals = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    windows = np.stack([signals[s : s + 3, [2, 0]].T.ravel() for s in range(0, 50 - 2, 2)])
    expected = make(InputConfig(stride=2, window=3, rate=10)).detect(windows)
    of_signals = make(InputConfig(kind="signals", stride=2, window=3, rate=10, channels=(2, 0)))
    assert len(expected)
    assert of_signals.detect(signals) == expected
    with pytest.raises(FeatureError, match="the recording has 2 samples, which is shorter than a window of 3"):
        of_signals.detect(signals[:2])
    with pytest.raises(FeatureError, match=r"inputs\.channels asks for 2"):
        of_signals.detect(signals[:, :2])


# Many recordings


@given(
    lengths=st.lists(st.integers(1, 60), max_size=12),
    batch_size=st.integers(1, 13),
    padding=st.sampled_from(["exact", "official"]),
)
def test_many_are_the_same_as_one_by_one(lengths: list[int], batch_size: int, padding: str) -> None:
    localizer = make(padding=padding, base_length=24)
    recordings = [Recording(random_features(length, i), id=f"v{i}") for i, length in enumerate(lengths)]
    found = list(localizer.detect_many(recordings, batch_size=batch_size))
    assert len(found) == len(lengths)
    for one, recording in zip(found, recordings, strict=True):
        assert_close(one, localizer.detect(recording))


def test_order_is_kept_over_more_batches_than_are_read_ahead() -> None:
    count = 2 * LOOK_AHEAD + 3
    recordings = [Recording(random_features(1 + (7 * i) % 20, i), id=f"v{i}") for i in range(count)]
    found = make().detect_many(recordings, batch_size=1)
    assert [one.video_id for one in found] == [recording.id for recording in recordings]


def test_only_a_few_batches_are_read_ahead() -> None:
    read = 0

    def recordings() -> Iterator[np.ndarray]:
        nonlocal read
        for i in range(100):
            read += 1
            yield random_features(5, i)

    found = make().detect_many(recordings(), batch_size=2)
    assert read == 0
    next(found)
    assert read == 2 * LOOK_AHEAD
    for _ in range(2 * LOOK_AHEAD):
        next(found)
    assert read == 4 * LOOK_AHEAD


def test_paths_and_arrays_may_be_mixed(tmp_path: Path) -> None:
    features = random_features(9)
    np.save(tmp_path / "a.npy", features)
    found = make().detect_many([tmp_path / "a.npy", features, Recording(features, id="c")])
    assert [one.video_id for one in found] == ["a", "", "c"]


def test_no_recordings() -> None:
    assert list(make().detect_many([])) == []


# The scores of moments


def slow_level_scores(localizer: Localizer, features: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Times and scores of every level, straight from the network, without padding."""
    with torch.inference_mode():
        predictions = localizer.model(torch.from_numpy(features)[None])
    times, strides = predictions.moments[:, 0].numpy(), predictions.moments[:, 3].numpy()
    scores = predictions.logits[0].sigmoid().numpy()
    return [((times[strides == s] * 4 + 8) / 10, scores[strides == s]) for s in (1, 2, 4)]


@pytest.mark.parametrize("length", [1, 2, 5, 8, 37])
def test_scores_of_every_level(length: int) -> None:
    localizer, features = make(), random_features(length)
    levels = localizer.level_scores(features)
    assert [len(level.seconds) for level in levels] == [length, -(-length // 2), -(-length // 4)]
    assert [level.stride for level in levels] == [0.4, 0.8, 1.6]
    for level, (times, scores) in zip(levels, slow_level_scores(localizer, features), strict=True):
        np.testing.assert_allclose(level.seconds, times)
        np.testing.assert_allclose(level.scores, scores, atol=1e-6)
        assert (level.seconds.dtype, level.scores.dtype) == (np.float64, np.float32)


def test_padded_moments_have_no_scores() -> None:
    features = random_features(21)
    official = make(padding="official", base_length=64).level_scores(features)
    assert [len(level.seconds) for level in official] == [21, 11, 6]
    np.testing.assert_allclose(official[0].seconds, (np.arange(21) * 4 + 8) / 10)


def test_detections_are_made_of_these_scores(tmp_path: Path) -> None:
    localizer, features = make(), random_features(33)
    everything = localizer.with_settings(min_score=0.0, suppression="none", max_detections=10_000).detect(features)
    levels = localizer.level_scores(Recording(features, id="v"))
    known = np.concatenate([level.scores.ravel() for level in levels])
    assert np.abs(everything.scores[:, None] - known).min(axis=1).max() < 1e-6
    np.save(tmp_path / "v.npy", features)
    for level, same in zip(levels, localizer.level_scores(tmp_path / "v.npy"), strict=True):
        np.testing.assert_array_equal(level.scores, same.scores)


# Settings


def test_with_settings() -> None:
    localizer, features = make(), random_features(40)
    few = localizer.with_settings(max_detections=3)
    assert few.detect(features) == localizer.detect(features)[:3]
    assert localizer.detection.max_detections == 20
    assert few.model is localizer.model
    voted = localizer.with_settings(per_class=False, voting_tiou=0.3).detect(features)
    plain = localizer.with_settings(per_class=False).detect(features)
    np.testing.assert_array_equal(voted.scores, plain.scores)
    assert not np.array_equal(voted.segments, plain.segments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_detection": 3}, r"unknown key 'max_detection'; did you mean 'max_detections'\?"),
        ({"max_detections": 0}, r"max_detections is 0, but has to be a whole number above 0"),
        ({"suppression": "hard", "sigma": 0.5}, r"sigma is for suppression 'soft', but suppression is 'hard'"),
    ],
)
def test_settings_that_there_are_not(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^detection settings: {message}"):
        make().with_settings(**settings)


@pytest.mark.parametrize("suppression", ["soft", "hard"])
def test_nothing_found(suppression: str) -> None:
    quiet = make().with_settings(suppression=suppression, min_score=0.999999, per_class=False, voting_tiou=0.5)
    found = quiet.detect(random_features(3))
    assert len(found) == 0
    assert found.segments.shape == (0, 2)
    assert list(found) == []


def test_precision() -> None:
    localizer, features = make(), random_features(40)
    exact, rough = localizer.detect(features), replace(localizer, precision="bf16").detect(features)
    assert exact != rough
    np.testing.assert_allclose(rough.scores[:5], exact.scores[:5], atol=0.05)


# On disk


def test_save_and_load(tmp_path: Path) -> None:
    inputs = InputConfig(kind="signals", stride=2, window=3, rate=12.5, channels=(0, 2))
    localizer = make(inputs).with_settings(sigma=0.3, per_class=False)
    localizer.save(tmp_path / "new" / "model")
    assert sorted(p.name for p in (tmp_path / "new" / "model").iterdir()) == ["config.yaml", "model.safetensors"]
    loaded = Localizer.load(tmp_path / "new" / "model", device="cpu")
    assert loaded.config == localizer.config
    assert not loaded.model.training
    signals = random_features(80, dimension=3)
    assert len(localizer.detect(signals))
    assert loaded.detect(signals) == localizer.detect(signals)
    assert untrimmed.Localizer.load(str(tmp_path / "new" / "model")).detect(signals) == localizer.detect(signals)


def test_save_again(tmp_path: Path) -> None:
    make().save(tmp_path)
    make(width=16).save(tmp_path)
    assert Localizer.load(tmp_path).model.config.width == 16
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("encoder", "position"),
    [("transformer", "none"), ("transformer", "sinusoid"), ("transformer", "relative"), ("conv", "none")],
)
def test_every_kind_of_model_survives_the_disk(tmp_path: Path, encoder: str, position: str) -> None:
    localizer = make(position=position, encoder=encoder, neck="top_down", window=[3, 5, 3])
    localizer.save(tmp_path)
    features = random_features(30)
    assert Localizer.load(tmp_path).detect(features) == localizer.detect(features)


def test_unknown_device(tmp_path: Path) -> None:
    make().save(tmp_path)
    with pytest.raises(ConfigError, match="there is no device 'gpu'; use auto, cpu, cuda or mps"):
        Localizer.load(tmp_path, device="gpu")


def test_no_model_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none: is not there, but a model folder holds config\.yaml and model\."):
        Localizer.load(tmp_path / "none")
