"""What `untrimmed calibrate` leaves beside a model: which of its detections to believe, and how much."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from untrimmed.data.detections import Detections
from untrimmed.data.files import write_atomically
from untrimmed.detection.model_folder import WEIGHTS
from untrimmed.errors import ConfigError, ModelError
from untrimmed.evaluation.operating_point import NEVER, ClassPoint, ScoreMap, above_thresholds
from untrimmed.settings import dump, parse, read_yaml

CONFIDENCE = "confidence.yaml"
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Confidence:
    """Lowest scores that count, and what scores mean, learnt on videos that the model was not trained on."""

    tiou: Annotated[float, Field(gt=0, le=1)]
    """Overlap with an instance from which a detection was taken for right."""
    precision: Annotated[float, Field(gt=0, le=1)] | None = None
    """Precision that was wanted of each class; `None` is the best F1."""
    thresholds: Mapping[str, float]
    """Lowest score that counts, by class. A class that is not here never reached the wanted precision."""
    scores: tuple[float, ...]
    """Scores, rising, ..."""
    probabilities: tuple[Share, ...]
    """... and the probability of each to be right; straight lines are between them."""
    weights: str
    """SHA-256 of the weights that all this was learnt with."""

    def __post_init__(self) -> None:
        if len(self.scores) != len(self.probabilities):
            raise ValueError(f"there are {len(self.scores)} scores, but {len(self.probabilities)} probabilities")
        if any(b <= a for a, b in zip(self.scores, self.scores[1:], strict=False)):
            raise ValueError("scores have to rise")

    @classmethod
    def of(
        cls, points: tuple[ClassPoint, ...], score_map: ScoreMap, folder: Path, *, tiou: float, precision: float | None
    ) -> Confidence:
        """Make it of what was learnt about the model in a folder."""
        return cls(
            tiou=tiou,
            precision=precision,
            thresholds={point.label: point.threshold for point in points if point.threshold < NEVER},
            scores=tuple(map(float, score_map.scores)),
            probabilities=tuple(map(float, score_map.probabilities)),
            weights=fingerprint(folder),
        )

    def select(self, detections: Detections) -> Detections:
        """Return the detections that count, with their probabilities to be right as scores, best first."""
        kept = above_thresholds(detections, self.thresholds)
        score_map = ScoreMap(np.array(self.scores), np.array(self.probabilities))
        return replace(kept, scores=score_map(kept.scores))

    def save(self, folder: Path) -> None:
        """Write it into a model folder."""
        write_atomically(folder / CONFIDENCE, yaml.safe_dump(dump(self), sort_keys=False, allow_unicode=True))

    @classmethod
    def load(cls, folder: Path) -> Confidence:
        """Read it from a model folder.

        Raises:
            ModelError: if there is none, it is damaged, or the model has been trained on since.
        """
        path = folder / CONFIDENCE
        again = f"`untrimmed calibrate {folder}` makes it"
        if not path.is_file():
            raise ModelError(f"{folder}: has no {CONFIDENCE}, which says which detections to believe; {again}")
        try:
            confidence = parse(cls, read_yaml(path), str(path))
        except ConfigError as error:
            raise ModelError(f"{error}\n{again} anew") from error
        if confidence.weights != fingerprint(folder):
            raise ModelError(f"{path}: was learnt with other weights than {WEIGHTS} beside it; {again} anew")
        return confidence


def fingerprint(folder: Path) -> str:
    """Return the SHA-256 of the weights in a model folder."""
    with (folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
