"""Submissions to the Moment Queries challenge of Ego4D.

::

    {"version": "1.0", "challenge": "ego4d_moment_queries",
     "detect_results":   {"<clip uid>": [{"label": "wash_hands", "score": 0.93, "segment": [3.5, 9.25]}]},
     "retrieve_results": {"<clip uid>": [{"label": "wash_hands", "score": 0.93, "segment": [3.5, 9.25]}]}}

The schema is that of `MQ/Merge_detection_retrieval.py` and `MQ/Evaluation/ego4d/eval_detection.py` of
EGO4D/episodic-memory. Detection is scored by mean average precision, retrieval by recall of those labels that a clip
has. Detections of other labels do not harm retrieval, so the same ones may serve for both. Times are in seconds from
the beginning of the clip; a label that the code does not know it leaves out silently.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.data.formats.submissions.activitynet import known_label, labelled
from untrimmed.data.formats.submissions.checking import Check, by_video, check_suffix, write_checked


def write_moments_submission(
    detections: Iterable[Detections],
    path: str | Path,
    truth: Annotations | None = None,
    *,
    retrieved: Iterable[Detections] | None = None,
) -> None:
    """Write a submission.

    Args:
        detections: of each clip; in seconds from its beginning. Where features are rows of those of a video, see
            `untrimmed.data.formats.ego4d.clip_shifts`.
        path: a `.json` file.
        truth: the clips of the evaluated subset. With it, clips without detections are in the file too, and others
            refused.
        retrieved: what to be scored by recall; left out: `detections`.

    Raises:
        AnnotationError: if `check_submission` would find something; the file is then not written.
        OSError: if the file cannot be written.
    """
    path = Path(path)
    check_suffix(path, ".json")
    detected = by_video(detections, labelled, truth)
    content = {
        "version": "1.0",
        "challenge": "ego4d_moment_queries",
        "detect_results": detected,
        "retrieve_results": detected if retrieved is None else by_video(retrieved, labelled, truth),
    }
    write_checked(path, content, find, truth, path.name)


def find(content: Mapping[str, Any], check: Check) -> None:
    """Look through the content of a submission."""
    check.value(content, "version", "1.0")
    check.value(content, "challenge", "ego4d_moment_queries")
    for key in ("detect_results", "retrieve_results"):
        check.results(content, key, known_label(check))
