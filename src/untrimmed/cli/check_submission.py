"""`untrimmed check-submission`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from untrimmed.cli.console import show_json
from untrimmed.data.annotations import Annotations
from untrimmed.data.check.report import count
from untrimmed.data.formats.annotation_files import open_videos
from untrimmed.data.formats.submissions import Benchmark
from untrimmed.data.formats.submissions import check_submission as findings_in
from untrimmed.errors import ConfigError


def check_submission(
    submission: Path,
    /,
    *,
    benchmark: Annotated[Benchmark, Parameter(name="--for")],
    annotations: Path | None = None,
    subset: list[str] | None = None,
    most_per_video: int | None = None,
    json: bool = False,
) -> None:
    """Say why a benchmark's server would not take a file, or would not count parts of it, before it is uploaded.

    Exit code 1 if there is something.

    Example: `untrimmed check-submission test.zip --for epic_kitchens --annotations epic-kitchens-100/ --subset test`

    Parameters
    ----------
    submission
        The file: .json; for epic_kitchens also .zip.
    benchmark
        activitynet, epic_kitchens (action detection), or ego4d (Moment Queries).
    annotations
        The benchmark's videos and labels, in any form that `untrimmed evaluate` reads: missing and unknown ones are
        then found, too.
    subset
        The subset that the server evaluates; may be given several times.
    most_per_video
        How many detections of a video the server takes.
    json
        Print the findings as JSON.
    """
    truth = videos_of(annotations, subset)
    findings = findings_in(submission, benchmark, truth, most_per_video=most_per_video)
    if json:
        show_json({"findings": [{"place": each.place, "message": each.message} for each in findings]})
    else:
        for finding in findings:
            print(f"{submission}: {finding}")
        print(f"{submission}: {count(len(findings), 'finding')}")
    if findings:
        sys.exit(1)


def videos_of(annotations: Path | None, subset: list[str] | None) -> Annotations | None:
    """Return the videos that a server evaluates and the labels that it knows, or `None` if neither is stated.

    Raises:
        ConfigError: if there is a subset of nothing.
        AnnotationError: if the annotations cannot be read, or have no such subset.
    """
    if annotations is None:
        if subset:
            raise ConfigError("--subset needs --annotations FILE, which says what is in it")
        return None
    truth = open_videos(annotations)
    return truth.of_subsets(subset) if subset else truth
