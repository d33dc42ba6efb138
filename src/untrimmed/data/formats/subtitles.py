r"""Detections as subtitles, to watch them in any player: WebVTT (`.vtt`), SubRip (`.srt`), SubStation Alpha (`.ass`).

::

    WEBVTT

    00:00:01.250 --> 00:00:04.000
    jump 0.93

    1
    00:00:01,250 --> 00:00:04,000
    jump 0.93

    Dialogue: 0,0:00:01.25,0:00:04.00,Default,,0,0,0,,jump 0.93

The formats are written here, and not by a library: pysubs2 holds all times at 99:59:59.999 (WebVTT) and 9:59:59.99
(ASS), drops what stands in braces, breaks lines at a `\n` in a label, and does not escape the markup of WebVTT.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from untrimmed.data.detections import Detections
from untrimmed.data.formats.plain_text import one_line

Cue = tuple[float, float, str]
"""Start and end in seconds, and the text that is shown, one line."""

_LONGEST_LABEL = 100
"""Characters of a label; more would fill the picture."""

_ASS_HEAD = """\
[Script Info]
ScriptType: v4.00+
WrapStyle: 0
ScaledBorderAndShadow: yes
PlayResX: 1280
PlayResY: 720

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,36,&H00FFFFFF,&H00FFFFFF,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,2,1,2,24,24,20,1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""

_WEBVTT_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ASS_LOOKALIKES = str.maketrans({"{": "(", "}": ")", "\\": "/"})


def webvtt(detections: Detections) -> str:
    """Return the detections of one video as WebVTT, in the order of their starts, with scores; times in milliseconds.

    Players show overlapping cues above each other. `<`, `>` and `&`, which are markup, are escaped.
    """
    return webvtt_text(_shown(detections))


def ass(detections: Detections) -> str:
    r"""Return the detections of one video as ASS, in the order of their starts, with scores; times in centiseconds.

    `{`, `}` and `\`, which are markup and cannot be escaped in every player, become `(`, `)` and `/`.
    """
    return ass_text(_shown(detections))


def webvtt_text(cues: Iterable[Cue]) -> str:
    """Return cues as WebVTT, as `webvtt` does."""
    parts = [
        f"{_clock(start, 1000)} --> {_clock(end, 1000)}\n{text.translate(_WEBVTT_ESCAPES)}\n"
        for start, end, text in _rounded(cues, 1000)
    ]
    return "\n".join(["WEBVTT\n", *parts])


def srt_text(cues: Iterable[Cue]) -> str:
    """Return cues as SubRip, numbered in the order of their starts; times in milliseconds.

    What players take for markup, in `<>` or in braces, cannot be escaped: texts must not have it.
    """
    parts = []
    for number, (start, end, text) in enumerate(_rounded(cues, 1000), 1):
        times = f"{_clock(start, 1000)} --> {_clock(end, 1000)}".replace(".", ",")
        parts.append(f"{number}\n{times}\n{text}\n")
    return "\n".join(parts)


def ass_text(cues: Iterable[Cue]) -> str:
    """Return cues as ASS, as `ass` does."""
    events = [
        f"Dialogue: 0,{_clock(start, 100)},{_clock(end, 100)},Default,,0,0,0,,{text.translate(_ASS_LOOKALIKES)}\n"
        for start, end, text in _rounded(cues, 100)
    ]
    return _ASS_HEAD + "".join(events)


def _shown(detections: Detections) -> Iterator[Cue]:
    for each in detections:
        yield each.start, each.end, f"{one_line(each.label, _LONGEST_LABEL)} {each.score:.2f}"


def _rounded(cues: Iterable[Cue], units: int) -> Iterator[tuple[int, int, str]]:
    """Yield start and end, in so many units a second, and the text of each cue.

    A cue has to end after it starts: shorter ones last one unit.
    """
    rows = []
    for first, last, text in cues:
        start = max(0, round(first * units))
        rows.append((start, max(start + 1, round(last * units)), text))
    yield from sorted(rows, key=lambda row: row[:2])  # stable: of equal times the best comes first


def _clock(time: int, units: int) -> str:
    """Return a time as a clock shows it: `01:02:03.456` of thousandths of a second, `1:02:03.45` of hundredths."""
    seconds, rest = divmod(time, units)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    digits = len(str(units)) - 1
    return f"{hours:0{digits - 1}d}:{minutes:02d}:{seconds:02d}.{rest:0{digits}d}"
