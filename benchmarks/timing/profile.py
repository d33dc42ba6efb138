"""Where the time of detection and of a training step goes, by torch's profiler: what is left above the floor, named."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest import mock

import torch
from lightning_fabric import Fabric
from torch.autograd.profiler_util import FunctionEvent

from timing.measuring import Table, percent, precisions
from timing.products import is_product
from timing.settings import Settings
from timing.subject import Steps, features, localizer, recording, train, whole_videos
from untrimmed.detection import localizer as detecting
from untrimmed.learning.criterion import Criterion
from untrimmed.learning.ema import WeightAverage
from untrimmed.model import blocks
from untrimmed.model.devices import Precision

WHOLE = "untrimmed: whole"
LABELLED = (
    (detecting, "decode", "decoding"),
    (detecting, "suppress", "suppression"),
    (blocks, "local_attention", "attention besides its products"),
    (Criterion, "forward", "targets and losses"),
    (Fabric, "clip_gradients", "optimiser, clipping, average of the weights"),
    (WeightAverage, "update", "optimiser, clipping, average of the weights"),
)
"""Functions all of whose time, but for products, is one row."""
OPTIMISER = "Optimizer."
BACKWARD = "autograd::engine::evaluate_function"
BY_NAME = {
    "normalisation": ("layer_norm", "batch_norm"),
    "activations": ("gelu", "relu", "threshold"),
    "copies and casts": (
        "copy",
        "clone",
        "::cat",
        "pad",
        "fill",
        "zero",
        "contiguous",
        "::to",
        "empty",
        "select_backward",
        "slice_backward",
    ),
}
ROWS = (
    "products",
    "depthwise convolutions",
    "attention besides its products",
    "normalisation",
    "activations",
    "copies and casts",
    "other element-wise work",
    "targets and losses",
    "optimiser, clipping, average of the weights",
    "decoding",
    "suppression",
    "Python and numpy between operations",
)


def profile(settings: Settings) -> None:
    """Print the share of every kind of work."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler would tell when it starts and stops
    columns: dict[str, Counter[str]] = {}
    for precision in precisions():
        columns[f"detection, {precision}"] = _detection(settings, precision)
    for precision in precisions():
        columns[f"training step, {precision}"] = _training(settings, precision)
    table = Table(f"### Profiles, T = {settings.length}", "share of the time", *columns)
    for row in ROWS:
        table.row(row, *(percent(found[row] / found.total()) if row in found else "" for found in columns.values()))


def _detection(settings: Settings, precision: Precision) -> Counter[str]:
    subject, video = localizer(precision), recording(features(settings.length))
    subject.detect(video)
    with _labels(), _profiler() as profiler:
        for _ in range(settings.rounds):
            with torch.profiler.record_function(WHOLE):
                subject.detect(video)
    return _grouped(profiler.events() or ())


def _training(settings: Settings, precision: Precision) -> Counter[str]:
    """Profile all steps of a run but the first."""
    videos = whole_videos([settings.length] * 2 * (settings.steps + 1))
    context = ExitStack()
    profilers: list[torch.profiler.profile] = []

    def between(done: int) -> None:
        if done == 1:
            profilers.append(context.enter_context(_profiler()))
            context.enter_context(torch.profiler.record_function(WHOLE))
        elif done == settings.steps + 1:
            context.close()

    with _labels(), context:
        train(videos, precision, Steps(between))
    return _grouped(profilers[0].events() or ())


def _profiler() -> torch.profiler.profile:
    return torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], record_shapes=True)


@contextmanager
def _labels() -> Iterator[None]:
    """Context in which the profiler sees the functions of `LABELLED` by their labels."""

    def labelled(function: Callable[..., Any], label: str) -> Callable[..., Any]:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with torch.profiler.record_function(label):
                return function(*args, **kwargs)

        return wrapper

    with ExitStack() as context:
        for place, name, label in LABELLED:
            context.enter_context(mock.patch.object(place, name, labelled(getattr(place, name), label)))
        yield


def _grouped(events: Iterable[FunctionEvent]) -> Counter[str]:
    """Microseconds of each kind of work; of an event counts what is not in the events inside it."""
    events = sorted(events, key=lambda event: event.time_range.start)
    chains = [(event, _chain(event)) for event in events]
    chains = [(event, chain) for event, chain in chains if chain[-1].name == WHOLE]
    # A backward operation has the number of the forward one that it belongs to: of those with that number, the last.
    labels: dict[int, str | None] = {}
    for event, chain in chains:
        if event.sequence_nr >= 0 and not any(each.name.startswith(BACKWARD) for each in chain):
            labels[event.sequence_nr] = _label(chain)
    found: Counter[str] = Counter()
    for event, chain in chains:
        backward = next((each for each in chain if each.name.startswith(BACKWARD)), None)
        label = _label(chain) if backward is None else labels.get(backward.sequence_nr)
        found[_kind(event, chain, label)] += event.self_cpu_time_total
    return found


def _chain(event: FunctionEvent) -> list[FunctionEvent]:
    """An event, the one that it is in, and so on."""
    chain = [event]
    while chain[-1].cpu_parent is not None:
        chain.append(chain[-1].cpu_parent)
    return chain


def _label(chain: list[FunctionEvent]) -> str | None:
    names = [event.name for event in chain]
    if any(name.startswith(OPTIMISER) for name in names):
        return "optimiser, clipping, average of the weights"
    return next((label for _, _, label in LABELLED if label in names), None)


def _kind(event: FunctionEvent, chain: list[FunctionEvent], label: str | None) -> str:
    product = next((each for each in reversed(chain) if is_product(each.name)), None)
    if product is not None:
        return "depthwise convolutions" if _depthwise(product) else "products"
    if label is not None:
        return label
    kind = next((kind for kind, parts in BY_NAME.items() if any(part in event.name for part in parts)), None)
    if kind is not None:
        return kind
    return "other element-wise work" if event.name.startswith("aten::") else "Python and numpy between operations"


def _depthwise(product: FunctionEvent) -> bool:
    """Whether the weight of a convolution has one input channel."""
    if "conv" not in product.name:
        return False
    weight: Any = product.input_shapes[2 if "backward" in product.name else 1]
    return len(weight) > 2 and weight[1] == 1
