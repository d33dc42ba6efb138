"""Which files are meant where videos are asked for, and what each of them is called."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from untrimmed.data.remote import check_protocol, is_address, refuse_address, shown
from untrimmed.errors import ConfigError, VideoError
from untrimmed.video.extraction.manifest import SUFFIXES, read_manifest

VIDEO_SUFFIXES = frozenset(
    (
        *(".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg"),
        *(".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".rm", ".rmvb"),
        *(".ts", ".vob", ".webm", ".wmv", ".wtv", ".y4m"),
    )
)
"""What the name of a file in a folder has to end in, in small or capital letters, to be taken for a video."""


def find_videos(paths: Iterable[str | Path]) -> dict[str, Path]:
    """Find the videos that are meant by names of files, folders and manifests; see `find_sources`.

    Returns:
        The path of each video by its id, sorted by id.

    Raises:
        VideoError: see `find_sources`.
        ConfigError: if a manifest names addresses.
    """
    sources = find_sources(paths)
    if address := next((shown(source) for source in sources.values() if is_address(source)), None):
        raise ConfigError(f"{address}: is an address, but files of this machine are expected here")
    return {video_id: Path(source) for video_id, source in sources.items()}


def find_sources(paths: Iterable[str | Path]) -> dict[str, str]:
    """Find the videos that are meant by names of files, folders and manifests, at paths or addresses.

    A manifest is a `.csv`, `.tsv` or `.parquet` file that names videos (see `manifest`). A folder stands for all files
    below it that have one of the `VIDEO_SUFFIXES`; hidden files and folders are left out, and links are followed,
    each folder being searched once. A file that is named itself is taken whatever it is called.

    Args:
        paths: of files, folders and manifests. What is meant twice is taken once.

    Returns:
        The path or address of each video by its id, which is the file's name without suffix unless a manifest says
        another; sorted by id. Whether what a manifest names is there is not looked at. Addresses are opened by
        `untrimmed.data.remote.local_copy`.

    Raises:
        VideoError: if there is no such file, a folder has no videos or cannot be listed, a manifest is wrong, two files
            have one id, or a file's name cannot be an id.
        ConfigError: if a manifest names addresses of a protocol that is not known here.
        MissingExtraError: if it names addresses, and fsspec is not installed.
    """
    videos: dict[str, str] = {}
    for path in [_existing(Path(path)) for path in paths]:
        for video_id, file in _meant_by(path):
            other = videos.setdefault(video_id, file)
            if other != file and not _same_file(other, file):
                raise same_id(video_id, shown(other), shown(file))
    return dict(sorted(videos.items()))


def same_id(video_id: str, one: str, other: str) -> VideoError:
    """Return the error that two files have one id."""
    return VideoError(
        f"{one} and {other} would both be video {video_id!r}: a video is called by the name of its file, without "
        "suffix, or as a manifest says. Rename one of them, or leave it out"
    )


def _meant_by(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the id and the path or address of each video that a path stands for."""
    if path.is_dir():
        yield from ((_id_of(file), str(file)) for file in _videos_in(path))
    elif path.suffix.lower() in SUFFIXES:
        for entry in read_manifest(path):
            if is_address(entry.path):
                check_protocol(entry.path)
            yield entry.id, entry.path
    else:
        yield _id_of(path), str(path)


def _existing(path: Path) -> Path:
    refuse_address(path, "video", "Name it in a manifest: a .csv file with a column `path`")
    if not path.exists():
        raise VideoError(f"{path}: there is no such file or folder")
    return path


def _id_of(file: Path) -> str:
    """Return the id of a video."""
    try:
        file.stem.encode()
    except UnicodeEncodeError as error:
        raise VideoError(f"{os.fsencode(file)!r}: the name of this file is not UTF-8. Rename it") from error
    if file.stem.startswith("."):
        raise VideoError(
            f"{file}: its name begins with a dot, so that its features would be a hidden file, which nothing reads. "
            "Rename it"
        )
    return file.stem


def _same_file(a: str, b: str) -> bool:
    if is_address(a) or is_address(b):
        return False
    return Path(a).exists() and Path(b).exists() and Path(a).samefile(b)


def _videos_in(folder: Path) -> list[Path]:
    """Return the videos below a folder, sorted by path."""
    names: list[str] = []
    videos = []
    for file in _files_below(folder, set()):
        names.append(file.name)
        # A link that leads nowhere is kept, to be reported with all that cannot be read; a pipe is not waited for.
        if file.suffix.lower() in VIDEO_SUFFIXES and (file.is_file() or not file.exists()):
            videos.append(file)
    if not videos:
        found = f"its files are like {min(names)!r}" if names else "it is empty"
        raise VideoError(
            f"{folder}: there are no videos in the folder, {found}. Expected are names that end in .mp4, .mkv, .webm, "
            ".avi, .mov or the like; a file with another suffix can be named itself"
        )
    return sorted(videos)


def _files_below(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield all files below a folder but the hidden ones; `seen` are the folders that have been searched."""
    try:
        stat = folder.stat()
        if (stat.st_dev, stat.st_ino) in seen:
            return
        seen.add((stat.st_dev, stat.st_ino))
        with os.scandir(folder) as entries:
            there = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise VideoError(f"{folder}: cannot be listed ({error.strerror})") from error
    for entry in there:
        if _is_folder(entry):
            yield from _files_below(folder / entry.name, seen)
        else:
            yield folder / entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
