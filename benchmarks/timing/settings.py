"""How large everything is that is measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Sizes of all sections.

    Attributes:
        thumos14: folder with the annotations and the official detections.
        length: clips of the video that is detected in, and of both of a training step.
        rounds: how often the sides of a comparison are measured in turn.
        steps: training steps that are measured in a row.
        every: of THUMOS14's videos, every so manieth is measured.
        dense_length: clips of the long video whose candidates are suppressed.
        growing: lengths whose time per moment is compared; the memory is measured at the last.
        max_memory: bytes that a process is limited to.
        reading: videos that are trained on while they are read from disk.
    """

    thumos14: Path
    length: int = 2304
    rounds: int = 7
    steps: int = 4
    every: int = 1
    dense_length: int = 9216
    growing: tuple[int, ...] = (1000, 10_000, 100_000)
    max_memory: int = 1_500_000_000
    reading: int = 24


def quick(thumos14: Path) -> Settings:
    """Small sizes, to see whether everything runs: the figures say little."""
    return Settings(
        thumos14=thumos14,
        length=384,
        rounds=2,
        steps=1,
        every=10,
        growing=(500, 1000, 2000),
        reading=6,
    )
