"""Files and folders of any format to documents, and which format they are of."""

from __future__ import annotations

from pathlib import Path

from untrimmed.data.formats.exchange.formats import FORMATS, Format
from untrimmed.data.formats.exchange.source import FaultError, Options, Source
from untrimmed.data.formats.exchange.timeline import Document, checked
from untrimmed.errors import AnnotationError

_LONGEST_MESSAGE = 2000


def read(source: Source, format_: Format, options: Options) -> Document:
    """Read a file, or a folder of files of one recording each.

    Raises:
        AnnotationError: if it cannot be read or understood.
    """
    if format_.one_video and source.path.is_dir():
        return _read_folder(source.path, format_, options)
    try:
        return checked(format_.reads(source, options), source.path)
    except FaultError as fault:
        raise AnnotationError(_cut(f"{source.path}: {fault}")) from None
    except AnnotationError as error:
        raise AnnotationError(_cut(str(error))) from None


def recognise(source: Source) -> Format:
    """Find out of which format a file or a folder is.

    Raises:
        AnnotationError: if it is of none, or of several; the message names them.
    """
    if not source.path.exists():
        raise AnnotationError(f"{source.path}: there is no such file or folder")
    is_folder = source.path.is_dir()
    found = [
        format_
        for format_ in FORMATS.values()
        if (is_folder and format_.one_video and _files(source.path, format_)) or format_.recognises(source)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(format_.name for format_ in found)
        raise AnnotationError(f"{source.path}: could be {names}; say which by --from")
    if source.suffix in (".csv", ".tsv", ".xlsx", ".ods") and not is_folder:
        return FORMATS["table"]  # which says what it lacks
    raise AnnotationError(
        f"{source.path}: of none of the known formats; if it is one, say --from: {', '.join(FORMATS)}"
    )


def _cut(message: str) -> str:
    """Return a message that can be read, even if names in the file that it shows are endless."""
    return message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…"


def _files(folder: Path, format_: Format) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in format_.suffixes and not path.name.startswith(".") and path.is_file()
    )


def _read_folder(folder: Path, format_: Format, options: Options) -> Document:
    files = _files(folder, format_)
    if not files:
        raise AnnotationError(f"{folder}: has no {' or '.join(format_.suffixes)} files")
    documents = [read(Source(file), format_, options) for file in files]
    return checked(
        Document(
            tuple(timeline for document in documents for timeline in document.timelines),
            tuple(label for document in documents for label in document.labels),
            tuple(
                f"{file.name}: {note}"
                for file, document in zip(files, documents, strict=True)
                for note in document.notes
            ),
        ),
        folder,
    )
