"""`untrimmed train`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.progress import TaskID

from untrimmed.cli.console import bar, show_json, show_table
from untrimmed.errors import ConfigError
from untrimmed.experiment.config import ExperimentConfig, load_config, parse_options
from untrimmed.experiment.cross_validation import cross_validate, rows_of
from untrimmed.experiment.training import Trained
from untrimmed.experiment.training import train as run
from untrimmed.learning.trainer import Interrupted, Trainer


def train(
    config: str,
    /,
    *settings: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    out: Path,
    resume: bool = False,
    init: Path | None = None,
    devices: int | None = None,
    nodes: int | None = None,
    folds: int | None = None,
    group: str | None = None,
    json: bool = False,
) -> None:
    """Train a localizer.

    Every setting of the configuration can be changed on the command line, as `--section.key VALUE`;
    `untrimmed recipes NAME` shows what there is.

    Examples: `untrimmed train timed_up_and_go --out runs/tug --training.epochs 10`;
    `untrimmed train timed_up_and_go --out runs/folds --folds 5`

    Parameters
    ----------
    config
        A recipe's name, or a YAML file.
    settings
        Settings to change, as `--model.width 256`.
    out
        Folder for the model, the figures and what is needed to go on.
    resume
        Go on with the run in `--out`, from where it was interrupted.
    init
        Model folder to start from: its weights are taken as far as they fit, classes by their labels; the same as
        `--training.init`. `--training.freeze "[encoder]"` leaves parts as they are.
    devices
        Devices on each machine, a process each; the same as `--training.devices`. Each takes `training.batch_size`
        videos a step. Under `torchrun` or SLURM, what they say counts.
    nodes
        Machines; the same command runs on each of them, with MASTER_ADDR, MASTER_PORT and NODE_RANK set.
    folds
        Cross-validation: split all videos into so many parts, and train so many models, each without one of them, on
        which it is scored. Subsets that are called fold0, fold1 and so on are taken as they are.
    group
        With `--folds`: keep videos of one group (a person, a camera) together: a regular expression that finds the
        group in a video's id, as in `untrimmed split`.
    json
        Print the result as JSON.
    """
    for name, value in (("init", init), ("devices", devices), ("nodes", nodes)):
        if value is not None:
            settings = (*settings, f"--training.{name}", str(value))
    experiment = load_config(config, parse_options(settings))
    options = [] if folds is None else ["--folds", str(folds), *([] if group is None else ["--group", group])]
    again = shlex.join(["untrimmed", "train", config, *settings, *options, "--out", str(out), "--resume"])
    if folds is not None:
        _cross_validate(experiment, out, folds, group, again, resume=resume, json=json)
        return
    if group is not None:
        raise ConfigError("--group has an effect with --folds only: leave it out")
    with stop_politely(again, out), TrainingBar() as shown:
        trained = run(experiment, out, resume=resume, watchers=[shown], told=_tell)
    if trained.rank:
        return
    if json:
        facts = asdict(trained) | {"folder": str(out)}
        del facts["rank"]
        show_json(facts)
    else:
        print(summary(trained))


def _tell(line: str) -> None:
    """Say something about the beginning of a run."""
    print(line, file=sys.stderr)


def _cross_validate(
    experiment: ExperimentConfig, out: Path, folds: int, group: str | None, again: str, *, resume: bool, json: bool
) -> None:
    with stop_politely(again, out), ExitStack() as bars:

        def shown(name: str) -> list[TrainingBar]:
            bars.close()
            return [bars.enter_context(TrainingBar(f"{name}: "))]

        result = cross_validate(experiment, out, folds, group=group, resume=resume, watchers=shown)
    if json:
        scores = [{"fold": fold.name, "videos": fold.videos} | fold.score.as_dict() for fold in result.folds]
        show_json({"folder": str(out), "mean": result.mean, "spread": result.spread, "folds": scores})
        return
    columns = ["fold", "videos", "instances", *(f"{tiou:g}" for tiou in result.folds[0].score.tious), "average"]
    show_table(f"{out}: mAP by tIoU of the models that did not see a fold, %", columns, list(rows_of(result)))


def summary(trained: Trained) -> str:
    """Say in a few lines what a run came to."""
    epochs = "1 epoch" if trained.epochs == 1 else f"{trained.epochs} epochs"
    lines = [f"Trained {epochs}; the model is in {trained.folder}"]
    if trained.last is not None and trained.best is not None:
        lines.append(
            f"Average mAP on the validation videos: {100 * trained.last:.2f} with the last weights, "
            f"{100 * trained.best:.2f} at best (epoch {trained.best_epoch}, in {trained.folder / 'best'})"
        )
    return "\n".join(lines)


@contextmanager
def stop_politely(again: str, out: Path) -> Iterator[None]:
    """Context that turns an interrupted run into a line that says how to go on, and exit code 130."""
    try:
        yield
    except Interrupted:
        print(f"\nuntrimmed: stopped, and saved in {out}. To go on: {again}", file=sys.stderr)
        sys.exit(130)


class TrainingBar:
    """Shows a run as a progress bar over its epochs, on stderr; and a line for each validation, after a name."""

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._bar = bar()
        self._task: TaskID | None = None
        self._warned = False

    def __enter__(self) -> TrainingBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_step(self, trainer: Trainer) -> None:
        """Move on by a step."""
        total = trainer.config.total_epochs * trainer.steps_in_epoch
        if self._task is None:
            self._task = self._bar.add_task(f"{self._name}training", total=total, note="")
        progress = trainer.progress
        # The loss is asked for at some steps only: a GPU has to catch up for it.
        note = f"epoch {progress.epoch + 1}"
        if progress.step % 10 == 0:
            note += f"  loss {trainer.mean_losses()['loss']:.3f}"
            self._bar.update(self._task, note=note)
        self._bar.update(self._task, completed=progress.step)

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float], *, best: bool) -> None:
        """Say what a validation gave, and if an output has died."""
        if trainer.dead and not self._warned:
            self._warned = True
            self._bar.console.print(
                f"untrimmed: warning: {self._name}the distance to the {' and the '.join(trainer.dead)} was 0 at every "
                "moment of an epoch: that output has died, and stays so. Start again with --model.offset_prior 1, or "
                "another --training.seed",
                highlight=False,
                markup=False,
            )
        if "mAP" in row:
            mark = "  best so far" if best else ""
            epochs = trainer.config.total_epochs
            self._bar.console.print(
                f"{self._name}epoch {row['epoch']:.0f}/{epochs}  loss {row['loss']:.4f}  "
                f"mAP {100 * row['mAP']:.2f}{mark}",
                highlight=False,
            )

    def on_interrupt(self, trainer: Trainer) -> None:
        """Nothing: the command says how to go on."""
