"""A diagnosis in words and in rows of numbers, as tables and figures show it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from untrimmed.evaluation.diagnosis import Diagnosis, Kind, Sensitivity
from untrimmed.report.headline import DASH, percent

DEPTHS = (1, 2, 5, 10)
"""How many times G detections of each class tables look down to, where G is the number of its instances."""

DEFINITIONS: Mapping[Kind, str] = {
    Kind.TRUE_POSITIVE: "finds an instance.",
    Kind.DOUBLE_DETECTION: "right class and place, but a better detection has found the instance.",
    Kind.WRONG_LABEL: "in the place of an instance of another class.",
    Kind.LOCALISATION: "right class, but the place is only roughly right.",
    Kind.CONFUSION: "roughly in the place of an instance of another class.",
    Kind.BACKGROUND: "away from all instances.",
}
"""The kinds in short; `untrimmed.evaluation.diagnosis.false_positives` has them exactly."""

TITLES: Mapping[str, str] = {"length": "Length", "coverage": "Coverage", "instances": "Number of instances"}
"""Titles of the characteristics."""

ABOUT: Mapping[str, str] = {
    "length": "how long the instance is",
    "coverage": "how much of its video the instance fills",
    "instances": "how many of its class are in its video",
}
"""What the characteristics are."""

_LEAST_GAIN = 0.0001  # that is worth a word


@dataclass(frozen=True, slots=True)
class KindRow:
    """What there is to say of a kind of detections.

    Attributes:
        kind: the kind.
        within: part of the kind among the `DEPTHS` times G best detections of each class; NaN where there are none.
        of_all: the same among all detections.
        gain: mAP without this kind, minus mAP; `None` for true positives.
        gain_normalised: the same of the normalised mAP.
    """

    kind: Kind
    within: tuple[float, ...]
    of_all: float
    gain: float | None
    gain_normalised: float | None


def kind_rows(diagnosis: Diagnosis) -> tuple[KindRow, ...]:
    """Return a row for each `Kind`. In each column of shares they add up to 1."""
    positives = diagnosis.false_positives
    best = positives.profile_of_best
    within = [best[min(depth, len(best)) - 1] for depth in DEPTHS]
    all_ = (positives.counts / max(1, diagnosis.detections)).mean(axis=0)
    nothing = diagnosis.detections == 0
    return tuple(
        KindRow(
            kind,
            tuple(math.nan if nothing else float(row[kind]) for row in within),
            math.nan if nothing else float(all_[kind]),
            None if kind is Kind.TRUE_POSITIVE else _gain(positives.gains[kind - 1]),
            None if kind is Kind.TRUE_POSITIVE else _gain(positives.gains_normalised[kind - 1]),
        )
        for kind in Kind
    )


def ranges(sensitivity: Sensitivity) -> tuple[str, ...]:
    """Return which values each bucket of a characteristic has, such as `3 to 6 s`; a dash where it can have none."""
    ends = [bucket.up_to for bucket in sensitivity.buckets]
    if sensitivity.name == "instances":
        return _ranges_of_counts(ends)
    unit = " s" if sensitivity.name == "length" else " %"
    scale = 1 if sensitivity.name == "length" else 100
    names = _told_apart([scale * end for end in ends[:-1]])
    texts = [f"up to {names[0]}{unit}"]
    for i, (low, high) in enumerate(pairwise(names)):
        texts.append(DASH if ends[i] == ends[i + 1] else f"{low} to {high}{unit}")
    return (*texts, f"over {names[-1]}{unit}")


def at_tious(tious: Sequence[float]) -> str:
    """Say at which thresholds a diagnosis is."""
    if len(tious) == 1:
        return f"at tIoU {tious[0]:g}"
    return f"mean over tIoU {min(tious):g} to {max(tious):g}"


def finding(diagnosis: Diagnosis) -> str:
    """Say in a sentence which kind of mistake costs most."""
    gains = {row.kind: row.gain for row in kind_rows(diagnosis) if row.gain is not None}
    worst = max(gains, key=gains.__getitem__)
    if not diagnosis.detections:
        return "Nothing was detected, so all instances are missed."
    if gains[worst] < _LEAST_GAIN:
        return "No kind of false positive costs a hundredth of a point of mAP."
    subject = {
        Kind.DOUBLE_DETECTION: "Double detections cost",
        Kind.WRONG_LABEL: "Wrong labels cost",
        Kind.LOCALISATION: "Bad localisation costs",
        Kind.CONFUSION: "Confusion with other classes costs",
        Kind.BACKGROUND: "Detections in the background cost",
    }[worst]
    them = "them" if subject.endswith(" cost") else "it"
    then, now = percent(diagnosis.map + gains[worst], 2), percent(diagnosis.map, 2)
    return f"{subject} most: without {them}, mAP would be {then} %, not {now} %."


def _gain(value: float) -> float:
    return max(0.0, float(value))  # below 0 by rounding only


def _ranges_of_counts(ends: Sequence[float]) -> tuple[str, ...]:
    """Return the ranges of whole numbers from 1 up."""
    texts = []
    first = 1
    for end in ends:
        if math.isinf(end):
            texts.append(f"{first} or more")
            continue
        last = math.floor(end)
        texts.append(DASH if last < first else str(last) if last == first else f"{first} to {last}")
        first = max(first, last + 1)
    return tuple(texts)


def _told_apart(values: Sequence[float]) -> list[str]:
    """Write numbers with as few digits, at least three, as tell different ones apart."""
    digits = 3
    while digits < 17 and len({_short(value, digits) for value in values}) < len(set(values)):
        digits += 1
    return [_short(value, digits) for value in values]


def _short(value: float, digits: int) -> str:
    return f"{value:.0f}" if value >= 10**digits else f"{value:.{digits}g}"
