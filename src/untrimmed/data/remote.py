"""Recordings at an address, such as `s3://bucket/a.mp4`: copied here by fsspec (extra `remote`), read, and deleted.

An address is given by the user, in a manifest; what stands in a video file is never followed. Credentials are those
that the package of the store finds where the work is done. What is secret in an address, that is `user:password@` and
what comes after `?`, is never part of a message: only `shown` addresses are.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from untrimmed.errors import ConfigError, DataError, MissingExtraError, UntrimmedError

try:
    import fcntl
except ImportError:  # there is none on Windows
    fcntl = None  # type: ignore[assignment]

PREFIX = "untrimmed-copy-"
"""Of folders with a copy, among the temporary ones."""
CONNECTING, SILENT = 30.0, 120.0
"""Seconds after which a web server that cannot be reached, or sends nothing more, is given up."""
_WEB = ("http", "https")
_ARCHIVES = ("zip", "tar", "libarchive")
"""Protocols of files in a file, whose path or address follows after `::`."""
_CONTAINERS = ("abfs", "abfss", "wasb", "wasbs", "adl")
"""Protocols in which what stands before an @ is a container."""
_USER = re.compile(r"(?:[^/?#@:]*:(?!\d+/)[^@]*@(?:[^/?#]*@)?|[^/?#]*@)")
_ADDRESS = re.compile(r"['\"]?[A-Za-z][A-Za-z0-9+.-]*://.*")
_PATH_OF_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]")  # two letters at least: C:/ is a drive
_CHAINED = re.compile(r"::(?=[A-Za-z][A-Za-z0-9+.-]*(?:://|::))")  # others may be in a password
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}")


def is_address(path: str) -> bool:
    """Whether a path is none of this machine's, but such as `s3://bucket/a.mp4`."""
    return "://" in path


def refuse_address(path: Path, option: str, way_out: str) -> None:
    """Refuse an address where a path is expected; a `Path` of one has lost a slash.

    Raises:
        ConfigError: if it is one.
    """
    if _PATH_OF_ADDRESS.match(str(path)):
        address = shown(str(path).replace(":/", "://", 1))
        raise ConfigError(f"{option} {address}: is an address, but a path is expected. {way_out}")


def refuse_out(out: str | Path) -> None:
    """Refuse an address as the folder to write to.

    Raises:
        ConfigError: if it is one.
    """
    refuse_address(Path(out), "--out", "With --ray it may be one; or write to a folder and copy that")


def local_place(address: str) -> Path | None:
    """Return the path that an address is of, if it is one of this machine, as with `file://`.

    Raises:
        UntrimmedError: as from `check_protocol`, or if the store cannot be spoken to.
    """
    check_protocol(address)
    with said(address, address):
        system, there = opened(address)
    return Path(there) if _is_local(system) else None


def name_at(address: str) -> str:
    """Return the name of the file at an address, without anything that is secret; nothing if it names no file."""
    parts = address.split("::") if address.partition("://")[0] in _ARCHIVES else _CHAINED.split(address)
    protocol, _, path = next(part for part in parts if is_address(part)).partition("://")
    path = path[len(_user(protocol, path)) :]
    if protocol in _WEB:
        path = unquote(re.split(r"[?#]", path, maxsplit=1)[0].partition("/")[2])
    return PurePosixPath(path).name


def shown(path: str) -> str:
    """Return a path or an address without what is secret in it."""
    if not is_address(path):
        return path
    return "::".join(map(_without_secrets, _CHAINED.split(path)))


def check_protocol(address: str) -> None:
    """See whether files at an address can be read here, without asking for any.

    Raises:
        MissingExtraError: if fsspec is not installed.
        ConfigError: if it does not know the protocol, or that needs a package that is not installed.
    """
    fsspec = _fsspec(address)
    for part in _CHAINED.split(address):
        protocol = part.partition("://")[0]
        try:
            fsspec.get_filesystem_class(protocol)
        except ValueError:
            raise ConfigError(
                f"{shown(address)}: {protocol!r} is no protocol that fsspec knows. Correct the address"
            ) from None
        except ImportError as error:
            raise ConfigError(
                f"{shown(address)}: addresses with {protocol}:// need a package that is not installed here ({error})"
            ) from None


@contextmanager
def local_copy(path: str, beside: Sequence[str] = ()) -> Iterator[Path]:
    """Context in which what is at an address is a file here. A path is that file itself, as is a `file://`.

    The copy is in a folder of its own, in the one for temporary files (`TMPDIR`), and removed with it. Copies that
    killed processes have left are removed by the next one that makes a copy.

    Args:
        path: a path, or an address.
        beside: names of files that are copied as well, if they are beside it, and may be read.

    Raises:
        DataError: if there is no such file, no permission to read it, or no room for it.
        ConfigError: if the protocol is not known here, as for the next.
        MissingExtraError: see `check_protocol`.
    """
    if not is_address(path):
        yield Path(path)
        return
    if (here := local_place(path)) is not None:
        with called({str(here): shown(path)}):
            yield here
        return
    with said(path, path):
        system, there = opened(path)
    with temporary_folder() as folder:
        suffix = PurePosixPath(name_at(path)).suffix
        copy = folder / f"recording{suffix if _SUFFIX.fullmatch(suffix) else ''}"
        with said(path, path):
            system.get_file(there, str(copy))
            if not copy.is_file():
                raise IsADirectoryError(errno.EISDIR, "it is a folder")
        for name in () if "?" in path else beside:  # what follows ? is of this file
            parent, _, _ = there.rpartition("/")
            with said(path, f"{path.rpartition('/')[0]}/{name}"):
                _get_if_there(system, f"{parent}/{name}", folder / name)
        with called({str(copy): shown(path), str(folder): shown(path.rpartition("/")[0])}):
            yield copy


