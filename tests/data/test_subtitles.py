from __future__ import annotations

import html
import re

import numpy as np
import pysubs2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.detections import Detections
from untrimmed.data.formats.plain_text import NAMELESS, one_line
from untrimmed.data.formats.subtitles import ass, webvtt

HOSTILE = {
    "<b>jump</b>": "<b>jump</b>",
    "a --> b": "a --> b",
    "00:00:01.000 --> 00:00:02.000": "00:00:01.000 --> 00:00:02.000",
    "{\\an8}up": "{\\an8}up",
    "one\ntwo": "one two",
    "one\r\n\r\ntwo\t three": "one two three",
    "one\\Ntwo\\n\\h": "one\\Ntwo\\n\\h",
    "nul\0 bell\x07": "nul bell",
    "sep\u2028line\u2029par\x85nel": "sep line par nel",
    "\u202egnol\u2066": "gnol",
    "\u200f\u05e8\u05d9\u05e6\u05d4": "\u200f\u05e8\u05d9\u05e6\u05d4",
    "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645": "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "half \ud800": "half \ufffd",
    "&amp; &lt;": "&amp; &lt;",
    "größer, 跳 🏃": "größer, 跳 🏃",
    "  ": NAMELESS,
    "": NAMELESS,
    "\u200b\u202d\n": NAMELESS,
    "NOTE this": "NOTE this",
    "Dialogue: 0,1": "Dialogue: 0,1",
    "x" * 10_000: "x" * 99 + "…",
}


def of(rows: list[tuple[float, float, str, float]]) -> Detections:
    names = tuple(dict.fromkeys(label for _, _, label, _ in rows))
    return Detections(
        "v",
        np.array([[start, end] for start, end, _, _ in rows]).reshape(-1, 2),
        np.array([score for *_, score in rows], dtype=np.float64),
        np.array([names.index(label) for _, _, label, _ in rows], dtype=np.int64),
        names,
    )


def read_webvtt(text: str) -> list[tuple[float, float, str]]:
    """Read cues by the letter of the format: blocks between empty lines, a line with times, then text with escapes."""
    head, *blocks = text.removesuffix("\n").split("\n\n")
    assert head == "WEBVTT"
    cues = []
    for block in blocks:
        times, payload = block.strip("\n").split("\n")
        start, end = (
            int(h) * 3600 + int(m) * 60 + float(s)
            for h, m, s in re.findall(r"(\d{2,}):([0-5]\d):([0-5]\d\.\d{3})", times)
        )
        assert re.fullmatch(r"[\d:.]+ --> [\d:.]+", times)
        assert "-->" not in payload
        assert not re.search(r"[<>\0]", payload)
        cues.append((start, end, html.unescape(payload)))
    return cues


def read_ass(text: str) -> list[tuple[float, float, str]]:
    """Read events by the letter of the format: the text is all that comes after nine commas."""
    events = []
    for line in text.split("[Events]\n")[1].split("\n")[1:-1]:
        kind, start, end, *_, payload = line.split(",", 9)
        assert kind == "Dialogue: 0"
        assert not re.search(r"[{}\\]", payload)
        seconds = []
        for clock in (start, end):
            match = re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d\.\d{2})", clock)
            assert match
            seconds.append(int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]))
        events.append((*seconds, payload))
    return events


def test_webvtt_is_as_documented() -> None:
    found = of([(61.5, 3725.0625, "run", 0.5), (1.25, 4.0, "jump", 0.934)])
    assert webvtt(found) == (
        "WEBVTT\n\n00:00:01.250 --> 00:00:04.000\njump 0.93\n\n00:01:01.500 --> 01:02:05.062\nrun 0.50\n"
    )


def test_ass_is_as_documented() -> None:
    text = ass(of([(61.5, 3725.0625, "run", 0.5), (1.25, 4.0, "jump", 0.934)]))
    assert text.endswith(
        "Dialogue: 0,0:00:01.25,0:00:04.00,Default,,0,0,0,,jump 0.93\n"
        "Dialogue: 0,0:01:01.50,1:02:05.06,Default,,0,0,0,,run 0.50\n"
    )


