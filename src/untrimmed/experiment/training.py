"""Training from a configuration into a run folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric
from pydantic import ValidationError

from untrimmed.data.annotations import Annotations
from untrimmed.data.dataset import TrainingVideos, read_if_small
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.model_folder import ExtractorReference, read_model_folder
from untrimmed.errors import ConfigError
from untrimmed.evaluation.mean_ap import mean_average_precision
from untrimmed.experiment.checking import refuse_errors
from untrimmed.experiment.config import ExperimentConfig
from untrimmed.experiment.data import Data, open_data
from untrimmed.experiment.evaluation import EvaluationData, detections_on, scored_on
from untrimmed.experiment.run_folder import RunFolder, begin, has_checkpoint, restore
from untrimmed.learning.processes import as_started, gathered, make_fabric, others_watched, share_of_videos
from untrimmed.learning.trainer import Trainer, Watcher
from untrimmed.learning.transfer import transfer
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer
from untrimmed.settings import explain


@dataclass(frozen=True)
class Trained:
    """What a run came to: its folder, the epoch that it ended with, and average mAP, last and best, if validated.

    Of several processes, the one of rank 0 is the one that speaks.
    """

    folder: Path
    epochs: int
    last: float | None
    best: float | None
    best_epoch: int
    rank: int = 0


def train(
    config: ExperimentConfig,
    out: Path,
    *,
    resume: bool = False,
    watchers: Sequence[Watcher] = (),
    told: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train a model, and keep it and all about the run in `out` (see `run_folder`).

    Nothing is written before the data have been opened and checked for errors (see `refuse_errors`), and the features
    of every video have been found; they have also been read if they are small (see `read_if_small`).

    Args:
        config: the experiment.
        out: a folder that is not there yet, or that of a run to go on with.
        resume: go on with the run in `out`, from where it was interrupted.
        watchers: are told how it goes on.
        told: is called with lines about what was taken from `training.init`, and about a damaged checkpoint.

    Raises:
        ConfigError: if the configuration does not fit the data or the machine, `out` is taken, or training diverged.
        DataError: if annotations or features cannot be used.
        ModelError: if the checkpoint to go on from is damaged, or does not fit the data any more.
        Interrupted: after Ctrl-C; the run has been saved.
    """
    config = replace(config, training=as_started(config.training))
    init = None if has_checkpoint(out) else config.training.init
    source = None if init is None else read_model_folder(init)
    data = open_data(config.data)
    refuse_errors(data, config.data)
    model_config = _model_config(config.model, data)
    scored = None if data.validate is None else scored_on(data.validate, data.inputs, config)
    videos = TrainingVideos(data.train, data.inputs, config.training.crop)
    if data.validate is not None:
        read_if_small(data.validate, data.inputs)
    torch.manual_seed(config.training.seed)
    blank = Localizer(
        ActionFormer(model_config),
        data.labels,
        data.inputs.config,
        config.detection,
        ExtractorReference.of(data.inputs),
    )
    fabric = make_fabric(config.training)
    if source is not None:
        transferred = transfer(blank.model, data.labels, source[1], source[0].labels)
        if fabric.is_global_zero:
            told(transferred.summary(str(init)))
    # The first process begins alone: launching starts the others, which run this from the top and find the run begun.
    go_on = begin(out, config, resume=resume) if fabric.is_global_zero else False
    fabric.launch()
    go_on = fabric.broadcast(go_on)
    with closing(RunFolder(out, blank.config)) as folder:
        trainer = Trainer(
            fabric,
            blank.model,
            videos,
            config.training,
            validate=None if scored is None else _validation(blank, scored, fabric),
            watchers=[folder, *watchers],
        )
        if go_on:
            restore(out, trainer, told if fabric.is_global_zero else lambda _: None)
        with _threads(config.training.threads), others_watched(fabric.world_size):
            trainer.fit()
    progress = trainer.progress
    scores = [row["mAP"] for row in progress.history if "mAP" in row]
    return Trained(
        out, progress.epoch, scores[-1] if scores else None, progress.best, progress.best_epoch, fabric.global_rank
    )


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Context in which torch computes with so many threads; `None` changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _model_config(model: ModelConfig, data: Data) -> ModelConfig:
    """Fill in what the data decide. Streams without widths of their own are projected together."""
    dims = data.inputs.dimensions if model.stream_widths is not None else (data.inputs.dimension,)
    try:
        for_data = model.for_data(dims if len(dims) > 1 else dims[0], len(data.labels))
        return for_data if for_data.empty_classes else replace(for_data, empty_classes=_without_data(data.train))
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, ModelConfig, "model"))) from error
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _without_data(train: Annotations) -> tuple[int, ...]:
    """Return the numbers of the classes that no training video has an instance of."""
    seen = {instance.label for video in train for instance in video.instances}
    return tuple(number for number, label in enumerate(train.labels) if label not in seen)


def _validation(localizer: Localizer, data: EvaluationData, fabric: Fabric) -> Callable[[ActionFormer], float]:
    """Return what scores a model: each process detects in its share of the videos, and all score what all found."""

    def validate(model: ActionFormer) -> float:
        share = replace(data, truth=share_of_videos(data.truth, fabric.global_rank, fabric.world_size))
        own = list(detections_on(share, replace(localizer, model=model)))
        found = {each.video_id: each for each in gathered(own, fabric.world_size)}
        return mean_average_precision(data.truth, found, data.tious).average

    return validate
