"""Submissions to the detection task of ActivityNet.

::

    {"version": "VERSION 1.3", "external_data": {"used": true, "details": "TSP features"}, "results": {
        "<video id>": [{"label": "Surfing", "score": 0.93, "segment": [1.25, 4.0]}]}}

The schema is that of `Evaluation/eval_detection.py` of activitynet/ActivityNet: all three keys have to be there, and a
label that the evaluated subset does not have ends the evaluation with an error. Ids have no `v_` in front. The
challenge's guidelines ask for what was used besides ActivityNet in `external_data`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detection, Detections
from untrimmed.data.formats.reading import shown
from untrimmed.data.formats.submissions.checking import (
    Check,
    LabelCheck,
    by_video,
    check_suffix,
    rounded,
    write_checked,
)


def write_activitynet_submission(
    detections: Iterable[Detections],
    path: str | Path,
    truth: Annotations | None = None,
    *,
    external_data: str | None = None,
) -> None:
    """Write a submission.

    Args:
        detections: of each video; in seconds.
        path: a `.json` file.
        truth: the evaluated subset. With it, videos without detections are in the file too, and others refused.
        external_data: what was used besides ActivityNet itself, pretrained features for instance; `None`: nothing.

    Raises:
        AnnotationError: if `check_submission` would find something; the file is then not written.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    check_suffix(path, ".json")
    content = {
        "version": "VERSION 1.3",
        "results": by_video(detections, labelled, truth),
        "external_data": {"used": external_data is not None, "details": external_data or ""},
    }
    write_checked(path, content, find, truth, path.name)


def find(content: Mapping[str, Any], check: Check) -> None:
    """Look through the content of a submission."""
    if not isinstance(content.get("version"), str):
        found = shown(content["version"]) if "version" in content else "missing"
        check.add("version", '"version"', f'is {found}, but has to be a text, as "VERSION 1.3"')
    external = content.get("external_data")
    if not isinstance(external, dict) or not isinstance(external.get("used", False), bool):
        found = shown(external) if "external_data" in content else "missing"
        message = f'is {found}, but has to be an object {{"used": false, "details": ""}}, if nothing was used'
        check.add("external_data", '"external_data"', message)
    check.results(content, "results", known_label(check))


def labelled(detection: Detection) -> dict[str, Any]:
    """Return a detection as ActivityNet's files have it."""
    return {"label": detection.label, **rounded(detection)}


def known_label(check: Check) -> LabelCheck:
    """Return what makes sure that the label of a detection is a name, and one of the known ones."""
    labels = None if check.truth is None else check.truth.label_index

    def check_label(place: str, detection: Mapping[str, Any]) -> None:
        label = detection.get("label")
        if not isinstance(label, str):
            found = shown(label) if "label" in detection else "missing"
            check.add("labels", place, f'"label" is {found}, but has to be the name of a class')
        elif labels is not None and label not in labels:
            check.add("unknown labels", place, f'"label" is {shown(label)}, none of the {len(labels)} known labels')

    return check_label
