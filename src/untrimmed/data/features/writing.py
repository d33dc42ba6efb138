"""Making a folder of features, in which several processes are at work, and each may be killed at any instant."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features.description import FILE_NAME, FeatureDescription
from untrimmed.data.features.formats import FORMATS
from untrimmed.errors import ConfigError, FeatureError

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

_UNFINISHED = re.compile(r"\.[0-9a-f]{16}\.unfinished")
_LARGEST_HALF = float(np.finfo(np.float16).max)


class UnwritableError(FeatureError):
    """A file of features cannot be written, and probably no other can."""


class FeatureWriter:
    """Writes the `[T, D]` features of one video to a `.npy` file, row by row, so that they need not fit into memory.

    The file is written beside its place and renamed when the context is left without an error; it is then the file that
    `numpy.save` writes of the whole array.

    Attributes:
        rows: that have been written.
    """

    def __init__(self, path: Path, dimension: int, *, half: bool = False) -> None:
        """Say where the features go, how many columns they have, and whether to keep them as float16."""
        self.rows = 0
        self._path, self._dimension = path, dimension
        self._dtype = np.dtype("<f2" if half else "<f4")
        self._unfinished = path.with_name(f".{secrets.token_hex(8)}.unfinished")

    def __enter__(self) -> Self:
        with writing(self._path):
            self._file = self._unfinished.open("xb")
            self._write_header()  # holds the place of the one that knows the number of rows
        return self

    def add(self, piece: NDArray[np.float32]) -> None:
        """Write the next rows, `[n, D]`.

        Raises:
            UnwritableError: if the disk is full, for example.
            FeatureError: if a number is too large for float16.
        """
        assert piece.shape[1:] == (self._dimension,), piece.shape
        if self._dtype.itemsize == 2 and len(piece) and np.abs(piece).max() > _LARGEST_HALF:
            raise FeatureError(
                f"{self._path}: {np.abs(piece).max():g} is among the features, which is too large for float16. "
                "Leave --half out"
            )
        with writing(self._path):
            self._file.write(np.ascontiguousarray(piece, dtype=self._dtype).data)
        self.rows += len(piece)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with writing(self._path), self._file as file:
                if kind is None:
                    file.seek(0)
                    self._write_header()
                    file.flush()
                    os.fsync(file.fileno())  # as in `write_atomically`
            if kind is None:
                with writing(self._path):
                    self._unfinished.replace(self._path)
        finally:
            with suppress(OSError):
                self._unfinished.unlink(missing_ok=True)

    def _write_header(self) -> None:
        """Write the header, which is as long for any number of rows."""
        header: dict[str, Any] = {
            "shape": (self.rows, self._dimension),
            "fortran_order": False,
            "descr": self._dtype.str,
        }
        np.lib.format.write_array_header_1_0(self._file, header)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Context in which a file is written.

    Raises:
        UnwritableError: naming the file, if that fails.
    """
    try:
        yield
    except OSError as error:
        raise UnwritableError(
            f"{path}: cannot be written ({error.strerror}). Mend that and run the same again: what is finished is kept"
        ) from error


@contextmanager
def feature_folder(folder: Path, description: FeatureDescription, below: Sequence[str] = ()) -> Iterator[None]:
    """Context in which feature files are added to a folder, which is made and described in `features.json` before.

    What killed runs have left half done is removed, before and after, unless somebody else is at work in the folder.
    That is known by a lock of the operating system on the folder, which ends with whoever holds it. Where a file system
    has no such locks, half done files are left alone; nothing reads them.

    Raises:
        ConfigError: if the path is no folder, or holds features of another making; nothing is touched then.
        FeatureError: if its `features.json` cannot be read, or the folder cannot be made.
    """
    refuse_other_features(folder, description)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    places = [folder, *(folder / name for name in below)]
    with _locked(folder) as lock:
        there = refuse_other_features(folder, description)  # once more, now that nobody else is about to write it
        _remove_unfinished(places, lock)
        if there is None:
            with writing(folder / FILE_NAME):
                description.write(folder)
        _share(lock)
        try:
            yield
        finally:
            _remove_unfinished(places, lock)


def refuse_other_features(folder: Path, description: FeatureDescription) -> FeatureDescription | None:
    """Return the description that a folder has, if any.

    Raises:
        ConfigError: if features in it were not made as the description says.
    """
    if not folder.is_dir():
        if folder.exists():
            raise ConfigError(f"{folder}: is a file, but a folder for the features is expected; choose another --out")
        return None
    there = FeatureDescription.of_folder(folder)
    if there is None:
        if found := next((path.name for path in sorted(folder.iterdir()) if path.suffix in FORMATS), None):
            raise ConfigError(
                f"{folder}: holds features, such as {found!r}, but no {FILE_NAME} that says what made them; "
                "choose another --out"
            )
        return None
    now = asdict(description)
    differences = [
        f"{key} was {was!r} and is {now[key]!r} now" for key, was in asdict(there).items() if was != now[key]
    ]
    if differences:
        raise ConfigError(
            f"{folder / FILE_NAME}: the features there were made in another way: {'; '.join(differences)}. "
            "Choose another --out, or the same options"
        )
    return there


@contextmanager
def _locked(folder: Path) -> Iterator[int | None]:
    """Context in which others see that somebody is at work in a folder; alone, if nobody else is."""
    lock: int | None = None
    if fcntl is not None:
        lock = os.open(folder, os.O_RDONLY)
    try:
        if not _alone(lock):
            _share(lock)  # waits while another one that has just begun is alone
        yield lock
    finally:
        if lock is not None:
            os.close(lock)


def _alone(lock: int | None) -> bool:
    """Whether nobody else is at work; if so, nobody else can begin before `_share`."""
    if lock is None:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _share(lock: int | None) -> None:
    if lock is not None:
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_SH)


def _remove_unfinished(folders: Sequence[Path], lock: int | None) -> None:
    if _alone(lock):
        for path in (path for folder in folders for path in folder.glob(".*.unfinished")):
            if _UNFINISHED.fullmatch(path.name):
                with suppress(OSError):
                    path.unlink(missing_ok=True)
