"""`untrimmed submit`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from untrimmed.cli.check_submission import videos_of
from untrimmed.data.detections import Detections
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.data.formats.ego4d import FeatureRows, clip_shifts
from untrimmed.data.formats.submissions import (
    Benchmark,
    Supervision,
    write_activitynet_submission,
    write_epic_kitchens_submission,
    write_moments_submission,
)
from untrimmed.errors import ConfigError


def submit(
    detections: Path,
    /,
    *,
    benchmark: Annotated[Benchmark, Parameter(name="--for")],
    out: Path,
    annotations: Path | None = None,
    subset: list[str] | None = None,
    external_data: str | None = None,
    supervision: tuple[int, int, int] | None = None,
    cut_from: tuple[int, int] | None = None,
) -> None:
    """Write detections as a benchmark's server takes them.

    The file is checked as `untrimmed check-submission` does; one in which something would be found is not written.

    Examples: `untrimmed submit found.csv --for activitynet --annotations activity_net.v1-3.json --subset testing
    --out submission.json`; `untrimmed submit actions.csv --for epic_kitchens --out test.zip`

    Parameters
    ----------
    detections
        Detections, CSV or JSON.
    benchmark
        activitynet, epic_kitchens (action detection; the detections are of actions, see `untrimmed combine`), or ego4d
        (Moment Queries).
    out
        File to write: .json; for epic_kitchens .zip.
    annotations
        The benchmark's videos and labels, in any form that `untrimmed evaluate` reads. Videos without detections are
        then written too, and detections of others are left out.
    subset
        The subset that the server evaluates; may be given several times.
    external_data
        activitynet: what was used besides ActivityNet itself, as the guidelines ask; pretrained features for instance.
    supervision
        epic_kitchens: the levels of supervision by pretraining, labels and data, 0 to 5, as the challenge defines them;
        2 3 3 where nothing is said.
    cut_from
        ego4d: stride and window (in frames, as 16 32) of the features of whole videos of which each clip's are rows.
        Times of the detections then count from the clip's first row, and are moved. Needs Ego4D's own files.
    """
    own = {
        "--external-data": (external_data, "activitynet"),
        "--supervision": (supervision, "epic_kitchens"),
        "--cut-from": (cut_from, "ego4d"),
    }
    for option, (value, of) in own.items():
        if value is not None and of != benchmark:
            raise ConfigError(f"{option} has an effect with --for {of} only: leave it out")
    truth = videos_of(annotations, subset)
    found = list(read_detections(detections, () if truth is None else truth.labels).values())
    if truth is not None:
        found = [each for each in found if each.video_id in truth.videos]
    if cut_from is not None:
        found = _moved(found, annotations, cut_from)
    match benchmark:
        case "activitynet":
            write_activitynet_submission(found, out, truth, external_data=external_data)
        case "epic_kitchens":
            levels = Supervision() if supervision is None else Supervision(*supervision)
            write_epic_kitchens_submission(found, out, truth, supervision=levels)
        case "ego4d":
            write_moments_submission(found, out, truth)
    videos = len(found) if truth is None else len(truth)
    print(f"{out}: {sum(map(len, found)):,} detections in {videos:,} videos")


def _moved(found: list[Detections], annotations: Path | None, cut_from: tuple[int, int]) -> list[Detections]:
    """Return detections whose times count from the beginning of the clip, and not from its first row of features.

    Raises:
        ConfigError: if it is not known where the rows begin.
    """
    stride, window = cut_from
    if stride < 1 or window < 1:
        raise ConfigError(f"--cut-from {stride} {window}: stride and window have to be whole numbers of frames, from 1")
    if annotations is None:
        raise ConfigError("--cut-from needs --annotations: Ego4D's own moments_*.json, or the folder with them")
    shifts = clip_shifts(annotations, FeatureRows(stride=stride, window=window))
    return [replace(each, segments=(each.segments - shifts.get(each.video_id, 0.0)).clip(min=0.0)) for each in found]
