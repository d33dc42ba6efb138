"""ActivityNet's JSON, the canonical form of annotations, and its form of submissions, that of detections.

Both are read and written by the package's own modules `formats.activitynet` and `formats.detection_files`, which say
what they look like; their tests hold them against published files.
"""

from __future__ import annotations

from pathlib import Path

from untrimmed.data.formats.activitynet import read_annotations, write_annotations
from untrimmed.data.formats.detection_files import read_detections, write_detections
from untrimmed.data.formats.exchange.source import FaultError, Options, Source, refuse_large
from untrimmed.data.formats.exchange.timeline import (
    Document,
    from_annotations,
    from_detections,
    to_annotations,
    to_detections,
)
from untrimmed.data.formats.reading import MOST_CLASSES
from untrimmed.errors import AnnotationError

_NUMBERS = tuple(map(str, range(MOST_CLASSES)))
"""Labels that are numbers, known as such, so that they stay what they are."""


def read_activitynet(source: Source, _: Options) -> Document:
    """Read annotations.

    Raises:
        AnnotationError: if they cannot be read.
    """
    refuse_large(source.path)
    return from_annotations(read_annotations(source.path))


def write_activitynet(document: Document, path: Path, _: Options) -> None:
    """Write annotations; every duration has to be known.

    Raises:
        AnnotationError: if most marks lie behind the end of their video, so that nobody would read them.
        OSError: if the file cannot be written.
    """
    behind = sum(mark.start >= (t.duration or 0.0) for t in document.timelines for mark in t.marks)
    if 2 * behind > document.marks:
        raise AnnotationError(
            f"{path}: {behind} of {document.marks} marks start behind the end of their video; are their times in "
            "another unit, at another --rate, or of other videos?"
        )
    write_annotations(to_annotations(document, source=str(path)), path)


def read_submission(source: Source, _: Options) -> Document:
    """Read detections.

    Raises:
        AnnotationError: if they cannot be read.
        FaultError: the same.
    """
    refuse_large(source.path)
    try:
        detections = read_detections(source.path, _NUMBERS)
    except OverflowError:
        raise FaultError("a number is too large to be a time or a score") from None
    return from_detections(detections.values())


def write_submission(document: Document, path: Path, _: Options) -> None:
    """Write detections; every mark has to have a score.

    Raises:
        OSError: if the file cannot be written.
    """
    write_detections(to_detections(document, source=str(path)), path)


def recognises_activitynet(source: Source) -> bool:
    """Whether a file is JSON with a "database" as ActivityNet's, or in the shorter form of Charades."""
    if not source.looks_like_json() or not isinstance(content := source.json, dict):
        return False
    database = content.get("database")
    if isinstance(database, dict):
        return not any(isinstance(entry, dict) and "annotation" in entry for entry in database.values())
    return bool(content) and all(isinstance(entry, dict) and "actions" in entry for entry in content.values())


def recognises_submission(source: Source) -> bool:
    """Whether a file is JSON with "results"."""
    return source.looks_like_json() and isinstance(source.json, dict) and isinstance(source.json.get("results"), dict)
