"""What can be wrong with the names of classes, and with how their instances are spread."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from untrimmed.data.check.report import Finding, Severity, count, some
from untrimmed.data.check.roles import TRAINING, Roles, label_counts

FEW = 5
"""Training instances of a class below which a warning says that they are few."""


def label_findings(roles: Roles, *, lenient: bool) -> Iterator[Finding]:
    """Yield what is wrong with labels; with `lenient`, those that differ only by case are let pass with a warning."""
    yield from _similar_labels(roles, "warning" if lenient else "error")
    yield from _untrained_labels(roles)
    yield from _unscored_labels(roles)
    yield from _rare_labels(roles)


def _similar_labels(roles: Roles, severity: Severity) -> Iterator[Finding]:
    """Labels that are probably the same. Training would make a class of each."""
    instances = sum((label_counts(videos) for videos in roles.values()), Counter[str]())
    for labels in _alike(instances):
        rare = min(labels, key=lambda label: instances[label])
        ids = tuple(v.id for videos in roles.values() for v in videos if any(i.label == rare for i in v.instances))
        shown = ", ".join(f"{label!r} ({count(instances[label], 'instance')})" for label in labels)
        message = (
            f"different classes that differ only by {_difference(labels)}: {shown}; {rare!r} is in "
            f"{some(dict.fromkeys(ids))}. Rename them if they are one"
        )
        if severity == "error":
            message += ", or let them be two by data.unusable drop"
        yield Finding(severity, "labels", message, tuple(dict.fromkeys(ids)))


def _alike(labels: Mapping[str, int]) -> list[list[str]]:
    """Return groups of several labels that differ only by case, spaces, or how Unicode writes a character."""
    alike: dict[str, list[str]] = defaultdict(list)
    for label in sorted(labels):
        plain = "".join(c for c in unicodedata.normalize("NFKC", label) if unicodedata.category(c) != "Cf")
        alike[" ".join(plain.split()).casefold()].append(label)
    return [group for group in alike.values() if len(group) > 1]


def _difference(labels: Sequence[str]) -> str:
    plain = {" ".join(label.split()).casefold() for label in labels}
    return "case or spaces" if len(plain) == 1 else "what is not seen, such as two ways to write an accent"


def _untrained_labels(roles: Roles) -> Iterator[Finding]:
    """Labels that a model is asked for and never shown: some are usual in benchmarks, most are a wrong file."""
    trained = label_counts(roles.get(TRAINING, ()))
    for role, videos in roles.items():
        counts = label_counts(videos)
        unknown = {label: n for label, n in counts.items() if label not in trained}
        if not trained or not unknown:
            continue
        shown = some(f"{label!r} ({count(n, 'instance')}){_meant(label, trained)}" for label, n in unknown.items())
        message = f"{count(len(unknown), 'label')} without a training instance, so never found: {shown}"
        ids = tuple(video.id for video in videos if any(i.label in unknown for i in video.instances))
        lost = sum(unknown.values())
        if 2 * lost > counts.total():
            message += (
                f". They are {lost:,} of {count(counts.total(), 'instance')}: name the subsets that belong together"
            )
        severity: Severity = "error" if 2 * lost > counts.total() else "warning"
        yield Finding(severity, f"{role} labels", f"{message}. Correct misspelt ones, or label some to train on", ids)


def _unscored_labels(roles: Roles) -> Iterator[Finding]:
    """Labels that nothing says of how well they are found."""
    others = [label_counts(videos) for role, videos in roles.items() if role != TRAINING]
    scored = sum(others, Counter[str]())
    if not scored:
        return
    unscored = [(label, n) for label, n in label_counts(roles.get(TRAINING, ())).items() if label not in scored]
    if unscored:
        shown = some(f"{label!r} ({count(n, 'instance')}){_meant(label, scored)}" for label, n in unscored)
        message = f"{count(len(unscored), 'label')} with training instances only, so never scored: {shown}"
        way_out = "Move a video with it to the others, or split anew by `untrimmed split`"
        yield Finding("warning", f"{TRAINING} labels", f"{message}. {way_out}")


def _rare_labels(roles: Roles) -> Iterator[Finding]:
    """Classes that there is hardly anything to learn of."""
    trained = label_counts(roles.get(TRAINING, ()))
    few = sorted(((label, n) for label, n in trained.items() if n < FEW), key=lambda pair: pair[1])
    if few:
        often = {label: n for label, n in trained.items() if n >= FEW}
        shown = some(f"{label!r} {n}{_meant(label, often)}" for label, n in few)
        message = f"{count(len(few), 'label')} with fewer than {FEW} training instances: {shown}"
        yield Finding("warning", f"{TRAINING} labels", f"{message}. Label more of them, or leave them out")


def _meant(label: str, known: Mapping[str, int]) -> str:
    """Return a hint at a label that may have been meant. One with another number is another class, and none."""

    def without_digits(name: str) -> str:
        return re.sub(r"\d", "", name)

    others = [name for name in known if without_digits(name) != without_digits(label)]
    near = difflib.get_close_matches(label, others, n=1)
    return f", perhaps {near[0]!r}" if near else ""
