"""`untrimmed convert`."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path

from untrimmed.cli.console import show_json
from untrimmed.data.check.report import count
from untrimmed.data.formats.exchange.conversion import Conversion
from untrimmed.data.formats.exchange.conversion import convert as run
from untrimmed.data.formats.exchange.formats import FORMATS
from untrimmed.data.formats.exchange.source import Media, Options
from untrimmed.errors import ConfigError


def convert(
    source: Path,
    target: Path,
    /,
    *,
    from_: str | None = None,
    to: str | None = None,
    rate: float | None = None,
    videos: Path | None = None,
    subset: str | None = None,
    min_score: float | None = None,
    json: bool = False,
) -> None:
    """Convert annotations or detections from one format to another.

    Formats: activitynet, detections, table, label-studio, elan, boris, boris-table, audacity, via3, webvtt, srt, ass,
    coin, ego4d; and to read, epic-kitchens-verbs, -nouns and -actions. Detections become a draft in an annotation tool,
    and what was corrected there becomes annotations. What a format cannot hold is named.

    Example: `untrimmed convert detections.json drafts/ --to elan --videos videos/ --min-score 0.4`

    Parameters
    ----------
    source
        File to read, or a folder of files of one video each.
    target
        File to write; for elan, audacity, webvtt, srt and ass, which have a file for each video, also a folder.
    from_
        Format of the source; left out, it is found out.
    to
        Format of the target; left out, its suffix says it where it can.
    rate
        Frames per second that times in frames are counted at.
    videos
        Folder with the videos, from which lengths and frame rates are read where they are needed.
    subset
        Convert the videos of this subset. Where the source says no subsets, all videos are put into it.
    min_score
        Leave out detections that score less.
    json
        Print what was converted as JSON.
    """
    if rate is not None and not (math.isfinite(rate) and 0 < rate < 10_000):
        raise ConfigError(f"--rate {rate:g}: has to be a number of frames per second")
    if min_score is not None and math.isnan(min_score):
        raise ConfigError("--min-score: is not a number")
    find = (lambda _: None) if videos is None else _videos(videos)
    done = run(
        source,
        target,
        from_=from_,
        to=to,
        options=_options(rate, find),
        subset=subset,
        min_score=min_score,
    )
    if json:
        show_json({**vars(done), "files": [str(path) for path in done.files]})
    else:
        _show(done, source, target)


def _options(rate: float | None, find: Callable[[str], Path | None]) -> Options:
    """Return what is known besides the source: `find` knows the files of videos, each of which is opened once."""

    def name(id_: str) -> str | None:
        path = find(id_)
        return None if path is None else path.name

    @cache
    def look(id_: str) -> Media | None:
        path = find(id_)
        return None if path is None else _looked_into(path)

    return Options(rate=rate, file=name, media=look)


def _videos(folder: Path) -> Callable[[str], Path | None]:
    """Return what finds the file of a video by its id.

    Raises:
        ConfigError: if there is no such folder.
        VideoError: if there are no videos in it.
    """
    from untrimmed.video.extraction.finding import find_videos  # noqa: PLC0415  most conversions need no videos

    if not folder.is_dir():
        raise ConfigError(f"--videos {folder}: there is no such folder")
    files = find_videos([folder])
    normal = {unicodedata.normalize("NFC", id_).casefold(): path for id_, path in files.items()}

    return lambda id_: files.get(id_) or normal.get(unicodedata.normalize("NFC", id_).casefold())


def _looked_into(path: Path) -> Media:
    """Return what a video file says of itself, or where it says nothing, what its pictures do.

    Raises:
        VideoError: if it cannot be read.
    """
    from untrimmed.video.reading.reader import VideoFile, probe  # noqa: PLC0415

    info = probe(path)
    duration = info.duration
    if duration is None:
        with VideoFile(path) as video:
            for _ in video.frames():
                pass
            duration = video.end
    return Media(max(round(duration, 3), 0.001), info.rate)


def _show(done: Conversion, source: Path, target: Path) -> None:
    """Print what was converted, and a line for everything that was lost."""
    titles = f"{FORMATS[done.source].title} to {FORMATS[done.target].title}"
    print(f"{source} -> {target}: {titles}, {count(done.videos, 'video')}, {count(done.marks, 'mark')}")
    if done.files != (target,):
        print(f"wrote {count(len(done.files), 'file')}")
    for note in done.notes:
        print(f"not read: {note}")
    for loss in done.losses:
        print(f"lost: {loss}")
