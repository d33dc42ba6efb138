"""Which picture of a video stands for which sampled frame: a matter of times alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

ROUNDING = 0.001
"""Containers round times to milliseconds: a picture may be dated so much too late, in seconds."""


class Timed(Protocol):
    """Something that begins to be shown at `seconds`, for `duration` seconds if nothing follows it."""

    @property
    def seconds(self) -> float:
        """When it is shown first."""

    @property
    def duration(self) -> float:
        """For how long."""


T = TypeVar("T", bound=Timed)


def sample(pictures: Iterable[T], rate: float) -> Iterator[T]:
    """Yield, for each sampled frame in turn, the picture that stands for it.

    Sampled frame `k` covers the seconds `[k / rate, (k + 1) / rate)`, and the picture on display in their middle stands
    for it: the last one with `seconds <= (k + 1/2) / rate`, with a millisecond's tolerance (a quarter of a sampled
    frame where that is less). Before the first picture it is the first picture. There are as many sampled frames as
    there are middles before the end of the last picture, at least one; without pictures, none.

    So a video that is sampled at its own rate gives each of its pictures once, and neither a variable frame rate nor a
    late start moves anything. A picture may be yielded many times, or never.

    Args:
        pictures: in the order of their `seconds`; each is looked at once, and one is held back.
        rate: of the sampling, in frames per second.
    """
    assert rate > 0
    tolerance = min(ROUNDING, 0.25 / rate)
    frame = 0
    shown: T | None = None
    for picture in pictures:
        while shown is not None and (frame + 0.5) / rate + tolerance < picture.seconds:
            yield shown
            frame += 1
        shown = picture
    while shown is not None and (frame == 0 or (frame + 0.5) / rate < shown.seconds + shown.duration):
        yield shown
        frame += 1
