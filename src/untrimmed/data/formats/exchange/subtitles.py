r"""WebVTT (`.vtt`), SubRip (`.srt`) and Advanced SubStation Alpha (`.ass`): a cue is a mark, its text the label.

::

    WEBVTT                              1                                   [Events]
                                        00:00:01,250 --> 00:00:04,000       Format: Layer, Start, End, ..., Text
    00:00:01.250 --> 00:00:04.000       jump 0.93                           Dialogue: 0,0:00:01.25,...,,jump 0.93
    jump 0.93

A number from `0.00` to `1.00` with two decimals behind the text is a score, as `untrimmed detect` writes it. Markup is
left out, lines of one cue are joined. Read are WebVTT as W3C's recommendation has it (identifiers, settings, NOTE,
STYLE and REGION blocks), SubRip as players take it (there is no standard; point or comma before the milliseconds), and
the version 4+ of SubStation Alpha by the columns that its `Format` line names. Tests hold the readers against what
pysubs2 writes, and the writers against what it reads.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from untrimmed.data.check.report import count
from untrimmed.data.formats.exchange.naming import video_id
from untrimmed.data.formats.exchange.source import FaultError, Options, Source
from untrimmed.data.formats.exchange.timeline import Document, Mark, Timeline
from untrimmed.data.formats.plain_text import NAMELESS, one_line
from untrimmed.data.formats.reading import shown
from untrimmed.data.formats.subtitles import Cue, ass_text, srt_text, webvtt_text

_CLOCK = re.compile(r"(?:(\d{1,5}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})", re.ASCII)
_SCORE = re.compile(r"(.*\S) (0\.\d\d|1\.00)", re.ASCII)
_TAG = re.compile(r"<[^<>]*>")
_BRACES = re.compile(r"\{[^{}]*\}")
_ASS_DRAWING = re.compile(r"\{[^{}]*\\p[1-9][^{}]*\}.*?(?=\{[^{}]*\\p0[^{}]*\}|$)", re.DOTALL)  # lines, not words
_ASS_BREAK = re.compile(r"\\[Nnh]")


def read_webvtt(source: Source, _: Options) -> Document:
    """Read a WebVTT file.

    Raises:
        FaultError: if it is none.
    """
    if re.match(r"WEBVTT([ \t\r\n]|$)", source.text) is None:
        raise FaultError("does not begin with WEBVTT, as a WebVTT file has to")
    blocks = _blocks(source.text)
    cues = [block for block in blocks if not re.match(r"(WEBVTT|NOTE|STYLE|REGION)\b", block[0][1])]
    return _document(source, _arrow_cues(cues), lambda text: html.unescape(_TAG.sub("", text)))


def read_srt(source: Source, _: Options) -> Document:
    """Read a SubRip file.

    Raises:
        FaultError: if it is none.
    """
    return _document(source, _arrow_cues(_blocks(source.text)), lambda text: _BRACES.sub("", _TAG.sub("", text)))


def read_ass(source: Source, _: Options) -> Document:
    """Read a SubStation Alpha file.

    Raises:
        FaultError: if it is none.
    """

    def plain(text: str) -> str:
        return _ASS_BREAK.sub(" ", _BRACES.sub("", _ASS_DRAWING.sub("", text)))

    return _document(source, _dialogues(source.text), plain)


def write_webvtt(document: Document, _: Options) -> str:
    """Return one recording as WebVTT."""
    return webvtt_text(_cues(document))


def write_srt(document: Document, _: Options) -> str:
    """Return one recording as SubRip."""
    return srt_text(_cues(document))


def write_ass(document: Document, _: Options) -> str:
    """Return one recording as SubStation Alpha."""
    return ass_text(_cues(document))


def recognises_webvtt(source: Source) -> bool:
    """Whether a file is called `.vtt`."""
    return source.suffix == ".vtt"


def recognises_srt(source: Source) -> bool:
    """Whether a file is called `.srt`."""
    return source.suffix == ".srt"


def recognises_ass(source: Source) -> bool:
    """Whether a file is called `.ass` or `.ssa`."""
    return source.suffix in (".ass", ".ssa")


def webvtt_label(label: str) -> str:
    """Return a label as a WebVTT file can hold it."""
    return _unscored(one_line(label))


def srt_label(label: str) -> str:
    """Return a label as a SubRip file can hold it, which has markup and no way to escape it."""
    return _unscored(one_line(label).translate(str.maketrans("<>{}", "()()")))


def ass_label(label: str) -> str:
    r"""Return a label as a SubStation Alpha file can hold it: braces and `\` are markup."""
    return _unscored(one_line(label).translate(str.maketrans("{}\\", "()/")))


def _unscored(label: str) -> str:
    """Return a label whose end cannot be taken for a score."""
    return f"{label}." if _SCORE.fullmatch(label) else label


def _cues(document: Document) -> list[Cue]:
    marks = [mark for timeline in document.timelines for mark in timeline.marks]
    return [
        (mark.start, mark.end, mark.label if mark.score is None else f"{mark.label} {mark.score:.2f}") for mark in marks
    ]


def _document(source: Source, cues: Iterable[tuple[int, float, float, str]], plain: Callable[[str], str]) -> Document:
    marks: list[Mark] = []
    silent = 0
    for number, start, end, text in cues:
        label = one_line(plain(text))
        if label == NAMELESS and NAMELESS not in text:
            silent += 1
            continue
        if start > end:
            raise FaultError(f"line {number}: {shown(label)} ends before it starts; swap the two times")
        scored = _SCORE.fullmatch(label)
        marks.append(Mark(start, end, scored[1], float(scored[2])) if scored else Mark(start, end, label))
    notes = (f"{count(silent, 'cue')} without text left out",) if silent else ()
    return Document((Timeline(video_id(source.stem), tuple(marks)),), notes=notes)


def _blocks(text: str) -> Iterator[list[tuple[int, str]]]:
    """Yield the blocks between blank lines: numbered lines."""
    block: list[tuple[int, str]] = []
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line.strip():
            block.append((number, line.strip()))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _arrow_cues(blocks: Iterable[Sequence[tuple[int, str]]]) -> Iterator[tuple[int, float, float, str]]:
    """Yield line number, times and text of the cues of WebVTT and SubRip."""
    for block in blocks:
        at = next((i for i, (_, line) in enumerate(block[:2]) if "-->" in line), None)
        if at is None:
            number, line = block[0]
            raise FaultError(
                f"line {number}: {shown(line)} belongs to no cue; expected a line like 00:01.0 --> 00:02.0"
            )
        number, line = block[at]
        start, _, rest = line.partition("-->")
        end = rest.split()
        texts = [text for _, text in block[at + 1 :]]
        if again := next((each for each, text in block[at + 1 :] if "-->" in text), None):
            raise FaultError(f"line {again}: another cue begins in the text of one; put a blank line in front of it")
        yield number, _time(start.strip(), number), _time(end[0] if end else "", number), " ".join(texts)


def _dialogues(text: str) -> Iterator[tuple[int, float, float, str]]:
    """Yield line number, times and text of the dialogues of SubStation Alpha."""
    section, columns = "", [""]
    events = False
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if re.fullmatch(r"\[.*\]", line.strip()):
            section = line.strip().lower()
            events = events or section == "[events]"
        key, colon, value = line.partition(":")
        if section != "[events]" or not colon:
            continue
        if key.strip() == "Format":
            columns = [name.strip().lower() for name in value.split(",")]
        elif key.strip() == "Dialogue":
            if not {"start", "end", "text"} <= set(columns) or columns[-1] != "text":
                raise FaultError(
                    f"line {number}: a Dialogue without a Format line that names Start, End and, last, Text"
                )
            values = value.split(",", len(columns) - 1)
            if len(values) != len(columns):
                raise FaultError(f"line {number}: {len(values)} values, but there are {len(columns)} columns")
            row = dict(zip(columns, values, strict=True))
            yield number, _time(row["start"].strip(), number), _time(row["end"].strip(), number), row["text"]
    if not events:
        raise FaultError("has no section [Events], as a SubStation Alpha file has")


def _time(text: str, number: int) -> float:
    """Return seconds of `1:02:03.45`, `02:03.450` or `01:02:03,450`."""
    parts = _CLOCK.fullmatch(text)
    if parts is None or int(parts[2]) >= 60 or int(parts[3]) >= 60:
        raise FaultError(f"line {number}: {shown(text)} is no time; expected one like 00:01:02.500")
    units = 10 ** len(parts[4])
    return (((int(parts[1] or 0) * 60 + int(parts[2])) * 60 + int(parts[3])) * units + int(parts[4])) / units
