from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.model.batching import alike, pad
from untrimmed.model.config import ModelConfig

EXACT = ModelConfig()
OFFICIAL = ModelConfig(padding="official", base_length=50, window=5, downsampling_blocks=2)  # multiples of 16


def random_features(lengths: list[int]) -> list[torch.Tensor]:
    return [torch.randn(length, 3) + 9 for length in lengths]


@given(lengths=st.lists(st.integers(1, 100), min_size=1, max_size=5), rounded=st.booleans(), official=st.booleans())
def test_features_come_first_and_zeros_behind(lengths: list[int], rounded: bool, official: bool) -> None:
    features = random_features(lengths)
    batch, valid = pad(features, OFFICIAL if official else EXACT, rounded=rounded)
    assert batch.shape == (*valid.shape, 3)
    assert valid.sum(dim=1).tolist() == lengths
    for row, mask, original in zip(batch, valid, features, strict=True):
        assert torch.equal(row[: len(original)], original)
        assert mask[: len(original)].all()
        assert not row[len(original) :].any()


@given(lengths=st.lists(st.integers(1, 5000), min_size=1, max_size=3))
def test_exact_padding_is_to_the_longest(lengths: list[int]) -> None:
    features = [torch.zeros(length, 1) for length in lengths]
    assert pad(features, EXACT)[0].shape[1] == max(lengths)


def test_official_padding() -> None:
    for lengths, padded in [([1], 50), ([50], 50), ([51], 64), ([64, 3], 64), ([65, 3], 80)]:
        for rounded in (True, False):
            assert pad(random_features(lengths), OFFICIAL, rounded=rounded)[0].shape[1] == padded


def test_rounded_lengths_are_few_and_little_longer() -> None:
    lengths = range(1, 5000)
    rounded = [pad([torch.zeros(length, 1)], EXACT, rounded=True)[0].shape[1] for length in lengths]
    assert all(length <= to <= length * 17 / 16 for length, to in zip(lengths, rounded, strict=True))
    assert rounded == sorted(rounded)
    assert len(set(rounded)) < 200


def test_type_of_the_features_is_kept() -> None:
    batch, valid = pad([torch.zeros(3, 2, dtype=torch.float64)], EXACT)
    assert (batch.dtype, valid.dtype) == (torch.float64, torch.bool)


def test_a_single_video_without_padding_is_not_copied() -> None:
    (features,) = random_features([50])
    for config in (EXACT, OFFICIAL):
        batch, valid = pad([features], config)
        assert batch.data_ptr() == features.data_ptr()
        assert bool(valid.all())


@given(
    lengths=st.lists(st.integers(1, 400), max_size=40),
    videos=st.integers(1, 6),
    clips=st.one_of(st.none(), st.integers(1, 2000)),
    official=st.booleans(),
)
def test_batches_of_videos_that_are_alike(lengths: list[int], videos: int, clips: int | None, official: bool) -> None:
    config = OFFICIAL if official else EXACT
    batches = list(alike(lengths, config, videos=videos, clips=clips))
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[i] for i in batch)
        assert len(batch) <= videos
        assert clips is None or len(batch) == 1 or len(batch) * longest <= clips
        if official:
            assert len({config.padded_length(lengths[i]) for i in batch}) == 1
        else:
            assert min(lengths[i] for i in batch) >= 0.95 * longest


def test_videos_of_one_length_share_batches() -> None:
    assert [len(batch) for batch in alike([7] * 10, EXACT, videos=4, clips=None)] == [4, 4, 2]
    assert [len(batch) for batch in alike([7] * 10, EXACT, videos=4, clips=14)] == [2] * 5
