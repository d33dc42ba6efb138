"""`untrimmed train`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.progress import TaskID

from untrimmed.cli.console import bar, show_json
from untrimmed.experiment.config import load_config, parse_options
from untrimmed.experiment.training import Trained
from untrimmed.experiment.training import train as run
from untrimmed.learning.trainer import Interrupted, Trainer


def train(
    config: str,
    /,
    *settings: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    out: Path,
    resume: bool = False,
    json: bool = False,
) -> None:
    """Train a localizer.

    Every setting of the configuration can be changed on the command line, as `--section.key VALUE`;
    `untrimmed recipes NAME` shows what there is.

    Example: `untrimmed train timed_up_and_go --out runs/tug --training.epochs 10`

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
    json
        Print the result as JSON.
    """
    experiment = load_config(config, parse_options(settings))
    again = shlex.join(["untrimmed", "train", config, *settings, "--out", str(out), "--resume"])
    with stop_politely(again, out), TrainingBar() as shown:
        trained = run(experiment, out, resume=resume, watchers=[shown])
    if json:
        show_json(asdict(trained) | {"folder": str(out)})
    else:
        print(summary(trained))


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
    """Shows a run as a progress bar over its epochs, on stderr; and a line for each validation."""

    def __init__(self) -> None:
        self._bar = bar()
        self._task: TaskID | None = None

    def __enter__(self) -> TrainingBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def on_step(self, trainer: Trainer) -> None:
        """Move on by a step."""
        total = trainer.config.total_epochs * trainer.steps_in_epoch
        if self._task is None:
            self._task = self._bar.add_task("training", total=total, note="")
        progress = trainer.progress
        # The loss is asked for at some steps only: a GPU has to catch up for it.
        note = f"epoch {progress.epoch + 1}"
        if progress.step % 10 == 0:
            note += f"  loss {trainer.mean_losses()['loss']:.3f}"
            self._bar.update(self._task, note=note)
        self._bar.update(self._task, completed=progress.step)

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float], *, best: bool) -> None:
        """Say what a validation gave."""
        if "mAP" in row:
            mark = "  best so far" if best else ""
            epochs = trainer.config.total_epochs
            self._bar.console.print(
                f"epoch {row['epoch']:.0f}/{epochs}  loss {row['loss']:.4f}  mAP {100 * row['mAP']:.2f}{mark}",
                highlight=False,
            )

    def on_interrupt(self, trainer: Trainer) -> None:
        """Nothing: the command says how to go on."""
