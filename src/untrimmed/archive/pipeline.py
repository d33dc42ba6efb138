"""The way of an archive through Ray Data: names of recordings in, what came of each out.

::

    sources -> entries, read as a stream -> windows of a few -> a pool of workers -> outcomes, as they come

A window is a task of its own, so that the loss of a worker costs the windows that it holds; Ray gives them to another
one. A bounded number of windows wait at each worker, and the reader of a manifest waits for them: memory does not grow
with the archive.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed import errors
from untrimmed.archive.attempts import Attempts, Book, ClusterBook
from untrimmed.archive.cluster import Room
from untrimmed.archive.sources import Kind, digest, entries, refuse_same_ids, repeated
from untrimmed.errors import ModelError, ProcessError, UntrimmedError
from untrimmed.video.extraction.manifest import Entry
from untrimmed.video.extraction.one_video import what_went_wrong

IN_FLIGHT = 2
"""Windows that each worker is given at a time: while it works on one, the next is there already. A worker with several
decoders works on as many windows at once, and is given that many more."""
SPARE = 0.01
"""Part of a core that each worker leaves to the reading of sources, which takes a tenth of it. Workers are there from
the beginning to the end: with all of the cores reserved for them, nothing would ever be read."""
CHECKED_AT_ONCE = 8192
"""Entries whose ids are looked at together before the work begins."""


class ArchiveWorker(ABC):
    """What runs in an actor of Ray; one row is one window.

    Attributes:
        attempts: what work on recordings has to be done within, lest one ends one worker after another.

    An error that is no fault of a recording ends the whole run. It is passed on in a row: what Ray makes of exceptions
    is long, and retried.
    """

    def __init__(self, book: Book) -> None:
        """Say where it is written down what is begun; classes take what is asked for before it."""
        self.attempts = Attempts(book)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Work on a window, and return what came of each recording."""
        window = [Entry(*each) for each in json.loads(row["window"])]
        made: list[dict[str, Any]] = []
        fault = ""
        try:
            made += self.work(window)
        except UntrimmedError as error:
            fault = told(error)
        except Exception as error:  # a fault of ours: what Ray makes of it says nothing
            fault = told(ProcessError(f"a worker cannot go on: {what_went_wrong(error)}. What is finished is kept"))
        return {"outcomes": json.dumps(made), "fault": fault}

    @abstractmethod
    def work(self, window: Sequence[Entry]) -> Iterator[dict[str, Any]]:
        """Yield what came of each recording of a window, as JSON can hold it.

        Raises:
            UntrimmedError: if the whole run cannot go on.
        """


def told(error: UntrimmedError) -> str:
    """Return an error as a text, for `raise_told` in another process."""
    return json.dumps([type(error).__name__, str(error)])


def raise_told(text: str) -> None:
    """Raise the error that another process told of.

    Raises:
        UntrimmedError: always.
    """
    name, message = json.loads(text)
    kind: type[UntrimmedError] = getattr(errors, name, ModelError)
    raise kind.__new__(kind, message)  # not all of them are made of one message, but all have one


def asked(function: Callable[..., Any], room: Room, *words: Any) -> Any:
    """Call a function once in the cluster, where there is the room of a worker, and return what it returns.

    Raises:
        UntrimmedError: if it does.
    """
    import ray  # noqa: PLC0415  an extra

    answer, fault = ray.get(ray.remote(num_cpus=room.cpus, num_gpus=room.gpus)(_answered).remote(function, words))
    if fault:
        raise_told(fault)
    return answer


def count(sources: Sequence[Path], kind: Kind) -> int:
    """Return how many recordings there are, after looking once at the id of each; 8 bytes of each are kept meanwhile.

    Raises:
        UntrimmedError: if a source cannot be read or stands for nothing, or two files have one id.
    """
    rows = _stream(lambda: _digests(sources, kind))
    parts: list[NDArray[np.uint64]] = []
    for row in _rows(rows):
        if row["fault"]:
            raise_told(row["fault"])
        parts.append(np.frombuffer(row["digests"], np.uint64))
    digests = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
    if suspects := repeated(digests):
        refuse_same_ids(sources, kind, suspects)
    return len(digests)