def _get_if_there(system: Any, there: str, copy: Path) -> None:
    """Copy a file, unless there is none. Stores whose files may not be listed say that one is forbidden that is not."""
    try:
        system.get_file(there, str(copy))
    except (FileNotFoundError, PermissionError):
        return
    except Exception as error:
        if getattr(error, "status", None) not in (401, 403):  # of an answer by HTTP
            raise


def _fsspec(address: str) -> Any:
    try:
        import fsspec  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingExtraError("fsspec", "remote", f"Reading {shown(address)}") from None
    return fsspec


def opened(address: str) -> tuple[Any, str]:
    """Return the store of an address (fsspec has no types), and what the file is called in it."""
    from fsspec.core import url_to_fs  # noqa: PLC0415  an extra

    options = {}
    for protocol in {part.partition("://")[0] for part in _CHAINED.split(address)} & set(_WEB):
        import aiohttp  # noqa: PLC0415  fsspec needs it for these

        # By default, what takes more than five minutes would be given up.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECTING, sock_read=SILENT)
        options[protocol] = {"client_kwargs": {"timeout": timeout}}
    system, there = url_to_fs(address, **options)
    return system, there


def _is_local(system: Any) -> bool:
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415  an extra

    return isinstance(system, LocalFileSystem)


def _unreadable(place: str, reason: str) -> UntrimmedError:
    return DataError(f"{place}: {reason}")


@contextmanager
def said(address: str, place: str, failure: Callable[[str, str], UntrimmedError] = _unreadable) -> Iterator[None]:
    """Context in which something is asked of a store, which may raise anything.

    Args:
        address: that the store is known by.
        place: that it is asked about.
        failure: makes an error of the place, and of what is wrong; a `DataError` where left out.

    Raises:
        UntrimmedError: if it does; its text has nothing secret of the address, and no error that has is linked to it.
    """
    try:
        yield
    except UntrimmedError:
        raise
    except Exception as error:
        raise failure(shown(place), _reason(error, address)) from None


def _reason(error: Exception, address: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "permission is denied; credentials are looked for on the machine that does the work"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"there is no room for a copy in {tempfile.gettempdir()}. Make some, or name another folder by TMPDIR"
    text = (str(error).strip() or "without a message").splitlines()[0][:500]
    for secret in _secrets(address):
        text = text.replace(secret, "***")
    # What a store makes of an address may have the same secrets in another form.
    return f"its store says {type(error).__name__}: {_ADDRESS.sub('...', text)}"


def _without_secrets(part: str) -> str:
    protocol, mark, rest = part.partition("://")
    user = _user(protocol, rest)
    path, query, _ = rest[len(user) :].partition("?")
    return f"{protocol}{mark}{'***@' if user else ''}{path}{'?***' if query else ''}"


def _user(protocol: str, rest: str) -> str:
    """Return `user:password@` at the beginning of what comes after `://`, or nothing."""
    found = _USER.match(rest)
    if found is None or (protocol in _CONTAINERS and ":" not in found[0]):
        return ""
    return found[0]


def _secrets(address: str) -> list[str]:
    """Return what is not to be said of an address, the longest first, as it stands and decoded."""
    secrets: set[str] = set()
    for part in _CHAINED.split(address):
        protocol, _, rest = part.partition("://")
        user = _user(protocol, rest)
        query = rest[len(user) :].partition("?")[2]
        secrets |= {user.removesuffix("@"), user.removesuffix("@").partition(":")[2], query}
    secrets |= {unquote(secret) for secret in secrets}
    return sorted(secrets - {""}, key=len, reverse=True)


@contextmanager
def called(names: Mapping[str, str]) -> Iterator[None]:
    """Context in which errors of ours are about addresses, and not about copies: each path is called as it says."""
    try:
        yield
    except UntrimmedError as error:
        text = str(error)
        for path, name in names.items():
            text = text.replace(path, name)
        if text == str(error):
            raise
        raise type(error).__new__(type(error), text) from error  # not all are made of one message, but all have one


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Context with a new folder among the temporary ones, locked so that others see that it is in use."""
    _remove_left_behind()
    folder, lock = _new_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _new_folder() -> tuple[Path, int | None]:
    while True:
        with _no_room():
            folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        if fcntl is None:
            return folder, None
        with suppress(FileNotFoundError):  # who looks for what is left behind may have come in between
            lock = os.open(folder, os.O_RDONLY)
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_SH)
            if folder.exists():
                return folder, lock
            os.close(lock)


@contextmanager
def _no_room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{tempfile.gettempdir()}: no copy can be made there ({error.strerror})") from error


def _remove_left_behind() -> None:
    """Remove the folders of processes that were killed: nobody holds their locks any more."""
    if fcntl is None:
        return
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # it is gone, another user's, or in use
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
