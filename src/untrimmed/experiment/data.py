"""From a configuration to what it names on disk."""

from __future__ import annotations

from dataclasses import dataclass, replace

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.features import ConcatenatedFeatures, open_features
from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.data.inputs import Inputs
from untrimmed.data.signals.normalisation import fitted
from untrimmed.data.signals.opening import open_signals
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.experiment.config import DataConfig

ACTION = "action"
"""The one class of a class-agnostic model."""


@dataclass(frozen=True)
class Data:
    """The data of an experiment.

    Attributes:
        labels: the classes that a model is trained on.
        train: the training split, of these classes.
        validate: the validation split, with the classes that the annotations have.
        inputs: the features, which all have one dimension.
    """

    labels: tuple[str, ...]
    train: Annotations
    validate: Annotations | None
    inputs: Inputs


def open_data(config: DataConfig) -> Data:
    """Open annotations and features, and make the splits; find what standardises signals, if that is asked for.

    Raises:
        ConfigError: if the configuration does not name them.
        AnnotationError: if they cannot be read, a subset matches no video or has no instance, or an instance cannot be
            used.
        FeatureError: if there are no features where the configuration says.
    """
    annotations = annotated(config)
    if not config.train:
        raise ConfigError(
            f"data.train is empty: name the subsets to train on, as in --data.train {next(iter(annotations.subsets))!r}"
        )
    train = _within(annotations.of_subsets(config.train), config)
    validate = annotations.of_subsets(config.validate) if config.validate else None
    for key, split in (("train", train), ("validate", validate)):
        if split is not None and not any(video.instances for video in split):
            raise AnnotationError(
                f"{annotations.source}: none of the {len(split)} videos of data.{key} has an instance; name others"
            )
    inputs = open_inputs(config)
    if inputs.config.unfitted:
        inputs = replace(inputs, config=fitted(inputs, train.videos))
    if config.class_agnostic:
        train = train.of_one_class(ACTION)
    return Data(train.labels, train, validate, replace(inputs, expected_dimension=inputs.dimension))


def annotated(config: DataConfig) -> Annotations:
    """Read the annotations that a configuration names.

    Raises:
        ConfigError: if it names none.
        AnnotationError: if they cannot be read.
    """
    if config.annotations is None:
        raise ConfigError("data.annotations is not set: say where they are, as in --data.annotations FILE.json")
    return open_annotations(
        config.annotations, task=config.task, cut_from=config.cut_from, strict=config.unusable == "refuse"
    )


def _within(train: Annotations, config: DataConfig) -> Annotations:
    """Return the training videos without instances that lie wholly outside of them.

    They are left alone where a model is evaluated: benchmarks have some, and count them as missed.

    Raises:
        AnnotationError: if there is one, and the configuration does not say to drop them.
    """

    def inside(video: Video, instance: Instance) -> bool:
        return instance.start < video.duration and instance.end > 0

    outside = [(video, i) for video in train for i in video.instances if not inside(video, i)]
    if outside and config.unusable == "refuse":
        video, instance = outside[0]
        raise AnnotationError(
            f"{train.source}: video {video.id!r}: {instance.label!r} from {instance.start:g} to {instance.end:g} s "
            f"lies outside of the video, which lasts {video.duration:g} s; there are {len(outside)} such instances. "
            "Correct them, or leave them out by --data.unusable drop"
        )
    usable = {
        video.id: replace(video, instances=tuple(i for i in video.instances if inside(video, i))) for video in train
    }
    return replace(train, videos=usable)


def open_inputs(config: DataConfig) -> Inputs:
    """Open the features that a configuration names, all streams joined.

    Raises:
        ConfigError: if it names none, or contradicts what their `features.json` says.
        FeatureError: if there are none.
    """
    if not config.streams:
        raise ConfigError("data.features is not set: say where they are, as in --data.features FOLDER")
    if config.inputs.kind == "signals":
        return open_signals(config.streams, config.inputs, prefix=config.prefix, key=config.key)
    stores = [open_features(path, prefix=config.prefix, key=config.key) for path in config.streams]
    return Inputs(stores[0] if len(stores) == 1 else ConcatenatedFeatures(stores), config.inputs)
