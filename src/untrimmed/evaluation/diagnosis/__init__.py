"""What is wrong with detections, and on what it depends; numpy only.

After DETAD (Alwassel, Caba Heilbron, Escorcia and Ghanem, Diagnosing Error in Temporal Action Detectors, ECCV 2018).
Its parts, and where we read them otherwise than its code, are explained in the modules that compute them:
`false_positives`, `characteristics` and `sensitivity`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.errors import ConfigError
from untrimmed.evaluation.diagnosis.characteristics import CUTS, Cuts, characteristics_of
from untrimmed.evaluation.diagnosis.false_positives import FalsePositives, Kind, analyse_false_positives
from untrimmed.evaluation.diagnosis.matched import match_all
from untrimmed.evaluation.diagnosis.sensitivity import (
    Sensitivity,
    missed_instances,
    normalised_map,
    sensitivity_to,
)
from untrimmed.evaluation.mean_ap import mean_average_precision

__all__ = ["CUTS", "Cuts", "Diagnosis", "FalsePositives", "Kind", "Sensitivity", "diagnose"]


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What is wrong with detections, and on what it depends. All means are over the thresholds.

    Attributes:
        tious: the thresholds.
        instances: how many instances there are.
        detections: how many detections of the videos and classes that occur in the truth.
        average_instances: instances of the average class, N of normalised precision.
        map: mean average precision.
        map_normalised: normalised mean average precision.
        missed: part of the instances that no detection finds before precision is too low.
        false_positives: by kind.
        sensitivities: to length, coverage and number of instances.
    """

    tious: tuple[float, ...]
    instances: int
    detections: int
    average_instances: float
    map: float
    map_normalised: float
    missed: float
    false_positives: FalsePositives
    sensitivities: tuple[Sensitivity, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        return {
            "tious": list(self.tious),
            "instances": self.instances,
            "detections": self.detections,
            "average_instances": self.average_instances,
            "mAP": self.map,
            "mAP_N": self.map_normalised,
            "missed": self.missed,
            "false_positives": self.false_positives.as_dict(),
            "characteristics": [sensitivity.as_dict() for sensitivity in self.sensitivities],
        }


def diagnose(
    truth: Annotations,
    detections: Mapping[str, Detections],
    tious: Sequence[float],
    *,
    cuts: Cuts | None = None,
    low: float = 0.1,
    parts: int = 10,
) -> Diagnosis:
    """Diagnose detections.

    Args:
        truth: the videos to evaluate on, with all their instances.
        detections: by video id, as `mean_average_precision` takes them.
        tious: thresholds in (0, 1]. DETAD takes 0.5 for THUMOS14, and 0.5 to 0.95 for ActivityNet.
        cuts: where the buckets of instances end, `CUTS[name]` as in DETAD; by default at quantiles of their values.
        low: tIoU below which a detection is in the background.
        parts: how many times as many detections as there are instances the profile of false positives goes down.

    Raises:
        AnnotationError: if `truth` has no instances.
        ConfigError: if an option is out of range.
    """
    if not 0 < low <= 1:
        raise ConfigError(f"the low tIoU threshold is {low}, but has to be a number in (0, 1]")
    if parts < 1:
        raise ConfigError(f"parts is {parts}, but has to be at least 1")
    matched = match_all(truth, detections, tious)
    missed = missed_instances(matched)
    return Diagnosis(
        tious=matched.tious,
        instances=len(matched.instances),
        detections=len(matched.detections),
        average_instances=matched.average_instances,
        map=mean_average_precision(truth, detections, matched.tious).average,
        map_normalised=normalised_map(matched),
        missed=float(missed.mean()),
        false_positives=analyse_false_positives(matched, low=low, parts=parts),
        sensitivities=tuple(
            sensitivity_to(characteristic, matched, missed)
            for characteristic in characteristics_of(truth, matched.instances, cuts)
        ),
    )
