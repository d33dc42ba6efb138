"""How predictions become detections, with the official code's values for THUMOS14 as defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(gt=0)]
Score = Annotated[float, Field(ge=0, lt=1)]
Overlap = Annotated[float, Field(gt=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class DetectionConfig:
    """Decoding, suppression and voting. A setting that the others make void is refused, not ignored."""

    candidates: Literal["every", "argmax"] = "every"
    """Every class of a moment is a candidate by itself, or only its most probable class (as the paper has it)."""
    score_threshold: Score = 0.001
    """A candidate has to score more."""
    candidates_per_level: Count = 2000
    """The best so many candidates of each level are kept."""
    min_duration: Annotated[float, Field(ge=0)] = 0.05
    """A candidate has to be longer, on the feature grid."""
    suppression: Literal["soft", "hard", "none"] = "soft"
    per_class: bool = True
    """Candidates suppress only those of their own class."""
    sigma: Annotated[float, Field(gt=0)] | None = None
    """Width of soft suppression, `score * exp(-tIoU^2 / sigma)`; 0.5 where left out."""
    tiou: Overlap | None = None
    """Overlap from which hard suppression removes a candidate; 0.1 where left out."""
    min_score: Score = 0.001
    """Soft suppression ends when the best remaining score is lower; hard suppression drops all that are not higher."""
    max_detections: Count = 200
    voting_tiou: Overlap | None = None
    """Segments become the weighted mean of all candidates that overlap this much. Not with `per_class`."""

    def __post_init__(self) -> None:
        if self.sigma is not None and self.suppression != "soft":
            raise ValueError(f"sigma is for suppression 'soft', but suppression is {self.suppression!r}: leave it out")
        if self.tiou is not None and self.suppression != "hard":
            raise ValueError(f"tiou is for suppression 'hard', but suppression is {self.suppression!r}: leave it out")
        if self.voting_tiou is not None and (self.per_class or self.suppression == "none"):
            raise ValueError(
                "voting_tiou has an effect only after suppression over all classes together: "
                "set per_class to false, or leave voting_tiou out"
            )
