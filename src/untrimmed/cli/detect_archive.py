"""`untrimmed detect --ray`."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path

from untrimmed.archive.cluster import ClusterConfig
from untrimmed.archive.detection import ArchiveDetection, detect_archive
from untrimmed.archive.detection_job import DetectionJob
from untrimmed.archive.outcomes import Tally
from untrimmed.cli.archive import show_failures, warn_of_damaged
from untrimmed.cli.console import bar, show_json
from untrimmed.cli.stopping import sigterm_interrupts, stopped
from untrimmed.data.check.report import count
from untrimmed.video.extraction.progress import Progress


def detect_in_cluster(
    paths: list[Path], job: DetectionJob, cluster: ClusterConfig, *, outcomes: Path | None, json: bool
) -> None:
    """Detect in a Ray cluster, and say what came of it; exits with 1 if a recording failed."""
    began = time.monotonic()
    try:
        with sigterm_interrupts():
            detected = _detected(paths, job, cluster, outcomes)
    except KeyboardInterrupt:
        stopped("; what is finished is kept")
    warn_of_damaged(detected.tally)
    if json:
        show_json({"out": str(detected.out), "outcomes": str(detected.outcomes)} | _sums(detected.tally))
    else:
        tally = detected.tally
        print(
            f"{detected.out}: detections of {count(tally.done, 'recording')} were made, in "
            f"{time.monotonic() - began:,.1f} s; those of {count(tally.were_there, 'recording')} were there already"
        )
        print(f"What came of each recording is in {detected.outcomes}")
        if tally.failed:
            show_failures("Not detected in", tally, detected.outcomes)
    if detected.tally.failed:
        sys.exit(1)


def _detected(paths: list[Path], job: DetectionJob, cluster: ClusterConfig, outcomes: Path | None) -> ArchiveDetection:
    with bar() as shown:
        task = shown.add_task("detecting", total=None, note="starting")

        def update(progress: Progress) -> None:
            shown.update(task, completed=progress.videos, total=progress.of_videos, note="recordings")

        return detect_archive(paths, job, cluster, outcomes_file=outcomes, on_progress=update)


def _sums(tally: Tally) -> dict[str, object]:
    return {key: value for key, value in asdict(tally).items() if key != "rows"}
