"""EPIC-Kitchens-100 action detection: mean average precision of verbs, nouns, and actions, which are pairs of both.

An action is a verb and a noun, and its label is their class numbers, as `0,2`, as in the official files. The truth is
given twice, as `Annotations` of the verbs and `Annotations` of the nouns; both have the same videos and the same
segments in the same order, so that instance i of a video is the same action in both. Class numbers of actions are those
of the official evaluation (C2, action detection): verb number x number of nouns + noun number.

What C2 reads is one list of detections, each with a verb, a noun, an action `0,2`, and one score. It scores the
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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.detections import Detections
from untrimmed.data.formats.epic_kitchens import parse_action
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.matching import Reading
from untrimmed.evaluation.mean_ap import MeanAP, mean_average_precision
from untrimmed.segments import pairwise_tiou

TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Thresholds of the benchmark."""

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
    """Return the truth of the actions: the same segments, labelled as `0,2`.

    All pairs of a verb and a noun are labels, so that class numbers are the official ones; most do not occur.

    Args:
        verbs: the instances with their verbs.
        nouns: the same instances with their nouns, in the same order.

    Raises:
        AnnotationError: if they are not the same videos with the same segments.
    """
    if verbs.videos.keys() != nouns.videos.keys():
        only = min(verbs.videos.keys() ^ nouns.videos.keys())
        there = verbs.source if only in verbs.videos else nouns.source
        raise AnnotationError(
            f"video {only!r} is in {there} only; truth of the verbs and truth of the nouns need the same videos"
        )
    labels = _actions(len(verbs.labels), len(nouns.labels))
    videos = {video.id: _of_actions(video, nouns[video.id], verbs, nouns) for video in verbs}
    return Annotations(videos, labels, source=verbs.source)


