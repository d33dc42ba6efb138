"""From videos to features: of one in memory, of many in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features import FeatureDescription
from untrimmed.data.features.writing import feature_folder
from untrimmed.data.remote import refuse_out, shown
from untrimmed.errors import ConfigError
from untrimmed.processors import usable_cores
from untrimmed.video.extraction.feature_stream import FeatureStream, OnProgress
from untrimmed.video.extraction.finding import find_sources
from untrimmed.video.extraction.one_video import SHOTS, Outcome, Task, carry_out
from untrimmed.video.extraction.planning import plan_one
from untrimmed.video.extraction.progress import Progress, ProgressOfAll, now_and_then
from untrimmed.video.extraction.workers import ExtractorChoice, OnProgressOf, Workers

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor

MOST_PROCESSES = 16
"""Unless more are asked for: each holds the weights and the libraries in memory."""


@dataclass(frozen=True, eq=False)
class Extracted:
    """The features of one video.

    Attributes:
        features: `[T, D]`.
        duration: seconds at which the last picture ends.
        damaged: packets that could not be decoded, and were skipped.
    """

    features: NDArray[np.float32]
    duration: float
    damaged: int


def extract_features(
    path: str | Path, extractor: Extractor, *, allow_truncated: bool = False, on_progress: OnProgress | None = None
) -> Extracted:
    """Make features of one video; it is decoded in a thread, ahead of the extractor.

    Args:
        path: of the video.
        extractor: what makes them.
        allow_truncated: take a video that ends before it should as it is.
        on_progress: is called with the seconds read and those that the container declares (`None` where it does not),
            for every frame that is sampled.

    Raises:
        VideoError: if the file cannot be decoded, or not all of it.
        FeatureError: if what the extractor makes is not what features have to be.
    """
    stream = FeatureStream(path, extractor, allow_truncated=allow_truncated, on_progress=on_progress)
    features = np.concatenate(list(stream))
    return Extracted(features, stream.duration, stream.damaged)


@dataclass(frozen=True)
class Extraction:
    """What came of many videos.

    Attributes:
        out: the folder with their features.
        description: of the features, as it stands in `features.json`.
        videos: what came of each, by id; also of those that there were features of before.
    """

    out: Path
    description: FeatureDescription
    videos: Mapping[str, Outcome]

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Those without features, or without cuts if these were asked for."""
        return tuple(outcome for outcome in self.videos.values() if outcome.error is not None)

    @property
    def were_there(self) -> tuple[Outcome, ...]:
        """Those that nothing had to be done for."""
        return tuple(outcome for outcome in self.videos.values() if outcome.was_there)


def extract_videos(
    paths: Iterable[str | Path],
    out: str | Path,
    extractor: str | Extractor = "default",
    *,
    stride: float | None = None,
    window: float | None = None,
    rate: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    processes: int | None = None,
    half: bool = False,
    shots: bool = False,
    allow_truncated: bool = False,
    trust_python: bool = False,
    on_progress: Callable[[Progress], object] = lambda _: None,
) -> Extraction:
    """Make features of many videos, `<id>.npy` each, in a folder with a `features.json` that says what made them.

    Files are never half written, and those that are there already are kept: a run that was killed at any instant goes
    on, if it is started again with the same arguments, and ends with the same bytes. Several runs may be at work in one
    folder. What is wrong with a video does not stop the others.

    Args:
        paths: of videos, of folders that are searched for videos, and of manifests (see `find_sources`).
        out: the folder, new or of the same extractor.
        extractor: its name (see `open_extractor`), for processes that each open it; or an extractor, which works in
            this process.
        stride: see `open_extractor`, as for the next four and `trust_python`.
        window: see there.
        rate: see there.
        device: see there.
        precision: see there.
        processes: how many are at work at once. Left out: one for each core, or for each video if these are fewer; on
            another device than the processor, one. The cores are shared out among them.
        half: write float16, which takes half the space.
        shots: also write when a video's shots change, to `shots/<id>.csv` in the folder.
        allow_truncated: take videos that end before they should as they are.
        trust_python: see `open_extractor`.
        on_progress: is told how far it is, several times a second.

    Raises:
        VideoError: if there are no videos, or two have one id.
        ConfigError: if an option is wrong, the extractor or the device is unknown, or the folder holds features of
            another making; nothing is touched then.
        UntrimmedError: if the extractor cannot be opened for another reason.
        FeatureError: if the folder cannot be written to.
    """
    out = Path(out)
    named = isinstance(extractor, str)
    choice = ExtractorChoice(
        name=extractor if isinstance(extractor, str) else extractor.name,
        stride=stride,
        window=window,
        rate=rate,
        device=device,
        precision=precision,
        trust_python=trust_python,
    )
    _refuse_nonsense(choice, processes, out, named=named)
    videos = find_sources(paths)
    with ExitStack() as stack:
        if isinstance(extractor, str):
            count, threads = shared_out(len(videos), processes, usable_cores(), os.environ.get("OMP_NUM_THREADS"))
            workers = stack.enter_context(Workers(choice, threads))
            if processes is None and workers.greeting.device != "cpu":
                count = 1
            description, run = workers.greeting.description, partial(workers.run, count)
        else:
            description, run = extractor.description, partial(_run_here, extractor)
        stack.enter_context(feature_folder(out, description, [SHOTS]))
        every = Task(id="", path="", half=half, allow_truncated=allow_truncated, device=device)
        tasks, outcomes = _plan(videos, out, description.dimension, every, shots=shots)
        made = stack.enter_context(closing(_carried_out(tasks, run, on_progress)))  # nobody works when it is left
        for outcome in made:
            before = outcomes.get(outcome.id)
            rows = outcome.rows if before is None else before.rows
            outcomes[outcome.id] = replace(outcome, rows=rows)
    told = {video_id: replace(outcomes[video_id], path=shown(outcomes[video_id].path)) for video_id in videos}
    return Extraction(out, description, told)


