"""What goes onto the page, computed already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from untrimmed.report.history import History
from untrimmed.report.media import Media
from untrimmed.report.results import Results

if TYPE_CHECKING:
    from untrimmed.detection.level_scores import LevelScores

MOST_VIDEOS = 24
"""So many videos are shown in detail, where nothing else is asked for."""


@dataclass(frozen=True, eq=False)
class Contents:
    """What goes onto the page. Only a title and results have to be there; the page leaves out what is not known.

    Attributes:
        title: name of the run.
        results: detections held against the truth; `assess` makes them.
        subtitle: which videos these are.
        shown: ids of the videos that are shown in detail, in their order; `Results.most_telling` chooses.
        levels: scores of all moments, by video id; `Localizer.level_scores` makes them.
        level_labels: the classes of these scores, in the order of their columns.
        media: what stands for the video file, by video id.
        history: how training went.
        parameters: how many the model has.
        facts: more about the run, by name.
        notes: what the reader has to know before the numbers, a sentence each.
    """

    title: str
    results: Results
    subtitle: str = ""
    shown: Sequence[str] = ()
    levels: Mapping[str, Sequence[LevelScores]] = field(default_factory=dict)
    level_labels: Sequence[str] = ()
    media: Mapping[str, Media] = field(default_factory=dict)
    history: History = field(default_factory=History)
    parameters: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
