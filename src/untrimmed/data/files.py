"""Writing files so that they are never half written."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path


def write_atomically(path: str | Path, content: str | bytes, *, keep: Path | None = None) -> None:
    """Write a file beside its place and rename it: whoever looks finds the old file or the whole new one.

    With `keep`, the old one is renamed to that first, so that for an instant there may be only it.

    Parent folders are created, text is written as UTF-8. A process that is killed meanwhile can leave a file named
    `.*.unfinished`, which may be deleted.

    Raises:
        OSError: if the folder or the file cannot be written; a file that was there before is then unchanged.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        with unfinished.open("xb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # else a crash of the machine could leave the new name with no content
        if keep is not None and path.exists():
            path.replace(keep)
        unfinished.replace(path)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # not the name of the one beside it
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
