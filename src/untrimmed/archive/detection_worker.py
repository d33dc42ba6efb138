"""Detecting in an archive: what each worker does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from untrimmed.archive.attempts import DIED, Book
from untrimmed.archive.backbone import Backbone
from untrimmed.archive.decoding import open_backbone
from untrimmed.archive.detection_job import DetectionJob, Setting, open_localizer
from untrimmed.archive.detection_store import SHARDS, DetectionStore, FileStore, ShardStore
from untrimmed.archive.pipeline import ArchiveWorker, found_there
from untrimmed.data.detections import Detections
from untrimmed.data.features import FeatureDescription, view_feature_file
from untrimmed.data.features.description import FILE_NAME
from untrimmed.data.out_folder import out_folder
from untrimmed.data.remote import local_copy, shown, temporary_folder
from untrimmed.data.signals.opening import open_recording
from untrimmed.detection.localizer import LOOK_AHEAD, Localizer
from untrimmed.detection.recording import Recording, prepare
from untrimmed.video.extraction.manifest import Entry
from untrimmed.video.extraction.one_video import Task, what_went_wrong

BATCH = 8
"""Recordings of features that share a batch at the most, as in `Localizer.detect_many`."""
TOGETHER = BATCH * LOOK_AHEAD
"""Recordings of features in a window: as many as `detect_many` looks at to put those of like length together."""


@dataclass(frozen=True, kw_only=True)
class DetectionOutcome:
    """What came of one recording.

    Attributes:
        id: of the recording.
        path: of its file.
        detections: how many were found; `None` if they were not looked for now.
        duration: of a video, in seconds; `None` where it was not read.
        damaged: packets that could not be decoded, and were skipped.
        took: seconds of work; recordings that were worked on together share them evenly.
        error: why it failed; `None` if it did not.
        was_there: whether its detections were there already.
    """

    id: str
    path: str
    detections: int | None = None
    duration: float | None = None
    damaged: int = 0
    took: float = 0.0
    error: str | None = None
    was_there: bool = False


class DetectionWorker(ArchiveWorker):
    """Holds the model, and for videos a process with the extractor.

    With decoders, it has as many windows of videos in work at once; the model looks at one video at a time.
    """

    def __init__(self, told: tuple[DetectionJob, Setting, NDArray[np.uint64]], book: Book) -> None:
        """Take what all workers are told; of the shards that are there, `digests_there`."""
        super().__init__(book)
        self._job, self._setting, self._there = told
        self._localizer: Localizer | None = None
        self._backbone: Backbone | None = None
        self._opening, self._detecting = Lock(), Lock()
        found_there(self._job.places)

    def work(self, window: Sequence[Entry]) -> Iterator[dict[str, Any]]:
        """Detect in the recordings of a window, if those of any are missing."""
        torch.set_num_threads(self._job.threads)  # of this thread
        store = _store(self._job, self._there)
        missing = store.begin([entry.id for entry in window])
        for entry in window:
            if entry.id not in missing:
                yield asdict(DetectionOutcome(id=entry.id, path=entry.path, was_there=True))
        if missing:
            work = self._in_features if self._job.kind == "features" else self._in_videos
            yield from map(asdict, work(store, window, missing))
        store.end()

    def _in_features(
        self, store: DetectionStore, window: Sequence[Entry], missing: frozenset[str]
    ) -> Iterator[DetectionOutcome]:
        began, paths = time.perf_counter(), {entry.id: entry.path for entry in window}
        localizer = self._opened()
        recordings: list[Recording] = []
        for entry in window:
            try:
                recording = _recording(localizer, entry)
                prepare(recording, localizer.inputs, localizer.model.config.input_dim)
            except Exception as fault:  # a file may break anything; the others go on
                if entry.id in missing:
                    yield _failed(entry, what_went_wrong(fault))
            else:
                recordings.append(recording)
        if not missing & {recording.id for recording in recordings}:
            return
        for found in self._in_all(localizer, recordings):
            name, took = (found if isinstance(found, str) else found.video_id), time.perf_counter() - began
            if name not in missing:
                continue
            if isinstance(found, str):
                yield DetectionOutcome(id=name, path=paths[name], error=DIED)
            else:
                store.keep(found)
                yield DetectionOutcome(id=name, path=paths[name], detections=len(found), took=took / len(window))

    def _in_all(self, localizer: Localizer, recordings: Sequence[Recording]) -> Iterator[Detections | str]:
        """Yield the detections of recordings, or the id of one that workers have died of."""
        with self.attempts.trying(*(recording.id for recording in recordings)) as together:
            if together:
                yield from localizer.detect_many(recordings, batch_size=BATCH)
        for recording in () if together else recordings:
            with self.attempts.trying(f"alone {recording.id}") as allowed:
                yield localizer.detect(recording) if allowed else recording.id

    def _in_videos(
        self, store: DetectionStore, window: Sequence[Entry], missing: frozenset[str]
    ) -> Iterator[DetectionOutcome]:
        for entry in window:
            if entry.id in missing:
                with self.attempts.trying(entry.id) as allowed:
                    outcome = self._in_video(store, entry) if allowed else _failed(entry, DIED)
                yield outcome

    def _in_video(self, store: DetectionStore, entry: Entry) -> DetectionOutcome:
        began, description = time.perf_counter(), self._setting.description
        assert description is not None
        with temporary_folder() as folder:
            features = folder / "features.npy"
            made = self._opened_backbone().carry_out(
                Task(id=entry.id, path=entry.path, features=str(features), allow_truncated=self._job.allow_truncated)
            )
            if made.error is not None:
                return _failed(entry, made.error)
            array = np.load(features, allow_pickle=False)
        recording = Recording(array, entry.id, made.duration, description.rate, source=shown(entry.path))
        localizer = self._opened()
        try:
            with self._detecting:
                found = localizer.detect(recording)
        except Exception as fault:
            return _failed(entry, what_went_wrong(fault))
        store.keep(found)
        return DetectionOutcome(
            id=entry.id,
            path=entry.path,
            detections=len(found),
            duration=made.duration,
            damaged=made.damaged,
            took=time.perf_counter() - began,
        )

    def _opened(self) -> Localizer:
        with self._opening:
            if self._localizer is None:
                self._localizer = replace(open_localizer(self._job), inputs=self._setting.inputs)
            return self._localizer

    def _opened_backbone(self) -> Backbone:
        choice, description = self._setting.choice, self._setting.description
        assert choice is not None and description is not None  # noqa: PT018  videos have both
        with self._opening:
            if self._backbone is None:
                self._backbone = open_backbone(choice, self._job.threads, description, self._job.decoders)
            return self._backbone


def _store(job: DetectionJob, there: NDArray[np.uint64]) -> DetectionStore:
    if job.format == SHARDS:
        return ShardStore(out_folder(job.out), there, as_they_come=job.kind == "videos")
    return FileStore(out_folder(job.out), job.format, job.min_score)


def _recording(localizer: Localizer, entry: Entry) -> Recording:
    """Open features, unless the `features.json` beside them says that they are of another making, or signals."""
    source = shown(entry.path)
    # Of a copy, what is mapped into memory stays there when its name is removed.
    with local_copy(entry.path, beside=(FILE_NAME,)) as path:
        if localizer.inputs.kind == "signals":
            return Recording(open_recording(path, localizer.inputs), id=entry.id, source=source)
        description, place = FeatureDescription.of_folder(path.parent), f"{path.parent}: {FILE_NAME}"
        localizer.inputs.completed(description, place)
        if description is not None and localizer.extractor is not None:
            description.refuse_contradiction(place, fingerprint=localizer.extractor.fingerprint)
        return Recording(view_feature_file(path), id=entry.id, source=source)


def _failed(entry: Entry, reason: str) -> DetectionOutcome:
    return DetectionOutcome(id=entry.id, path=entry.path, error=reason.removeprefix(f"{shown(entry.path)}: "))
