"""`untrimmed extract --ray`."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from untrimmed.archive.cluster import ClusterConfig
from untrimmed.archive.extraction import ArchiveExtraction, extract_archive
from untrimmed.cli.archive import show_failures, warn_of_damaged
from untrimmed.cli.console import show_json
from untrimmed.cli.stopping import stopped
from untrimmed.data.check.report import count
from untrimmed.video.extraction.progress import Progress
from untrimmed.video.extraction.workers import ExtractorChoice


class Shown(Protocol):
    """What shows how far it is."""

    def update(self, progress: Progress) -> None:
        """Show it."""

    def stop(self) -> None:
        """Take it away."""


def extract_in_cluster(
    videos: list[Path],
    out: str,
    choice: ExtractorChoice,
    cluster: ClusterConfig,
    *,
    half: bool,
    shots: bool,
    allow_truncated: bool,
    outcomes: Path | None,
    json: bool,
    shown: Shown,
) -> None:
    """Make features in a Ray cluster, and say what came of it; exits with 1 if a video failed."""
    began = time.monotonic()
    try:
        extraction = extract_archive(
            videos,
            out,
            choice,
            cluster,
            half=half,
            shots=shots,
            allow_truncated=allow_truncated,
            outcomes_file=outcomes,
            on_progress=shown.update,
        )
    except KeyboardInterrupt:
        shown.stop()
        stopped("; finished videos are kept")
    shown.stop()
    warn_of_damaged(extraction.tally)
    if json:
        tally = asdict(extraction.tally)
        show_json({"out": str(extraction.out), "outcomes": str(extraction.outcomes)} | tally)
    else:
        _show(extraction, time.monotonic() - began)
    if extraction.tally.failed:
        sys.exit(1)


def _show(extraction: ArchiveExtraction, took: float) -> None:
    tally = extraction.tally
    print(
        f"{extraction.out}: features of {count(tally.done, 'video')} were made, {tally.rows:,} rows of "
        f"{extraction.description.dimension:,} dimensions; {tally.seconds:,.1f} s of video in {took:,.1f} s; "
        f"those of {count(tally.were_there, 'video')} were there already"
    )
    print(f"What came of each video is in {extraction.outcomes}")
    if tally.failed:
        show_failures("Not extracted", tally, extraction.outcomes)
