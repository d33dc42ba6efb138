"""What files of annotation tools say in ways of their own: units, cues without blank lines, shared times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from untrimmed.data.formats.exchange.opening import read as read_document
from untrimmed.data.formats.exchange.opening import recognise
from untrimmed.data.formats.exchange.source import Options, Source
from untrimmed.data.formats.exchange.timeline import Mark, Timeline
from untrimmed.errors import AnnotationError


def read(tmp_path: Path, name: str, text: str, rate: float | None = None) -> Timeline:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    source = Source(path)
    (timeline,) = read_document(source, recognise(source), Options(rate=rate)).timelines
    return timeline


def refused(tmp_path: Path, name: str, text: str, rate: float | None = None) -> str:
    with pytest.raises(AnnotationError) as error:
        read(tmp_path, name, text, rate)
    return str(error.value).removeprefix(f"{tmp_path / name}: ")


def test_tables_in_milliseconds_with_percents(tmp_path: Path) -> None:
    text = "video,start (ms),end (ms),label,score (%),video_duration (min)\na,1500,2500,x,93,2\na,3000,4000,y,7%,2\n"
    timeline = read(tmp_path, "a.csv", text)
    assert timeline.marks == (Mark(1.5, 2.5, "x", 0.93), Mark(3.0, 4.0, "y", 0.07))
    assert timeline.duration == 120.0


@pytest.mark.parametrize("columns", ["start (frame number),end (frame number)", "start_frame,end (frames)"])
def test_tables_in_frames(tmp_path: Path, columns: str) -> None:
    assert read(tmp_path, "a.csv", f"video,{columns},label\na,50,75,x\n", rate=25).marks == (Mark(2.0, 3.0, "x"),)


@pytest.mark.parametrize("columns", ["start_frame,end", "start,end_frame", "start (ms),end (frames)"])
def test_frames_and_seconds_in_one_row_are_refused(tmp_path: Path, columns: str) -> None:
    said = refused(tmp_path, "a.csv", f"video,{columns},label\na,50,75,x\n", rate=25)
    assert "counts frames, but column" in said
    assert "have both in frames, or both in seconds" in said


def test_a_table_of_other_columns_says_what_it_lacks(tmp_path: Path) -> None:
    said = refused(tmp_path, "a.csv", "video,start,duration,label\na,1,2,x\n")
    assert said.startswith("no column 'end' in the first row, which is 'video', 'start', 'duration', 'label'")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\njump\n2\n00:00:03,000 --> 00:00:04,000\nrun\n", 5),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\njump\n00:03.000 --> 00:04.000\nrun\n", 5),
    ],
)
def test_cues_without_a_blank_line_between_them_are_not_one(tmp_path: Path, name: str, text: str, line: int) -> None:
    assert refused(tmp_path, name, text).startswith(f"line {line}: another cue begins in the text of one")


def test_drawings_are_no_text(tmp_path: Path) -> None:
    events = "[Events]\nFormat: Layer, Start, End, Text\n"
    for text, label in (
        ("{\\p1}m 0 0 l 1 1{\\p0}jump", "jump"),
        ("run{\\an8\\p2}m 0 0", "run"),
        ("{\\pos(1,2)}go", "go"),
    ):
        dialogue = f"Dialogue: 0,0:00:01.00,0:00:02.00,{text}\n"
        assert [mark.label for mark in read(tmp_path, "a.ass", events + dialogue).marks] == [label]


def annotation(id_: str, parent: str, value: str, previous: str = "") -> str:
    before = f' PREVIOUS_ANNOTATION="{previous}"' if previous else ""
    inside = f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE>"
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{id_}" ANNOTATION_REF="{parent}"{before}>{inside}'
        "</REF_ANNOTATION></ANNOTATION>"
    )


def eaf(*tiers: str) -> str:
    whole = (
        '<TIER LINGUISTIC_TYPE_REF="t" TIER_ID="utt"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" '
        'TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>all</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>'
        "</ANNOTATION></TIER>"
    )
    slots = '<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="4000"/>'
    others = "".join(
        f'<TIER LINGUISTIC_TYPE_REF="t" PARENT_REF="utt" TIER_ID="t{i}">{tier}</TIER>' for i, tier in enumerate(tiers)
    )
    return f"<ANNOTATION_DOCUMENT><HEADER/><TIME_ORDER>{slots}</TIME_ORDER>{whole}{others}</ANNOTATION_DOCUMENT>"


def test_annotations_that_follow_each_other_in_one_share_its_time(tmp_path: Path) -> None:
    words = annotation("a4", "a1", "c", "a3") + annotation("a2", "a1", "a") + annotation("a3", "a1", "b", "a2")
    letters = annotation("a5", "a3", "x") + annotation("a6", "a3", "y", "a5")
    marks = {mark.label: (mark.start, mark.end) for mark in read(tmp_path, "a.eaf", eaf(words, letters)).marks}
    assert marks == {"all": (1, 4), "a": (1, 2), "b": (2, 3), "c": (3, 4), "x": (2, 2.5), "y": (2.5, 3)}


def test_annotations_that_follow_each_other_in_a_circle_share_it_as_they_stand(tmp_path: Path) -> None:
    words = annotation("a2", "a1", "a", "a3") + annotation("a3", "a1", "b", "a2") + annotation("a4", "a1", "c", "a2")
    marks = {mark.label: (mark.start, mark.end) for mark in read(tmp_path, "a.eaf", eaf(words)).marks}
    assert marks == {"all": (1, 4), "a": (1, 2), "b": (2, 3), "c": (3, 4)}


def test_annotations_that_refer_to_one_without_order_have_its_times(tmp_path: Path) -> None:
    notes = annotation("a2", "a1", "a") + annotation("a3", "a1", "b")
    assert {(mark.start, mark.end) for mark in read(tmp_path, "a.eaf", eaf(notes)).marks} == {(1, 4)}


def test_many_keys_of_which_one_is_there_twice(tmp_path: Path) -> None:
    pairs = ", ".join(f"{json.dumps(str(number))}: 0" for number in [*range(200_000), 199_999])
    assert "the key '199999' is there twice" in refused(tmp_path, "a.json", f"{{{pairs}}}")
