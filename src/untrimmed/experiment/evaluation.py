"""Detections of a data set, and what they score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.detections import Detections
from untrimmed.data.formats.class_scores import ClassScores, read_class_scores
from untrimmed.data.formats.epic_kitchens import Task
from untrimmed.data.inputs import Inputs
from untrimmed.detection.fusion import check_class_scores, fuse_class_scores
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.mean_ap import MeanAP, mean_average_precision
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.experiment.data import ACTION, annotated, open_inputs
from untrimmed.experiment.run_folder import EXPERIMENT


@dataclass(frozen=True)
class EvaluationData:
    """What a model is evaluated on.

    Attributes:
        truth: the videos; where nothing says which class a class-agnostic model found, all of one class.
        inputs: their features.
        tious: overlaps from which a detection counts as right.
        class_scores: of the whole videos, by another model; each detection gets the best classes of its video.
        top_classes: how many of them.
    """

    truth: Annotations
    inputs: Inputs
    tious: tuple[float, ...]
    class_scores: ClassScores | None = None
    top_classes: int = 2


def scored_on(truth: Annotations, inputs: Inputs, config: ExperimentConfig) -> EvaluationData:
    """Return what an experiment's model is evaluated on: videos of `truth`, and what the configuration adds.

    Raises:
        ConfigError: if more top classes are asked for than there are.
        AnnotationError: if class scores cannot be read, or those of a video are missing.
    """
    scoring = config.evaluation
    if scoring.class_scores is None:
        truth = truth.of_one_class(ACTION) if config.data.class_agnostic else truth
        return EvaluationData(truth, inputs, scoring.tious)
    class_scores = read_class_scores(scoring.class_scores, truth.labels)
    check_class_scores(class_scores, truth.videos, scoring.top_classes)
    return EvaluationData(truth, inputs, scoring.tious, class_scores, scoring.top_classes)


def evaluation_data(
    model: Path,
    localizer: Localizer,
    *,
    annotations: Path | None = None,
    features: Sequence[Path] | None = None,
    subsets: Sequence[str] | None = None,
    class_scores: Path | None = None,
    top_classes: int | None = None,
    task: Task | None = None,
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
        task=task or config.task,
        features=tuple(features) if features else config.features,
        inputs=localizer.inputs,
    )
    for key, value in (("annotations", config.annotations), ("features", config.features)):
        if value is None:
            raise ConfigError(f"--{key} is missing, and {model} has no {EXPERIMENT} that names them")
    truth = annotated(config)
    chosen = subsets or config.validate
    inputs = replace(open_inputs(config), expected_dimension=localizer.model.config.input_dim)
    own = experiment.evaluation
    scoring = replace(own, class_scores=class_scores or own.class_scores, top_classes=top_classes or own.top_classes)
    config = replace(config, class_agnostic=localizer.labels == (ACTION,))
    return scored_on(
        truth.of_subsets(chosen) if chosen else truth, inputs, replace(experiment, data=config, evaluation=scoring)
    )


def detections_on(data: EvaluationData, localizer: Localizer) -> Iterator[Detections]:
    """Detect in each video of the data, in their order, with the classes that they are scored by.

    Raises:
        AnnotationError: if the model does not know a label of the truth, and no class scores say what it is.
    """
    if data.class_scores is None:
        refuse_unknown_labels(localizer, data.truth)
    for found in detect_all(localizer, data.truth, data.inputs):
        yield found if data.class_scores is None else fuse_class_scores(found, data.class_scores, top=data.top_classes)


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


def evaluate(localizer: Localizer, data: EvaluationData) -> MeanAP:
    """Detect in all videos of the data and score the detections."""
    detections = {found.video_id: found for found in detections_on(data, localizer)}
    return mean_average_precision(data.truth, detections, data.tious)
