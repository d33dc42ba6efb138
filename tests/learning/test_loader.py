from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthetic import DIMENSION, TINY, make_videos, training_videos
from untrimmed.data import dataset
from untrimmed.data.crops import CropConfig
from untrimmed.data.dataset import Crop, Sample, TrainingVideos
from untrimmed.errors import FeatureError
from untrimmed.learning.loader import Batch, collate, read_ahead, share_of_rank
from untrimmed.model.config import ModelConfig

CONFIG = ModelConfig(**TINY, input_dims=DIMENSION, num_classes=2)


pytestmark = pytest.mark.usefixtures("one_thread")


def sample(length: int, instances: int = 1) -> Sample:
    random = np.random.default_rng(length)
    return Sample(
        random.normal(size=(length, DIMENSION)).astype(np.float32),
        np.sort(random.uniform(0, length, size=(instances, 2)), axis=1),
        random.integers(0, 2, size=instances),
    )


def readers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def assert_same(a: Batch, b: Batch) -> None:
    assert torch.equal(a.features, b.features)
    assert torch.equal(a.valid, b.valid)
    for one, other in ((a.segments, b.segments), (a.labels, b.labels)):
        assert len(one) == len(other)
        assert all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=4), data=st.data())
def test_collate(lengths: list[int], data: st.DataObject) -> None:
    samples = [sample(length, data.draw(st.integers(0, 3))) for length in lengths]
    batch = collate(samples, CONFIG)
    longest = max(lengths)
    padded = batch.features.shape[1]
    assert longest <= padded <= longest * (1 + 1 / 16)
    assert batch.features.shape == (len(samples), padded, DIMENSION)
    assert batch.valid.sum(dim=1).tolist() == lengths
    assert batch.features.dtype == torch.float32
    for row, valid, segments, labels, one in zip(
        batch.features, batch.valid, batch.segments, batch.labels, samples, strict=True
    ):
        assert torch.equal(row[valid], torch.from_numpy(one.features))
        assert not row[~valid].any()
        assert valid.tolist() == sorted(valid.tolist(), reverse=True)  # padding is behind
        np.testing.assert_allclose(segments.numpy(), one.segments, rtol=1e-6)
        assert segments.shape == (len(one.labels), 2)
        assert labels.tolist() == one.labels.tolist()
        assert labels.dtype == torch.int64


def test_there_are_few_lengths() -> None:
    lengths = {collate([sample(length)], CONFIG).features.shape[1] for length in range(1, 1025)}
    assert len(lengths) <= 16 * 7
    assert {collate([sample(length)], CONFIG).features.shape[1] for length in range(1, 32)} == set(range(1, 32))


def test_official_padding_is_not_rounded() -> None:
    config = ModelConfig(**TINY, input_dims=DIMENSION, num_classes=2, padding="official", base_length=101)
    assert collate([sample(30), sample(99)], config).features.shape[1] == 101


def test_to_device() -> None:
    batch = collate([sample(30), sample(20, 0)], CONFIG)
    moved = batch.to(torch.device("meta"))
    every = [moved.features, moved.valid, *moved.segments, *moved.labels]
    assert {tensor.device.type for tensor in every} == {"meta"}
    assert batch.features.device.type == "cpu"


@pytest.fixture
def videos(tmp_path: Path) -> TrainingVideos:
    return training_videos(make_videos({"train": 9}, without=1), tmp_path, CropConfig(ratio=(0.5, 1)))


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_come_in_the_order_of_the_plan(
    videos: TrainingVideos, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = videos.epoch(0, batch_size=2, seed=0) * 3
    read = videos.sample

    def slower_at_first(crop: Crop) -> Sample:
        time.sleep(0.002 * (9 - crop.video))
        return read(crop)

    monkeypatch.setattr(videos, "sample", slower_at_first)
    batches = list(read_ahead(videos, plan, CONFIG, workers=workers))
    assert len(batches) == len(plan)
    for batch, crops in zip(batches, plan, strict=True):
        assert_same(batch, collate([read(crop) for crop in crops], CONFIG))
    assert not readers()


def test_an_empty_plan(videos: TrainingVideos) -> None:
    assert list(read_ahead(videos, [], CONFIG, workers=2)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_is_read_ahead_than_said(videos: TrainingVideos, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    read = videos.sample

    def counted(crop: Crop) -> Sample:
        started.append(crop.video)
        return read(crop)

    monkeypatch.setattr(videos, "sample", counted)
    plan = [[Crop(0, 0, 10)] for _ in range(20)]
    batches = read_ahead(videos, plan, CONFIG, workers=workers)
    for taken in range(1, 6):
        next(batches)
        deadline = time.monotonic() + 10
        while len(started) < taken + workers and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(started) == taken + workers
    batches.close()


def test_an_error_of_a_reading_thread_comes_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "IN_MEMORY", 0)
    videos = training_videos(make_videos({"train": 6}), tmp_path)
    (tmp_path / "train3.npy").unlink()
    plan = [[Crop(i, 0, 10)] for i in range(6)]
    batches = read_ahead(videos, plan, CONFIG, workers=2)
    for _ in range(3):
        next(batches)
    with pytest.raises(FeatureError, match=r"train3"):
        next(batches)
    assert not readers()


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_no_thread_is_left_when_it_is_closed_early(videos: TrainingVideos, taken: int) -> None:
    batches = read_ahead(videos, videos.epoch(0, batch_size=1, seed=0) * 20, CONFIG, workers=2)
    for _ in range(taken):
        next(batches)
    assert bool(readers()) == bool(taken)
    batches.close()
    assert not readers()


def test_what_was_not_begun_is_not_read_any_more(videos: TrainingVideos, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    read = videos.sample

    def slow(crop: Crop) -> Sample:
        begun.append(crop.video)
        time.sleep(0.1)
        return read(crop)

    monkeypatch.setattr(videos, "sample", slow)
    batches = read_ahead(videos, [[Crop(i, 0, 10)] for i in range(9)], CONFIG, workers=1)
    next(batches)
    batches.close()
    assert len(begun) <= 2  # of three that were waiting


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), processes=st.integers(1, 5))
def test_shares_of_processes(sizes: list[int], processes: int) -> None:
    numbers = iter(range(100))
    plan = [[Crop(next(numbers), 0, 1) for _ in range(size)] for size in sizes]
    shares = [share_of_rank(plan, rank, processes) for rank in range(processes)]
    for i, batch in enumerate(plan):
        together = [crop for share in shares for crop in share[i]]
        assert all(share[i] for share in shares)  # each process has to take part in every step
        assert len(together) == max(len(batch), processes)
        assert set(batch) <= set(together)
        if len(batch) >= processes:
            assert sorted(crop.video for crop in together) == [crop.video for crop in batch]


def test_one_process_has_the_whole_plan(videos: TrainingVideos) -> None:
    plan = videos.epoch(0, batch_size=2, seed=0)
    assert share_of_rank(plan, 0, 1) == plan
