"""Features of an archive of videos, made by the workers of a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from untrimmed.archive.attempts import DIED, Book
from untrimmed.archive.backbone import Backbone, greeting_of
from untrimmed.archive.cluster import ClusterConfig, connected, room_for
from untrimmed.archive.decoding import open_backbone
from untrimmed.archive.feature_store import FeatureStore
from untrimmed.archive.outcomes import OutcomeFile, Tally, outcomes_beside
from untrimmed.archive.pipeline import ArchiveWorker, asked, count, found_there, outcomes
from untrimmed.data.features import FeatureDescription
from untrimmed.data.out_folder import absolute, out_folder
from untrimmed.data.remote import refuse_address
from untrimmed.video.extraction.manifest import Entry
from untrimmed.video.extraction.one_video import Outcome, Task
from untrimmed.video.extraction.progress import Progress
from untrimmed.video.extraction.workers import ExtractorChoice, Greeting


@dataclass(frozen=True)
class ArchiveExtraction:
    """What came of an archive.

    Attributes:
        out: the folder with the features, or its address.
        description: of the features, as it stands in `features.json`.
        outcomes: the file with a line of JSON for each video: the fields of `Outcome`.
        tally: the sum of it.
    """

    out: str
    description: FeatureDescription
    outcomes: Path
    tally: Tally


def extract_archive(
    paths: Sequence[str | Path],
    out: str | Path,
    extractor: ExtractorChoice,
    cluster: ClusterConfig,
    *,
    half: bool = False,
    shots: bool = False,
    allow_truncated: bool = False,
    outcomes_file: str | Path | None = None,
    on_progress: Callable[[Progress], object] = lambda _: None,
) -> ArchiveExtraction:
    """Make features of an archive, `<id>.npy` for each video, in the folder that `extract_videos` would make.

    The bytes are the same as without Ray if the processors are of one kind, the precision is the same (`auto` depends
    on the processor), and each video is computed with as many threads: `cluster.threads` here; without Ray, the cores
    divided by the processes, or `OMP_NUM_THREADS` if that is less. How many workers there are, which of them does what,
    and what was done before, changes nothing.

    All machines have to see the videos, the folder and the weights under the same paths. Each video is written by the
    worker that made it, beside its place and renamed; a run that was ended at any instant goes on when it is started
    again. A worker that is lost is replaced by Ray, and its videos are begun anew; so is a video whose decoder is lost.
    What is wrong with a video, also if it ends the process of its decoder, stands in the file of outcomes.

    Args:
        paths: of videos, of folders that are searched for videos, and of manifests, which are read as a stream.
        out: the folder, new or of the same extractor; or the address of one in an object store, `s3://bucket/folder`.
        extractor: which one, and how it is made.
        cluster: where the work is done.
        half: see `extract_videos`, as for the next two.
        shots: see there.
        allow_truncated: see there.
        outcomes_file: for what came of each video; `<out>.outcomes.jsonl` if left out, beside the folder, or here if
            that is at an address.
        on_progress: is told how far it is, after each video.

    Raises:
        VideoError: if there are no videos, two have one id, or a manifest is wrong.
        ConfigError: if an option is wrong, there is no such extractor or cluster, or the folder holds features of
            another making; nothing is touched then.
        MissingExtraError: if Ray is not installed.
        UntrimmedError: if the extractor cannot be opened for another reason.
        FeatureError: if the folder cannot be written to.
    """
    folder = out_folder(absolute(out))
    for path in paths:
        refuse_address(Path(path), "source", "Name it in a manifest")
    beside = outcomes_beside(out) if outcomes_file is None else Path(outcomes_file)
    sources = [Path.cwd() / path for path in paths]
    with ExitStack() as stack:
        stack.enter_context(connected(cluster))
        room, device = room_for(cluster, extractor.device, decoding=True)
        videos = count(sources, "videos")
        choice = replace(extractor, device=device)
        places = [str(Path.cwd()), *(str(place) for place in sys.path if place)]
        greeting: Greeting = asked(_greeting_there, room, choice, cluster.threads, places)
        job = ExtractionJob(
            choice=choice,
            threads=cluster.threads,
            decoders=room.decoders,
            places=tuple(places),
            out=absolute(out),
            description=greeting.description,
            every=Task(id="", path="", half=half, allow_truncated=allow_truncated, device=device),
            shots=shots,
        )
        stack.enter_context(FeatureStore(folder, job.description, job.every, job.shots).at_work())
        kept = stack.enter_context(OutcomeFile(beside))
        tally = Tally()
        made = stack.enter_context(closing(outcomes(sources, "videos", 1, ExtractionWorker, job, room)))
        for outcome in made:
            kept.add(outcome)
            tally.add(outcome)
            on_progress(how_far(tally, videos))
    return ArchiveExtraction(str(folder), greeting.description, beside, tally)


def how_far(tally: Tally, recordings: int) -> Progress:
    """Return how far it is; those to come are taken to be as long as those that were worked on."""
    worked_on = tally.done + tally.failed
    total = tally.seconds * (recordings - tally.were_there) / worked_on if worked_on and tally.seconds else None
    return Progress(tally.recordings, recordings, tally.seconds, total)


@dataclass(frozen=True, kw_only=True)
class ExtractionJob:
    """What all workers are told.

    Attributes:
        choice: of the extractor.
        threads: that it computes with.
        decoders: of each worker.
        places: where modules are looked for, besides those of the worker's own machine.
        out: the folder, or its address.
        description: of the features.
        every: what all tasks have in common.
        shots: whether cuts are wanted.
    """

    choice: ExtractorChoice
    threads: int
    decoders: int
    places: tuple[str, ...]
    out: str
    description: FeatureDescription
    every: Task
    shots: bool


class ExtractionWorker(ArchiveWorker):
    """Makes features of one video after another, or of several at once; its backbone is opened when it is needed."""

    def __init__(self, job: ExtractionJob, book: Book) -> None:
        """Take what all workers are told."""
        super().__init__(book)
        self._job = job
        self._store = FeatureStore(out_folder(job.out), job.description, job.every, job.shots)
        self._backbone: Backbone | None = None
        self._opening = Lock()
        found_there(job.places)

    def work(self, window: Sequence[Entry]) -> Iterator[dict[str, Any]]:
        """Make what is missing of each video, and say what came of it."""
        for entry in window:
            with self.attempts.trying(entry.id) as allowed:
                if allowed:
                    outcome = self._store.add(entry, lambda task: self._opened().carry_out(task))
                else:
                    outcome = Outcome(id=entry.id, path=entry.path, error=DIED)
            yield asdict(outcome)

    def _opened(self) -> Backbone:
        job = self._job
        with self._opening:
            if self._backbone is None:
                self._backbone = open_backbone(job.choice, job.threads, job.description, job.decoders)
            return self._backbone


def _greeting_there(choice: ExtractorChoice, threads: int, places: Sequence[str]) -> Greeting:
    found_there(places)
    return greeting_of(choice, threads)
