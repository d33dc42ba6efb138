"""Names that files of annotations give to recordings, and names that recordings give to files."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection
from urllib.parse import parse_qs, unquote, urlsplit

_MEDIA_SUFFIXES = frozenset(
    (
        *("3g2", "3gp", "asf", "avi", "divx", "dv", "f4v", "flv", "m2ts", "m2v", "m4v", "mjpeg", "mjpg", "mkv", "mov"),
        *("mp4", "mpe", "mpeg", "mpg", "mts", "mxf", "nut", "ogm", "ogv", "rm", "rmvb", "ts", "vob", "webm", "wmv"),
        *("wtv", "y4m", "aac", "aif", "aiff", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav", "wma"),
    )
)
_LONGEST = 120  # bytes of a file's name without suffix; file systems hold 255
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows, whatever the suffix
_FORBIDDEN = frozenset('<>:"/\\|?*%')


def video_id(name: str) -> str:
    """Return the id of a recording that is named by an id, a file, a path (also of Windows) or an address.

    Folders and a suffix of video or sound are left out: ids are the names of files without suffix.
    """
    if re.match(r"[a-z][a-z0-9+.-]+://", name, re.IGNORECASE):
        name = unquote(_path_of(name))
    last = re.split(r"[/\\]", name.strip().rstrip("/\\"))[-1].strip()
    stem, dot, suffix = last.rpartition(".")
    return stem.strip() if dot and stem.strip() and suffix.lower() in _MEDIA_SUFFIXES else last


def lasting_id(id_: str) -> str:
    """Return the id that an id, written where a path may stand, is read as, however often."""
    for _ in range(len(id_)):
        shorter = video_id(id_)
        if shorter == id_:
            break
        id_ = shorter
    return id_ or "video"


def _path_of(address: str) -> str:
    try:
        return urlsplit(address).path
    except ValueError:  # as of http://[
        return address


def local_file(path: str) -> str:
    """Return the path in an address of Label Studio's local storage, `/data/local-files/?d=PATH`, else what came."""
    if "/local-files/?" not in path:
        return path
    try:
        return parse_qs(path.partition("?")[2]).get("d", [path])[0]
    except ValueError:  # too many fields
        return path


def file_names(ids: Collection[str]) -> dict[str, str]:
    """Return a name of a file, without suffix, for each recording; all differ, whatever the ids are.

    An id that is a safe name on all systems is kept. From any other one, what is not safe is replaced, and something
    is added that tells it from others.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for id_ in sorted(ids, key=lambda each: not _is_safe(each)):  # safe ones first: they keep their names
        name = id_
        if not _is_safe(id_) or _folded(id_) in taken:
            kept = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", id_)).strip("._-")[:40]
            name = f"{kept or 'video'}-{hashlib.sha256(id_.encode()).hexdigest()[:10]}"
        names[id_] = name
        taken.add(_folded(name))
    return names


def _folded(name: str) -> str:
    """Return what is the same for two names that are one file on some systems."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_safe(name: str) -> bool:
    return (
        0 < len(name.encode()) <= _LONGEST
        and not _FORBIDDEN & set(name)
        and not any(unicodedata.category(character)[0] == "C" for character in name)
        and name == name.strip()
        and not name.startswith((".", "-"))
        and not name.endswith(".")
        and _RESERVED.fullmatch(name) is None
    )
