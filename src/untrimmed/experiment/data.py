"""From a configuration to what it names on disk."""

from __future__ import annotations

from dataclasses import dataclass

from untrimmed.data.annotations import Annotations
from untrimmed.data.features import ConcatenatedFeatures, open_features
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.inputs import Inputs
from untrimmed.errors import ConfigError
from untrimmed.experiment.config import DataConfig


@dataclass(frozen=True)
class Data:
    """The data of an experiment: all annotations, the two splits, and the features."""

    annotations: Annotations
    train: Annotations
    validate: Annotations | None
    inputs: Inputs


def open_data(config: DataConfig) -> Data:
    """Open annotations and features, and make the splits.

    Raises:
        ConfigError: if the configuration does not name them.
        AnnotationError: if the annotations cannot be read, or a subset matches no video.
        FeatureError: if there are no features where the configuration says.
    """
    annotations = annotated(config)
    if not config.train:
        raise ConfigError(
            f"data.train is empty: name the subsets to train on, as in --data.train {next(iter(annotations.subsets))!r}"
        )
    train = annotations.of_subsets(config.train)
    validate = annotations.of_subsets(config.validate) if config.validate else None
    return Data(annotations, train, validate, open_inputs(config))


def annotated(config: DataConfig) -> Annotations:
    """Read the annotations that a configuration names.

    Raises:
        ConfigError: if it names none.
        AnnotationError: if they cannot be read.
    """
    if config.annotations is None:
        raise ConfigError("data.annotations is not set: say where they are, as in --data.annotations FILE.json")
    return read_annotations(config.annotations)


def open_inputs(config: DataConfig) -> Inputs:
    """Open the features that a configuration names, all streams joined.

    Raises:
        ConfigError: if it names none, or contradicts what their `features.json` says.
        FeatureError: if there are none.
    """
    if not config.streams:
        raise ConfigError("data.features is not set: say where they are, as in --data.features FOLDER")
    stores = [open_features(path, prefix=config.prefix, key=config.key) for path in config.streams]
    return Inputs(stores[0] if len(stores) == 1 else ConcatenatedFeatures(stores), config.inputs)
