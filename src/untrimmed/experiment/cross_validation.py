"""Cross-validation: every part of the videos is left out of a training once, and judges it.

::

    OUT/
      annotations.json    the videos; their subsets are fold0, fold1, ...
      fold0/              the run that was trained on all other folds, with what `training.train` leaves there
      ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.folds import fold_names, groups_by, split
from untrimmed.data.formats.activitynet import read_annotations, write_annotations
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError
from untrimmed.evaluation.mean_ap import MeanAP
from untrimmed.experiment.config import ExperimentConfig
from untrimmed.experiment.data import annotated, open_data
from untrimmed.experiment.evaluation import evaluate, scored_on
from untrimmed.experiment.run_folder import is_run
from untrimmed.experiment.training import train
from untrimmed.learning.trainer import Watcher

ANNOTATIONS = "annotations.json"


@dataclass(frozen=True, eq=False)
class FoldScore:
    """What the model that did not see a fold scores on it, with its last weights."""

    name: str
    videos: int
    score: MeanAP


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """The folder of a cross-validation, and the scores of its folds."""

    folder: Path
    folds: tuple[FoldScore, ...]

    @property
    def averages(self) -> NDArray[np.float64]:
        """Average mAP of each fold."""
        return np.array([fold.score.average for fold in self.folds])

    @property
    def mean(self) -> float:
        """Mean of the folds' average mAP."""
        return float(self.averages.mean())

    @property
    def spread(self) -> float:
        """Standard deviation of the folds' average mAP, as of a sample."""
        return float(self.averages.std(ddof=1))


def cross_validate(
    config: ExperimentConfig,
    out: Path,
    count: int,
    *,
    group: str | None = None,
    resume: bool = False,
    watchers: Callable[[str], Sequence[Watcher]] = lambda _: (),
) -> CrossValidation:
    """Train a model for each fold, on all others, and score it on the fold that it has not seen.

    The videos are those of `data.train` and `data.validate`, or all where both are empty. If these are in subsets
    called fold0, fold1, ... already, as many as there are to be, these are the folds; otherwise the videos are split
    with every class spread evenly (see `untrimmed.data.folds`), by `training.seed`.

    The last weights are scored, and training does not stop early, so that nothing is chosen by looking at the fold.

    Args:
        config: the experiment.
        out: a folder that is not there yet, or that of a cross-validation to go on with.
        count: how many folds, at least 2.
        group: keep videos together of which this regular expression finds the same in their ids.
        resume: go on with what is in `out`.
        watchers: of the training that leaves out the named fold.

    Raises:
        ConfigError: if `out` is taken or holds another cross-validation, or there cannot be so many folds.
        DataError: if annotations or features cannot be used.
        Interrupted: after Ctrl-C; what is done has been saved.
    """
    folds = _folds(config, count, group)
    names = fold_names(count)
    place = out / ANNOTATIONS
    if resume:
        if not place.is_file():
            raise ConfigError(f"{out}: there is no cross-validation to resume; leave --resume out to start one")
        if read_annotations(place).videos != folds.videos:
            raise ConfigError(f"{place}: holds other videos or folds than these settings make; choose another --out")
    elif out.exists():
        raise ConfigError(f"{out}: is there already; go on with it by --resume, or choose another --out")
    else:
        write_annotations(folds, place)
    scores = [_fold(config, place, out / name, name, names, watchers(name)) for name in names]
    return CrossValidation(out, tuple(scores))


def _folds(config: ExperimentConfig, count: int, group: str | None) -> Annotations:
    """Return the videos of the experiment, each in its fold."""
    chosen = (*config.data.train, *config.data.validate)
    every = annotated(config.data)
    known = every.of_subsets(chosen) if chosen else every
    names = fold_names(count)
    if group is None and set(known.subsets) == set(names):
        return known
    groups = None if group is None else groups_by(known, group)
    return split(known, dict.fromkeys(names, 1.0), groups=groups, seed=config.training.seed)


def _fold(
    config: ExperimentConfig,
    annotations: Path,
    out: Path,
    name: str,
    names: Sequence[str],
    watchers: Sequence[Watcher],
) -> FoldScore:
    """Train without a fold, unless that is done, and score it."""
    data = replace(
        config.data,
        annotations=annotations,
        task=None,
        cut_from=None,
        train=tuple(other for other in names if other != name),
        validate=(name,),
    )
    own = replace(config, data=data, training=replace(config.training, patience=None))
    train(own, out, resume=is_run(out), watchers=watchers)
    opened = open_data(data)
    assert opened.validate is not None
    score = evaluate(Localizer.load(out), scored_on(opened.validate, opened.inputs, own))
    return FoldScore(name, len(opened.validate), score)


def rows_of(result: CrossValidation) -> Iterator[list[str]]:
    """Yield the rows of a table, in percent: each fold, the mean, and the spread."""
    by_tiou = np.array([[*fold.score.by_tiou, fold.score.average] for fold in result.folds])
    for fold, values in zip(result.folds, by_tiou, strict=True):
        yield [fold.name, f"{fold.videos:,}", f"{fold.score.instances.sum():,}", *(f"{100 * v:.2f}" for v in values)]
    videos = sum(fold.videos for fold in result.folds)
    instances = sum(int(fold.score.instances.sum()) for fold in result.folds)
    yield ["mean", f"{videos:,}", f"{instances:,}", *(f"{100 * v:.2f}" for v in by_tiou.mean(axis=0))]
    yield ["spread", "", "", *(f"{100 * v:.2f}" for v in by_tiou.std(axis=0, ddof=1))]
