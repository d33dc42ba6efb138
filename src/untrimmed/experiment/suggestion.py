"""A configuration for a data set beside the one that there is: what would fit better, and why.

What a person has set is left alone as long as it fits; what nobody has set is planned (see `planning`). The rules look
at the lengths of actions and videos alone, never at a score.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from untrimmed.data.annotations import Annotations
from untrimmed.data.check import Pyramid
from untrimmed.data.check.coverage import Lonely, cover
from untrimmed.data.check.feature_checks import Extent, read_all
from untrimmed.data.check.fit_checks import LONG_CROP, MOST_LONGER
from untrimmed.data.check.resolution import SHORT, Cure, cure_for
from untrimmed.data.check.roles import usable
from untrimmed.data.crops import CropConfig
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.data.signals.normalisation import usual_sizes
from untrimmed.experiment.checking import pyramid_of
from untrimmed.experiment.commented_yaml import commented_yaml
from untrimmed.experiment.config import ExperimentConfig, resolved
from untrimmed.experiment.planning import Choice, plan, seconds
from untrimmed.settings import dump, parse
from untrimmed.time_grid import TimeGrid

SHORT_ACTIONS = 0.05
"""The actions that clips have to suit are the shortest but for this share of them."""
CLIPS = (4.0, 16.0)
"""How many clips such an action has with a stride that fits: enough for its ends to be found, and no more."""
WANTED_CLIPS = 8.0
"""How many it is given by a stride that is suggested."""
USUAL_SIZE = (0.1, 10.0)
"""Root mean squares of channels that the network takes as they come."""

GEOMETRY = ("model.downsampling_blocks", "model.regression_ranges", "model.window", "training.crop.max_length")
"""Settings of a plan that can be seen not to fit; the others can be as good as the person says who set them."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A setting that would be better: its key with sections, the value, the one that it has now, and the reason."""

    key: str
    value: Any
    current: Any
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        return {"key": self.key, "value": self.value, "current": self.current, "reason": self.reason}

    def in_words(self) -> dict[str, str]:
        """Return the same as a person would write it."""
        return {"key": self.key, "value": _plain(self.value), "current": _plain(self.current), "reason": self.reason}


def suggest(
    config: ExperimentConfig, train: Annotations, inputs: Inputs, stated: Collection[str] | None = None
) -> tuple[Suggestion, ...]:
    """Return what would fit the data better than the settings that there are.

    Args:
        config: the experiment.
        train: the videos to train on; those whose features cannot be opened count for nothing.
        inputs: their features.
        stated: the keys that a person has set, as in `model.width`; `None` takes all settings for set on purpose.
    """
    sound = replace(train, videos={video.id: usable(video) for video in train})
    extents, _ = read_all([video for video in sound if video.instances], inputs, headers_only=True)
    if not any(extent.video.instances for extent in extents):
        return ()
    chosen = [*_of_clips(extents, inputs.config, pyramid_of(config))]
    clips = {choice.key: choice.value for choice in chosen}
    grid = _new_grid(extents[0].grid, inputs.config, clips)
    current = dump(config)
    for choice in plan(sound, grid).choices:
        if _is_wanted(choice, config, extents, grid, stated):
            chosen.append(choice)
    chosen += _of_structure(chosen, config, inputs, clips)
    chosen += _of_units(inputs, [extent.video.id for extent in extents], stated)
    suggestions = (
        Suggestion(choice.key, choice.value, _value(current, choice.key), choice.reason) for choice in chosen
    )
    return tuple(each for each in suggestions if each.value != each.current)


def suggested(config: ExperimentConfig, suggestions: Collection[Suggestion]) -> ExperimentConfig:
    """Return a configuration with what is suggested."""
    values = dump(resolved(config))
    for each in suggestions:
        *sections, name = each.key.split(".")
        inner = values
        for section in sections:
            inner = inner[section]
        inner[name] = each.value
    return parse(ExperimentConfig, values, "the suggestion")