def outcomes(
    sources: Sequence[Path],
    kind: Kind,
    size: int,
    worker: Callable[[Any, Book], ArchiveWorker],
    job: object,
    room: Room,
) -> Generator[dict[str, Any], None, None]:
    """Yield what came of each recording, as they end.

    Args:
        sources: files, folders and manifests.
        kind: what they hold.
        size: entries that a window has.
        worker: the class of the workers; it is called with `job` and a `Book`.
        job: can be pickled.
        room: of the workers; with several decoders, each is called by as many threads at once.

    Raises:
        UntrimmedError: if the run cannot go on.
    """
    from ray.data import ActorPoolStrategy  # noqa: PLC0415  an extra

    abreast = max(1, room.decoders)
    several: dict[str, Any] = {}
    if abreast > 1:
        several = {"max_concurrent_calls_per_actor": abreast, "enable_true_multi_threading": True}
    pool = ActorPoolStrategy(
        min_size=room.least,
        max_size=room.most,
        max_tasks_in_flight_per_actor=abreast - 1 + IN_FLIGHT,
        **several,
    )
    windows = _stream(lambda: _windows(sources, kind, size))
    resources = {"num_cpus": room.cpus - SPARE, **({"num_gpus": room.gpus} if room.gpus else {})}
    with closing(ClusterBook()) as book:
        for row in _rows(windows.map(worker, fn_constructor_args=(job, book), compute=pool, **resources)):
            if row["fault"]:
                raise_told(row["fault"])
            yield from json.loads(row["outcomes"])


def found_there(places: Sequence[str]) -> None:
    """Let modules be looked for where the process that asked for the work does, as far as there are such folders."""
    sys.path += [place for place in places if place not in sys.path and Path(place).exists()]


def _stream(make: Callable[[], Iterator[dict[str, Any]]]) -> Any:
    """Return a data set of the rows that a generator makes, in one task, as far ahead as Ray has room for them."""
    import ray.data  # noqa: PLC0415  an extra

    begun = ray.data.from_items([0])
    context = begun.context  # its own; the user's stays as it is
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Each row is a block, and so a task, of its own. `repartition` would do that as well, but reserves cores.
    context.target_max_block_size = 1

    def rows(_: object) -> Iterator[dict[str, list[Any]]]:
        for row in make():
            yield {key: [value] for key, value in row.items()}

    return begun.map_batches(rows, batch_size=None, num_cpus=SPARE / 10)


def _rows(dataset: Any) -> Iterator[dict[str, Any]]:
    from ray.exceptions import RayError  # noqa: PLC0415  an extra

    try:
        for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from batch.to_pylist()
    except RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise ProcessError(
            f"the cluster cannot go on: {lines[-1].strip()}. What is finished is kept: run the same again"
        ) from error


def _windows(sources: Sequence[Path], kind: Kind, size: int) -> Iterator[dict[str, Any]]:
    found = entries(sources, kind)
    while window := list(islice(found, size)):
        yield {"window": json.dumps([list(asdict(entry).values()) for entry in window])}


def _digests(sources: Sequence[Path], kind: Kind) -> Iterator[dict[str, Any]]:
    try:
        found = entries(sources, kind)
        while part := [digest(entry.id) for entry in islice(found, CHECKED_AT_ONCE)]:
            yield {"digests": np.array(part, np.uint64).tobytes(), "fault": ""}
    except UntrimmedError as error:
        yield {"digests": b"", "fault": told(error)}


def _answered(function: Callable[..., Any], words: Sequence[Any]) -> tuple[Any, str]:
    try:
        return function(*words), ""
    except UntrimmedError as error:
        return None, told(error)
