"""What local attention takes of a forward pass, and what it would take as it is defined."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from timing.measuring import Table, in_turn, milliseconds, percent, precisions, ratio, seconds
from timing.settings import Settings
from timing.subject import Clock, features, listening, localizer, recording
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.model import blocks
from untrimmed.model.attention import dense_attention, local_attention
from untrimmed.model.devices import Precision, autocast


def attention(settings: Settings) -> None:
    """Print both."""
    table = Table(
        f"### Local attention, T = {settings.length}", "", "forward pass, ms", "attention alone, ms", "its share"
    )
    for precision in precisions():
        forward, alone = _share(localizer(precision), recording(features(settings.length)), precision, settings.rounds)
        table.row(precision, milliseconds(forward), milliseconds(alone), percent(ratio(alone, forward)))

    q, k, v = (torch.randn(1, settings.length, 512) for _ in range(3))
    compared: list[Callable[[], object]] = [
        partial(each, q, k, v, heads=4, window=19) for each in (local_attention, dense_attention)
    ]
    with torch.inference_mode():
        local, dense = in_turn(compared, settings.rounds)
    table = Table("Window 19, one level, fp32:", "local, ms", "dense with a mask, ms", "times as fast")
    table.row(milliseconds(local), milliseconds(dense), f"{ratio(dense, local):.1f}")


def _share(subject: Localizer, video: Recording, precision: Precision, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of the forward pass, and of its attention computed again alone, in turn."""
    calls: list[Callable[[], object]] = []

    def remember(*args: Any, **kwargs: Any) -> Tensor:
        calls.append(partial(local_attention, *args, **kwargs))
        return local_attention(*args, **kwargs)

    with mock.patch.object(blocks, "local_attention", remember):
        subject.detect(video)

    @torch.inference_mode()
    def again() -> None:
        with autocast(torch.device("cpu"), precision):
            for call in calls:
                call()

    again()
    alone = []
    clock = Clock()
    with listening(clock):
        for _ in range(rounds):
            subject.detect(video)
            alone.append(seconds(again))
    return clock.seconds, alone
