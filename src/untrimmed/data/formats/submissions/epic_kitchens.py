"""Submissions to the action detection challenge (C2) of EPIC-KITCHENS-100.

::

    {"version": "0.2", "challenge": "action_detection", "sls_pt": 2, "sls_tl": 3, "sls_td": 3, "results": {
        "P01_11": [{"verb": 0, "noun": 2, "action": "0,2", "score": 0.93, "segment": [0.0, 1.89]}]}}

The schema is that of `EvaluationCode/evaluate_detection_json_ek100.py` of epic-kitchens/C2-Action-Detection, which
takes this version and this challenge only, verbs from 0 to 96 and nouns from 0 to 299, and no NaN. Each detection
counts as one of its verb, of its noun and of its action. The server takes a zip file with the single file `test.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detection, Detections
from untrimmed.data.formats.epic_kitchens import parse_action
from untrimmed.data.formats.reading import shown
from untrimmed.data.formats.submissions.checking import Check, by_video, check_suffix, rounded, write_checked
from untrimmed.errors import AnnotationError

MEMBER = "test.json"
"""The file in the zip file."""

_COUNTS = {"verb": 97, "noun": 300}
_LEVELS = {"sls_pt": "pretraining", "sls_tl": "training labels", "sls_td": "training data"}
_HIGHEST_LEVEL = 5


@dataclass(frozen=True, slots=True)
class Supervision:
    """The supervision levels that a submission has to state, 0 to 5, as epic-kitchens/sls defines them.

    The values here are the defaults of the challenges' own code: for features pretrained on public images and videos,
    and a model trained on all labels of the training set. The definition decides, for instance if validation videos
    were trained on too.

    Attributes:
        pretraining: `sls_pt`.
        labels: `sls_tl`, training labels.
        data: `sls_td`, training data.
    """

    pretraining: int = 2
    labels: int = 3
    data: int = 3


def write_epic_kitchens_submission(
    detections: Iterable[Detections],
    path: str | Path,
    truth: Annotations | None = None,
    *,
    supervision: Supervision,
) -> None:
    """Write a submission.

    Args:
        detections: of actions, for each video: labels are pairs of verb and noun like `0,2`, as
            `untrimmed.data.formats.epic_kitchens` reads them for the task `action`; in seconds.
        path: a `.zip` file, as the server takes it, or a `.json` file, as the evaluation code does.
        truth: the evaluated subset, of any task. With it, videos without detections are in the file too, and others
            refused.
        supervision: the levels to state.

    Raises:
        AnnotationError: if a label is no such pair, or `check_submission` would find something; the file is then not
            written.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    check_suffix(path, ".zip", ".json")
    content = {
        "version": "0.2",
        "challenge": "action_detection",
        "sls_pt": supervision.pretraining,
        "sls_tl": supervision.labels,
        "sls_td": supervision.data,
        "results": by_video(detections, _entry, truth),
    }
    write_checked(path, content, find, truth, MEMBER)


def find(content: Mapping[str, Any], check: Check) -> None:
    """Look through the content of a submission."""
    check.value(content, "version", "0.2")
    check.value(content, "challenge", "action_detection")
    for key, what in _LEVELS.items():
        if not _is_class(content.get(key), _HIGHEST_LEVEL + 1):
            found = shown(content[key]) if key in content else "missing"
            message = f"is {found}, but has to be the supervision level of {what}, 0 to {_HIGHEST_LEVEL}"
            check.add("supervision levels", f'"{key}"', message)

    def check_classes(place: str, detection: Mapping[str, Any]) -> None:
        for key, count in _COUNTS.items():
            if not _is_class(detection.get(key), count):
                found = shown(detection[key]) if key in detection else "missing"
                check.add(f"{key}s", place, f'"{key}" is {found}, but has to be a whole number from 0 to {count - 1}')
                return
        expected = f"{detection['verb']},{detection['noun']}"
        action = detection.get("action")
        if not isinstance(action, str) or parse_action(action) != (detection["verb"], detection["noun"]):
            found = shown(action) if "action" in detection else "missing"
            check.add("actions", place, f'"action" is {found}, but has to be "{expected}", its verb and noun')

    check.results(content, "results", check_classes)


def _is_class(value: object, below: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < below


def _entry(detection: Detection) -> dict[str, Any]:
    pair = parse_action(detection.label)
    if pair is None:
        message = f"label {detection.label!r} is no action; expected are verb and noun by number, as '0,2'"
        raise AnnotationError(f"detections of EPIC-KITCHENS: {message}: combine detections of both first")
    verb, noun = pair
    return {"verb": verb, "noun": noun, "action": f"{verb},{noun}", **rounded(detection)}
