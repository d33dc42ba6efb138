"""What kind of mistake each false positive is, and what mean average precision would be without those of a kind.

At a tIoU threshold alpha, a detection is of the first of these kinds that fits:

1. *true positive*: it finds an instance, as `untrimmed.evaluation.matching` says;
2. *double detection*: its tIoU with an instance of its class is at least alpha. All such instances have been found by
   detections that come before it;
3. *wrong label*: its tIoU with an instance of another class is at least alpha;
4. *localisation*: its tIoU with an instance of its class is at least the low threshold, 0.1;
5. *confusion*: its tIoU with an instance of another class is at least the low threshold;
6. *background*: it is none of these.

So every detection is of one kind. These are the kinds of DETAD (Alwassel, Caba Heilbron, Escorcia and Ghanem,
Diagnosing Error in Temporal Action Detectors, ECCV 2018). Where we read them otherwise than its code:

- Of a false positive, it looks only at the instance with the highest tIoU, whatever its class, of equal ones at the
  first in the file. Ours asks for the own class first, at alpha and again at the low threshold. In THUMOS14, each
  CliffDiving is also a Diving at exactly the same time. Of the 42,400 detections of the official ActionFormer, 59 are
  of another kind in the code's reading at alpha 0.5, and the kind of 1,044 depends on the order of the file.
- It computes what is gained from the ten G best detections alone (G below). Ours takes all, so that the mAP without
  the gain is that which is published.
- It has detections of other videos in the background, and stops at a detection of a class that does not occur. Ours
  leaves out both, as `untrimmed.evaluation.mean_ap` does.
- It takes instances without length out of the truth, and those longer than their video. Ours keep them, as the mAP
  does.

The profile counts the kinds rank by rank. Of a class with G instances, the G best detections are the first part, the
next G the second, and so on. The code's figure shows these parts, and calls them 1G, 2G and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.evaluation.diagnosis.matched import Matched, normalised_average_precision
from untrimmed.evaluation.matching import overlapping


class Kind(IntEnum):
    """What a detection is; see the module."""

    TRUE_POSITIVE = 0
    DOUBLE_DETECTION = 1
    WRONG_LABEL = 2
    LOCALISATION = 3
    CONFUSION = 4
    BACKGROUND = 5

    @property
    def title(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ").lower()


MISTAKES = tuple(kind for kind in Kind if kind is not Kind.TRUE_POSITIVE)
"""The kinds of false positives."""


@dataclass(frozen=True, eq=False)
class FalsePositives:
    """How many detections are of each kind, and what the false positives cost.

    Attributes:
        low: the low tIoU threshold.
        counts: `[n_tious, 6]`, how many of all detections are of each `Kind`.
        parts: `[n_tious, n_parts, 6]`, the same of the G best detections of each class, the next G, and so on.
        gains: `[5]`, the mAP, mean over the thresholds, without the false positives of each of `MISTAKES`, minus the
            mAP as it is.
        gains_normalised: `[5]`, the same of the normalised mAP, as DETAD prints it.
    """

    low: float
    counts: NDArray[np.int64]
    parts: NDArray[np.int64]
    gains: NDArray[np.float64]
    gains_normalised: NDArray[np.float64]

    @property
    def profile(self) -> NDArray[np.float64]:
        """Part of each kind among the G best detections, the next G, ..., mean over the thresholds: `[n_parts, 6]`.

        A row adds up to 1, or is 0 where no class has so many detections.
        """
        return _shares(self.parts)

    @property
    def profile_of_best(self) -> NDArray[np.float64]:
        """Part of each kind among the G, 2G, ... best detections, mean over the thresholds: `[n_parts, 6]`."""
        return _shares(self.parts.cumsum(axis=1))

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        return {
            "low": self.low,
            "kinds": [kind.title for kind in Kind],
            "counts": self.counts.tolist(),
            "parts": self.parts.tolist(),
            "gains": {kind.title: gain for kind, gain in zip(MISTAKES, self.gains.tolist(), strict=True)},
            "gains_normalised": {
                kind.title: gain for kind, gain in zip(MISTAKES, self.gains_normalised.tolist(), strict=True)
            },
        }


def analyse_false_positives(matched: Matched, *, low: float, parts: int) -> FalsePositives:
    """Count the kinds, and compute the gains.

    Args:
        matched: detections and instances.
        low: the low tIoU threshold, in (0, 1].
        parts: how many times G detections the profile goes down, at least 1.
    """
    kinds = kinds_of(matched, low)
    part = _parts_of(matched)
    top = part < parts
    n = len(Kind)
    return FalsePositives(
        low=low,
        counts=np.stack([np.bincount(of_tiou, minlength=n) for of_tiou in kinds]),
        parts=np.stack([np.bincount(part[top] * n + of_tiou[top], minlength=parts * n) for of_tiou in kinds]).reshape(
            len(kinds), parts, n
        ),
        gains=_gains(matched, kinds, normalised=False),
        gains_normalised=_gains(matched, kinds, normalised=True),
    )


def kinds_of(matched: Matched, low: float) -> NDArray[np.int64]:
    """Return the `Kind` of each detection at each threshold, `[n_tious, n_detections]`."""
    own, other = _highest_tious(matched, min(low, *matched.tious))
    tious = np.array(matched.tious)[:, None]
    conditions = [matched.hits, own >= tious, other >= tious]  # in the order of the kinds
    weak = [np.broadcast_to(highest >= low, matched.found.shape) for highest in (own, other)]
    return np.select([*conditions, *weak], list(Kind)[:-1], Kind.BACKGROUND).astype(np.int64)


def _highest_tious(matched: Matched, least: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each detection's highest tIoU with the instances of its class, and of others: `[n], [n]`.

    What is less than `least` is 0.
    """
    instances, detections = matched.instances, matched.detections
    pairs = overlapping(instances.of_one_class(), detections.of_one_class(), least)
    same = instances.labels[pairs.instances] == detections.labels[pairs.detections]
    highest = []
    for chosen in (same, ~same):
        rows, first = np.unique(pairs.detections[chosen], return_index=True)  # a detection's highest comes first
        of_each = np.zeros(len(detections))
        of_each[rows] = pairs.tious[chosen][first]
        highest.append(of_each)
    return highest[0], highest[1]


