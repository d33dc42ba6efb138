"""How near detection and training are to the floor, and what bf16 brings (see `products` for what the floor is)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from timing.measuring import Table, in_turn, milliseconds, percent, precisions, ratio, seconds
from timing.products import Products
from timing.settings import Settings
from timing.subject import Steps, features, localizer, recording, train, whole_videos
from untrimmed.model.devices import Precision

ROUNDS_OF_TRAINING = 2


@dataclass
class _Side:
    """What has been measured in one precision, in seconds: the whole, the floor, and the depthwise convolutions."""

    products: Products
    whole: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    depthwise: list[float] = field(default_factory=list)

    def take_floor(self) -> None:
        """Measure the products alone."""
        self.floor.append(seconds(self.products.again))
        self.depthwise.append(seconds(self.products.depthwise_again))


def floor(settings: Settings) -> None:
    """Print the floor's share of detection and of a training step, in every precision."""
    table = Table(
        f"### The floor, T = {settings.length}",
        "",
        "whole, ms",
        "products alone, ms",
        "share of the floor",
        "GFLOP",
        "GFLOP/s of the products",
        "depthwise alone, ms",
        "times as fast as fp32",
    )
    _print(table, "detection of one video", _detection(settings))
    _print(table, "training step of two videos", _training(settings))


def _print(table: Table, name: str, sides: dict[Precision, _Side]) -> None:
    for precision, side in sides.items():
        operations = side.products.operations
        table.row(
            f"{name}, {precision}",
            milliseconds(side.whole),
            milliseconds(side.floor),
            percent(ratio(side.floor, side.whole)),
            f"{operations / 1e9:.0f}",
            f"{operations / 1e9 / median(side.floor):.0f}",
            milliseconds(side.depthwise),
            f"{ratio(sides['fp32'].whole, side.whole):.2f}",
        )
        if side.products.opaque:
            print(f"\nNot looked into: {', '.join(sorted(side.products.opaque))}.", flush=True)


def _detection(settings: Settings) -> dict[Precision, _Side]:
    video = recording(features(settings.length))
    sides: dict[Precision, _Side] = {}
    calls: list[Callable[[], object]] = []
    for precision in precisions():
        subject = localizer(precision)
        subject.detect(video)  # what is prepared once is prepared
        with Products() as products:
            subject.detect(video)
        sides[precision] = _Side(products)
        calls += [lambda subject=subject: subject.detect(video), products.again, products.depthwise_again]  # type: ignore[misc]
    measured = iter(in_turn(calls, settings.rounds))
    for side in sides.values():
        side.whole, side.floor, side.depthwise = next(measured), next(measured), next(measured)
    return sides


def _training(settings: Settings) -> dict[Precision, _Side]:
    """Steps of both precisions by turns, after each step its products alone; the first step of a run does not count."""
    one_step = whole_videos([settings.length] * 2)
    more = whole_videos([settings.length] * 2 * (settings.steps + 1))
    sides: dict[Precision, _Side] = {}
    for precision in precisions():
        with Products() as products:
            train(one_step, precision, Steps())
        sides[precision] = _Side(products)
        products.again()
    for _ in range(ROUNDS_OF_TRAINING):
        for precision, side in sides.items():
            steps = Steps(lambda done, side=side: side.take_floor() if done > 1 else None)  # type: ignore[misc]
            train(more, precision, steps)
            side.whole += steps.seconds[1:]
    return sides
