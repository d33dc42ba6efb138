"""EPIC-Kitchens-100 action detection: mean average precision of verbs, nouns, and actions, which are pairs of both.

An action is a verb and a noun, and its label is `verb,noun`. The truth is given twice, as `Annotations` of the verbs
and `Annotations` of the nouns; both have the same videos and the same segments in the same order, so that instance i
of a video is the same action in both. Class numbers of actions are those of the official evaluation (C2, action
detection): verb number x number of nouns + noun number.

What C2 reads is one list of detections, each with a verb, a noun, an action `verb,noun`, and one score. It scores the
list three times, by verb, by noun and by action, as `mean_ap` does, at tIoU .1:.1:.5. Several detections of the same
time and verb, with different nouns, are so many detections of that verb. `epic_scores` does this, too; or it scores
detections of verbs and nouns of their own, as papers do that train one model for each.

C2's code reads mAP as ActionFormer's does: `reading="official"` of `mean_ap` is how it counts, with these class
numbers.

There is no official way to make actions of what two models detect. The authors of ActionFormer combine the models
before suppression, where both say something about the same moments. `combine` does it afterwards, with the final
detections, so that it can be any two models or files: see there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.detections import Detections
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.matching import Reading
from untrimmed.evaluation.mean_ap import MeanAP, mean_average_precision
from untrimmed.segments import pairwise_tiou

TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Thresholds of the benchmark."""

_SEPARATOR = ","
_ROWS_AT_ONCE = 256
"""So many verbs are compared with all nouns at once, to bound the memory."""


@dataclass(frozen=True)
class EpicScores:
    """Mean average precision of verbs, nouns and actions."""

    verb: MeanAP
    noun: MeanAP
    action: MeanAP

    @property
    def rows(self) -> dict[str, MeanAP]:
        """The three by name, in the order in which they are printed."""
        return {"verb": self.verb, "noun": self.noun, "action": self.action}

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        return {name: score.as_dict() for name, score in self.rows.items()}


def action_annotations(verbs: Annotations, nouns: Annotations) -> Annotations:
    """Return the truth of the actions: the same segments, labelled `verb,noun`.

    All pairs of a verb and a noun are labels, so that class numbers are the official ones; most do not occur.

    Args:
        verbs: the instances with their verbs; no verb may contain a comma.
        nouns: the same instances with their nouns, in the same order.

    Raises:
        AnnotationError: if they are not the same videos with the same segments, or a verb contains a comma.
    """
    labels = _pairs_of_names(verbs.labels, nouns.labels, verbs.source)
    if verbs.videos.keys() != nouns.videos.keys():
        only = min(verbs.videos.keys() ^ nouns.videos.keys())
        there = verbs.source if only in verbs.videos else nouns.source
        raise AnnotationError(
            f"video {only!r} is in {there} only; truth of the verbs and truth of the nouns need the same videos"
        )
    videos = {video.id: _of_actions(video, nouns[video.id], nouns.source) for video in verbs}
    return Annotations(videos, labels, source=verbs.source)


def combine(
    verbs: Mapping[str, Detections], nouns: Mapping[str, Detections], *, min_tiou: float = 0.5, most: int = 2000
) -> dict[str, Detections]:
    """Make detections of actions of detections of verbs and detections of nouns.

    Every verb is paired with the nouns of the same video that it overlaps enough with. The action's start and end are
    the means of theirs, its score is the root of the product of their scores, times their tIoU. Of the detections of
    one noun, a verb is paired with that which gives the highest score, so that one action is not detected over and over
    again.

    Args:
        verbs: by video id, all with the same `label_names`, none of which contains a comma.
        nouns: by video id, all with the same `label_names`. A video that only one of the two has gets no actions.
        min_tiou: how much verb and noun have to overlap, in (0, 1]. The default is not tuned.
        most: how many actions are kept of a video, the best ones; at least 1. The default is what the recipes keep of
            verbs and nouns.

    Returns:
        Detections by video id, best first, with class numbers as the module says.

    Raises:
        ConfigError: if `min_tiou` or `most` is out of range.
        AnnotationError: if videos differ in `label_names`, or a verb contains a comma.
    """
    if not 0 < min_tiou <= 1:
        raise ConfigError(f"min_tiou is {min_tiou}, but has to be in (0, 1]")
    if most < 1:
        raise ConfigError(f"most actions of a video are {most}, but have to be at least 1")
    names = _pairs_of_names(_common_names(verbs, "verbs"), _common_names(nouns, "nouns"), "detections of verbs")
    return {id_: _combined(verbs[id_], nouns[id_], names, min_tiou, most) for id_ in verbs if id_ in nouns}


