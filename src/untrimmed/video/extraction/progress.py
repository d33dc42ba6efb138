"""How far the extraction of many videos is, in seconds of video."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from untrimmed.video.extraction.feature_stream import OnProgress

EVERY = 0.1
"""Seconds between two tellings."""


@dataclass(frozen=True)
class Progress:
    """How far it is.

    Attributes:
        videos: that are done with, in whichever way.
        of_videos: in all.
        seconds: of video that have been read.
        of_seconds: of video in all, as far as can be told; `None` while nothing is known.
    """

    videos: int
    of_videos: int
    seconds: float
    of_seconds: float | None


class ProgressOfAll:
    """Puts together the progress of each video.

    Opening all files beforehand would take long in an archive, so that a video's duration is known when it is begun.
    Those that are still to come are taken to be as long for their size as those that are known.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        """Take the size of each video's file, in bytes, by id."""
        self._sizes = dict(sizes)
        self._read: dict[str, float] = {}
        self._durations: dict[str, float] = {}
        self._ended = 0

    def read(self, video_id: str, seconds: float, declared: float | None) -> None:
        """So many seconds of a video have been read, of those that its container declares."""
        self._read[video_id] = seconds
        self._durations[video_id] = max(seconds, declared or 0.0)

    def ended(self, video_id: str, duration: float | None) -> None:
        """Nothing more is done with a video. It has been read to its end; or not, and then it has no duration."""
        if duration is None:
            duration = self._read.get(video_id, 0.0)
            self._sizes[video_id] = 0  # tells nothing of how long others are
        self._read[video_id] = self._durations[video_id] = duration
        self._ended += 1

    @property
    def now(self) -> Progress:
        """How far it is."""
        seconds = sum(self._durations.values())
        known = sum(self._sizes[video_id] for video_id in self._durations)
        to_come = sum(self._sizes.values()) - known
        total = None
        if not to_come:
            total = seconds
        elif known and seconds:
            total = seconds * (1 + to_come / known)
        return Progress(self._ended, len(self._sizes), sum(self._read.values()), total)


def now_and_then(on_progress: OnProgress) -> OnProgress:
    """Return what passes on only some of what it is told of each frame: what is new for the eye."""
    last = -EVERY

    def sometimes(seconds: float, declared: float | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY:
            last = now
            on_progress(seconds, declared)

    return sometimes
