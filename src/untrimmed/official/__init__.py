"""Official ActionFormer configurations and checkpoints, made into ours.

The official code's own names appear in this package and nowhere else. Nothing is unpickled: a `.pth.tar` file is read
with `torch.load(weights_only=True)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError
from untrimmed.official.configuration import detection_config, input_config, model_config
from untrimmed.official.weights import build, read_checkpoint

__all__ = ["build", "detection_config", "input_config", "localizer", "model_config", "read_checkpoint"]


def localizer(
    config: Mapping[str, Any], state: Mapping[str, Tensor], classes: Sequence[str] | None = None
) -> Localizer:
    """Make a localizer of an official configuration and `state_dict`, with its detection settings and time grid.

    Args:
        config: the official YAML file as a mapping.
        state: `state_dict_ema` of a checkpoint, or any other state dict of the model.
        classes: names of the classes in the order of their numbers; `class 0`, `class 1`, ... where left out.

    Raises:
        ConfigError: if the configuration cannot be used, or the number of classes is another.
        ModelError: if the state does not fit the configuration.
    """
    model = build(config, state)
    count = model.config.num_classes or 0
    labels = tuple(classes) if classes is not None else tuple(f"class {i}" for i in range(count))
    if len(labels) != count:
        raise ConfigError(f"{len(labels)} classes are named, but the official configuration has num_classes {count}")
    return Localizer(model, labels, input_config(config), detection_config(config))
