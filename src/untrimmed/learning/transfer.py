"""Starting from the weights of another model, and leaving parts of a model as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from untrimmed.errors import ConfigError
from untrimmed.learning.config import Part
from untrimmed.model.network import ActionFormer

_BY_CLASS = ("classification.output.weight", "classification.output.bias")
"""Tensors with a row for each class."""
_PREFIXES: dict[Part, str] = {
    "projection": "encoder.projection.",
    "encoder": "encoder.",
    "neck": "neck.",
    "classification": "classification.",
    "regression": "regression.",
}


@dataclass(frozen=True)
class Transferred:
    """What a model took over from another.

    Attributes:
        taken: names of the tensors that were copied, whole or for the classes that both models have.
        fresh: names of the tensors that start anew, each with the reason.
        classes: the labels that both models have, whose classification was copied.
        new_classes: the labels that only the new one has.
    """

    taken: tuple[str, ...]
    fresh: dict[str, str]
    classes: tuple[str, ...]
    new_classes: tuple[str, ...]

    def summary(self, source: str) -> str:
        """Say it in a few lines."""
        lines = [f"Started from {source}: {len(self.taken)} of {len(self.taken) + len(self.fresh)} tensors taken"]
        total = len(self.classes) + len(self.new_classes)
        if self.new_classes:
            lines.append(f"{len(self.classes)} of {total} classes are known there; new: {_some(self.new_classes)}")
        for reason in dict.fromkeys(self.fresh.values()):
            names = [name for name, why in self.fresh.items() if why == reason]
            lines.append(f"Not taken, since {reason}: {_some(names)}")
        return "\n".join(lines)


@torch.no_grad()
def transfer(
    model: ActionFormer, labels: Sequence[str], source: ActionFormer, source_labels: Sequence[str]
) -> Transferred:
    """Copy into a model what fits of another: tensors of the same name and shape; of the classes, those of like label.

    Args:
        model: is changed.
        labels: its classes, in the order of their numbers.
        source: is not.
        source_labels: the other's classes.

    Raises:
        ConfigError: if nothing of the encoder fits, so that nothing would be gained.
    """
    ours, theirs = model.state_dict(), source.state_dict()
    numbers = {label: number for number, label in enumerate(source_labels)}
    shared = [label for label in labels if label in numbers]
    rows = [number for number, label in enumerate(labels) if label in numbers], [numbers[label] for label in shared]
    taken, fresh = [], {}
    for name, tensor in ours.items():
        reason = _why_not(name, tensor, theirs.get(name))
        if reason is None and name in _BY_CLASS:
            if shared:
                tensor[rows[0]] = theirs[name][rows[1]].to(tensor)
            else:
                reason = "no class is known there"
        elif reason is None:
            tensor.copy_(theirs[name])
        if reason is None:
            taken.append(name)
        else:
            fresh[name] = reason
    if not any(name.startswith("encoder.") for name in taken):
        reason = next(iter(fresh.values()), "it has none")
        raise ConfigError(f"training.init: nothing of that model's encoder fits this one: {reason}")
    return Transferred(tuple(taken), fresh, tuple(shared), tuple(label for label in labels if label not in numbers))


def freeze(model: ActionFormer, parts: Sequence[Part]) -> None:
    """Leave the weights of these parts as they are; nothing else about them changes."""
    prefixes = tuple(_PREFIXES[part] for part in parts)
    for name, parameter in model.named_parameters():
        if name.startswith(prefixes):
            parameter.requires_grad_(False)


def _why_not(name: str, ours: Tensor, theirs: Tensor | None) -> str | None:
    """Return why a tensor cannot be copied, or `None` if it can; the number of classes does not matter."""
    if theirs is None:
        return "that model has no such part"
    first = 1 if name in _BY_CLASS else 0
    if ours.shape[first:] != theirs.shape[first:]:
        return f"it is {_shape(theirs)} there and {_shape(ours)} here"
    return None


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
