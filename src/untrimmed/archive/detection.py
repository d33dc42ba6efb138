"""Detecting in an archive of videos or features, by the workers of a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from untrimmed.archive.cluster import ClusterConfig, connected, room_for
from untrimmed.archive.description import describe, description_of
from untrimmed.archive.detection_job import DetectionJob, Setting, setting_of
from untrimmed.archive.detection_store import SHARDS, digests_there, videos_together
from untrimmed.archive.detection_worker import TOGETHER, DetectionWorker
from untrimmed.archive.outcomes import OutcomeFile, Tally, outcomes_beside
from untrimmed.archive.pipeline import asked, count, outcomes
from untrimmed.data.out_folder import absolute, out_folder
from untrimmed.video.extraction.progress import Progress


@dataclass(frozen=True)
class ArchiveDetection:
    """What came of an archive.

    Attributes:
        out: the folder with a file for each recording, or with shards; or its address.
        outcomes: the file with a line of JSON for each recording: the fields of `DetectionOutcome`.
        tally: the sum of it.
    """

    out: str
    outcomes: Path
    tally: Tally


def detect_archive(
    paths: Sequence[str | Path],
    job: DetectionJob,
    cluster: ClusterConfig,
    *,
    outcomes_file: str | Path | None = None,
    on_progress: Callable[[Progress], object] = lambda _: None,
) -> ArchiveDetection:
    """Detect in an archive; a file `<id>.<format>` for each recording is written by the worker that made it, or shards.

    The files are those that `untrimmed detect --format` writes without Ray, if the processors are of one kind and the
    threads as many (see `extract_archive`). Features of like length share a batch, which changes the last bit of some
    scores; so the recordings of a window are always computed together, also if some of their files are there already.
    Windows are counted from the beginning of each run's sources: with other sources, that bit may differ.

    Args:
        paths: of videos or feature files, of folders with them, and of manifests, which are read as a stream.
        job: what is asked for; `threads`, `decoders` and `places` are filled in.
        cluster: where the work is done.
        outcomes_file: for what came of each recording; `<out>.outcomes.jsonl` if left out, beside the folder, or here
            if that is at an address.
        on_progress: is told how far it is.

    Raises:
        UntrimmedError: if the model, the extractor, the cluster or a source cannot be used, or the folder holds
            detections of another making; what is wrong with a recording stands in the file of outcomes.
    """
    out = out_folder(absolute(job.out))
    beside = outcomes_beside(job.out) if outcomes_file is None else Path(outcomes_file)
    sources = [Path.cwd() / path for path in paths]
    places = (str(Path.cwd()), *(str(place) for place in sys.path if place))
    job = replace(job, out=absolute(job.out), model=str(Path.cwd() / job.model), threads=cluster.threads, places=places)
    with ExitStack() as stack:
        stack.enter_context(connected(cluster))
        room, device = room_for(cluster, job.device, decoding=job.kind == "videos")
        job = replace(job, device=device, decoders=room.decoders)
        recordings = count(sources, job.kind)
        setting: Setting = asked(setting_of, room, job)
        describe(out, description_of(job, setting.fingerprint))
        there = digests_there(out) if job.format == SHARDS else np.zeros(0, np.uint64)
        kept = stack.enter_context(OutcomeFile(beside))
        tally, size = Tally(), _together(job, recordings, room.most * max(1, room.decoders))
        made = outcomes(sources, job.kind, size, DetectionWorker, (job, setting, there), room)
        for outcome in stack.enter_context(closing(made)):
            kept.add(outcome)
            tally.add(outcome)
            on_progress(Progress(tally.recordings, recordings, tally.recordings, recordings))
    return ArchiveDetection(str(out), beside, tally)


def _together(job: DetectionJob, recordings: int, at_once: int) -> int:
    """Return how many recordings a window has, of which so many are in work at once."""
    if job.kind == "features":
        return TOGETHER
    return videos_together(recordings, at_once) if job.format == SHARDS else 1
