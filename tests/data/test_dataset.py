from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthetic import DIMENSION, features_of, ids, make_videos, training_videos, write_features
from untrimmed.data import dataset
from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.crops import CropConfig, cut
from untrimmed.data.dataset import Crop, TrainingVideos, read_if_small
from untrimmed.data.features import open_features
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.errors import ConfigError, FeatureError


def padding(batches: list[list[Crop]]) -> int:
    """Clips that are padded when every batch is as long as its longest crop."""
    return sum(
        max(crop.length for crop in batch) * len(batch) - sum(crop.length for crop in batch) for batch in batches
    )


@pytest.mark.parametrize("count", [1, 4, 7, 70])
@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_every_video_once_an_epoch(tmp_path: Path, count: int, batch_size: int) -> None:
    videos = training_videos(make_videos({"train": count}), tmp_path, CropConfig(ratio=(0.5, 1)))
    assert len(videos) == count
    for number in range(3):
        batches = videos.epoch(number, batch_size=batch_size, seed=0)
        assert sorted(ids(batches)) == list(range(count))
        assert len(batches) == -(-count // batch_size)
        assert sorted(len(batch) for batch in batches)[1:] == [batch_size] * (len(batches) - 1)


def test_epochs_are_a_function_of_seed_and_number(tmp_path: Path) -> None:
    annotations = make_videos({"train": 40})
    videos = training_videos(annotations, tmp_path, CropConfig(ratio=(0.5, 1)))
    again = TrainingVideos(annotations, Inputs(open_features(tmp_path), InputConfig()), videos.crop)
    assert videos.epoch(3, batch_size=2, seed=1) == again.epoch(3, batch_size=2, seed=1)
    plans = [videos.epoch(number, batch_size=2, seed=seed) for number in range(4) for seed in range(4)]
    assert all(a != b for i, a in enumerate(plans) for b in plans[:i])
    assert len({tuple(ids(plan)) for plan in plans}) == len(plans)


def test_a_batch_is_not_always_of_the_same_videos(tmp_path: Path) -> None:
    videos = training_videos(make_videos({"train": 40}), tmp_path, CropConfig(ratio=(0.9, 1)))
    together = [
        {frozenset(crop.video for crop in batch) for batch in videos.epoch(n, batch_size=2, seed=0)} for n in range(2)
    ]
    assert len(together[0] & together[1]) < 10


def test_batches_put_similar_lengths_together(tmp_path: Path) -> None:
    videos = training_videos(make_videos({"train": 64}), tmp_path, CropConfig(ratio=(0.5, 1)))
    random = np.random.default_rng(0)
    for number in range(3):
        batches = videos.epoch(number, batch_size=4, seed=0)
        crops = [crop for batch in batches for crop in batch]
        shuffled = [crops[i] for i in random.permutation(len(crops))]
        assert padding(batches) < 0.25 * padding([shuffled[i : i + 4] for i in range(0, len(crops), 4)])


@pytest.mark.parametrize(
    "inputs",
    [{}, {"downsample": 2}, {"resample": 16}, {"kind": "signals", "stride": 2, "window": 4, "channels": [1, 3]}],
)
def test_in_memory_or_read_in_parts_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Any]
) -> None:
    annotations = make_videos({"train": 5}, without=1)
    crop = CropConfig(ratio=(0.3, 0.9), min_visible=0.3)
    training_videos(annotations, tmp_path)  # writes the features
    written = Inputs(open_features(tmp_path), InputConfig(**inputs))
    videos = {v.id: replace(v, duration=written.grid(v).end(written.length(v))) for v in annotations}
    annotations = replace(annotations, videos=videos)  # rows that are taken for samples last less long
    held = TrainingVideos(annotations, written, crop)
    monkeypatch.setattr(dataset, "IN_MEMORY", 0)
    unheld = TrainingVideos(annotations, Inputs(open_features(tmp_path), InputConfig(**inputs)), crop)
    opened = Inputs(open_features(tmp_path), InputConfig(**inputs))
    for each in (c for batch in held.epoch(0, batch_size=2, seed=0) for c in batch):
        a, b = held.sample(each), unheld.sample(each)
        video = annotations[f"train{each.video}"]
        np.testing.assert_array_equal(a.features, opened.features(video)[each.start : each.stop])
        np.testing.assert_array_equal(a.features, b.features)
        np.testing.assert_array_equal(a.segments, b.segments)
        np.testing.assert_array_equal(a.labels, b.labels)
        assert a.features.dtype == np.float32
        assert len(a.features) == each.length
    assert read_if_small(annotations, opened) is None


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_features_of_another_length_than_the_video_are_refused(tmp_path: Path, factor: float) -> None:
    annotations = make_videos({"train": 3})
    write_features(annotations, tmp_path)
    videos = dict(annotations.videos)
    videos["train1"] = replace(videos["train1"], duration=videos["train1"].duration * factor)
    with pytest.raises(FeatureError, match=r"video 'train1': the features end at .* but the video lasts .* Extract"):
        opened(tmp_path, replace(annotations, videos=videos))


