"""What a format cannot hold is named, in words that say what became of it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pysubs2
import pytest
from exchange_samples import DETECTIONS, ELAN, read_file

from untrimmed.data.detections import Detections
from untrimmed.data.formats.exchange.conversion import convert
from untrimmed.data.formats.exchange.formats import FORMATS
from untrimmed.data.formats.exchange.holding import fitted
from untrimmed.data.formats.exchange.lanes import lanes
from untrimmed.data.formats.exchange.naming import file_names, lasting_id, local_file, video_id
from untrimmed.data.formats.exchange.source import Media, Options
from untrimmed.data.formats.exchange.timeline import (
    Document,
    Mark,
    Timeline,
    checked,
    from_annotations,
    from_detections,
    to_annotations,
    to_detections,
)
from untrimmed.errors import AnnotationError, ConfigError

RICH = Document(
    (
        Timeline(
            "cam/1",
            (Mark(-1.0, 1.0, "a\nb", 0.123), Mark(2.0, 2.0, "jump", 0.5), Mark(1.00049, 3.0, "x 0.50", 0.5)),
            60.0,
            25.0,
            "train",
        ),
        Timeline("empty", (), 5.0, 25.0, "val"),
    ),
    ("unused", "jump"),
)


def losses(name: str, document: Document = RICH) -> list[str]:
    return fitted(document, FORMATS[name].holds, Options(), "target")[1]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "webvtt",
            [
                "the length of 2 videos is not kept",
                "the frame rate of 2 videos is not kept",
                "the subset of 2 videos is not kept",
                "1 score rounded to 0.01, in [0, 1]",
                "1 mark cut to begin with the video: 'a\\nb' at -1 s",
                "the times of 1 mark rounded to 0.001 s",
                "1 mark shorter than 0.001 s made to last so long: 'jump' at 2 s",
                "2 labels written in another way: 'a\\nb' as 'a b', 'x 0.50' as 'x 0.50.'",
                "1 class without marks not kept: 'unused'",
                "the order of the classes is not kept",
            ],
        ),
        (
            "audacity",
            [
                "the length of 2 videos is not kept",
                "the frame rate of 2 videos is not kept",
                "the subset of 2 videos is not kept",
                "the 3 scores are not kept",
                "1 mark cut to begin with the video: 'a\\nb' at -1 s",
                "1 mark shorter than 1e-06 s made to last so long: 'jump' at 2 s",
                "1 label written in another way: 'a\\nb' as 'a b'",
                "1 class without marks not kept: 'unused'",
                "the order of the classes is not kept",
            ],
        ),
        ("activitynet", ["the 3 scores are not kept"]),
        (
            "label-studio",
            [
                "1 video will be read by another name: 'cam/1' as '1'",
                "1 mark cut to begin with the video: 'a\\nb' at -1 s",
                "the times of 1 mark rounded to whole frames",
                "1 mark shorter than one frame made to last so long: 'jump' at 2 s",
                "1 class without marks not kept: 'unused'",
                "the order of the classes is not kept",
            ],
        ),
        (
            "boris-table",
            [
                "1 video will be read by another name: 'cam/1' as '1'",
                "the subset of 2 videos is not kept",
                "1 mark cut to begin with the video: 'a\\nb' at -1 s",
                "the times of 1 mark rounded to 0.001 s",
                "1 mark shorter than 0.001 s made to last so long: 'jump' at 2 s",
                "1 label written in another way: 'a\\nb' as 'a b'",
                "1 video without marks left out: empty",
                "1 class without marks not kept: 'unused'",
                "the order of the classes is not kept",
            ],
        ),
    ],
)
def test_losses_are_named(name: str, expected: list[str]) -> None:
    assert losses(name) == expected


def test_two_recordings_never_become_one() -> None:
    document = Document((Timeline("a/x", (Mark(0.0, 1.0, "l"),)), Timeline("b/x", (Mark(0.0, 1.0, "l"),))))
    with pytest.raises(AnnotationError, match="'a/x' and 'b/x' would both be 'x'"):
        losses("boris", document)


def test_what_a_format_needs_is_asked_for() -> None:
    document = Document((Timeline("v", (Mark(0.0, 1.0, "l"),)),))
    with pytest.raises(AnnotationError, match=r"length of each video.*1 video .*: v. .*--videos"):
        losses("activitynet", document)
    with pytest.raises(AnnotationError, match=r"counts frames.*--rate"):
        losses("label-studio", document)
    with pytest.raises(AnnotationError, match="detections need a score each, but 'l' at 0 s in video 'v' has none"):
        losses("detections", document)
    known = Options(media=lambda _: Media(10.0, 25.0))
    assert fitted(document, FORMATS["activitynet"].holds, known, "t")[0].timelines[0].duration == 10.0
    assert fitted(document, FORMATS["label-studio"].holds, known, "t")[0].timelines[0].rate == 25.0


def test_most_marks_behind_the_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("video,start_frame,end_frame,label,video_duration\nv,250,300,jump,20\n")
    message = "1 of 1 marks start behind the end"
    with pytest.raises(AnnotationError, match=message):
        convert(tmp_path / "a.csv", tmp_path / "b.json", to="activitynet", options=Options(rate=2.0))
    assert not (tmp_path / "b.json").exists()
    convert(tmp_path / "a.csv", tmp_path / "b.json", to="activitynet", options=Options(rate=25.0))


def test_annotations_and_detections_go_through_timelines() -> None:
    annotations = to_annotations(RICH)
    assert annotations.labels == ("unused", "jump", "a\nb", "x 0.50")
    assert to_annotations(from_annotations(annotations)) == annotations
    with pytest.raises(AnnotationError, match="'unknown' is none of the 1 labels"):
        to_annotations(Document((Timeline("v", (Mark(0, 1, "unknown"),), 2.0),)), labels=["known"])
    bare = Document((Timeline("v", (Mark(0.0, 1.0, "l", 0.25), Mark(0.0, 1.0, "k", 0.75))),))
    assert to_annotations(bare, {"v": 3.0})["v"].duration == 3.0
    (detections,) = to_detections(bare, ["l"])
    assert isinstance(detections, Detections)
    assert [each.label for each in detections] == ["k", "l"]
    assert detections.label_names == ("l", "k")
    assert to_detections(from_detections([detections]), ["l"]) == [detections]
    with pytest.raises(AnnotationError, match="of 1 video it is not known: v"):
        to_annotations(bare)


@pytest.mark.parametrize(
    ("timeline", "message"),
    [
        (Timeline(" "), "name of a video is empty"),
        (Timeline("\ud800"), "half a character"),
        (Timeline("v", (Mark(0.0, 1.0, ""),)), "name of a label"),
        (Timeline("v", (Mark(1.0, 0.0, "l"),)), "ends before it starts"),
        (Timeline("v", (Mark(0.0, float("nan"), "l"),)), "no times"),
        (Timeline("v", (Mark(0.0, 1e12, "l"),)), "no times"),
        (Timeline("v", (Mark(0.0, 1.0, "l", float("inf")),)), "score"),
        (Timeline("v", (), -1.0), "duration"),
        (Timeline("v", (), 1.0, 0.0), "frame rate"),
        (Timeline("v", (), 1.0, None, "\udfff"), "subset"),
    ],
)
def test_what_cannot_be_meant_is_refused(timeline: Timeline, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        checked(Document((timeline,)), "file")


def test_parts_are_put_together_unless_they_contradict() -> None:
    one, two = Timeline("v", (Mark(0, 1, "a"),), 5.0), Timeline("v", (Mark(2, 3, "b"),), None, 25.0, "train")
    together = Timeline("v", (Mark(0, 1, "a"), Mark(2, 3, "b")), 5.0, 25.0, "train")
    assert checked(Document((one, two)), "f").timelines == (together,)
    with pytest.raises(AnnotationError, match=r"there twice, with duration 5.0 and 6.0"):
        checked(Document((one, Timeline("v", (), 6.0))), "f")


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("a.mp4", "a"),
        ("C:\\videos\\a.b.AVI", "a.b"),
        ("/x/y/a", "a"),
        ("https://example.org/x/day%202.webm?token=a/b.mp4#t=1", "day 2"),
        ("file:///C:/data/a.mov", "a"),
        ("v1.2", "v1.2"),
        (".mp4", ".mp4"),
        ("http://[", "["),
    ],
)
def test_names_of_recordings(name: str, id_: str) -> None:
    assert video_id(name) == id_


def test_names_that_last() -> None:
    assert lasting_id("x/a.mp4.mp4") == "a"
    assert lasting_id("///") == "video"
    assert local_file("/data/local-files/?d=a%20b/c.mp4") == "a b/c.mp4"
    assert local_file("a.mp4") == "a.mp4"


def test_names_of_files_are_safe_and_differ() -> None:
    ids = [
        "a",
        "A",
        "../x",
        "..",
        "con",
        "x" * 500,
        "ä",
        "a\u0308",
        "a:b",
        "a/b",
        "-rf",
        " a",
        "",
        "a\n",
        "100%",
        "nul.txt",
    ]
    names = file_names(ids)
    assert names["a"] == "a"
    assert names["ä"] == "ä" or names["a\u0308"] == "a\u0308"
    assert len({name.casefold() for name in names.values()}) == len(ids)
    for name in names.values():
        assert Path(name).name == name
        assert len(name.encode()) < 130
        assert not set(name) & set('<>:"/\\|?*\n')
        assert not name.startswith((".", "-", " "))


def test_rows_do_not_overlap_and_are_as_few_as_can_be() -> None:
    marks = [Mark(0, 2, "a"), Mark(1, 3, "b"), Mark(2, 4, "c"), Mark(3, 5, "d"), Mark(0, 5, "e")]
    rows = lanes(marks, lambda mark: (mark.start, mark.end))
    assert len(rows) == 3
    assert sorted(mark.label for row in rows for mark in row) == list("abcde")
    assert all(a.end <= b.start for row in rows for a, b in pairwise(row))
    assert len(lanes([Mark(0, 1, "a")] * 5000, lambda mark: (mark.start, mark.end))) == 5000


def test_elan_files_have_the_form_of_the_schema(tmp_path: Path) -> None:
    """The order of elements, their required attributes, and references that lead somewhere."""
    (tmp_path / "d.json").write_text(DETECTIONS.text)
    convert(tmp_path / "d.json", tmp_path / "out", to="elan", options=Options(file=lambda id_: f"{id_}.mp4"))
    root = ET.parse(tmp_path / "out" / "v_One.eaf").getroot()
    assert {"AUTHOR", "DATE", "FORMAT", "VERSION"} <= root.attrib.keys()
    order = ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE", "CONSTRAINT"]
    assert [order.index(child.tag) for child in root] == sorted(order.index(child.tag) for child in root)
    slots = {slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "-1")) for slot in root.iter("TIME_SLOT")}
    assert list(slots.values()) == sorted(set(slots.values()))
    types = {each.get("LINGUISTIC_TYPE_ID") for each in root.iter("LINGUISTIC_TYPE")}
    constraints = {each.get("STEREOTYPE") for each in root.iter("CONSTRAINT")}
    assert {each.get("CONSTRAINTS") for each in root.iter("LINGUISTIC_TYPE")} <= constraints | {None}
    tiers = {tier.get("TIER_ID"): tier for tier in root.iter("TIER")}
    assert len(tiers) == len(root.findall("TIER")) == 4
    ids = [each.get("ANNOTATION_ID") for tag in ("ALIGNABLE_ANNOTATION", "REF_ANNOTATION") for each in root.iter(tag)]
    assert len(set(ids)) == len(ids)
    for tier in tiers.values():
        assert tier.get("LINGUISTIC_TYPE_REF") in types
        assert tier.get("PARENT_REF") in {None, *tiers}
    for item in root.iter("ALIGNABLE_ANNOTATION"):
        assert slots[item.get("TIME_SLOT_REF1")] < slots[item.get("TIME_SLOT_REF2")]
    for item in root.iter("REF_ANNOTATION"):
        assert item.get("ANNOTATION_REF") in ids
    (media,) = root.iter("MEDIA_DESCRIPTOR")
    assert media.get("MEDIA_URL") == "./v_One.mp4"


def test_label_studio_drafts_are_predictions(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_text(DETECTIONS.text)
    convert(tmp_path / "d.json", tmp_path / "tasks.json", to="label-studio", options=Options(rate=10.0), min_score=0.5)
    first, second = json.loads((tmp_path / "tasks.json").read_text())
    assert first["data"] == {"video": "v_One", "fps": 10.0}
    (prediction,) = first["predictions"]
    assert prediction["score"] == 0.75
    (region,) = prediction["result"]
    assert region["value"] == {"ranges": [{"start": 1, "end": 20}], "timelinelabels": ["7"]}
    assert second["annotations"] == [{"result": []}]


def test_subtitles_are_read_by_others(tmp_path: Path) -> None:
    document = Document((Timeline("v", (Mark(1.25, 4.5, "a & <b> {c}", 0.5), Mark(3700.0, 3701.0, "run")), None),))
    for name in ("webvtt", "srt", "ass"):
        format_ = FORMATS[name]
        assert format_.writes is not None
        path = tmp_path / f"v{format_.suffixes[0]}"
        fits, _ = fitted(document, format_.holds, Options(), path)
        format_.writes(fits, path, Options())
        events = pysubs2.load(str(path)).events
        assert [(e.start, e.end) for e in events] == [(1250, 4500), (3_700_000, 3_701_000)]
        assert events[1].plaintext == "run"


def test_subtitles_of_others_are_read(tmp_path: Path) -> None:
    subs = pysubs2.SSAFile()
    subs.events = [pysubs2.SSAEvent(start=1250, end=4500, text="{\\i1}jump{\\i0}\\Nhigh")]
    for name, suffix in (("webvtt", ".vtt"), ("srt", ".srt"), ("ass", ".ass")):
        path = tmp_path / f"v{suffix}"
        subs.save(str(path))
        assert read_file(path, name).timelines == (Timeline("v", (Mark(1.25, 4.5, "jump high"),)),)


def test_elan_units_and_offsets(tmp_path: Path) -> None:
    path = tmp_path / "a.eaf"
    path.write_text(ELAN.text.replace("milliseconds", "PAL-frames"))
    assert read_file(path, "elan").timelines[0].marks[1] == Mark(80.0, 100.0, "gesture")
    path.write_text(ELAN.text.replace('MIME_TYPE="video/mp4"', 'MIME_TYPE="video/mp4" TIME_ORIGIN="500"'))
    document = read_file(path, "elan")
    assert document.timelines[0].marks[1] == Mark(2.5, 3.0, "gesture")
    assert "all times moved by 0.5 s, by which ELAN shows the video earlier (TIME_ORIGIN)" in document.notes
    path.write_text(ELAN.text.replace("milliseconds", "parsecs"))
    with pytest.raises(AnnotationError, match="TIME_UNITS is 'parsecs'"):
        read_file(path, "elan")


def test_frames_of_label_studio_need_a_rate(tmp_path: Path) -> None:
    path = tmp_path / "min.json"
    path.write_text(
        json.dumps(
            [{"video": "a.mp4", "id": 1, "tricks": [{"ranges": [{"start": 13, "end": 24}], "timelinelabels": ["x"]}]}]
        )
    )
    with pytest.raises(AnnotationError, match=r"task 0, 'tricks' 0: times are in frames.*--rate"):
        read_file(path, "label-studio")
    assert read_file(path, "label-studio", 12.0).timelines == (Timeline("a", (Mark(1.0, 2.0, "x"),)),)


def test_columns_that_count_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("video,start (frames),end [Frames],label\na,10,20,x\n")
    with pytest.raises(AnnotationError, match=r"row 2: times are in frames.*'a' is not known.*--rate"):
        read_file(path, "table")
    assert read_file(path, "table", 10.0).timelines[0].marks == (Mark(1.0, 2.0, "x"),)
    path.write_text("video,start,end,start_frame,end_frame,label\na,1,2,30,60,x\n")
    assert read_file(path, "table").timelines[0].marks == (Mark(1.0, 2.0, "x"),)
    path.write_text("video,start_frame,end_frame,label,fps\na,1.5,2,x,25\na,1,2,x,-1\nb,1,2,x,\n")
    with pytest.raises(AnnotationError) as error:
        read_file(path, "table", 10.0)
    assert "row 2, column 'start_frame': '1.5' is no number of a frame" in str(error.value)
    assert "row 3, column 'fps': '-1' is no rate" in str(error.value)


def test_two_files_of_one_name_in_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("video,start,end,label\ncam1/a.mp4,1,2,x\ncam2/a.mp4,1,2,x\n")
    with pytest.raises(AnnotationError, match=r"'cam1/a.mp4' and 'cam2/a.mp4' would both be video 'a'"):
        read_file(path, "table")


def test_folders_of_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nx\n\n")
    (tmp_path / "readme.md").write_text("nothing")
    done = convert(tmp_path, tmp_path / "all.csv")
    assert (done.source, done.target, done.videos, done.marks, done.losses) == ("srt", "table", 2, 2, ())
    assert (tmp_path / "all.csv").read_text().splitlines()[1:] == ["a,1.0,2.0,x", "b,1.0,2.0,x"]
    done = convert(tmp_path / "a.srt", tmp_path / "new.vtt")
    assert done.losses == ("1 video will be read by another name, that of the file: 'a' as 'new'",)


def test_the_source_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nx\n\n")
    before = (tmp_path / "a.srt").read_bytes()
    for target, to in ((tmp_path / "a.srt", None), (tmp_path, "srt")):
        with pytest.raises(ConfigError, match="never replaced"):
            convert(tmp_path / "a.srt", target, to=to)
    assert (tmp_path / "a.srt").read_bytes() == before


def test_subsets_of_ego4d_are_the_nearest() -> None:
    names = {"Test": "test", "testing": "test", "Validation": "val", "val": "val", "training": "train", "": "train"}
    timelines = [Timeline(f"v{i}", (), 5.0, 30.0, name) for i, name in enumerate(names)]
    fits, lost = fitted(Document(tuple(timelines)), FORMATS["ego4d"].holds, Options(), "t")
    assert [timeline.subset for timeline in fits.timelines] == list(names.values())
    assert lost == ["5 subsets written in another way: 'Test' as 'test', 'testing' as 'test' and 3 more"]
