"""Splits of a data set into parts: by video or by group, with the classes spread evenly."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from untrimmed.data.annotations import Annotations
from untrimmed.errors import AnnotationError, ConfigError


def fold_names(count: int) -> tuple[str, ...]:
    """Return what `count` folds are called: fold0, fold1, ..."""
    return tuple(f"fold{i}" for i in range(count))


def split(
    annotations: Annotations, shares: Mapping[str, float], *, groups: Mapping[str, str] | None = None, seed: int = 0
) -> Annotations:
    """Return the same videos with new subsets.

    Groups are dealt out one by one, those first whose classes are spread most unevenly, each to the part that after it
    is nearest to its share of every class, of the videos without actions, and of all videos. Of equal parts, and of
    equal groups, chance chooses. The result depends on the ids and contents of the videos and the seed, not on their
    order.

    Args:
        annotations: the videos.
        shares: the names of the parts, and how large they are relative to each other.
        groups: by video id, the group (a person, a camera) that has to stay together; by default each video is one.
        seed: of chance.

    Raises:
        ConfigError: if there are fewer than two parts, a share is not positive, or there are more parts than groups.
    """
    if len(shares) < 2 or not all(0 < share < np.inf for share in shares.values()):
        stated = ", ".join(f"{name}={share:g}" for name, share in shares.items()) or "none"
        raise ConfigError(f"the parts are {stated}; there have to be two or more, each with a positive share")
    members: dict[str, list[str]] = defaultdict(list)
    for id_ in sorted(annotations.videos):
        members[id_ if groups is None else groups[id_]].append(id_)
    if len(members) < len(shares):
        what = "videos" if groups is None else "groups"
        raise ConfigError(f"{annotations.source}: {len(members)} {what} cannot be split into {len(shares)} parts")

    names = list(members)
    counts = np.array([_counts(annotations, members[name]) for name in names])  # [groups, classes + 2]
    wanted = np.array(list(shares.values())) / sum(shares.values())
    ideal = wanted[:, None] * counts.sum(0)  # [parts, classes + 2]
    weight = 1 / np.maximum(counts.sum(0), 1)  # every class counts alike, however frequent
    random = np.random.default_rng(seed)
    unevenness = (counts * np.sqrt(weight)).std(axis=1)
    order = np.lexsort((random.random(len(names)), -unevenness))
    filled = np.zeros_like(ideal)
    free = np.ones(len(shares), dtype=np.int64)  # groups that each part still has to get, to have one at all
    part_of: dict[str, str] = {}
    parts = list(shares)
    for place, row in enumerate(order):
        # The squared distance from the ideal, relative to the part's share, before and after this group.
        before, after = filled - ideal, filled + counts[row] - ideal
        cost = ((after**2 - before**2) * weight).sum(1) / wanted
        if len(order) - place <= free.sum():
            cost = np.where(free > 0, cost, np.inf)
        best = np.flatnonzero(cost <= cost.min() + 1e-12)
        chosen = int(random.choice(best))
        filled[chosen] += counts[row]
        free[chosen] = 0
        part_of |= dict.fromkeys(members[names[row]], parts[chosen])
    return replace(annotations, videos={video.id: replace(video, subset=part_of[video.id]) for video in annotations})


def groups_by(annotations: Annotations, pattern: str) -> dict[str, str]:
    """Return the group of each video, as its id says.

    Args:
        annotations: the videos.
        pattern: a regular expression that finds the group in an id; what is in its first pair of brackets, or all that
            it matches.

    Raises:
        ConfigError: if it is no regular expression.
        AnnotationError: if it is not found in an id.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{pattern!r} is no regular expression ({error}); an example is ^(.*?)_") from None
    found: dict[str, str] = {}
    for id_ in annotations.videos:
        match = expression.search(id_)
        if match is None:
            raise AnnotationError(f"{annotations.source}: video {id_!r} has no group: {pattern!r} is not found in it")
        found[id_] = (match[1] if expression.groups else match[0]) or ""
    return found


def _counts(annotations: Annotations, ids: list[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Count the instances of a group by class; then its videos without actions, and its videos."""
    counts = np.zeros(len(annotations.labels) + 2)
    for id_ in ids:
        numbers = annotations.label_numbers(annotations[id_])
        np.add.at(counts, numbers, 1)
        counts[-2] += not len(numbers)
    counts[-1] = len(ids)
    return counts