def test_a_video_shorter_than_a_window_is_not_refused(tmp_path: Path) -> None:
    video = Video("short", 0.3, instances=(Instance(0.1, 0.2, "run"),))
    write_features(Annotations({"short": replace(video, duration=1.0)}, ("run",)), tmp_path)  # one clip, of a second
    videos = opened(tmp_path, Annotations({"short": video}, ("run",)))
    assert len(videos.sample(Crop(0, 0, 1)).features) == 1


def test_a_small_data_set_is_read_once(tmp_path: Path) -> None:
    annotations = make_videos({"train": 3})
    videos = training_videos(annotations, tmp_path)
    for path in tmp_path.glob("*.npy"):
        path.unlink()
    sample = videos.sample(Crop(1, 2, 9))
    np.testing.assert_array_equal(sample.features, features_of(annotations["train1"])[2:9])


def test_samples_are_on_the_grid_of_the_crop(tmp_path: Path) -> None:
    video = Video("a", 20.0, instances=(Instance(4.5, 8.5, "run"), Instance(12.5, 16.5, "jump")))
    annotations = Annotations({"a": video}, ("jump", "run"))
    videos = training_videos(annotations, tmp_path, CropConfig(min_visible=0.5))
    sample = videos.sample(Crop(0, 6, 19))  # clip i is at i + 0.5 s
    np.testing.assert_allclose(sample.segments, [[0, 2], [6, 10]])
    assert sample.labels.tolist() == [1, 0]
    np.testing.assert_allclose(videos.sample(Crop(0, 7, 19)).segments, [[5, 9]])
    expected, _ = cut(np.array([[4.0, 8.0], [12.0, 16.0]]), np.array([1, 0]), 6, 13, 0.5)
    np.testing.assert_allclose(videos.sample(Crop(0, 6, 13)).segments, expected)


def test_the_whole_of_a_video_keeps_its_instances_as_they_are(tmp_path: Path) -> None:
    video = Video("a", 10.0, instances=(Instance(0.0, 3.0, "run"), Instance(9.0, 12.0, "jump")))
    videos = training_videos(Annotations({"a": video}, ("jump", "run")), tmp_path)
    np.testing.assert_allclose(videos.sample(Crop(0, 0, 10)).segments, [[-0.5, 2.5], [8.5, 11.5]])
    np.testing.assert_allclose(videos.sample(Crop(0, 0, 9)).segments, [[0, 2.5]])


def test_videos_without_instances(tmp_path: Path) -> None:
    videos = training_videos(make_videos({"train": 2}, without=2), tmp_path, CropConfig(ratio=(0.5, 0.6)))
    for batch in videos.epoch(0, batch_size=2, seed=0):
        for crop in batch:
            sample = videos.sample(crop)
            assert sample.segments.shape == (0, 2)
            assert sample.labels.shape == (0,)
            assert sample.labels.dtype == np.int64
            assert len(sample.features) == crop.length


def opened(folder: Path, annotations: Annotations, **inputs: Any) -> TrainingVideos:
    return TrainingVideos(annotations, Inputs(open_features(folder), InputConfig(**inputs)), CropConfig())


@pytest.mark.parametrize("in_memory", [0, 2**30])
def test_bad_features_are_found_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(dataset, "IN_MEMORY", in_memory)
    annotations = make_videos({"train": 4})
    write_features(annotations, tmp_path)
    path = tmp_path / "train2.npy"
    np.save(path, np.zeros((30, DIMENSION + 1), dtype=np.float32))
    with pytest.raises(FeatureError, match=r"'train2': the features are \[30, 9\].*8 are expected"):
        opened(tmp_path, annotations)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FeatureError, match=r"train2.npy: the file is cut short"):
        opened(tmp_path, annotations)
    path.unlink()
    with pytest.raises(FeatureError, match="no features of video 'train2'"):
        opened(tmp_path, annotations)


def test_a_signal_shorter_than_a_window(tmp_path: Path) -> None:
    annotations = make_videos({"train": 2})
    write_features(annotations, tmp_path)
    np.save(tmp_path / "train0.npy", np.zeros((3, DIMENSION), dtype=np.float32))
    with pytest.raises(FeatureError, match=r"'train0': the recording has 3 samples, which is shorter than a window"):
        opened(tmp_path, annotations, kind="signals", stride=2, window=4)


def test_values_that_are_no_numbers_are_found_when_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotations = make_videos({"train": 2})
    write_features(annotations, tmp_path)
    features = features_of(annotations["train1"])
    features[5, 2] = np.nan
    np.save(tmp_path / "train1.npy", features)
    with pytest.raises(FeatureError, match=r"'train1'.*NaN or infinite.*row 5"):
        opened(tmp_path, annotations)
    monkeypatch.setattr(dataset, "IN_MEMORY", 0)
    videos = opened(tmp_path, annotations)
    videos.sample(Crop(1, 6, 12))
    with pytest.raises(FeatureError, match=r"'train1'.*NaN or infinite.*row 5"):
        videos.sample(Crop(1, 2, 12))


def test_an_unknown_rate_is_found_before_training(tmp_path: Path) -> None:
    annotations = make_videos({"train": 2})
    write_features(annotations, tmp_path)
    (tmp_path / "features.json").unlink()
    with pytest.raises(ConfigError, match="the frame rate is not known"):
        opened(tmp_path, annotations, stride=4, window=4)