def test_nothing_found() -> None:
    assert webvtt(of([])) == "WEBVTT\n"
    assert read_ass(ass(of([]))) == []
    assert len(pysubs2.SSAFile.from_string(ass(of([])))) == 0


def test_a_library_reads_the_same() -> None:
    found = of([(1.25, 4.0, "jump", 0.934), (2.5, 3600.0, "größer, 跳", 0.5), (2.5, 3.0, "run", 0.25)])
    for text, kind in ((webvtt(found), "vtt"), (ass(found), "ass")):
        read = pysubs2.SSAFile.from_string(text)
        assert read.format == kind
        assert [(e.start, e.end, e.plaintext) for e in read] == [
            (1250, 4000, "jump 0.93"),
            (2500, 3000, "run 0.25"),
            (2500, 3_600_000, "größer, 跳 0.50"),
        ]


@pytest.mark.parametrize(("label", "shown"), HOSTILE.items(), ids=lambda text: ascii(text)[:30])
def test_hostile_labels(label: str, shown: str) -> None:
    found = of([(0.0, 1.0, label, 0.5), (2.0, 3.0, "next", 0.25)])
    assert read_webvtt(webvtt(found)) == [(0, 1, f"{shown} 0.50"), (2, 3, "next 0.25")]
    in_ass = shown.translate(str.maketrans("{}\\", "()/"))
    assert read_ass(ass(found)) == [(0, 1, f"{in_ass} 0.50"), (2, 3, "next 0.25")]
    for text in (webvtt(found), ass(found)):
        text.encode()
        if "00:00:01.000 --" not in label:  # the library takes every line with two times for the head of a cue
            assert len(pysubs2.SSAFile.from_string(text)) == 2


def test_times_of_any_size() -> None:
    hours = 123 * 3600
    found = of([(-1.5, -0.5, "before", 0.5), (hours + 0.9996, hours + 1.0, "late", 0.5), (5.0, 5.0, "point", 0.5)])
    assert read_webvtt(webvtt(found)) == [
        (0, 0.001, "before 0.50"),
        (5, 5.001, "point 0.50"),
        (hours + 1, hours + 1.001, "late 0.50"),
    ]
    assert read_ass(ass(found)) == [
        (0, 0.01, "before 0.50"),
        (5, 5.01, "point 0.50"),
        (hours + 1, hours + 1.01, "late 0.50"),
    ]


@given(
    st.lists(
        st.tuples(st.floats(-1, 1e6), st.floats(0, 1e4), st.text(max_size=20), st.floats(0, 1)),
        max_size=6,
    )
)
def test_what_is_written_is_read_back(rows: list[tuple[float, float, str, float]]) -> None:
    found = of([(start, start + length, label, score) for start, length, label, score in rows])
    for cues, unit in ((read_webvtt(webvtt(found)), 0.001), (read_ass(ass(found)), 0.01)):
        assert len(cues) == len(found)
        assert [cue[0] for cue in cues] == sorted(cue[0] for cue in cues)
        assert all(start < end for start, end, _ in cues)
        shown = np.sort(np.array([cue[:2] for cue in cues]).reshape(-1, 2), axis=0)
        meant = found.segments.clip(0)
        half = 0.501 * unit  # what rounding does
        np.testing.assert_allclose(shown[:, 0], np.sort(meant[:, 0]), rtol=0, atol=half)
        ends = np.sort(meant[:, 1]), np.sort(np.maximum(meant[:, 1], meant[:, 0] + unit))  # each lasts a unit or more
        assert (shown[:, 1] >= ends[0] - half).all()
        assert (shown[:, 1] <= ends[1] + half).all()
        assert sorted(text.rpartition(" ")[2] for *_, text in cues) == sorted(f"{d.score:.2f}" for d in found)


@given(st.text(st.characters(), max_size=30), st.integers(2, 40))
def test_one_line(text: str, longest: int) -> None:
    line = one_line(text)
    assert line
    line.encode()
    assert line.splitlines() == [line]
    assert line.isprintable() or not any(character in "\n\r\t\0\u202e" for character in line)
    assert one_line(line) == line
    short = one_line(text, longest)
    assert len(short) <= max(longest, len(NAMELESS))
    assert short == line or (short.endswith("…") and line.startswith(short[:-1]))
