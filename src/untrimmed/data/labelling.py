"""From a table of labels and a folder of videos to annotations: which video each row means, and whether it can be."""

from __future__ import annotations

import difflib
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.check.report import count, some
from untrimmed.data.formats.interval_table import MOST_SHOWN, Row, refuse_rows
from untrimmed.data.formats.reading import Problem
from untrimmed.errors import AnnotationError

SLACK = 0.5
"""Seconds by which an action may end behind its video: it is cut there, with a warning."""


@dataclass(frozen=True)
class Labelled:
    """Annotations made of a table, and what one should know about them."""

    annotations: Annotations
    warnings: tuple[str, ...]


def match_videos(rows: Sequence[Row], files: Mapping[str, str], table: Path, folder: Path) -> dict[str, list[Row]]:
    """Find the video that each row means.

    Args:
        rows: of the table.
        files: path of every video, by its id, relative to their folder and with slashes.
        table: the table's file, for messages.
        folder: the folder of the videos; rows may also name a video by its path from the root.

    Returns:
        The rows of each video that has any, by its id, in the order of `files`.

    Raises:
        AnnotationError: if a row names no video that is there; the message has the nearest names.
    """
    known = _names(files, folder)
    found: dict[str, list[Row]] = defaultdict(list)
    problems: dict[str, Problem] = {}
    for row in rows:
        id_ = known.get(_normal(row.video))
        if id_ is not None:
            found[id_].append(row)
        elif row.video not in problems:
            # To look for near names takes long, so it is done for those only that are shown.
            near = _nearest(row.video, known, files) if len(problems) < MOST_SHOWN else ""
            message = f"there is no video {row.video!r} in {folder}{near}"
            problems[row.video] = Problem(row.place("video"), message)
    refuse_rows(table, list(problems.values()))
    return {id_: found[id_] for id_ in files if id_ in found}


def annotate(rows: Mapping[str, Sequence[Row]], videos: Mapping[str, Video], table: Path) -> Labelled:
    """Make annotations of the rows of each video.

    Blanks at the ends of labels are taken away, and several between words become one; so labels that differ by these
    only become one class. An action that ends up to `SLACK` seconds behind its video is cut there. An action that
    is there twice is taken once. All of this is warned about. Labels that differ only by how an accent is encoded are
    the same text, and become one class too.

    Args:
        rows: of each video, by its id.
        videos: all that are to be annotated, with their durations; those without rows have no actions.
        table: the table's file, for messages.

    Raises:
        AnnotationError: if an action lies behind the end of its video, or rows contradict each other, or there is no
            action at all.
    """
    problems: list[tuple[int, Problem]] = []
    clipped: list[str] = []
    twice: list[int] = []
    annotated: dict[str, Video] = {}
    for id_, video in videos.items():
        instances: dict[Instance, None] = {}
        for row in rows.get(id_, ()):
            if row.instance is None:
                continue
            if (problem := _outside(row, row.instance, video)) is not None:
                problems.append((row.number, problem))
                continue
            instance = replace(row.instance, label=_class_of(row.instance.label))
            if instance.end > video.duration:
                clipped.append(f"row {row.number} by {instance.end - video.duration:.2g} s")
                instance = replace(instance, end=video.duration)
            if instance in instances:
                twice.append(row.number)
            instances[instance] = None
        annotated[id_] = replace(video, instances=tuple(sorted(instances, key=lambda i: (i.start, i.end, i.label))))
    problems += _contradictions(rows)
    refuse_rows(table, [problem for _, problem in sorted(problems, key=lambda pair: pair[0])])
    labels = tuple(sorted({i.label for video in annotated.values() for i in video.instances}))
    if not labels:
        raise AnnotationError(
            f"{table}: no row has an action; a row is video,start,end,label as in clip.mp4,12.5,14,jump"
        )
    warnings = [f"{table}: {message}" for message in _messages(rows, labels, clipped, twice)]
    return Labelled(Annotations(annotated, labels, str(table)), tuple(warnings))