def epic_scores(
    verb_truth: Annotations,
    noun_truth: Annotations,
    actions: Mapping[str, Detections],
    *,
    verbs: Mapping[str, Detections] | None = None,
    nouns: Mapping[str, Detections] | None = None,
    tious: Sequence[float] = TIOUS,
    reading: Reading = "correct",
) -> EpicScores:
    """Evaluate verbs, nouns and actions.

    Args:
        verb_truth: the videos to evaluate on, with the verbs of all instances.
        noun_truth: the same with the nouns.
        actions: detections by video id, with labels `verb,noun`: those of `combine`, or of a file.
        verbs: detections of the verbs alone; where absent, the actions count as verbs, as in C2.
        nouns: detections of the nouns alone; where absent, the actions count as nouns.
        tious: thresholds in (0, 1].
        reading: as in `mean_average_precision`.

    Raises:
        AnnotationError: if the truths do not fit, or there are no instances, or an action has no comma in its label.
        ConfigError: as `mean_average_precision` does.
    """
    truth = action_annotations(verb_truth, noun_truth)
    verbs = verbs_of(actions) if verbs is None else verbs
    nouns = nouns_of(actions) if nouns is None else nouns
    return EpicScores(
        verb=mean_average_precision(verb_truth, verbs, tious, reading=reading),
        noun=mean_average_precision(noun_truth, nouns, tious, reading=reading),
        action=mean_average_precision(truth, actions, tious, reading=reading),
    )


def verbs_of(actions: Mapping[str, Detections]) -> dict[str, Detections]:
    """Return the same detections, labelled with their verbs.

    Raises:
        AnnotationError: if a label is not `verb,noun`.
    """
    return _part_of(actions, 0)


def nouns_of(actions: Mapping[str, Detections]) -> dict[str, Detections]:
    """Return the same detections, labelled with their nouns.

    Raises:
        AnnotationError: if a label is not `verb,noun`.
    """
    return _part_of(actions, 1)


def _pairs_of_names(verbs: Sequence[str], nouns: Sequence[str], source: str) -> tuple[str, ...]:
    """Return the labels of all actions; verb v and noun n are number v * len(nouns) + n."""
    if (wrong := next((verb for verb in verbs if _SEPARATOR in verb), None)) is not None:
        raise AnnotationError(
            f"{source}: verb {wrong!r} contains a comma, which parts verb and noun in the label of an action; rename it"
        )
    return tuple(f"{verb}{_SEPARATOR}{noun}" for verb, noun in product(verbs, nouns))


def _of_actions(verbs: Video, nouns: Video, source: str) -> Video:
    """Return a video with instances of actions."""
    if not np.array_equal(verbs.segments, nouns.segments):
        raise AnnotationError(
            f"{source}: video {nouns.id!r} does not have the same {len(verbs.instances)} segments in the same order "
            "as in the truth of the verbs; read both from the same file"
        )
    instances = (
        Instance(verb.start, verb.end, f"{verb.label}{_SEPARATOR}{noun.label}")
        for verb, noun in zip(verbs.instances, nouns.instances, strict=True)
    )
    return replace(verbs, instances=tuple(instances))


def _common_names(detections: Mapping[str, Detections], what: str) -> tuple[str, ...]:
    names = next((of_video.label_names for of_video in detections.values()), ())
    for of_video in detections.values():
        if of_video.label_names != names:
            raise AnnotationError(f"detections of {what}: video {of_video.video_id!r} has other labels than the first")
    return names


def _combined(verbs: Detections, nouns: Detections, names: tuple[str, ...], min_tiou: float, most: int) -> Detections:
    """Return the actions of one video."""
    verb, noun, overlap = _overlapping(verbs.segments, nouns.segments, min_tiou)
    scores = np.sqrt(verbs.scores[verb] * nouns.scores[noun]) * overlap
    best = np.lexsort((noun, verb, -scores))
    of_noun = verb[best] * max(1, len(nouns.label_names)) + nouns.labels[noun[best]]
    _, first = np.unique(of_noun, return_index=True)  # the best of each verb detection and class of nouns
    kept = best[np.sort(first)[:most]]
    verb, noun = verb[kept], noun[kept]
    return Detections(
        verbs.video_id,
        (verbs.segments[verb] + nouns.segments[noun]) / 2,
        scores[kept],
        verbs.labels[verb] * len(nouns.label_names) + nouns.labels[noun],
        names,
    )


def _overlapping(
    a: NDArray[np.float64], b: NDArray[np.float64], min_tiou: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows of both and the tIoU of the m pairs that overlap enough: `[n, 2], [k, 2] -> [m], [m], [m]`."""
    parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for begin in range(0, len(a), _ROWS_AT_ONCE):
        tiou = pairwise_tiou(a[begin : begin + _ROWS_AT_ONCE], b)
        row, column = np.nonzero(tiou >= min_tiou)
        parts.append((row + begin, column, tiou[row, column]))
    rows, columns, tious = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, columns, tious


def _part_of(actions: Mapping[str, Detections], part: int) -> dict[str, Detections]:
    """Return the detections with the verbs (0) or nouns (1) as their labels."""
    tables: dict[tuple[str, ...], tuple[NDArray[np.int64], tuple[str, ...]]] = {}
    result = {}
    for id_, of_video in actions.items():
        if of_video.label_names not in tables:
            names = [_parted(label, id_)[part] for label in of_video.label_names]
            numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
            table = np.array([numbers[name] for name in names], dtype=np.int64)
            tables[of_video.label_names] = table, tuple(numbers)
        table, known = tables[of_video.label_names]
        result[id_] = replace(of_video, labels=table[of_video.labels], label_names=known)
    return result


def _parted(label: str, video_id: str) -> tuple[str, str]:
    verb, comma, noun = label.partition(_SEPARATOR)
    if not comma:
        raise AnnotationError(f"detections of {video_id!r}: label {label!r} is not an action, which is 'verb,noun'")
    return verb, noun
