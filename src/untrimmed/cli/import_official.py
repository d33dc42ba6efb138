"""`untrimmed import-official`."""

from __future__ import annotations

from pathlib import Path

from untrimmed import official
from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.data.formats.epic_kitchens import Task
from untrimmed.errors import ConfigError, ModelError
from untrimmed.settings import read_yaml


def import_official(
    checkpoint: Path, config: Path, /, *, out: Path, annotations: Path | None = None, task: Task | None = None
) -> None:
    """Make a model folder of an official ActionFormer checkpoint.

    Its results are the official code's, to rounding. Nothing in the checkpoint is run: a file that holds more than
    tensors and plain values is refused.

    Example: `untrimmed import-official epoch_035.pth.tar thumos_i3d.yaml --out models/thumos14`

    Parameters
    ----------
    checkpoint
        A `.pth.tar` file as the official trainer writes it; its averaged weights are taken.
    config
        The official YAML file that it was trained with.
    out
        The model folder to write.
    annotations
        Annotation file to take the names of the classes from; without one they are called "class 0" and so on.
    task
        Which data set of EPIC-KITCHENS' own files, where the annotations are these: verb, noun or action.
    """
    if (out / "config.yaml").exists():
        raise ConfigError(f"{out}: holds a model already; choose another --out")
    labels = None if annotations is None else open_annotations(annotations, task=task, strict=False).labels
    settings, state = read_yaml(config), official.read_checkpoint(checkpoint)
    try:
        localizer = official.localizer(settings, state, labels)
    except ConfigError as error:
        raise ConfigError(f"{config}: {error}") from error
    except ModelError as error:
        raise ModelError(f"{checkpoint} with {config}: {error}") from error
    localizer.save(out)
    parameters = sum(parameter.numel() for parameter in localizer.model.parameters())
    print(f"{out}: {len(localizer.labels)} classes, {parameters / 1e6:.2f} M parameters")
