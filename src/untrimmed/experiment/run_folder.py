"""What a training run leaves on disk.

::

    RUN/
      config.yaml         a localizer: its configuration ...
      model.safetensors   ... and the last weights, averaged; written after every epoch
      best/               a localizer: the weights that scored best in validation
      experiment.yaml     the whole configuration, resolved
      metrics.csv         a row for each epoch
      tensorboard/        the same, for TensorBoard
      checkpoint.pt       what is needed to go on; checkpoint-before.pt, the one before it
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.tensorboard import TensorBoardLogger

from untrimmed.data.files import write_atomically
from untrimmed.detection.model_folder import LocalizerConfig, write_model_folder
from untrimmed.errors import ConfigError, ModelError
from untrimmed.experiment.config import ExperimentConfig, load_config, resolved, to_yaml
from untrimmed.learning.trainer import Trainer
from untrimmed.model.checkpoint import checkpoint_before, load_last_checkpoint, save_checkpoint
from untrimmed.settings import dump

EXPERIMENT, CHECKPOINT, METRICS = "experiment.yaml", "checkpoint.pt", "metrics.csv"
SHOWN = 300
"""Characters of what torch says of a checkpoint that does not fit, which may be a line for each tensor."""


class RunFolder:
    """Watches a run and keeps its folder up to date; every file is written beside its place and renamed."""

    def __init__(self, path: Path, localizer: LocalizerConfig) -> None:
        self.path = path
        self._localizer = localizer
        self._board = TensorBoardLogger(root_dir=path, name="tensorboard", version="")

    def on_step(self, trainer: Trainer) -> None:
        """Nothing is written at a step."""

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float], *, best: bool) -> None:
        """Write the figures, the weights, and what is needed to go on, in this order."""
        history = trainer.progress.history
        columns = list(dict.fromkeys(name for each in history for name in each))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: f"{value:.8g}" for name, value in each.items()} for each in history)
        write_atomically(self.path / METRICS, text.getvalue())
        self._board.log_metrics({k: v for k, v in row.items() if k not in ("epoch", "step")}, step=int(row["step"]))
        self._board.save()
        with trainer.averaged():
            weights = trainer.model.state_dict()
            write_model_folder(self.path, self._localizer, weights)
            if best:
                write_model_folder(self.path / "best", self._localizer, weights)
        save_checkpoint(self.path / CHECKPOINT, trainer.state_dict())

    def on_interrupt(self, trainer: Trainer) -> None:
        """Write what is needed to go on in the middle of an epoch."""
        save_checkpoint(self.path / CHECKPOINT, trainer.state_dict())

    def close(self) -> None:
        """Close the files of TensorBoard."""
        self._board.finalize("success")


def is_run(path: Path) -> bool:
    """Whether a run has begun in a folder."""
    return (path / EXPERIMENT).is_file()


def has_checkpoint(path: Path) -> bool:
    """Whether a run can go on from somewhere: one that was ended in its first epoch begins anew."""
    return any(place.exists() for place in (path / CHECKPOINT, checkpoint_before(path / CHECKPOINT)))


def begin(path: Path, config: ExperimentConfig, *, resume: bool) -> bool:
    """Prepare a run's folder; returns whether there is a checkpoint to go on from.

    Raises:
        ConfigError: if the folder holds a run and `resume` is false, or was trained with another configuration.
    """
    if not is_run(path):
        if resume:
            raise ConfigError(f"{path}: there is no run to resume; leave --resume out to start one")
        if path.exists() and not (path.is_dir() and all(_is_unfinished(entry) for entry in path.iterdir())):
            raise ConfigError(f"{path}: is there already and holds something else; choose another --out")
        write_atomically(path / EXPERIMENT, to_yaml(config))
        return False
    if not resume:
        raise ConfigError(f"{path}: holds a run already; go on with it by --resume, or choose another --out")
    before, now = (flatten(dump(resolved(c))) for c in (load_config(str(path / EXPERIMENT)), config))
    for key in before | now:
        if before.get(key) != now.get(key):
            raise ConfigError(
                f"{path / EXPERIMENT}: {key} was {before.get(key)!r} when the run began, but is {now.get(key)!r} now. "
                "Resume with the same settings, or start another run with another --out"
            )
    return has_checkpoint(path)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def restore(path: Path, trainer: Trainer, told: Callable[[str], None] = lambda _: None) -> None:
    """Bring a trainer to where its run's checkpoint was taken, or if that is damaged, the one before it.

    Raises:
        ModelError: if the checkpoint is damaged, or of another model than the data make now.
    """
    checkpoint = path / CHECKPOINT
    state = load_last_checkpoint(checkpoint, trainer.fabric.device, told)
    try:
        trainer.load_state_dict(state)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        reason = reason if len(reason) <= SHOWN else f"{reason[:SHOWN]}..."
        raise ModelError(
            f"{checkpoint}: does not fit the model ({reason}). Have the annotations or the features changed since the "
            "run began? Then start another run with another --out"
        ) from error


def _is_unfinished(path: Path) -> bool:
    """Whether a file is what `write_atomically` leaves when the process is killed."""
    return path.name.startswith(".") and path.suffix == ".unfinished"
