"""Submission files of the benchmarks' evaluation servers: writers, and a check of a file before it is uploaded.

A server tells after hours, or after one of few attempts is used up, that it does not take a file. `check_submission`
says so before: what it finds is a list, and an empty one means that the benchmark's published evaluation code would
take the file. It is stricter than that code: what the code would read, but score as nothing or otherwise than meant (a
reversed segment, an unknown video, an action other than its verb and noun), is found too.

None of the three benchmarks' published code limits the number of detections; `most_per_video` is for a server that
does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from untrimmed.data.annotations import Annotations
from untrimmed.data.formats.reading import Problem
from untrimmed.data.formats.submissions import activitynet, ego4d, epic_kitchens
from untrimmed.data.formats.submissions.activitynet import write_activitynet_submission
from untrimmed.data.formats.submissions.checking import Check, content_of
from untrimmed.data.formats.submissions.ego4d import write_moments_submission
from untrimmed.data.formats.submissions.epic_kitchens import Supervision, write_epic_kitchens_submission

Benchmark = Literal["activitynet", "epic_kitchens", "ego4d"]

__all__ = [
    "Benchmark",
    "Supervision",
    "check_submission",
    "write_activitynet_submission",
    "write_epic_kitchens_submission",
    "write_moments_submission",
]


def check_submission(
    path: str | Path, benchmark: Benchmark, truth: Annotations | None = None, *, most_per_video: int | None = None
) -> list[Problem]:
    """Return why a benchmark's server would not take a file, or would not count parts of it; empty if all is well.

    Nothing in the file is trusted, and the list is short however many faults there are: of each kind of fault the first
    few are shown, with the number of others.

    Args:
        path: the file, `.json`, of EPIC-KITCHENS also `.zip`.
        benchmark: whose server it is for.
        truth: the videos of the subset that the server evaluates, each of which has to be in the file, and the labels
            (these do not matter to EPIC-KITCHENS, where any of the three tasks will do); left out: neither is checked.
        most_per_video: how many detections of one video the server takes.
    """
    check = Check(truth, most_per_video)
    content = content_of(Path(path), check, member=epic_kitchens.MEMBER if benchmark == "epic_kitchens" else None)
    if content is not None:
        find = {"activitynet": activitynet.find, "epic_kitchens": epic_kitchens.find, "ego4d": ego4d.find}[benchmark]
        find(content, check)
    return check.findings()
