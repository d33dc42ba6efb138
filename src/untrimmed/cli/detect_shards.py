"""`untrimmed detect --format parquet` on one machine: shards, as the workers of a cluster write them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from untrimmed.archive.description import describe, description_of, refuse_other_detections
from untrimmed.archive.detection_job import DetectionJob
from untrimmed.archive.detection_store import SHARDS, VIDEOS_IN_A_SHARD, ShardStore, digests_there
from untrimmed.archive.detection_worker import TOGETHER
from untrimmed.cli.detect_outputs import TrackFormat
from untrimmed.data.detections import Detections
from untrimmed.data.formats.detection_shards import ids_there, pyarrow
from untrimmed.data.out_folder import LocalFolder
from untrimmed.detection.localizer import Localizer


class Shards:
    """The shards that detections of recordings go to, in the order of the recordings.

    Attributes:
        wanted: recordings to detect in. Features that share batches with missing ones are among them, as batches
            change the last bit of some scores.
        were_there: how many recordings shards had before.
    """

    wanted: Sequence[str]
    were_there: int

    def __init__(self, out: Path, names: Sequence[str], description: dict[str, object], *, videos: bool) -> None:
        """Look at what is there, and say in the folder what makes the detections in it.

        Args:
            out: the folder.
            names: of all recordings.
            description: what makes the detections.
            videos: whether they are videos, and not features.

        Raises:
            ConfigError: if the folder holds detections of another making.
            FeatureError: if it cannot be written to.
            AnnotationError: if a shard is damaged.
            MissingExtraError: if pyarrow is not installed.
        """
        pyarrow("--format parquet")  # before an hour of work, not after it
        folder = LocalFolder(out)
        describe(folder, description)
        there = set(ids_there(out))
        size = VIDEOS_IN_A_SHARD if videos else TOGETHER
        windows = [names[begin : begin + size] for begin in range(0, len(names), size)]
        missing = [[name for name in window if name not in there] for window in windows]
        if videos:
            self.wanted = [name for window in missing for name in window]
        else:
            pairs = zip(windows, missing, strict=True)
            self.wanted = [name for window, wanted in pairs if wanted for name in window]
        self.were_there = sum(name in there for name in names)
        self._missing = {name: number for number, window in enumerate(missing) for name in window}
        self._windows = missing
        self._store = ShardStore(folder, digests_there(folder), as_they_come=videos)
        self._current: int | None = None

    def misses(self, name: str) -> bool:
        """Whether detections of a recording are wanted that were not there."""
        return name in self._missing

    def keep(self, found: Detections) -> None:
        """Take the detections of a recording that is missing.

        Raises:
            UnwritableError: if they cannot be written.
        """
        number = self._missing[found.video_id]
        if number != self._current:
            self.end()
            self._store.begin(self._windows[number])
            self._current = number
        self._store.keep(found)

    def end(self) -> None:
        """Write what has not been written.

        Raises:
            UnwritableError: if it cannot be.
        """
        if self._current is not None:
            self._store.end()


def begin_folder(
    out: Path,
    track: TrackFormat,
    names: Sequence[str],
    localizer: Localizer,
    of_classes: tuple[Path, int] | None,
    *,
    min_score: float,
    videos: bool,
) -> Shards | None:
    """Look at the folder that detections of recordings are to be written to, and return its shards, if it has them.

    A folder of files for each recording is not described here: what is there is overwritten. It may be one that a
    cluster has begun, which goes on where the making is the same.

    Raises:
        ConfigError: if the folder says that the detections in it were made in another way.
        UntrimmedError: see `Shards`.
    """
    job = DetectionJob(
        model="",  # is known by its fingerprint
        out=str(out),
        format=track,
        kind="videos" if videos else "features",
        min_score=min_score,
        precision=localizer.precision,
        confident=localizer.confidence is not None,
    )
    description = description_of(job, localizer.fingerprint)
    if of_classes is not None:
        path, top = of_classes
        scores = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        description |= {"class_scores": scores, "top_classes": top}
    if track == SHARDS:
        return Shards(out, names, description, videos=videos)
    refuse_other_detections(LocalFolder(out), description)
    return None