def shared_out(videos: int, processes: int | None, cores: int, most_threads: str | None = None) -> tuple[int, int]:
    """Return how many processes to start for so many videos, and how many threads each of them has.

    Neither depends on what has been done already: sums in another number of threads may differ in the last bit, and a
    run that goes on where it was is to end with the same bytes.

    Args:
        videos: in all.
        processes: that were asked for; `None` leaves it open.
        cores: that there are.
        most_threads: what `OMP_NUM_THREADS` says, which is obeyed if it is a number.
    """
    count = min(videos, processes or min(cores, MOST_PROCESSES))
    threads = max(1, cores // count)
    if most_threads is not None and most_threads.isdecimal():
        threads = max(1, min(threads, int(most_threads)))
    return count, threads


_Run = Callable[[Sequence[Task], OnProgressOf], Generator[Outcome, None, None]]


def _refuse_nonsense(choice: ExtractorChoice, processes: int | None, out: Path, *, named: bool) -> None:
    """Refuse options that are wrong whatever the videos are.

    Raises:
        ConfigError: if one is.
    """
    if processes is not None and processes < 1:
        raise ConfigError(f"processes is {processes}, but has to be 1 or more")
    if not named and (processes is not None or choice != ExtractorChoice(name=choice.name)):
        raise ConfigError(
            "processes, and how an extractor is made, can be chosen only where it is named; an extractor that is there "
            "already works in this process, and as it is"
        )
    refuse_out(out)
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file, but a folder for the features is expected; choose another --out")


def _plan(
    videos: Mapping[str, str], out: Path, dimension: int, every: Task, *, shots: bool
) -> tuple[list[Task], dict[str, Outcome]]:
    """Return what is to be done, the largest files first, and what is known already of videos whose features are there.

    What all tasks have in common is taken from `every`.

    Raises:
        ConfigError: if there are features of another precision.
    """
    tasks, known = [], {}
    for video_id, path in videos.items():
        task, before = plan_one(video_id, path, out, dimension, every, shots=shots)
        if task is not None:
            tasks.append(task)
        if before is not None:
            known[video_id] = before
    return sorted(tasks, key=_size, reverse=True), known


def _size(task: Task) -> int:
    """Return the size of a video's file in bytes; 0 where there is none, which will be reported with other faults."""
    path = Path(task.path)
    return path.stat().st_size if path.exists() else 0


def _carried_out(
    tasks: Sequence[Task], run: _Run, on_progress: Callable[[Progress], object]
) -> Generator[Outcome, None, None]:
    """Yield what comes of each task, and tell how far it is."""
    progress = ProgressOfAll({task.id: _size(task) for task in tasks})

    def read(video_id: str, seconds: float, declared: float | None) -> None:
        progress.read(video_id, seconds, declared)
        on_progress(progress.now)

    with closing(run(tasks, read)) as outcomes:
        for outcome in outcomes:
            progress.ended(outcome.id, outcome.duration)
            on_progress(progress.now)
            yield outcome


def _run_here(extractor: Extractor, tasks: Sequence[Task], on_progress: OnProgressOf) -> Generator[Outcome, None, None]:
    """Carry out tasks in this process, one after another."""
    for task in tasks:
        yield carry_out(task, extractor, now_and_then(partial(on_progress, task.id)))
