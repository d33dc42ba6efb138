"""What a check finds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong (`error`: training would fail or be useless) or that one should know (`warning`)."""

    severity: Severity
    place: str
    """A video, a subset, a label, a folder."""
    message: str
    videos: tuple[str, ...] = ()
    """All videos that it is about, where there are several."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        return {"place": self.place, "message": self.message, "videos": list(self.videos)}


@dataclass(frozen=True, slots=True)
class ClassCount:
    """One row of the table of classes."""

    label: str
    instances: Mapping[str, int]
    """How many instances the videos of each role have."""
    uncovered: int | None = None
    """How many training instances no moment is trained on; `None` if that was not asked for."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        return {"label": self.label, "instances": dict(self.instances), "uncovered": self.uncovered}


@dataclass(frozen=True, slots=True)
class LevelCount:
    """What a level of the pyramid is trained on.

    Attributes:
        stride: seconds from one moment to the next, in the usual video.
        low: seconds of the larger distance to onset and offset that it is trained on, from.
        high: the same, to.
        instances: how many training instances have a moment of this level; an instance may have some of two levels.
        positives: how many moments are trained on an instance.
        moments: how many moments there are.
    """

    stride: float
    low: float
    high: float
    instances: int
    positives: int
    moments: int

    def as_dict(self) -> dict[str, float]:
        """Return it as what can be written as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, and what the data are like.

    Attributes:
        findings: what is wrong.
        videos: how many videos each role has.
        classes: the table of classes, in the order of their numbers.
        levels: what each level of the pyramid is trained on, finest first; none if that was not asked for.
        lengths: of the training instances that features were read for, in seconds, ascending.
    """

    findings: tuple[Finding, ...]
    videos: Mapping[str, int]
    classes: tuple[ClassCount, ...]
    levels: tuple[LevelCount, ...] = ()
    lengths: tuple[float, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings that have to be mended before training."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that one can train with."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    @property
    def ok(self) -> bool:
        """Whether there are no errors."""
        return not self.errors

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        return {
            "ok": self.ok,
            "videos": dict(self.videos),
            "errors": [finding.as_dict() for finding in self.errors],
            "warnings": [finding.as_dict() for finding in self.warnings],
            "classes": [row.as_dict() for row in self.classes],
            "levels": [level.as_dict() for level in self.levels],
            "lengths": list(self.lengths),
        }


def some(names: Iterable[str], most: int = 3) -> str:
    """Return names as a phrase: all of a few, else the first and how many more."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return f"{', '.join(every[:most])}{more}"


def count(number: int, thing: str) -> str:
    """Return a number and a noun, in the plural unless it is one: `1 video`, `1,214 instances`, `2 classes`."""
    if number == 1:
        return f"1 {thing}"
    return f"{number:,} {thing}{'es' if thing.endswith('s') else 's'}"