def _parts_of(matched: Matched) -> NDArray[np.int64]:
    """Return the part of the profile that each detection is in: its rank in its class, in times of G, `[n]`."""
    parts = [np.arange(rows.stop - rows.start) // instances for rows, instances in matched.classes]
    return np.concatenate([np.empty(0, np.int64), *parts])


def _gains(matched: Matched, kinds: NDArray[np.int64], *, normalised: bool) -> NDArray[np.float64]:
    """Return what each of `MISTAKES` costs, `[5]`."""
    # First without leaving out a kind, then without each. No false positive is a true positive.
    left_out = np.array([int(kind) for kind in Kind])[:, None, None]
    by_class = []
    for rows, instances in matched.classes:
        of_class = kinds[None, :, rows]
        hits = np.broadcast_to(matched.hits[None, :, rows], (len(Kind), *of_class.shape[1:]))
        wrong = ~hits & (of_class != left_out)
        normal = matched.average_instances if normalised else float(instances)
        by_class.append(normalised_average_precision(hits, wrong, instances, normal).mean(axis=1))
    means = np.mean(by_class, axis=0)
    return np.asarray(means[1:] - means[0], dtype=np.float64)


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide by the sum over the kinds, and average over the thresholds: `[n_tious, n, 6] -> [n, 6]`."""
    whole = counts.sum(axis=-1, keepdims=True)
    return np.asarray((counts / np.maximum(whole, 1)).mean(axis=0), dtype=np.float64)