def suggested_yaml(
    config: ExperimentConfig, suggestions: Collection[Suggestion], source: str, stated: Collection[str]
) -> str:
    """Write a configuration with what is suggested, each such setting below its reason; paths are absolute.

    Settings that are as they are where nothing is said are left out, but for those that `config` states.

    Args:
        config: the experiment.
        suggestions: what is changed.
        source: what `config` was read from, for the heading.
        stated: the keys that a person has set.
    """
    reasons = {each.key: f"{each.reason} (was {_plain(each.current)})" for each in suggestions}
    values, usual = dump(suggested(config, suggestions)), dump(ExperimentConfig())
    changed = "as in that one" if not suggestions else "as in that one, but for those below a comment, which says why"
    heading = f"Written by `untrimmed check` for {source}: all settings are {changed}."
    choices = [Choice(key, value, reasons.get(key, "")) for key, value in _flat(values, usual, {*reasons, *stated})]
    return commented_yaml(heading, choices)


def stated_keys(values: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys, with their sections, of values as they are read from a file."""
    keys: set[str] = set()
    for key, value in values.items():
        inner = stated_keys(value) if isinstance(value, Mapping) else frozenset[str]()
        keys |= {f"{key}.{each}" for each in inner} or {key}
    return frozenset(keys)


def _of_clips(extents: list[Extent], config: InputConfig, pyramid: Pyramid) -> Iterator[Choice]:
    """Choose stride and window of the clips, where those that there are do not fit."""
    grid = extents[0].grid
    clip = grid.stride / grid.rate
    coverage = cover(extents, pyramid)
    brief = float(np.quantile(coverage.lengths, SHORT_ACTIONS))
    share = round(brief / clip, 6)  # clips of a short action
    cure = None if pyramid.every_instance else _cure(coverage.lonely, extents, pyramid, config)
    fits = CLIPS[0] <= share <= CLIPS[1]
    how = f"short actions take {seconds(brief)}"
    stride = config.stride
    if config.kind == "signals":
        assert stride is not None
        if not fits:
            stride = max(1, round(brief / WANTED_CLIPS * grid.rate))
            reason = f"Samples from one clip to the next: {how}, which are {WANTED_CLIPS:.0f} clips of this stride."
            yield Choice("data.inputs.stride", stride, reason)
        elif cure is not None:
            stride = cure.value
            yield Choice(
                "data.inputs.stride", stride, f"With this stride, {seconds(cure.seconds)}, every action is seen."
            )
        window = grid.window
        if not stride <= window <= max(stride, brief * grid.rate):
            window = max(int(stride), round(brief / 2 * grid.rate))
            reason = f"Samples that a clip covers: half of a short action, {seconds(window / grid.rate)}; {how}."
            yield Choice("data.inputs.window", window, reason)
    elif config.resample is None and not fits:
        step = max(1, math.floor(config.downsample * share / WANTED_CLIPS))
        if step != config.downsample:
            reason = f"Every so manieth clip: {how}, which are about {WANTED_CLIPS:.0f} clips so."
            yield Choice("data.inputs.downsample", step, reason)
    elif cure is not None and cure.key in ("resample", "downsample"):
        yield Choice(f"data.inputs.{cure.key}", cure.value, "So that every action has a moment to be trained on.")
    if cure is None and fits and any(each.visible and each.clips < SHORT for each in coverage.lonely):
        reason = "Some actions fall between two clips; each is given its nearest moment."
        yield Choice("training.target.every_instance", True, reason)


def _of_units(inputs: Inputs, ids: Sequence[str], stated: Collection[str] | None) -> Iterator[Choice]:
    """Choose to standardise signals that come in units of very different size, where nobody has said how."""
    given = inputs.config
    if given.kind != "signals" or given.normalise != "none" or given.scale is not None or given.offset is not None:
        return
    if stated is None or "data.inputs.normalise" in stated:
        return
    sizes = usual_sizes(inputs, ids)
    smallest, largest = (float(size) for size in np.quantile(sizes[sizes > 0], [0, 1])) if sizes.any() else (1.0, 1.0)
    if USUAL_SIZE[0] <= smallest and largest <= USUAL_SIZE[1]:
        return
    reason = (
        "Each channel less its mean, divided by its standard deviation: in the units that they come in, channels are "
        f"of sizes between {smallest:.2g} and {largest:.2g}"
    )
    yield Choice("data.inputs.normalise", "standard", reason)


def _cure(lonely: tuple[Lonely, ...], extents: list[Extent], pyramid: Pyramid, config: InputConfig) -> Cure | None:
    """Return the stride by which every action is seen, if some are not, and it is not less than half as long."""
    if not any(each.visible and each.clips < SHORT for each in lonely):
        return None
    cure = cure_for(lonely, extents, pyramid, config)
    clip = float(np.median([extent.grid.stride / extent.grid.rate for extent in extents]))
    return cure if cure is not None and cure.key != "extract" and cure.seconds >= clip / 2 else None


def _new_grid(grid: TimeGrid, config: InputConfig, clips: Mapping[str, Any]) -> TimeGrid:
    """Return the grid with what is chosen for the clips."""
    stride, window = clips.get("data.inputs.stride"), clips.get("data.inputs.window")
    step, rows = clips.get("data.inputs.downsample"), clips.get("data.inputs.resample")
    scale = 1.0
    if step is not None:
        scale = step / config.downsample
    if rows is not None and config.resample is not None:
        scale = config.resample / rows
    return TimeGrid(stride or scale * grid.stride, window or grid.window, grid.rate)


def _is_wanted(
    choice: Choice, config: ExperimentConfig, extents: list[Extent], grid: TimeGrid, stated: Collection[str] | None
) -> bool:
    """Whether a planned setting is to be suggested: nobody has set it, or it does not fit."""
    if stated is not None and choice.key not in stated:
        return True
    if choice.key not in GEOMETRY:
        return False
    ratio = extents[0].grid.stride / grid.stride
    pyramid = pyramid_of(config)
    lengths = np.sort([(i.end - i.start) * grid.rate / grid.stride for e in extents for i in e.video.instances])
    longest_video = ratio * max(extent.clips for extent in extents)
    match choice.key:
        case "model.downsampling_blocks":
            longer = float(np.mean(lengths > pyramid.usual_longest))
            needed = choice.value + 1
            return longer > MOST_LONGER if needed > config.model.levels else needed < config.model.levels - 1
        case "model.regression_ranges":
            lonely = cover(extents, pyramid).lonely
            return any(each.visible and SHORT <= each.clips <= pyramid.longest for each in lonely)
        case "model.window":
            finest = config.model.windows[0]
            return finest is not None and finest > 2 * longest_video
        case _:
            most = config.training.crop.max_length
            cut = bool(lengths[-1] > most) and longest_video > most
            return cut or (most > LONG_CROP * longest_video and most != CropConfig().max_length)


def _of_structure(
    chosen: list[Choice], config: ExperimentConfig, inputs: Inputs, clips: Mapping[str, Any]
) -> Iterator[Choice]:
    """Choose what has to change with another setting for the configuration to be one."""
    keys = {choice.key for choice in chosen}
    blocks = next((c.value for c in chosen if c.key == "model.downsampling_blocks"), None)
    if blocks not in (None, config.model.downsampling_blocks):
        if isinstance(config.model.regression_ranges, tuple) and "model.regression_ranges" not in keys:
            yield Choice("model.regression_ranges", "overlapping", "Ranges for the new number of levels.")
        if isinstance(config.model.window, tuple) and "model.window" not in keys:
            yield Choice("model.window", 9, "One window for the new number of levels.")
    if config.model.input_dims is not None and "data.inputs.window" in clips and inputs.config.kind == "signals":
        yield Choice("model.input_dims", None, "Another window has other dimensions, which are read off the data.")


def _flat(
    values: Mapping[str, Any], usual: Mapping[str, Any], always: Collection[str], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    """Yield the settings that are not the usual ones, or are always wanted, by key."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, usual[key], always, f"{name}.")
        elif value != usual[key] or name in always:
            yield name, _short(value)


def _short(value: Any) -> Any:
    """Return whole numbers without a point, as a person would write them: settings take them for the same."""
    if isinstance(value, list):
        return [_short(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _value(values: Mapping[str, Any], key: str) -> Any:
    inner: Any = values
    for name in key.split("."):
        inner = inner[name]
    return inner


def _plain(value: Any) -> str:
    return "not set" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
