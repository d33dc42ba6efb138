"""Small data sets that tests train on: noise, and while an action happens, a constant pattern of its class on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.crops import CropConfig
from untrimmed.data.dataset import TrainingVideos
from untrimmed.data.features import FeatureDescription, open_features
from untrimmed.data.formats.activitynet import write_annotations
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.experiment.config import ExperimentConfig, load_config

LABELS = ("jump", "run")
DIMENSION = 8
TINY = {
    "width": 16,
    "projection_layers": 1,
    "attention_heads": 2,
    "window": 5,
    "stem_blocks": 1,
    "downsampling_blocks": 2,
    "mlp_ratio": 2,
    "head_layers": 2,
}
"""A model with three levels that takes a few milliseconds a step."""


def make_videos(counts: Mapping[str, int], *, without: int = 0, seed: int = 0) -> Annotations:
    """Make videos of 20 to 60 clips, a second each, with two or three instances; so many for each subset.

    The last `without` of each subset have no instance.
    """
    random = np.random.default_rng(seed)
    videos = {}
    for subset, count in counts.items():
        for i in range(count):
            length = int(random.integers(20, 60))
            instances = () if i >= count - without else _instances(length, random)
            videos[f"{subset}{i}"] = Video(f"{subset}{i}", float(length), subset, instances=instances)
    return Annotations(videos, LABELS)


def _instances(length: int, random: np.random.Generator) -> tuple[Instance, ...]:
    """Non-overlapping instances of 4 to 12 s with pauses between them."""
    instances, start = [], float(random.uniform(1, 4))
    while start + 6 < length:
        end = min(start + float(random.uniform(4, 12)), length - 1.0)
        instances.append(Instance(start, end, LABELS[random.integers(len(LABELS))]))
        start = end + float(random.uniform(3, 6))
    return tuple(instances)


def features_of(video: Video, seed: int = 0) -> NDArray[np.float32]:
    """Make the features of a video, `[T, 8]`: noise, and 2 in a column for each class that happens at a clip."""
    random = np.random.default_rng([seed, *video.id.encode()])
    length = int(video.duration)
    features = 0.3 * random.normal(size=(length, DIMENSION))
    centers = np.arange(length) + 0.5
    for instance in video.instances:
        features[(centers > instance.start) & (centers < instance.end), LABELS.index(instance.label)] += 2
    return features.astype(np.float32)


def write_features(annotations: Annotations, folder: Path) -> None:
    """Write a feature folder: one clip a second, at 4 frames per second."""
    FeatureDescription(dimension=DIMENSION, stride=4, window=4, rate=4).write(folder)
    for video in annotations:
        np.save(folder / f"{video.id}.npy", features_of(video))


def training_videos(
    annotations: Annotations, folder: Path, crop: CropConfig | None = None, **inputs: Any
) -> TrainingVideos:
    """Write features of videos and open them for training."""
    write_features(annotations, folder)
    return TrainingVideos(annotations, Inputs(open_features(folder), InputConfig(**inputs)), crop or CropConfig())


def write_experiment(folder: Path, annotations: Annotations | None = None, **changes: Any) -> Path:
    """Write a whole experiment, data and configuration; returns the path of the latter.

    `changes` are sections with keys to change in the configuration.
    """
    annotations = annotations or make_videos({"train": 5, "test": 2})
    write_features(annotations, folder / "features")
    write_annotations(annotations, folder / "annotations.json")
    values: dict[str, Any] = {
        "data": {"annotations": "annotations.json", "features": "features", "train": ["train"], "validate": ["test"]},
        "model": dict(TINY),
        "training": {
            "epochs": 3,
            "warmup_epochs": 1,
            "batch_size": 2,
            "validate_every": 2,
            "accelerator": "cpu",
            "crop": {"ratio": [0.8, 1.0]},
            "target": {"initial_normaliser": 20},
            "optimiser": {"learning_rate": 1e-3},
        },
    }
    for section, keys in changes.items():
        values[section] = values.get(section, {}) | keys
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def experiment(folder: Path, options: Mapping[str, Any] | None = None, **changes: Any) -> ExperimentConfig:
    """Write an experiment and load it."""
    return load_config(str(write_experiment(folder, **changes)), options)


def ids(batches: Sequence[Sequence[Any]]) -> list[int]:
    """Return the video of every crop of a plan."""
    return [crop.video for batch in batches for crop in batch]
