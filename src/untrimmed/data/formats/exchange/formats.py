"""All formats that are exchanged with annotation tools: what each is called, holds, and is read and written by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from untrimmed.data.files import write_atomically
from untrimmed.data.formats.exchange import (
    activitynet,
    audacity,
    boris,
    boris_tables,
    coin,
    elan,
    elan_writing,
    label_studio,
    published,
    subtitles,
    table,
    via3,
)
from untrimmed.data.formats.exchange.holding import Holds
from untrimmed.data.formats.exchange.naming import lasting_id
from untrimmed.data.formats.exchange.source import Options, Source
from untrimmed.data.formats.exchange.timeline import Document
from untrimmed.data.formats.plain_text import one_line

Write = Callable[[Document, Path, Options], None]


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: what it is called on the command line.
        title: what people call it.
        suffixes: of its files; the first is the usual one.
        holds: what it can hold.
        reads: reads a file, or a folder where the format is one; faults are `FaultError`s or `AnnotationError`s.
        writes: writes a document that fits it (see `holding.fitted`); `None`: it is only read.
        recognises: whether a file or a folder is of this format, by its name and what is in it.
        one_video: whether a file is of one recording.
        named_by_file: whether a recording is called like its file, for want of a place for its name.
        usual_for: suffixes that mean this format where no other is named.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    holds: Holds
    reads: Callable[[Source, Options], Document]
    writes: Write | None
    recognises: Callable[[Source], bool]
    one_video: bool = False
    named_by_file: bool = False
    usual_for: tuple[str, ...] = ()


def _as_text(text: Callable[[Document, Options], str]) -> Write:
    """Return what writes a text to a file."""

    def write(document: Document, path: Path, options: Options) -> None:
        write_atomically(path, text(document, options))

    return write


def _subtitle(
    name: str,
    title: str,
    suffixes: tuple[str, ...],
    functions: tuple[
        Callable[[Source, Options], Document],
        Callable[[Document, Options], str],
        Callable[[Source], bool],
        Callable[[str], str],
    ],
    time_units: int,
) -> Format:
    reads, text, recognises, label = functions
    return Format(
        name,
        title,
        suffixes,
        Holds(scores="optional", score_units=100, time_units=time_units, label=label),
        reads,
        _as_text(text),
        recognises,
        one_video=True,
        named_by_file=True,
        usual_for=suffixes[:1],
    )


def _subset_line(name: str) -> str:
    return one_line(name) if name else ""


_EVERY = (
    Format(
        "activitynet",
        "ActivityNet JSON",
        (".json",),
        Holds(durations=True, rates=True, subsets=True, classes=True, points=True, negative=True, needs_durations=True),
        activitynet.read_activitynet,
        activitynet.write_activitynet,
        activitynet.recognises_activitynet,
    ),
    Format(
        "detections",
        "ActivityNet JSON of detections",
        (".json",),
        Holds(scores="required", score_units=10**9, time_units=10**6, points=True, negative=True),
        activitynet.read_submission,
        activitynet.write_submission,
        activitynet.recognises_submission,
    ),
    Format(
        "table",
        "table, CSV or TSV",
        (".csv", ".tsv"),
        Holds(
            scores="optional",
            durations=True,
            rates=True,
            subsets=True,
            points=True,
            subset=_subset_line,
            label=table.table_label,
            video=table.table_video,
        ),
        table.read_table,
        table.write_table,
        table.recognises_table,
        usual_for=(".csv", ".tsv"),
    ),
    Format(
        "label-studio",
        "Label Studio JSON",
        (".json",),
        Holds(scores="optional", durations=True, rates=True, subsets=True, frames=True, video=lasting_id),
        label_studio.read_label_studio,
        _as_text(label_studio.write_label_studio),
        label_studio.recognises_label_studio,
    ),
    Format(
        "elan",
        "ELAN",
        (".eaf",),
        Holds(
            scores="optional",
            durations=True,
            rates=True,
            subsets=True,
            time_units=1000,
            subset=elan_writing.elan_name,
            label=elan_writing.elan_label,
            video=elan_writing.elan_name,
        ),
        elan.read_elan,
        _as_text(elan_writing.write_elan),
        elan.recognises_elan,
        one_video=True,
        usual_for=(".eaf",),
    ),
    Format(
        "boris",
        "BORIS project",
        (".boris", ".json"),
        Holds(
            scores="optional",
            durations=True,
            rates=True,
            subsets=True,
            classes=True,
            time_units=1000,
            label=boris.boris_label,
            video=lasting_id,
        ),
        boris.read_boris,
        _as_text(boris.write_boris),
        boris.recognises_boris,
        usual_for=(".boris",),
    ),
    Format(
        "boris-table",
        "BORIS events, CSV or TSV",
        (".csv", ".tsv"),
        Holds(
            scores="optional",
            durations=True,
            rates=True,
            empty=False,
            time_units=1000,
            label=one_line,
            video=boris_tables.boris_table_name,
        ),
        boris_tables.read_boris_table,
        boris_tables.write_boris_table,
        boris_tables.recognises_boris_table,
    ),
    Format(
        "audacity",
        "Audacity labels",
        (".txt",),
        Holds(time_units=10**6, label=one_line),
        audacity.read_audacity,
        _as_text(audacity.write_audacity),
        audacity.recognises_audacity,
        one_video=True,
        named_by_file=True,
        usual_for=(".txt",),
    ),
    Format(
        "via3",
        "VGG Image Annotator 3",
        (".json",),
        Holds(scores="optional", classes=True, points=True, negative=True, label=via3.via3_label, video=lasting_id),
        via3.read_via3,
        _as_text(via3.write_via3),
        via3.recognises_via3,
    ),
    _subtitle(
        "webvtt",
        "WebVTT subtitles",
        (".vtt",),
        (subtitles.read_webvtt, subtitles.write_webvtt, subtitles.recognises_webvtt, subtitles.webvtt_label),
        1000,
    ),
    _subtitle(
        "srt",
        "SubRip subtitles",
        (".srt",),
        (subtitles.read_srt, subtitles.write_srt, subtitles.recognises_srt, subtitles.srt_label),
        1000,
    ),
    _subtitle(
        "ass",
        "SubStation Alpha subtitles",
        (".ass", ".ssa"),
        (subtitles.read_ass, subtitles.write_ass, subtitles.recognises_ass, subtitles.ass_label),
        100,
    ),
    Format(
        "coin",
        "COIN JSON",
        (".json",),
        Holds(durations=True, subsets=True, points=True, negative=True),
        coin.read_coin,
        _as_text(coin.write_coin),
        coin.recognises_coin,
    ),
    Format(
        "ego4d",
        "Ego4D Moments Queries JSON",
        (".json",),
        Holds(
            durations=True,
            rates=True,
            subsets=True,
            points=True,
            negative=True,
            needs_durations=True,
            rate=published.ego4d_rate,
            subset=published.ego4d_subset,
        ),
        published.read_ego4d,
        _as_text(published.write_ego4d),
        published.recognises_ego4d,
    ),
    *(
        Format(
            f"epic-kitchens-{task}s",
            f"EPIC-KITCHENS-100 CSV, its {task}s",
            (".csv",),
            Holds(),
            partial(published.read_epic, task),
            None,
            published.recognises_epic,
        )
        for task in ("verb", "noun", "action")
    ),
)

FORMATS = {format_.name: format_ for format_ in _EVERY}
"""Every format by its name."""

USUAL = {suffix: format_ for format_ in _EVERY for suffix in format_.usual_for}
"""The format that a suffix means where no other is named."""
