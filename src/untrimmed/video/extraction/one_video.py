"""Extracting one video of many into a folder: what is asked for, and what came of it."""

from __future__ import annotations

import time
import traceback
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from untrimmed.data.features.writing import FeatureWriter, UnwritableError, writing
from untrimmed.data.files import write_atomically
from untrimmed.data.remote import local_copy, shown
from untrimmed.errors import UntrimmedError
from untrimmed.video.extraction.feature_stream import FeatureStream, OnProgress, ReadVideo

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor

SHOTS = "shots"
"""Name of the folder, below that of the features, for the cuts between shots."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be made of one video.

    Attributes:
        id: of the video.
        path: of its file, or its address.
        features: file to write its features to; `None` if they are not wanted.
        cuts: file to write the times of its cuts to; `None` if they are not wanted.
        half: whether features are kept as float16.
        allow_truncated: whether a video that ends before it should is taken as it is.
        device: where cuts are looked for; the extractor has its own.
    """

    id: str
    path: str
    features: str | None = None
    cuts: str | None = None
    half: bool = False
    allow_truncated: bool = False
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one video.

    Attributes:
        id: of the video.
        path: of its file.
        rows: of its features; `None` if there are none.
        duration: in seconds; `None` if its features were not made now.
        damaged: packets that could not be decoded, and were skipped.
        cuts: between shots; `None` if they were not looked for now.
        took: seconds of work.
        error: why it failed, without the path; `None` if it did not.
        was_there: whether there was nothing to do, because it had been done before.
    """

    id: str
    path: str
    rows: int | None = None
    duration: float | None = None
    damaged: int = 0
    cuts: int | None = None
    took: float = 0.0
    error: str | None = None
    was_there: bool = False


def carry_out(
    task: Task, extractor: Extractor, on_progress: OnProgress = lambda *_: None, read: ReadVideo | None = None
) -> Outcome:
    """Do what is to be done with one video, and say what came of it; whatever is wrong with the video is no exception.

    Args:
        task: what is to be done.
        extractor: what makes features.
        on_progress: is called with the seconds read and those that the container declares, for every frame. Where the
            video is read twice, for features and for cuts, each time counts half.
        read: opens the video for features; left out, it is decoded in this process. For cuts it always is.

    Raises:
        UnwritableError: if a file cannot be written, which is no fault of the video's.
    """
    began = time.perf_counter()
    rows = duration = cuts = error = None
    damaged = 0
    times = 2 if task.features is not None and task.cuts is not None else 1
    try:
        if task.features is not None:
            stream = FeatureStream(
                task.path,
                extractor,
                allow_truncated=task.allow_truncated,
                on_progress=lambda seconds, declared: on_progress(seconds / times, declared),
                read=read,
            )
            rows = _write_features(stream, extractor.dimension, Path(task.features), half=task.half)
            duration, damaged = stream.duration, stream.damaged
        if task.cuts is not None:
            before = duration or 0.0
            cuts = _write_cuts(
                task, Path(task.cuts), lambda seconds, declared: on_progress((before + seconds) / times, declared)
            )
    except UnwritableError:
        raise
    except Exception as fault:  # a video may break anything; the others go on
        error = what_went_wrong(fault)
    return Outcome(
        id=task.id,
        path=task.path,
        rows=rows,
        duration=duration,
        damaged=damaged,
        cuts=cuts,
        took=time.perf_counter() - began,
        error=None if error is None else error.removeprefix(f"{shown(task.path)}: "),
    )


def _write_features(stream: FeatureStream, dimension: int, path: Path, *, half: bool) -> int:
    """Write features as they are made; returns how many rows there are."""
    with FeatureWriter(path, dimension, half=half) as writer, closing(iter(stream)) as pieces:
        for piece in pieces:
            writer.add(piece)
    return writer.rows


def _write_cuts(task: Task, path: Path, on_progress: OnProgress) -> int:
    """Write when a video's shots change, in seconds; returns how often they do."""
    from untrimmed.video.shots import find_cuts  # noqa: PLC0415  few ask for cuts, and they need a network of their own

    with local_copy(task.path) as file:
        cuts = find_cuts(str(file), allow_truncated=task.allow_truncated, device=task.device, on_progress=on_progress)
    with writing(path):
        write_atomically(path, "".join(f"{line}\n" for line in ("seconds", *(f"{time:.3f}" for time in cuts))))
    return len(cuts)


def what_went_wrong(error: Exception) -> str:
    """Say it in a line; where it is no error of ours, with its type and place, for whoever wrote the code."""
    if isinstance(error, UntrimmedError):
        return str(error)
    reason = (str(error).strip() or "without a message").splitlines()[0]
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {reason} ({Path(last.filename).name}, line {last.lineno})"
