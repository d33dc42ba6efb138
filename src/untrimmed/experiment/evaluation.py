"""Detections of a data set, and what they score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.detections import Detections
from untrimmed.data.inputs import Inputs
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.mean_ap import MeanAP, mean_average_precision
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.experiment.data import annotated, open_inputs
from untrimmed.experiment.run_folder import EXPERIMENT


@dataclass(frozen=True)
class EvaluationData:
    """What a model is evaluated on."""

    truth: Annotations
    inputs: Inputs
    tious: tuple[float, ...]


def evaluation_data(
    model: Path,
    localizer: Localizer,
    *,
    annotations: Path | None = None,
    features: Sequence[Path] | None = None,
    subsets: Sequence[str] | None = None,
) -> EvaluationData:
    """Open the data to evaluate a model on: those of the experiment that it comes from, unless others are named.

    Raises:
        ConfigError: if something is named neither here nor in the model's experiment.
        DataError: if the data cannot be used, or have another dimension than the model takes.
    """
    folders = (model, model.resolve().parent)  # resolved: the parent of "." is "."
    file = next((folder / EXPERIMENT for folder in folders if (folder / EXPERIMENT).is_file()), None)
    experiment = ExperimentConfig() if file is None else load_config(str(file))
    config = experiment.data
    config = replace(
        config,
        annotations=annotations or config.annotations,
        features=tuple(features) if features else config.features,
        inputs=localizer.inputs,
    )
    for key, value in (("annotations", config.annotations), ("features", config.features)):
        if value is None:
            raise ConfigError(f"--{key} is missing, and {model} has no {EXPERIMENT} that names them")
    truth = annotated(config)
    chosen = subsets or config.validate
    inputs = replace(open_inputs(config), expected_dimension=localizer.model.config.input_dim)
    return EvaluationData(truth.of_subsets(chosen) if chosen else truth, inputs, experiment.evaluation.tious)


def detect_all(localizer: Localizer, videos: Iterable[Video], inputs: Inputs) -> Iterator[Detections]:
    """Detect in each of these videos, in their order; their features are read as they are needed."""
    recordings = (
        Recording(inputs.store.read(video.id), id=video.id, duration=video.duration, rate=video.rate)
        for video in videos
    )
    return localizer.detect_many(recordings)


def refuse_unknown_labels(localizer: Localizer, truth: Annotations) -> None:
    """Make sure that a localizer knows every label of the truth.

    Raises:
        AnnotationError: if it does not.
    """
    known = set(localizer.labels)
    for video in truth:
        for instance in video.instances:
            if instance.label not in known:
                more = ", ..." if len(known) > 5 else ""
                raise AnnotationError(
                    f"{truth.source}: video {video.id!r} has label {instance.label!r}, which the model was not trained "
                    f"on; it knows {', '.join(localizer.labels[:5])}{more}"
                )


def evaluate(localizer: Localizer, truth: Annotations, inputs: Inputs, tious: Sequence[float]) -> MeanAP:
    """Detect in all videos of `truth` and score the detections."""
    detections = {found.video_id: found for found in detect_all(localizer, truth, inputs)}
    return mean_average_precision(truth, detections, tious)
