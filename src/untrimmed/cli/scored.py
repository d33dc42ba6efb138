"""What commands score: the detections of a model, or those in a file, beside the truth."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from untrimmed.cli.console import warn, with_progress
from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.data.formats.class_scores import read_class_scores
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.data.formats.epic_kitchens import Task
from untrimmed.detection.fusion import fuse_all
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.experiment.config import EvaluationConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where detections and truth come from, as the options of a command say.

    Attributes:
        model: folder of a model; or else
        detections: file of detections.
        annotations: the truth; for a model, where it is not that of its experiment.
        features: for a model, where they are not those of its experiment.
        subset: subsets to take.
        class_scores: scores of whole videos, which give each detection its classes.
        top_classes: how many classes each detection gets from them.
        device: where the model runs.
        precision: precision that it computes in.
        task: which data set of EPIC-KITCHENS' own files; for a model, where it is not that of its experiment.
        unusable: for a file, what is done about instances that end before they start.
    """

    model: Path | None
    detections: Path | None
    annotations: Path | None
    features: list[Path] | None
    subset: list[str] | None
    class_scores: Path | None
    top_classes: int | None
    device: str
    precision: Literal["auto", "fp32", "bf16"]
    task: Task | None = None
    unusable: Literal["refuse", "drop"] = "refuse"

    def check(self, of_models: Mapping[str, bool]) -> None:
        """Refuse options that contradict each other.

        Args:
            of_models: more options that have an effect with a model only, and whether they were given.

        Raises:
            ConfigError: if they do.
        """
        if (self.model is None) == (self.detections is None):
            raise ConfigError("name either a model folder or --detections FILE, to say what is evaluated")
        if self.detections is None:
            return
        unused = {
            "--features": bool(self.features),
            **of_models,
            "--device": self.device != "auto",
            "--precision": self.precision != "fp32",
        }
        for option, given in unused.items():
            if given:
                raise ConfigError(f"{option} has no effect with --detections: leave one of them out")


@dataclass(frozen=True, eq=False)
class Scored:
    """Detections beside the truth.

    Attributes:
        title: name of the file or the model.
        truth: the videos to evaluate on.
        detections: by video id.
        tious: thresholds of the model's experiment, or the usual ones.
    """

    title: str
    truth: Annotations
    detections: Mapping[str, Detections]
    tious: tuple[float, ...]

    def warn_of_absent_videos(self) -> None:
        """Say that instances count as missed because nothing was detected in their video, if there are any."""
        absent = sum(video.id not in self.detections and bool(video.instances) for video in self.truth)
        if absent:
            warn(
                f"{self.title}: nothing was detected in {absent} of {len(self.truth)} videos: their instances count "
                "as missed. If these are of another subset, name yours by --subset"
            )


def scored(source: Source) -> Scored:
    """Read detections, or detect with a model, and read the truth.

    Raises:
        UntrimmedError: if something is missing or cannot be read, or nothing fits together.
    """
    return _from_file(source) if source.model is None else _by_model(source.model, source)


def _from_file(source: Source) -> Scored:
    assert source.detections is not None  # see `Source.check`
    if source.annotations is None:
        raise ConfigError("--annotations FILE is missing: the truth that the detections are scored against")
    truth = open_annotations(source.annotations, task=source.task, strict=source.unusable == "refuse")
    found = read_detections(source.detections, truth.labels)
    if source.class_scores is None:  # else the labels come from outside
        _warn_of_unknown_labels(found, truth, str(source.detections))
    truth = truth if source.subset is None else truth.of_subsets(source.subset)
    if found and not found.keys() & truth.videos.keys():
        raise AnnotationError(
            f"{source.detections}: none of its {len(found)} videos, such as {next(iter(found))!r}, is among the "
            f"{len(truth)} that are evaluated of {source.annotations}, such as {next(iter(truth.videos))!r}; correct "
            "the ids or the subset"
        )
    defaults = EvaluationConfig()
    if source.class_scores is not None:
        class_scores = read_class_scores(source.class_scores, truth.labels)
        found = fuse_all(found, class_scores, source.top_classes or defaults.top_classes)
    return Scored(str(source.detections), truth, found, defaults.tious)


def _by_model(model: Path, source: Source) -> Scored:
    # Imported here, since they bring in torch: a file of detections is scored without it.
    from untrimmed.detection.localizer import Localizer  # noqa: PLC0415
    from untrimmed.experiment.evaluation import detections_on, evaluation_data  # noqa: PLC0415

    localizer = Localizer.load(model, device=source.device, precision=source.precision)
    data = evaluation_data(
        model,
        localizer,
        annotations=source.annotations,
        features=source.features,
        subsets=source.subset,
        class_scores=source.class_scores,
        top_classes=source.top_classes,
        task=source.task,
    )
    found = with_progress(detections_on(data, localizer), "detecting", len(data.truth))
    return Scored(str(model), data.truth, {each.video_id: each for each in found}, data.tious)


def _warn_of_unknown_labels(found: Mapping[str, Detections], truth: Annotations, place: str) -> None:
    unknown = next(iter(found.values())).label_names[len(truth.labels) :] if found else ()
    if unknown:
        near = difflib.get_close_matches(unknown[0], truth.labels, n=1)
        hint = f", perhaps {near[0]!r}" if near else ""
        warn(
            f"{place}: {len(unknown)} of its labels, such as {unknown[0]!r}{hint}, do not occur in {truth.source}; "
            "detections with them find nothing"
        )
