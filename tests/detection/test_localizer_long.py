"""Recordings that are longer than what the model is given at a time."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from small_models import GRID, SMALL
from small_models import make as make_small
from untrimmed.data.detections import Detections
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording, held_bytes, prepare
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.model.chunks import margin, usual_chunk
from untrimmed.model.memory import OWN, bytes_per_clip, clips_within
from untrimmed.model.network import ActionFormer

DIM = SMALL["input_dims"]


def make(inputs: InputConfig = GRID, **model: Any) -> Localizer:
    return make_small(inputs, DetectionConfig(), **model)


def with_memory_for(localizer: Localizer, margins: int, array: Any) -> Localizer:
    """Let a localizer have just so much memory that its model is given this many margins of the array at a time."""
    config = localizer.model.config
    clips = margins * margin(config)
    video = prepare(Recording(array), localizer.inputs, config.input_dim)
    besides = held_bytes(config, video)
    weights = sum(weight.nbytes for weight in localizer.model.parameters())
    memory = besides + OWN + weights + clips * bytes_per_clip(config)
    assert clips_within(memory, localizer.model, besides=besides) == clips
    return replace(localizer, max_memory=memory)


def numbers(rows: int, columns: int = DIM, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng([seed, rows]).normal(size=(rows, columns)).astype(np.float32)


def assert_close(found: Detections, expected: Detections) -> None:
    """Each has all detections of the other, but perhaps the last ones; those of nearly one score may change places."""
    assert found.video_id == expected.video_id
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    scores = np.abs(found.scores[:, None] - expected.scores) < 1e-5
    segments = np.abs(found.segments[:, None] - expected.segments).max(axis=2) < 1e-3
    same = scores & segments & (found.labels[:, None] == expected.labels)
    sure = expected.scores > expected.scores[-1] + 1e-5
    assert sure.sum() > 10
    assert same.any(axis=1)[sure].all()
    assert same.any(axis=0)[sure].all()


@given(rows=st.integers(60, 400), margins=st.integers(3, 6))
def test_the_same_is_found(rows: int, margins: int) -> None:
    localizer = make()
    limited = with_memory_for(localizer, margins, numbers(rows))
    assert_close(limited.detect(numbers(rows)), localizer.detect(numbers(rows)))


@pytest.mark.parametrize(
    "inputs",
    [
        replace(GRID, downsample=3),
        replace(GRID, resample=500),
        InputConfig(kind="signals", stride=2, window=3, rate=10, channels=(2, 0), scale=(5, 0.5)),
    ],
    ids=["downsample", "resample", "signals"],
)
def test_the_same_is_found_whatever_features_are_made_of(inputs: InputConfig) -> None:
    localizer = make(inputs)
    limited = with_memory_for(localizer, 3, numbers(900))
    assert_close(limited.detect(numbers(900)), localizer.detect(numbers(900)))


def test_any_kind_of_array_will_do(tmp_path: Path) -> None:
    features = numbers(300).round(1)
    localizer = with_memory_for(make(), 3, features.astype(np.float64))
    expected = localizer.detect(features)
    np.save(tmp_path / "a.npy", features)
    readonly = features.copy()
    readonly.flags.writeable = False
    for same in (
        readonly,
        np.load(tmp_path / "a.npy", mmap_mode="r"),
        np.asfortranarray(features),
        features.astype(np.float64),
        features.tolist(),
    ):
        assert localizer.detect(same) == expected
    assert localizer.detect(tmp_path / "a.npy") == replace(expected, video_id="a")
    half = features.astype(np.float16)
    assert localizer.detect(half) == localizer.detect(half.astype(np.float32))


def test_scores_of_every_level() -> None:
    localizer, features = make(), numbers(301)
    for part, whole in zip(
        with_memory_for(localizer, 3, features).level_scores(features), localizer.level_scores(features), strict=True
    ):
        np.testing.assert_array_equal(part.seconds, whole.seconds)
        np.testing.assert_allclose(part.scores, whole.scores, atol=1e-5)


def test_where_memory_is_limited_recordings_are_detected_in_one_after_the_other() -> None:
    most = 4 * margin(make().model.config)
    lengths = [5, 3 * most, 40, most, 17, most + 1, 2, 40]
    recordings = [Recording(numbers(length), id=str(length)) for length in lengths]
    localizer = with_memory_for(make(), 4, numbers(3 * most))
    given_: list[tuple[int, ...]] = []
    forward = ActionFormer.forward

    def watched(model: ActionFormer, features: torch.Tensor, *valid: torch.Tensor) -> Any:
        given_.append(tuple(features.shape[:2]))
        return forward(model, features, *valid)

    with patch.object(ActionFormer, "forward", watched):
        found = list(localizer.detect_many(recordings))
    assert [one.video_id for one in found] == [str(length) for length in lengths]
    assert all(batch == 1 for batch, _ in given_)
    assert max(clips for _, clips in given_) < 3 * most
    for one, recording in zip(found, recordings, strict=True):
        np.testing.assert_allclose(one.scores, make().detect(recording).scores, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("limited", [True, False])
def test_features_are_not_copied(dtype: type, limited: bool) -> None:
    features = numbers(60_000, 64).astype(dtype)
    before = features.copy()
    localizer = make(input_dims=64)
    localizer = with_memory_for(localizer, 20, features) if limited else localizer
    tracemalloc.start()  # knows what numpy takes, and not what torch does, which is to be given views
    found = localizer.detect(features)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found)
    assert peak < 0.5 * 60_000 * 64 * 4
    np.testing.assert_array_equal(features, before)


def test_memory_is_bounded_unasked_where_the_model_sees_no_further() -> None:
    localizer, features = make(), numbers(20_000)
    most = usual_chunk(localizer.model.config)
    assert most is not None
    assert most < len(features)
    with patch("untrimmed.detection.running.usual_chunk", lambda _: None):
        whole = make().detect(features)
    assert_close(localizer.detect(features), whole)


@pytest.mark.parametrize("model", [{"window": None}, {"position": "sinusoid"}, {"padding": "official"}])
def test_a_model_that_needs_the_whole_recording(model: dict[str, Any], tmp_path: Path) -> None:
    localizer = make(**model)
    localizer.save(tmp_path)
    (setting,) = model
    with pytest.raises(ConfigError, match=rf"^max_memory is for models .* model\.{setting} is .* Leave it out$"):
        Localizer.load(tmp_path, max_memory=10**9)
    assert len(Localizer.load(tmp_path).detect(numbers(300)))


def test_too_little_memory(tmp_path: Path) -> None:
    make().save(tmp_path)
    with pytest.raises(ConfigError, match=r"^max_memory is 1,000 bytes, but this model needs [\d,]+: "):
        Localizer.load(tmp_path, max_memory=1000)
    assert Localizer.load(tmp_path, max_memory=10**9).max_memory == 10**9


def test_a_recording_that_alone_takes_more_than_is_allowed(tmp_path: Path) -> None:
    localizer = with_memory_for(make(), 3, numbers(300))
    with pytest.raises(ConfigError, match=r"^max_memory is [\d,]+ bytes, but .* for the program and the recording, "):
        localizer.detect(numbers(3000))
    assert len(localizer.detect(numbers(300)))


def test_what_is_not_finite_is_found_before_anything_is_computed() -> None:
    features = numbers(300)
    localizer = with_memory_for(make(), 3, features)
    features[299, 1] = np.nan
    with (
        pytest.raises(FeatureError, match=r"^recording: 1 of 1800 values are NaN or infinite, in 1 rows, .* row 299\."),
        patch.object(ActionFormer, "forward", side_effect=AssertionError),
    ):
        localizer.detect(features)
