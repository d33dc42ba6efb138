"""Where `untrimmed detect` writes what it found, made sure of before the work begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from untrimmed.archive.detection_store import SHARDS
from untrimmed.data.formats.detection_files import TRACKS, output_suffix
from untrimmed.errors import ConfigError

TrackFormat = Literal["vtt", "ass", "txt", "csv", "json", "parquet"]
"""Format of a file for each recording; of parquet, of shards of many."""


@dataclass(frozen=True)
class Outputs:
    """Files to be written.

    Attributes:
        table: of all detections of all recordings; `None` if it is not wanted.
        shards: folder for shards of all detections; `None` if they are not wanted.
        tracks: subtitles, labels or detections of each recording, by id.
        renders: a copy of each video, by id.
    """

    table: Path | None = None
    shards: Path | None = None
    tracks: Mapping[str, Path] = field(default_factory=dict)
    renders: Mapping[str, Path] = field(default_factory=dict)

    def paths(self, names: Iterable[str]) -> Iterator[Path]:
        """Yield the files that are written when there are detections of the recordings of these names."""
        names = list(names)
        if names:
            yield from (path for path in (self.table, self.shards) if path is not None)
        yield from (files[name] for name in names for files in (self.tracks, self.renders) if name in files)


def planned(
    names: Sequence[str], videos: Mapping[str, str], out: Path | None, track: TrackFormat | None, render: Path | None
) -> Outputs:
    """Return which files are to be written for recordings of these names.

    Args:
        names: of all recordings.
        videos: path or address of each recording that is a video.
        out: a file, or with `track` a folder.
        track: format of a file for each recording.
        render: a `.mp4` file, or a folder.

    Raises:
        ConfigError: if the options contradict each other, or a video would be overwritten.
        AnnotationError: if the suffix of `out` is none that can be written.
    """
    renders = {} if render is None else _renders(names, render, videos)
    if out is None:
        if track is not None:
            raise ConfigError("--format is for a folder of files: say which, by --out FOLDER")
        return Outputs(renders=renders)
    if track is not None:
        if out.exists() and not out.is_dir():
            raise ConfigError(f"{out}: is a file, but with --format, --out is the folder to write to")
        if track == SHARDS:
            return Outputs(shards=out, renders=renders)
        return Outputs(tracks=_in_folder(names, out, f".{track}"), renders=renders)
    if output_suffix(out) not in TRACKS:
        return Outputs(table=out, renders=renders)
    if len(names) != 1:
        raise ConfigError(
            f"{out}: such a file is of one recording, but there are {len(names)}. Write one for each into a folder, by "
            f"--out FOLDER --format {out.suffix[1:].lower()}"
        )
    return Outputs(tracks={names[0]: out}, renders=renders)


def _renders(names: Sequence[str], render: Path, videos: Mapping[str, str]) -> dict[str, Path]:
    single = render.suffix.lower() == ".mp4" and not render.is_dir()
    if single and len(names) != 1:
        raise ConfigError(f"{render}: is one file, but there are {len(names)} videos. Name a folder")
    if not single and render.exists() and not render.is_dir():
        raise ConfigError(f"{render}: is a file, but no .mp4. Name a file that ends in .mp4, or a folder")
    renders = {names[0]: render} if single else _in_folder(names, render, ".mp4")
    for name, path in renders.items():
        if path.exists() and Path(videos[name]).exists() and path.samefile(videos[name]):
            raise ConfigError(f"{path}: is the video itself, which is never overwritten. Choose another --render")
    return renders


def _in_folder(names: Sequence[str], folder: Path, suffix: str) -> dict[str, Path]:
    """Return a file in a folder for each name, which may be anything in an archive.

    Raises:
        ConfigError: if a name would not be a file in this folder.
    """
    for name in names:
        if not name or set(name) & set("/\\\0"):
            raise ConfigError(
                f"recording {name!r} cannot have a file of this name. Write all to one, by --out FILE.json"
            )
    return {name: folder / f"{name}{suffix}" for name in names}
