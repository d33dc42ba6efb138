"""The configuration of an experiment: one YAML file, or a recipe's name, and what the command line changes in it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from untrimmed.data.formats.ego4d import FeatureRows
from untrimmed.data.formats.epic_kitchens import Task
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.errors import ConfigError
from untrimmed.learning.config import TrainingConfig
from untrimmed.model.config import ModelConfig
from untrimmed.settings import dump, parse, read_yaml, yaml_fault

TIou = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class DataConfig:
    """Where the data are and how they are split. Relative paths in a file are relative to that file."""

    annotations: Path | None = None
    """Annotation file, ActivityNet-style JSON; or EPIC-KITCHENS' or Ego4D's own files, or the folder with them."""
    task: Task | None = None
    """Which of the data sets that EPIC-KITCHENS' own files hold; no effect on other files."""
    cut_from: FeatureRows | None = None
    """With Ego4D's own files: the features of a clip are rows of those of its video, made in this way; its instances
    are moved to where these rows begin. No effect on other files."""
    features: Path | tuple[Path, ...] | None = None
    """Folder with a feature file for each video, or one file with an array for each; a list joins several streams."""
    prefix: str = ""
    """What feature files have before the video id in their names."""
    key: str | None = None
    """Name of the array in feature files that hold several."""
    train: tuple[str, ...] = ()
    """Subsets to train on."""
    validate: tuple[str, ...] = ()
    """Subsets to evaluate on."""
    unusable: Literal["refuse", "drop"] = "refuse"
    """What is done about instances that end before they start, or of training that lie outside of their video."""
    class_agnostic: bool = False
    """Train on all instances as one class, `action`: the model says when, and what is said by others, as by
    `evaluation.class_scores`."""
    inputs: InputConfig = Field(default_factory=InputConfig)

    @property
    def streams(self) -> tuple[Path, ...]:
        """The feature folders or files, one a stream."""
        if self.features is None:
            return ()
        return self.features if isinstance(self.features, tuple) else (self.features,)


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class EvaluationConfig:
    """How detections are scored."""

    tious: tuple[TIou, ...] = (0.3, 0.4, 0.5, 0.6, 0.7)
    """Overlaps from which a detection counts as right; the average is over them."""
    class_scores: Path | None = None
    """Scores of the classes of whole videos by another model: each detection gets the best classes of its video instead
    of its own, and the root of the product of both scores."""
    top_classes: Annotated[int, Field(ge=1)] = 2
    """How many classes each detection gets from `class_scores`."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ExperimentConfig:
    """Everything that decides an experiment; saved, resolved, beside its results."""

    description: str = ""
    """What it is, where its data come from, and what to expect."""
    data: DataConfig = Field(default_factory=DataConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    detection: DetectionConfig = Field(default_factory=DetectionConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)


def load_config(source: str, overrides: Mapping[str, Any] | None = None) -> ExperimentConfig:
    """Load a configuration.

    Args:
        source: a YAML file, or the name of a recipe.
        overrides: values by dotted key, such as `{"model.width": 256}`.

    Raises:
        ConfigError: if there is no such file or recipe, or a key or a value is wrong.
    """
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        values, place = read_yaml(path), str(path)
        _resolve_paths(values, path.parent)
    else:
        values, place = read_recipe(source), f"recipe {source}"
    parse(ExperimentConfig, values, place)  # a mistake in the file is the file's, not an option's
    for key, value in (overrides or {}).items():
        _set(values, key, value)
    return parse(ExperimentConfig, values, place if not overrides else f"{place} with options")


def resolved(config: ExperimentConfig) -> ExperimentConfig:
    """Return the configuration with absolute paths."""
    data = config.data
    streams = tuple(path.resolve() for path in data.streams)
    features = streams if len(streams) != 1 else streams[0]
    annotations = None if data.annotations is None else data.annotations.resolve()
    scores, init = config.evaluation.class_scores, config.training.init
    return replace(
        config,
        data=replace(data, annotations=annotations, features=features or None),
        training=replace(config.training, init=None if init is None else init.resolve()),
        evaluation=replace(config.evaluation, class_scores=None if scores is None else scores.resolve()),
    )


def to_yaml(config: ExperimentConfig) -> str:
    """Write a configuration as YAML, complete and with absolute paths; `load_config` reads it back."""
    return yaml.safe_dump(dump(resolved(config)), sort_keys=False, allow_unicode=True)


def recipe_names() -> list[str]:
    """Return the names of the recipes that ship with the package."""
    folder = resources.files("untrimmed.recipes")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def recipe_text(name: str) -> str:
    """Return a recipe as it is written, with its comments.

    Raises:
        ConfigError: if there is none of that name; the message has the nearest one.
    """
    known = recipe_names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
        raise ConfigError(f"{name!r} is neither a recipe nor a .yaml file; {hint} `untrimmed recipes` lists them")
    return resources.files("untrimmed.recipes").joinpath(f"{name}.yaml").read_text(encoding="utf-8")


def read_recipe(name: str) -> dict[str, Any]:
    """Return a recipe's values. Paths of data that ship with the package are written `package:...` in it."""
    values: dict[str, Any] = yaml.safe_load(recipe_text(name))
    _resolve_paths(values, Path())
    return values


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Make overrides of the words of a command line: `--model.width 256` or `--model.width=256`; values are YAML.

    Raises:
        ConfigError: if a word is no such option, or its value is missing.
    """
    overrides: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("--") or "." not in name:
            raise ConfigError(
                f"{word!r} is no option; settings are given as --section.key VALUE, as in --model.width 256"
            )
        if not equals:
            if not rest or (rest[0].startswith("--") and "." in rest[0]):
                raise ConfigError(f"option {name} needs a value, as in {name} VALUE")
            value = rest.pop(0)
        try:
            overrides[name.removeprefix("--").replace("-", "_")] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:
            raise ConfigError(f"option {name}: {value!r} is not a value: {yaml_fault(error)}") from error
    return overrides


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for i, section in enumerate(sections):
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"option --{key}: {'.'.join(sections[: i + 1])} is {inner!r} and has no keys of its own")
        values = inner
    # One subset may be given without brackets.
    values[name] = [value] if key in ("data.train", "data.validate") and not isinstance(value, list) else value


def _resolve_paths(values: dict[str, Any], folder: Path) -> None:
    """Make the paths of a file relative to it, and find those of data that ship with the package."""

    def resolve(value: Any) -> Any:
        if isinstance(value, list):
            return [resolve(each) for each in value]
        if not isinstance(value, str):
            return value
        if value.startswith("package:"):
            return str(resources.files("untrimmed") / value.removeprefix("package:"))
        return str(folder / Path(value).expanduser())

    paths = {"data": ("annotations", "features"), "evaluation": ("class_scores",), "training": ("init",)}
    for name, keys in paths.items():
        section = values.get(name)
        for key in keys:
            if isinstance(section, dict) and key in section:
                section[key] = resolve(section[key])
