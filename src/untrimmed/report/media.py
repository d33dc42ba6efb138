"""What stands in the page for each video: a link to its file, the file itself, or a reason why there is no player."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from untrimmed.errors import ConfigError, VideoError
from untrimmed.video.rendering.transcoding import playable
from untrimmed.video.rendering.transcoding import transcode as make_copy

MediaMode = Literal["link", "embed", "none"]

SMALL = 30 * 1000**2
"""Videos are put into the page, where nothing else is asked for, if all together have at most so many bytes."""
MOST_EMBEDDED = 250 * 1000**2
"""Browsers do not open a page that is much larger."""


@dataclass(frozen=True)
class Linked:
    """A file beside the page, or anywhere: its address as seen from the page."""

    address: str


@dataclass(frozen=True, repr=False)
class Embedded:
    """A file that the page carries: its content, and its media type."""

    content: bytes
    type: str


@dataclass(frozen=True)
class Absent:
    """Why there is no player, in a sentence."""

    reason: str


Media = Linked | Embedded | Absent


def address(file: Path, page: Path) -> str:
    """Return the relative address of a file as seen from a page, percent-encoded; works for any file name.

    A file that no relative path leads to, as on another drive, has an absolute address.
    """
    try:
        relative = os.path.relpath(file.resolve(), page.resolve().parent)
    except ValueError:
        return file.resolve().as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")), safe="/")


def media_of(
    files: Mapping[str, Path], page: Path, *, mode: MediaMode | None = None, transcode: bool = False
) -> Iterator[tuple[str, Media]]:
    """Yield what stands for each video, by id, in their order.

    Args:
        files: video files by id.
        page: where the page will be.
        mode: `None` embeds the files if they are small together (see `SMALL`) and links to them otherwise.
        transcode: make copies of files that browsers cannot play. Linked ones are kept in a folder beside the page,
            named after it, and are used again the next time.

    Raises:
        ConfigError: if files are to be embedded that are too large for a page together.
        OSError: if a copy cannot be written.
    """
    if mode == "none":
        yield from ((id_, Absent("There is no player, because the report was made without")) for id_ in files)
        return
    with tempfile.TemporaryDirectory() as scratch:
        if mode is None:
            mode = "embed" if sum(_size(file) for file in files.values()) <= SMALL else "link"
        copies = Path(scratch) if mode == "embed" else page.with_name(f"{page.stem}_videos")
        total = 0
        for id_, file in files.items():
            ready = _ready(file, copies, transcode=transcode)
            if isinstance(ready, Absent):
                yield id_, ready
            elif mode == "link":
                yield id_, Linked(address(ready, page))
            else:
                total += _size(ready)
                if total > MOST_EMBEDDED:
                    raise ConfigError(
                        f"--media embed: the videos have more than {MOST_EMBEDDED / 1e6:.0f} MB together, which no "
                        "browser opens as one page. Use --media link, or show fewer by --most-videos"
                    )
                kind = "video/webm" if ready.suffix.lower() == ".webm" else "video/mp4"
                yield id_, Embedded(ready.read_bytes(), kind)


def _ready(file: Path, copies: Path, *, transcode: bool) -> Path | Absent:
    """Return a file that browsers can play: this one, or a copy of it."""
    if not file.is_file():
        return Absent(f"There is no player, because the video file is not there: {file.name}")
    if playable(file):
        return file
    if not transcode:
        return Absent(
            f"There is no player, because browsers cannot play {file.name}; with --transcode, the report makes a copy "
            "that they can"
        )
    # The name tells apart files of one name in different folders; it is cut, so as not to become longer than names may.
    digest = hashlib.sha256(os.fsencode(file.resolve())).hexdigest()[:8]
    copy = copies / f"{file.stem[:40]}-{digest}.mp4"
    if not (copy.is_file() and copy.stat().st_mtime >= file.stat().st_mtime):
        copies.mkdir(parents=True, exist_ok=True)
        try:
            make_copy(file, copy, allow_truncated=True)
        except VideoError as error:
            return Absent(f"There is no player, because the video cannot be copied for browsers: {error}")
    return copy


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0