def _names(files: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the id of a video by every name that may stand for it: its path, its file's name, and its id."""
    root = PurePosixPath(folder.resolve().as_posix())
    known: dict[str, str] = {}
    for id_, path in files.items():
        known[_normal(str(root / path))] = id_
        known[_normal(path)] = id_
    for id_, path in files.items():
        known.setdefault(_normal(PurePosixPath(path).name), id_)
    for id_ in files:
        known.setdefault(_normal(id_), id_)
    return known


def _normal(name: str) -> str:
    """Return a name as it is compared: with slashes, and with one of the ways to write an accent."""
    return unicodedata.normalize("NFC", name.replace("\\", "/")).removeprefix("./")


def _nearest(name: str, known: Mapping[str, str], files: Mapping[str, str]) -> str:
    """Name the files that were probably meant: of the same name but for case, folder or suffix, or of a similar one."""
    if not files:
        return ""
    wanted = PurePosixPath(_normal(name)).name.casefold()
    alike = [id_ for id_ in files if wanted in (id_.casefold(), PurePosixPath(files[id_]).name.casefold())]
    alike += [id_ for id_ in files if PurePosixPath(wanted).stem == id_.casefold() and id_ not in alike]
    names = {each.casefold(): id_ for each, id_ in known.items()}
    near = alike or [names[each] for each in difflib.get_close_matches(wanted, names, n=6)]
    if near:
        return f"; did you mean {' or '.join(repr(files[id_]) for id_ in list(dict.fromkeys(near))[:3])}?"
    return f"; there are {some(map(repr, files.values()))}"


def _outside(row: Row, instance: Instance, video: Video) -> Problem | None:
    """Return what is wrong if an action lies behind the end of its video, or reaches far over it."""
    lasts = f"{row.video!r}, which lasts {clock(video.duration)} ({video.duration:.2f} s)"
    if instance.start >= video.duration:
        message = f"{instance.start:g} s lies behind the end of {lasts}{_unit_hint(instance.start, video.duration)}"
        return Problem(row.place("start"), message)
    if instance.end > video.duration + SLACK:
        message = f"{instance.end:g} s lies behind the end of {lasts}; correct it, or is it another video?"
        return Problem(row.place("end"), message)
    return None


def _unit_hint(seconds: float, duration: float) -> str:
    """Say what unit a time that is too large may be in."""
    if seconds % 60 == 0 and seconds / 60 < duration:
        return f"; spreadsheets make hours of minutes: was {clock(seconds / 60)} meant?"
    return "; times are in seconds, mm:ss or hh:mm:ss, not in frames or milliseconds"


def _contradictions(rows: Mapping[str, Sequence[Row]]) -> Iterator[tuple[int, Problem]]:
    """Yield the rows that say of a video with actions that it has none."""
    for of_video in rows.values():
        labelled = [row for row in of_video if row.instance is not None]
        for row in of_video:
            if row.instance is None and labelled:
                message = f"says that {row.video!r} has no actions, but row {labelled[0].number} has one; remove a row"
                yield row.number, Problem(f"row {row.number}", message)


def _messages(
    rows: Mapping[str, Sequence[Row]], labels: Sequence[str], clipped: Sequence[str], twice: Sequence[int]
) -> Iterator[str]:
    """Yield the warnings about a table."""
    if clipped:
        yield f"{count(len(clipped), 'action')} ended behind the video and now ends with it: {some(clipped)}"
    if twice:
        yield f"{count(len(twice), 'row')} repeated another one and was left out: {some(f'row {n}' for n in twice)}"
    written: dict[str, set[str]] = defaultdict(set)
    for of_video in rows.values():
        for row in of_video:
            if row.instance is not None:
                written[_class_of(row.instance.label)].add(unicodedata.normalize("NFC", row.instance.label))
    for forms in written.values():
        if len(forms) > 1:
            yield f"labels that differ by blanks only were taken for one class: {', '.join(map(repr, sorted(forms)))}"
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike["".join(c for c in label.casefold() if unicodedata.category(c) != "Cf")].append(label)
    for group in alike.values():
        if len(group) > 1:
            unseen = "" if all(label.isprintable() for label in group) else " or by characters that are not seen"
            yield (
                f"different classes that differ only by upper and lower case{unseen}: {', '.join(map(repr, group))}. "
                "Write them alike if they are one"
            )


def _class_of(label: str) -> str:
    """Return the class that a label as it is written stands for."""
    return unicodedata.normalize("NFC", " ".join(label.split()))


def clock(seconds: float) -> str:
    """Return a time as `m:ss` or `h:mm:ss`, rounded down to whole seconds."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
