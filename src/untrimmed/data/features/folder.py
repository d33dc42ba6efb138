"""A folder with one file for each video."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from untrimmed.data.features.array_file import ArrayFile
from untrimmed.data.features.description import FILE_NAME, FeatureDescription
from untrimmed.data.features.formats import FORMATS, open_array_file
from untrimmed.data.features.store import FileStore, missing
from untrimmed.errors import FeatureError


class FolderFeatures(FileStore):
    """A folder with a file `<prefix><video id>.<npy, npz, h5, hdf5, pt or safetensors>` for each video.

    The folder is listed once, when it is opened, and a video's file is looked up in that list: no id, whatever it is,
    leads out of the folder.
    """

    def __init__(self, folder: Path, *, prefix: str = "", key: str | None = None) -> None:
        """Open a folder; `key` names the array in files that hold several.

        Raises:
            FeatureError: if there are no feature files, several of one video, or a wrong `features.json`.
        """
        self._folder, self._prefix, self._key = folder, prefix, key
        self._files = files_by_video(folder, prefix)
        self._description = FeatureDescription.of_folder(folder)

    @property
    def name(self) -> str:
        """The folder."""
        return str(self._folder)

    @property
    def description(self) -> FeatureDescription | None:
        """The contents of the folder's `features.json`, if it has one."""
        return self._description

    def ids(self) -> tuple[str, ...]:
        """Return the ids that file names stand for."""
        return tuple(sorted(self._files))

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._files

    @contextmanager
    def _array(self, video_id: str) -> Iterator[tuple[ArrayFile, str]]:
        if video_id not in self._files:
            raise missing_file(self._folder, video_id, self._prefix, self._files.values())
        with open_array_file(self._folder / self._files[video_id]) as file:
            yield file, file.sole_array(self._key)


def missing_file(folder: Path, video_id: str, prefix: str, names: Collection[str]) -> FeatureError:
    """Return the error that a folder with these files of other videos has none of a video."""
    if "/" in video_id or "\\" in video_id or "\0" in video_id:
        return FeatureError(
            f"{folder}: no features of video {video_id!r}: an id with a slash cannot be a file name in a "
            "folder. Rename the video in the annotations"
        )
    usual = Counter(Path(name).suffix for name in names).most_common(1)[0][0]
    return missing(str(folder), video_id, f"{prefix}{video_id}{usual}", names)


def files_by_video(folder: Path, prefix: str, suffixes: Collection[str] = FORMATS) -> dict[str, str]:
    """Find the name of the file, with one of the suffixes, of every video of a folder.

    Raises:
        FeatureError: if there are none, or several of one video.
    """
    try:
        with os.scandir(folder) as entries:  # one pass, without a question to the disk for each of many thousand files
            there = sorted(
                e.name for e in entries if not e.name.startswith(".") and e.name != FILE_NAME and e.is_file()
            )
    except OSError as error:
        raise FeatureError(f"{folder}: cannot be listed ({error.strerror})") from error
    feature_files = [name for name in there if Path(name).suffix in suffixes]
    files: dict[str, str] = {}
    for name in feature_files:
        video_id = Path(name).stem.removeprefix(prefix)
        if name.startswith(prefix) and files.setdefault(video_id, name) != name:
            raise FeatureError(
                f"{folder}: {files[video_id]!r} and {name!r} are both of video {video_id!r}. Remove one of them"
            )
    if not files:
        raise FeatureError(f"{folder}: {_what_is_there(there, feature_files, prefix, suffixes)}")
    return files


def _what_is_there(there: list[str], feature_files: list[str], prefix: str, suffixes: Collection[str]) -> str:
    """Say why no file of a folder can be used."""
    if feature_files:
        return (
            f"none of its {len(feature_files)} feature files begins with the prefix {prefix!r}; one is "
            f"{feature_files[0]!r}. Correct the prefix"
        )
    found = f"its files are like {there[0]!r}" if there else "it is empty"
    return (
        f"there are no feature files in the folder, {found}. Expected is "
        f"{prefix}<video id>{next(iter(suffixes))} ({', '.join(suffixes)})"
    )
