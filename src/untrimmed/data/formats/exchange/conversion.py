"""A file of one format to a file, or a folder of files, of another one, with every loss named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from untrimmed.data.check.report import count, some
from untrimmed.data.formats.exchange.formats import FORMATS, USUAL, Format
from untrimmed.data.formats.exchange.holding import fitted, with_marks
from untrimmed.data.formats.exchange.naming import file_names, video_id
from untrimmed.data.formats.exchange.opening import read, recognise
from untrimmed.data.formats.exchange.source import Options, Source
from untrimmed.data.formats.exchange.timeline import Document
from untrimmed.errors import AnnotationError, ConfigError


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Attributes:
        source: the format of what was read.
        target: the format of what was written.
        files: that were written.
        videos: number of recordings in them.
        marks: number of marks in them.
        notes: what the source says and was not read, a line each.
        losses: what was read and the target cannot hold, a line each.
    """

    source: str
    target: str
    files: tuple[Path, ...]
    videos: int
    marks: int
    notes: tuple[str, ...]
    losses: tuple[str, ...]


def convert(
    source: str | Path,
    target: str | Path,
    *,
    from_: str | None = None,
    to: str | None = None,
    options: Options | None = None,
    subset: str | None = None,
    min_score: float | None = None,
) -> Conversion:
    """Convert a file, or a folder of files of one recording each.

    Args:
        source: to be read.
        target: to be written: a file, or where a file of the format is of one recording, also a folder. Files that are
            there are replaced, but never the source.
        from_: the format of the source; left out: found out.
        to: the format of the target; left out: what its suffix says.
        options: what is known besides.
        subset: the recordings that are converted: those of this subset, and those of none, which are put into it.
        min_score: marks with a lower score are left out.

    Raises:
        AnnotationError: if the source cannot be read, or too little is known to write the target.
        ConfigError: if a format is not known or cannot be written, or the target would be the source.
        OSError: if a file cannot be written.
    """
    source, target = Path(source), Path(target)
    options = Options() if options is None else options
    into = _target_format(target, to)
    if target.exists() and source.exists() and target.samefile(source):
        raise ConfigError(f"{target}: is the source itself, which is never replaced; name another file")
    opened = Source(source)
    of = _named(from_, "--from") if from_ is not None else recognise(opened)
    document = _selected(read(opened, of, options), source, subset, min_score)
    notes = document.notes
    document, losses = fitted(document, into.holds, options, target)
    files = _files(document, into, target)
    if into.named_by_file:
        read_as = {id_: video_id(path.stem) for id_, path in files.items()}
        changed = [f"{id_!r} as {name!r}" for id_, name in read_as.items() if id_ != name]
        if changed:
            number = count(len(changed), "video")
            losses.append(f"{number} will be read by another name, that of the file: {some(changed, 2)}")
    _write(document, into, target, files, source, options)
    written = tuple(files.values()) or (target,)
    return Conversion(of.name, into.name, written, len(document.timelines), document.marks, notes, tuple(losses))


def _named(name: str, option: str) -> Format:
    if name not in FORMATS:
        raise ConfigError(f"{option} {name}: there is no such format; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def _target_format(target: Path, to: str | None) -> Format:
    suffix = target.suffix.lower()
    if to is None:
        if suffix not in USUAL:
            writable = [f.name for f in FORMATS.values() if f.writes and (not suffix or suffix in f.suffixes)]
            several = f"{suffix} files are of several formats" if suffix and writable else "no format is named"
            names = ", ".join(writable or (f.name for f in FORMATS.values() if f.writes))
            raise ConfigError(f"{target}: {several}; say by --to which of {names}")
        return USUAL[suffix]
    format_ = _named(to, "--to")
    if format_.writes is None:
        raise ConfigError(
            f"--to {to}: {format_.title} is only read: its segments are verbs and nouns by number, which labels are not"
        )
    if suffix not in format_.suffixes and not (format_.one_video and (not suffix or target.is_dir())):
        folder = ", or a folder" if format_.one_video else ""
        raise ConfigError(f"{target}: {format_.title} is written to {' or '.join(format_.suffixes)} files{folder}")
    return format_


def _selected(document: Document, source: Path, subset: str | None, min_score: float | None) -> Document:
    if subset is not None:
        there = sorted({timeline.subset for timeline in document.timelines if timeline.subset})
        document = _with_subset(document, subset)
        if not document.timelines and there:
            raise AnnotationError(f"{source}: no video is in subset {subset!r}; there are {some(map(repr, there), 8)}")
    if min_score is not None:
        if not document.scored:
            raise AnnotationError(f"{source}: --min-score {min_score:g}, but nothing in it has a score; leave it out")
        document = with_marks(document, lambda _, mark: mark if mark.score is None or mark.score >= min_score else None)
    return document


def _files(document: Document, format_: Format, target: Path) -> Mapping[str, Path]:
    """Return the file of each recording, if the format has one for each."""
    if not format_.one_video:
        return {}
    ids = [timeline.video for timeline in document.timelines]
    if not ids:
        raise AnnotationError(f"{target}: there is nothing to write: no recording is left")
    if target.suffix.lower() in format_.suffixes and not target.is_dir():
        if len(ids) == 1:
            return {ids[0]: target}
        raise ConfigError(
            f"{target}: {format_.title} has one file for each video, and there are {len(ids)}; name a folder, and say "
            f"--to {format_.name}"
        )
    return {id_: target / f"{name}{format_.suffixes[0]}" for id_, name in file_names(ids).items()}


def _write(
    document: Document, format_: Format, target: Path, files: Mapping[str, Path], source: Path, options: Options
) -> None:
    assert format_.writes is not None
    if not files:
        format_.writes(document, target, options)
        return
    for path in files.values():
        if path.exists() and source.exists() and path.samefile(source):
            raise ConfigError(f"{path}: is the source itself, which is never replaced; name another folder")
    for timeline in document.timelines:
        format_.writes(replace(document, timelines=(timeline,)), files[timeline.video], options)


def _with_subset(document: Document, subset: str) -> Document:
    """Return the recordings of a subset; those of which the file does not say one are put into it."""
    filled = [replace(t, subset=t.subset or subset) for t in document.timelines]
    return replace(document, timelines=tuple(t for t in filled if t.subset.lower() == subset.lower()))
