"""Folders that results are written to, one file after another, each as a whole or not at all.

They are of this machine, or in an object store such as `s3://bucket/features`, which fsspec (extra `remote`) speaks to.
There is no renaming in such a store, and no need of it: an object is there when all of it has arrived.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path, PurePosixPath

from untrimmed.data.features.writing import UnwritableError, writing
from untrimmed.data.remote import (
    called,
    check_protocol,
    is_address,
    local_place,
    opened,
    said,
    shown,
    temporary_folder,
)
from untrimmed.errors import ConfigError

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
"""Protocols of fsspec of stores in which a file is there as a whole, or not at all."""


class OutFolder(ABC):
    """A folder; names are of files in it, or `below/name`."""

    @abstractmethod
    def __str__(self) -> str:
        """Return what it is called in messages."""

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of the files directly in it, sorted; none if there is no such folder, and no hidden ones."""

    @abstractmethod
    def head(self, name: str, count: int) -> bytes | None:
        """Return the first bytes of a file, at most so many; `None` if there is no such file.

        Raises:
            UntrimmedError: if that cannot be seen.
        """

    @abstractmethod
    def brought(self, name: str) -> AbstractContextManager[Path]:
        """Context in which a file of it can be read here."""

    @abstractmethod
    def made(self, name: str) -> AbstractContextManager[Path]:
        """Context in which a file for it can be made here; it is in the folder when the context is left without error.

        Whoever makes it never leaves half a file; one that was not made at all is no error.

        Raises:
            UnwritableError: if it cannot be written.
        """

    def has(self, name: str) -> bool:
        """Whether there is a file of this name; raises as `head`."""
        return self.head(name, 1) is not None


def absolute(place: str | Path) -> str:
    """Return a path as it is called from any folder; an address is so already."""
    return str(place) if is_address(str(place)) else str(Path.cwd() / place)


def out_folder(place: str | Path) -> OutFolder:
    """Return the folder at a path or an address.

    Raises:
        ConfigError: if the protocol of an address is not known, or of no object store.
        MissingExtraError: if fsspec is not installed.
    """
    if not is_address(str(place)):
        return LocalFolder(Path(place))
    address = str(place)
    check_protocol(address)
    if (here := local_place(address)) is not None:
        return LocalFolder(here)
    if "::" in address or "?" in address or address.partition("://")[0] not in OBJECT_STORES:
        raise ConfigError(
            f"--out {shown(address)}: has to be a folder, or in an object store such as s3://bucket/folder (others are "
            f"{', '.join(OBJECT_STORES[1:])}). Mount another store as a folder, or write to a folder and copy that"
        )
    return RemoteFolder(address)


class LocalFolder(OutFolder):
    """A folder of this machine, or one that is mounted."""

    def __init__(self, path: Path) -> None:
        """Say which; it need not be there."""
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> list[str]:
        """See `OutFolder`."""
        if not self.path.is_dir():
            return []
        return sorted(each.name for each in self.path.iterdir() if each.is_file() and not each.name.startswith("."))

    def head(self, name: str, count: int) -> bytes | None:
        """See `OutFolder`."""
        path = self.path / name
        try:
            with path.open("rb") as file:
                return file.read(count)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnwritableError(f"{path}: cannot be opened ({error.strerror}). Move it away, or mend that") from error

    def brought(self, name: str) -> AbstractContextManager[Path]:
        """See `OutFolder`."""
        return nullcontext(self.path / name)

    @contextmanager
    def made(self, name: str) -> Iterator[Path]:
        """See `OutFolder`."""
        path = self.path / name
        with writing(path):
            yield path


class RemoteFolder(OutFolder):
    """A folder in an object store. Files are made, and brought, in the folder for temporary files (`TMPDIR`).

    Raises:
        DataError: from all that asks, if the store does not answer.
    """

    def __init__(self, address: str) -> None:
        """Say which; nothing is asked yet."""
        self._address = address.rstrip("/")
        with said(self._address, self._address):
            self._system, there = opened(self._address)
        self._there = there.rstrip("/")

    def __str__(self) -> str:
        return shown(self._address)

    def names(self) -> list[str]:
        """See `OutFolder`."""
        with said(self._address, self._address):
            self._system.invalidate_cache()
            try:
                found = self._system.ls(self._there, detail=True)
            except FileNotFoundError:
                return []
        names = (PurePosixPath(each["name"]).name for each in found if each["type"] == "file")
        return sorted(name for name in names if not name.startswith("."))

    def has(self, name: str) -> bool:
        """See `OutFolder`."""
        return self._size(name) is not None

    def head(self, name: str, count: int) -> bytes | None:
        """See `OutFolder`."""
        size = self._size(name)
        if not size:  # stores refuse to give parts of nothing
            return None if size is None else b""
        with said(self._address, self._called(name)):
            begin: bytes = self._system.cat_file(f"{self._there}/{name}", start=0, end=min(count, size))
        return begin

    @contextmanager
    def brought(self, name: str) -> Iterator[Path]:
        """See `OutFolder`."""
        with temporary_folder() as folder:
            path = folder / PurePosixPath(name).name
            with said(self._address, self._called(name)):
                self._system.get_file(f"{self._there}/{name}", str(path))
            with called({str(path): self._called(name), str(folder): str(self)}):
                yield path

    @contextmanager
    def made(self, name: str) -> Iterator[Path]:
        """See `OutFolder`."""
        with temporary_folder() as folder:
            path = folder / PurePosixPath(name).name
            with called({str(path): self._called(name), str(folder): str(self)}), writing(path):
                yield path
            if path.is_file():
                with said(self._address, self._called(name), _unwritable):
                    try:
                        self._system.put_file(str(path), f"{self._there}/{name}")
                    except FileNotFoundError:
                        raise _unwritable(self._called(name), "there is no such bucket") from None

    def _size(self, name: str) -> int | None:
        with said(self._address, self._called(name)):
            try:
                found = self._system.info(f"{self._there}/{name}")
            except FileNotFoundError:
                return None
        return int(found["size"]) if found["type"] == "file" else None

    def _called(self, name: str) -> str:
        return f"{self}/{name}"


def _unwritable(place: str, reason: str) -> UnwritableError:
    return UnwritableError(
        f"{place}: cannot be written ({reason}). Mend that and run the same again: what is finished is kept"
    )
