"""What is to be worked on: videos or features, in folders, in manifests, or named themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features.folder import files_by_video
from untrimmed.data.features.formats import FORMATS
from untrimmed.data.remote import check_protocol, is_address, name_at, shown
from untrimmed.data.signals.table import TABLES
from untrimmed.video.extraction.finding import find_videos, same_id
from untrimmed.video.extraction.manifest import Entry, is_manifest, read_manifest

Kind = Literal["videos", "features"]


def entries(sources: Sequence[Path], kind: Kind) -> Iterator[Entry]:
    """Yield what files, folders and manifests stand for, in their order; manifests are read as it goes.

    Raises:
        UntrimmedError: if one of them cannot be read, or stands for nothing; or if a manifest names addresses of a
            protocol that is not known here.
    """
    for source in sources:
        if is_manifest(source):
            for entry in read_manifest(source):
                if is_address(entry.path):
                    check_protocol(entry.path)
                yield entry
        elif kind == "videos":
            yield from (Entry(name, str(path)) for name, path in find_videos([source]).items())
        elif source.is_dir():
            files = files_by_video(source, "", (*FORMATS, *TABLES))
            yield from (Entry(name, str(source / files[name])) for name in sorted(files))
        else:
            yield Entry(source.stem, str(source))


def kind_of(source: Path) -> Kind:
    """Return what the first row of a manifest is, by its suffix.

    Raises:
        VideoError: if the manifest cannot be read.
    """
    first = next(read_manifest(source))
    name = name_at(first.path) if is_address(first.path) else first.path
    return "features" if Path(name).suffix in (*FORMATS, *TABLES) else "videos"


def digest(name: str) -> int:
    """Return 64 bits of an id, which tell it apart from others."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def repeated(digests: NDArray[np.uint64]) -> frozenset[int]:
    """Return the digests that there are more than one of."""
    values, counts = np.unique(digests, return_counts=True)
    return frozenset(values[counts > 1].tolist())


def refuse_same_ids(sources: Sequence[Path], kind: Kind, suspects: frozenset[int]) -> None:
    """Look again at the entries whose digests are there more than once.

    Raises:
        VideoError: if two files have one id.
    """
    seen: dict[str, str] = {}
    for entry in entries(sources, kind):
        if digest(entry.id) in suspects:
            if entry.id in seen:
                raise same_id(entry.id, shown(seen[entry.id]), shown(entry.path))
            seen[entry.id] = entry.path
