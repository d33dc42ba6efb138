"""A trained model on disk: `config.yaml`, which a person can read, and `model.safetensors`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import safetensors
import safetensors.torch
import yaml
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

import untrimmed
from untrimmed.data.files import write_atomically
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.detection.config import DetectionConfig
from untrimmed.errors import ConfigError, ModelError
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer
from untrimmed.settings import dump, parse, read_yaml

CONFIG, WEIGHTS = "config.yaml", "model.safetensors"


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ExtractorReference:
    """Which extractor made the features that a model was trained on. Its sampling stands in the inputs."""

    name: str
    """What `untrimmed extract --extractor` takes."""
    fingerprint: str
    """Of its weights, sampling and preprocessing."""

    @classmethod
    def of(cls, inputs: Inputs) -> Self | None:
        """Return what made features, where their `features.json` tells.

        `None` for signals, for features of unknown origin, and for several streams that were joined: one extractor
        could not make them.
        """
        description = inputs.store.description
        if inputs.config.kind == "signals" or description is None:
            return None
        if description.extractor is None or description.fingerprint is None:
            return None
        return cls(name=description.extractor, fingerprint=description.fingerprint)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class LocalizerConfig:
    """Everything about a localizer but its weights."""

    labels: tuple[str, ...]
    """The classes, in the order of their numbers."""
    model: ModelConfig
    inputs: InputConfig = Field(default_factory=InputConfig)
    detection: DetectionConfig = Field(default_factory=DetectionConfig)
    extractor: ExtractorReference | None = None
    """What made the features, where known."""
    untrimmed: str = untrimmed.__version__
    """Version that wrote it."""
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        if self.model.input_dims is None or self.model.num_classes is None:
            raise ValueError("model.input_dims and model.num_classes have to be there")
        if self.inputs.unfitted:
            raise ValueError("inputs.normalise is 'standard', but inputs.offset and scale are not there")
        if self.model.num_classes != len(self.labels):
            raise ValueError(
                f"labels names {len(self.labels)} classes, but model.num_classes is {self.model.num_classes}"
            )


def write_model_folder(folder: Path, config: LocalizerConfig, weights: Mapping[str, Tensor]) -> None:
    """Write a model folder; each file is written beside its place and renamed, the weights first."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in weights.items()}
    write_atomically(folder / WEIGHTS, safetensors.torch.save(tensors))
    write_atomically(folder / CONFIG, yaml.safe_dump(dump(config), sort_keys=False, allow_unicode=True))


def read_model_folder(folder: Path) -> tuple[LocalizerConfig, ActionFormer]:
    """Read a model folder; the model is in eval mode, on the CPU.

    Raises:
        ModelError: if the folder is not a model folder, or its files are damaged or do not fit each other.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            found = f"has no {name}" if folder.is_dir() else "is not there"
            raise ModelError(
                f"{folder}: {found}, but a model folder holds {CONFIG} and {WEIGHTS}. "
                "Give the folder that `untrimmed train --out` wrote"
            )
    path = folder / CONFIG
    try:
        config = parse(LocalizerConfig, read_yaml(path), str(path))
    except ConfigError as error:
        raise ModelError(str(error)) from error
    return config, _build(folder / WEIGHTS, config.model)


def _build(path: Path, config: ModelConfig) -> ActionFormer:
    try:
        weights = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelError(
            f"{path}: cannot be read as safetensors ({error}). Is it damaged? Train or copy it again"
        ) from error
    model = ActionFormer(config)
    ours = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if ours != found:
        odd = sorted(set(ours.items()) ^ set(found.items()))[0][0]
        raise ModelError(
            f"{path}: does not fit {CONFIG} beside it: {odd} is {found.get(odd, 'missing')}, but the configuration "
            f"makes it {ours.get(odd, 'no part of the model')}. Were the two files copied from different runs?"
        )
    model.load_state_dict(weights)
    return model.eval()