def combine(
    verbs: Mapping[str, Detections],
    nouns: Mapping[str, Detections],
    verb_labels: Sequence[str],
    noun_labels: Sequence[str],
    *,
    min_tiou: float = 0.5,
    most: int = 2000,
) -> dict[str, Detections]:
    """Make detections of actions of detections of verbs and detections of nouns.

    Every verb is paired with the nouns of the same video that it overlaps enough with. The action's start and end are
    the means of theirs, its score is the root of the product of their scores, times their tIoU. Of the detections of
    one noun, a verb is paired with that which gives the highest score, so that one action is not detected over and over
    again.

    Args:
        verbs: by video id.
        nouns: by video id. A video that only one of the two has gets no actions.
        verb_labels: all verbs, in the order of their class numbers.
        noun_labels: all nouns, in the order of their class numbers.
        min_tiou: how much verb and noun have to overlap, in (0, 1]. The default is not tuned.
        most: how many actions are kept of a video, the best ones; at least 1. The default is what the recipes keep of
            verbs and nouns.

    Returns:
        Detections by video id, best first, with class numbers as the module says.

    Raises:
        ConfigError: if `min_tiou` or `most` is out of range.
        AnnotationError: if a detection's label is none of the verbs or nouns.
    """
    if not 0 < min_tiou <= 1:
        raise ConfigError(f"min_tiou is {min_tiou}, but has to be in (0, 1]")
    if most < 1:
        raise ConfigError(f"most actions of a video are {most}, but have to be at least 1")
    both = verbs.keys() & nouns.keys()
    numbered_verbs = _numbered({id_: verbs[id_] for id_ in verbs if id_ in both}, verb_labels, "verbs")
    numbered_nouns = _numbered({id_: nouns[id_] for id_ in nouns if id_ in both}, noun_labels, "nouns")
    names = _actions(len(verb_labels), len(noun_labels))
    return {
        id_: _combined(of_verbs, numbered_nouns[id_], names, min_tiou, most) for id_, of_verbs in numbered_verbs.items()
    }


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
        actions: detections by video id, with labels as `0,2`: those of `combine`, or of a file.
        verbs: detections of the verbs alone; where absent, the actions count as verbs, as in C2.
        nouns: detections of the nouns alone; where absent, the actions count as nouns.
        tious: thresholds in (0, 1].
        reading: as in `mean_average_precision`.

    Raises:
        AnnotationError: if the truths do not fit, or there are no instances, or a label of `actions` is no action.
        ConfigError: as `mean_average_precision` does.
    """
    truth = action_annotations(verb_truth, noun_truth)
    verbs = part_of_actions(actions, 0, verb_truth.labels) if verbs is None else verbs
    nouns = part_of_actions(actions, 1, noun_truth.labels) if nouns is None else nouns
    return EpicScores(
        verb=mean_average_precision(verb_truth, verbs, tious, reading=reading),
        noun=mean_average_precision(noun_truth, nouns, tious, reading=reading),
        action=mean_average_precision(truth, actions, tious, reading=reading),
    )


def part_of_actions(actions: Mapping[str, Detections], part: int, labels: Sequence[str]) -> dict[str, Detections]:
    """Return the same detections, labelled with their verbs, or with their nouns.

    Args:
        actions: detections by video id, with labels as `0,2`.
        part: 0 for the verbs, 1 for the nouns.
        labels: all verbs, or all nouns, in the order of their class numbers.

    Raises:
        AnnotationError: if a label is no action of these classes.
    """
    tables: dict[tuple[str, ...], NDArray[np.int64]] = {}
    result = {}
    for id_, of_video in actions.items():
        if of_video.label_names not in tables:
            numbers = [_parsed(label, id_)[part] for label in of_video.label_names]
            tables[of_video.label_names] = np.array(numbers, dtype=np.int64)
        of_labels = tables[of_video.label_names][of_video.labels]
        if len(of_labels) and of_labels.max() >= len(labels):
            what = ("verb", "noun")[part]
            found = f"{what} {of_labels.max()}, but there are {what}s from 0 to {len(labels) - 1} only"
            raise AnnotationError(f"detections of {id_!r}: an action has {found}; are these files of one data set?")
        result[id_] = replace(of_video, labels=of_labels, label_names=tuple(labels))
    return result


def _actions(verbs: int, nouns: int) -> tuple[str, ...]:
    """Return the labels of all actions; verb v and noun n are number v * nouns + n."""
    return tuple(f"{verb},{noun}" for verb in range(verbs) for noun in range(nouns))


def _of_actions(of_verbs: Video, of_nouns: Video, verbs: Annotations, nouns: Annotations) -> Video:
    """Return a video with instances of actions."""
    if not np.array_equal(of_verbs.segments, of_nouns.segments):
        raise AnnotationError(
            f"{nouns.source}: video {of_nouns.id!r} does not have the same {len(of_verbs.instances)} segments in the "
            "same order as in the truth of the verbs; read both from the same file"
        )
    instances = (
        Instance(verb.start, verb.end, f"{verbs.label_index[verb.label]},{nouns.label_index[noun.label]}")
        for verb, noun in zip(of_verbs.instances, of_nouns.instances, strict=True)
    )
    return replace(of_verbs, instances=tuple(instances))


def _numbered(detections: Mapping[str, Detections], labels: Sequence[str], what: str) -> dict[str, Detections]:
    """Return detections with the class numbers of all labels.

    Raises:
        AnnotationError: if one has another label.
    """
    known = {label: number for number, label in enumerate(labels)}
    tables: dict[tuple[str, ...], NDArray[np.int64]] = {}
    result = {}
    for id_, of_video in detections.items():
        names = of_video.label_names
        if names not in tables:
            tables[names] = np.array([known.get(name, -1) for name in names], dtype=np.int64)
        numbers = tables[names][of_video.labels]
        if (unknown := np.flatnonzero(numbers < 0)).size:
            label = names[of_video.labels[unknown[0]]]
            raise AnnotationError(
                f"detections of {what}: video {id_!r} has {label!r}, none of the {len(labels)} {what}"
            )
        result[id_] = replace(of_video, labels=numbers, label_names=tuple(labels))
    return result


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


def _parsed(label: str, video_id: str) -> tuple[int, int]:
    action = parse_action(label)
    if action is None:
        expected = "verb and noun by number, as '0,2'"
        raise AnnotationError(f"detections of {video_id!r}: label {label!r} is no action, which is {expected}")
    return action
