"""Detecting in videos, and rendering copies of them, for `untrimmed detect`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import Progress, TaskID

from untrimmed.cli.console import bar, warn
from untrimmed.data.detections import Detections
from untrimmed.data.remote import is_address, local_copy, shown
from untrimmed.detection.backbone import open_users_choice
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.errors import ConfigError, DataError, VideoError
from untrimmed.video.extraction.feature_stream import OnProgress
from untrimmed.video.extraction.finding import find_sources
from untrimmed.video.extraction.one_video import what_went_wrong
from untrimmed.video.extraction.videos import extract_features
from untrimmed.video.reading.reader import probe
from untrimmed.video.rendering.lettering import Lettering
from untrimmed.video.rendering.render import render


class Videos:
    """Videos to detect in.

    Attributes:
        files: path or address of each of them, by id.
        failures: what is wrong with those that could not be read, by id.
    """

    files: Mapping[str, str]
    failures: dict[str, str]

    def __init__(
        self, paths: Sequence[str | Path], localizer: Localizer, extractor: str | None, *, allow_truncated: bool
    ) -> None:
        """Find the videos, and open the extractor.

        Args:
            paths: of videos and of folders.
            localizer: what detects.
            extractor: name of the one that the user wants.
            allow_truncated: take videos that end before they should as they are.

        Raises:
            VideoError: if there are no videos, two have one id, or there is only one file, which is none.
            ModelError: if the extractor that the model was trained on is not known, or not here.
            ConfigError: if there is no such extractor.
        """
        self.files, self.failures = find_sources(paths), {}
        if len(self.files) == 1 and not is_address(file := next(iter(self.files.values()))):
            probe(Path(file))  # what is no video need not wait for an extractor
        if extractor is not None:
            device = str(next(localizer.model.parameters()).device)
            localizer = localizer.with_extractor(open_users_choice(extractor, localizer.inputs, device))
        self._localizer, self._extractor = localizer, localizer.video_extractor
        self._allow_truncated = allow_truncated
        self._durations: dict[str, float] = {}
        self._number = {name: number for number, name in enumerate(self.files, start=1)}

    @property
    def names(self) -> Sequence[str]:
        """Their ids."""
        return list(self.files)

    def detections(self, names: Sequence[str]) -> Iterator[Detections]:
        """Yield the detections of each of these videos that can be read; the others are in `failures` afterwards.

        Raises:
            ConfigError: if the extractor is a program of the user's that does not do what it has to.
        """
        for name in names:
            try:
                recording = self._extracted(name, self.files[name])
                found = self._localizer.detect(recording)
            except ConfigError:
                raise
            except Exception as fault:  # a video may break anything; the others go on
                self._failed(name, what_went_wrong(fault))
            else:
                yield found

    def render(self, found: Detections, out: Path, lettering: Lettering) -> None:
        """Write a copy of a video with its detections; if it cannot be, that is in `failures` afterwards."""
        name = found.video_id
        try:
            with local_copy(self.files[name]) as file, self._shown("rendering", name) as progress:
                if out.exists() and file.exists() and out.samefile(file):  # by a file:// address
                    raise VideoError(f"{out}: is the video itself, which is never overwritten")
                copied = render(
                    file,
                    out,
                    found,
                    duration=self._durations[name],
                    lettering=lettering,
                    allow_truncated=self._allow_truncated,
                    on_progress=progress,
                )
        except DataError as error:
            self._failed(name, str(error))
            return
        if copied.lost_sound is not None:
            warn(f"{out}: has no sound, because mp4 cannot hold {copied.lost_sound}")

    def _extracted(self, name: str, source: str) -> Recording:
        with local_copy(source) as file, self._shown("detecting", name) as progress:
            video = extract_features(file, self._extractor, allow_truncated=self._allow_truncated, on_progress=progress)
        if video.damaged:
            warn(f"{shown(source)}: {video.damaged} damaged packet{'s were' if video.damaged > 1 else ' was'} left out")
        self._durations[name] = video.duration
        rate = self._extractor.grid.rate
        return Recording(video.features, id=name, duration=video.duration, rate=rate, source=shown(source))

    @contextmanager
    def _shown(self, doing: str, name: str) -> Iterator[OnProgress]:
        """Context in which a bar shows how many seconds of a video are done."""
        of_all = f"; video {self._number[name]} of {len(self.files)}" if len(self.files) > 1 else ""
        with bar() as progress:
            yield _Telling(progress, progress.add_task(f"{doing} {name}", total=None, note=f"seconds{of_all}"))

    def _failed(self, name: str, reason: str) -> None:
        file = shown(self.files[name])
        self.failures[name] = reason if file in reason else f"{file}: {reason}"


class _Telling:
    """Passes on to a bar how many seconds are done."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def __call__(self, seconds: float, declared: float | None) -> None:
        self._progress.update(self._task, completed=seconds, total=declared)
