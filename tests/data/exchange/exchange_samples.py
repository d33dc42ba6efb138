"""Small files of every format, written by us in the shape of real ones, and what they say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from untrimmed.data.formats.exchange.formats import FORMATS
from untrimmed.data.formats.exchange.opening import read
from untrimmed.data.formats.exchange.source import Options, Source
from untrimmed.data.formats.exchange.timeline import Document, Mark, Timeline


@dataclass(frozen=True)
class Sample:
    """A file.

    `beside` are others that belong to it, by name; `rate` is what the caller has to say to read it.
    """

    format: str
    name: str
    text: str
    timelines: tuple[Timeline, ...]
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    beside: dict[str, str] = field(default_factory=dict)
    rate: float | None = None

    def put(self, folder: Path) -> Path:
        """Write it, and what belongs to it, into a folder; returns its path."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in {**self.beside, self.name: self.text}.items():
            (folder / name).write_bytes(text.encode())
        return folder / self.name


def read_file(path: Path, format_: str, rate: float | None = None) -> Document:
    """Read a file as of a format."""
    return read(Source(path), FORMATS[format_], Options(rate=rate))


ACTIVITYNET = Sample(
    "activitynet",
    "annotations.json",
    json.dumps(
        {
            "version": "1.3",
            "taxonomy": [],
            "database": {
                "v_One": {
                    "subset": "training",
                    "duration": 12.5,
                    "resolution": "320x240",
                    "url": "https://example.org/watch?v=One",
                    "annotations": [{"label": "jump", "segment": [1.25, 4]}, {"label": "run", "segment": [3, 12.5]}],
                },
                "v_Two": {"subset": "testing", "duration": 3, "fps": 25.0, "annotations": []},
            },
        }
    ),
    (
        Timeline("v_One", (Mark(1.25, 4.0, "jump"), Mark(3.0, 12.5, "run")), 12.5, None, "training"),
        Timeline("v_Two", (), 3.0, 25.0, "testing"),
    ),
    labels=("jump", "run"),
)

DETECTIONS = Sample(
    "detections",
    "detections.json",
    json.dumps(
        {
            "version": "VERSION 1.3",
            "results": {
                "v_One": [
                    {"label": "jump", "score": 0.25, "segment": [1.5, 4]},
                    {"label": "7", "score": 0.75, "segment": [0, 2]},
                ],
                "v_Two": [],
            },
            "external_data": {"used": False},
        }
    ),
    (Timeline("v_One", (Mark(0.0, 2.0, "7", 0.75), Mark(1.5, 4.0, "jump", 0.25))), Timeline("v_Two")),
)

TABLE = Sample(
    "table",
    "labels.csv",
    '\ufeffFile Name,Start (s),End (s),Class,Score,Split\r\nmonday.MP4,12.5,14,"jump, high",0.93,train\r\n'
    "monday.MP4,1:02,0:01:05.5, run  fast ,,train\r\n\r\ntuesday.mov,,,,,val\r\n",
    (
        Timeline("monday", (Mark(12.5, 14.0, "jump, high", 0.93), Mark(62.0, 65.5, "run fast")), None, None, "train"),
        Timeline("tuesday", (), None, None, "val"),
    ),
)

FRAMES = Sample(
    "table",
    "frames.tsv",
    "label\tstart_frame\tend_frame\tvideo\tfps\tvideo_duration\njump\t25\t50\tmonday\t25\t0:01:00,5\nrun\t30\t60\ttuesday\t30\t\n",
    (
        Timeline("monday", (Mark(1.0, 2.0, "jump"),), 60.5, 25.0),
        Timeline("tuesday", (Mark(1.0, 2.0, "run"),), None, 30.0),
    ),
)

_REGIONS = [
    {
        "original_length": 60.5,
        "value": {"ranges": [{"start": 26, "end": 50}], "timelinelabels": ["jump"]},
        "id": "aB3dE",
        "from_name": "videoLabels",
        "to_name": "video",
        "type": "timelinelabels",
        "origin": "manual",
    },
    {
        "value": {"start": 3.5, "end": 4.25, "channel": 0, "labels": ["run", "shout"]},
        "id": "xY_9z",
        "from_name": "sound",
        "to_name": "audio",
        "type": "labels",
    },
    {"value": {"choices": ["outdoor"]}, "id": "q", "from_name": "where", "to_name": "video", "type": "choices"},
]

LABEL_STUDIO = Sample(
    "label-studio",
    "project-1-at-2024-05-06-07-08-0a1b2c3d.json",
    json.dumps(
        [
            {
                "id": 1,
                "annotations": [
                    {
                        "id": 5,
                        "completed_by": 1,
                        "result": _REGIONS,
                        "was_cancelled": False,
                        "ground_truth": False,
                        "created_at": "2024-05-06T07:08:09.012345Z",
                        "lead_time": 33.25,
                    },
                    {"id": 6, "result": [], "was_cancelled": True},
                ],
                "file_upload": "0a1b2c3d-monday_1.mp4",
                "drafts": [],
                "predictions": [],
                "data": {"video": "/data/upload/1/0a1b2c3d-monday_1.mp4", "fps": 25, "subset": "train"},
                "meta": {},
                "project": 1,
            },
            {
                "id": 2,
                "data": {"video": "/data/local-files/?d=videos/day%202.mp4", "fps": "24", "frame_rate": 24},
                "annotations": [],
                "predictions": [
                    {
                        "model_version": "m",
                        "score": 0.5,
                        "result": [
                            {
                                "type": "timelinelabels",
                                "from_name": "videoLabels",
                                "to_name": "video",
                                "value": {"ranges": [{"start": 1, "end": 24}], "timelinelabels": ["jump"]},
                                "score": 0.875,
                            },
                            {
                                "type": "timelinelabels",
                                "value": {"ranges": [{"start": 25, "end": 25}], "timelinelabels": ["run"]},
                            },
                        ],
                    }
                ],
            },
        ]
    ),
    (
        Timeline(
            "monday_1", (Mark(1.0, 2.0, "jump"), Mark(3.5, 4.25, "run"), Mark(3.5, 4.25, "shout")), 60.5, 25.0, "train"
        ),
        Timeline("day 2", (Mark(0.0, 1.0, "jump", 0.875), Mark(1.0, 25 / 24, "run", 0.5)), None, 24.0),
    ),
    notes=(
        "annotations that were skipped or cancelled left out: 1",
        "results of type 'choices' left out: 1",
    ),
)

ELAN = Sample(
    "elan",
    "session 3.eaf",
    """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2021-03-04T05:06:07+01:00" FORMAT="3.0" VERSION="3.0"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/data/monday.wav" MIME_TYPE="audio/x-wav"/>
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/data/day%201.mp4" MIME_TYPE="video/mp4"
            RELATIVE_MEDIA_URL="../data/day 1.mp4"/>
        <PROPERTY NAME="URN">urn:nl-mpi-tools-elan-eaf:00000000-0000-0000-0000-000000000000</PROPERTY>
        <PROPERTY NAME="lastUsedAnnotationId">5</PROPERTY>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/>
        <TIME_SLOT TIME_SLOT_ID="ts2"/>
        <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/>
        <TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="2500"/>
        <TIME_SLOT TIME_SLOT_ID="ts5"/>
    </TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="gesture" PARTICIPANT="A">
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
                <ANNOTATION_VALUE>point &amp; wave</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
                <ANNOTATION_VALUE></ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
        <ANNOTATION>
            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a5" TIME_SLOT_REF1="ts4" TIME_SLOT_REF2="ts5">
                <ANNOTATION_VALUE>nowhere</ANNOTATION_VALUE>
            </ALIGNABLE_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="hand" PARENT_REF="gesture" TIER_ID="hand">
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
                <ANNOTATION_VALUE>left</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <TIER LINGUISTIC_TYPE_REF="note" PARENT_REF="hand" TIER_ID="note">
        <ANNOTATION>
            <REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a3">
                <ANNOTATION_VALUE>slow</ANNOTATION_VALUE>
            </REF_ANNOTATION>
        </ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="hand"
        TIME_ALIGNABLE="false"/>
    <LINGUISTIC_TYPE CONSTRAINTS="Symbolic_Association" GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="note"
        TIME_ALIGNABLE="false"/>
    <CONSTRAINT DESCRIPTION="1-1 association with a parent annotation" STEREOTYPE="Symbolic_Association"/>
</ANNOTATION_DOCUMENT>
""",
    (
        Timeline(
            "day 1",
            (
                Mark(1.0, 1.5, "point & wave"),
                Mark(2.0, 2.5, "gesture"),
                Mark(1.0, 1.5, "left"),
                Mark(1.0, 1.5, "slow"),
            ),
        ),
    ),
    notes=(
        "1 annotation whose times are not known left out",
        "3 tiers put together, whose names are not kept: 'gesture', 'hand', 'note'",
    ),
)

BORIS = Sample(
    "boris",
    "project.boris",
    json.dumps(
        {
            "time_format": "hh:mm:ss",
            "project_name": "test",
            "project_date": "2023-11-25T13:26:14",
            "project_format_version": "7.0",
            "project_description": "",
            "subjects_conf": {"0": {"key": "1", "name": "bird", "description": ""}},
            "behaviors_conf": {
                "0": {"type": "Point event", "key": "p", "code": "peck", "modifiers": {}, "excluded": ""},
                "1": {"type": "State event", "key": "f", "code": "fly", "modifiers": {}, "excluded": ""},
                "2": {"type": "State event with coding map", "key": "s", "code": "sit", "coding map": ""},
            },
            "observations": {
                "first": {
                    "file": {"1": ["C:\\videos\\monday.mp4"], "2": []},
                    "type": "MEDIA",
                    "date": "2023-11-25T13:27:51",
                    "description": "",
                    "time offset": 10.0,
                    "events": [
                        [11.5, "bird", "fly", "", "", 37],
                        [12.0, "", "fly", "high|far", "", 50],
                        [14.25, "bird", "fly", "", "", 106],
                        [14.5, "", "peck", "", "twice", 112],
                        [15.0, "", "fly", "high|far", "", 125],
                        [16.0, "bird", "sit", "", "", 150],
                    ],
                    "independent_variables": {"weather": "sunny", "subset": "train"},
                    "media_info": {
                        "length": {"C:\\videos\\monday.mp4": 60.5},
                        "fps": {"C:\\videos\\monday.mp4": 25.0},
                        "hasVideo": {"C:\\videos\\monday.mp4": True},
                    },
                },
                "both": {
                    "file": {"1": ["a.avi", "b.avi"], "2": []},
                    "type": "MEDIA",
                    "time offset": 0.0,
                    "events": [[1.0, "", "sit", "", ""], [12.0, "", "sit", "", ""]],
                    "media_info": {"length": {"a.avi": 10.0, "b.avi": 20.0}, "fps": {"a.avi": 25.0, "b.avi": 25.0}},
                },
                "live": {
                    "file": [],
                    "type": "LIVE",
                    "time offset": 0.0,
                    "events": [[1.5, "bird", "sit", "", ""], [3.0, "bird", "sit", "", ""]],
                    "media_info": {"offset": {}},
                },
            },
            "behavioral_categories": [],
            "independent_variables": {},
            "coding_map": {},
            "converters": {},
        }
    ),
    (
        Timeline("monday", (Mark(1.5, 4.25, "fly"), Mark(2.0, 5.0, "fly")), 60.5, 25.0, "train"),
        Timeline("a", (Mark(1.0, 10.0, "sit"),), 10.0, 25.0),
        Timeline("b", (Mark(0.0, 2.0, "sit"),), 20.0, 25.0),
        Timeline("live", (Mark(1.5, 3.0, "sit"),)),
    ),
    notes=(
        "events of 'peck', which are points without length, left out: 1",
        "marks of which the modifiers are not kept: 1",
        "starts of states without a stop left out: 1",
        "files of observations that show several one after the other: 2",
    ),
    labels=("fly", "sit"),
)

_V7 = (
    "Observation id,observation #1,,,,,,,\n,,,,,,,,\nMedia file(s),,,,,,,,\nPlayer #1,monday.mp4,,,,,,,\n"
    "Observation date,2016-11-27 01:57:26,,,,,,,\nTime offset (s),0.0,,,,,,,\n,,,,,,,,\n"
    "Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment,Status\n"
)

BORIS_TABULAR = Sample(
    "boris-table",
    "tabular.csv",
    _V7 + "3.300,monday.mp4,60.500,25.0,bird,fly,,,START\n5.000,monday.mp4,60.500,25.0,,peck,,,POINT\n"
    "7.750,monday.mp4,60.500,25.0,bird,fly,,,STOP\n",
    (Timeline("monday", (Mark(3.3, 7.75, "fly"),), 60.5, 25.0),),
    notes=("events of 'peck', which are points without length, left out: 1",),
)

BORIS_AGGREGATED = Sample(
    "boris-table",
    "aggregated.tsv",
    "Observation id\tObservation date\tDescription\tObservation type\tSource\tTime offset (s)\tCoding duration\t"
    "Media duration (s)\tFPS (frame/s)\tSubject\tObservation duration by subject by observation\tBehavior\t"
    "Behavioral category\tModifier #1\tBehavior type\tStart (s)\tStop (s)\tDuration (s)\tMedia file name\t"
    "Image index start\tImage index stop\tImage file path start\tImage file path stop\tComment start\tComment stop\n"
    "first\t2023-11-25 13:27:51\t\tMedia file(s)\tplayer #1:C:/videos/monday.mp4\t1.0\t4.000\t60.500\t25.000\tbird\t4\t"
    "fly\t\tNone\tSTATE\t11.500\t14.250\t2.750\tC:/videos/monday.mp4\t287\t356\tNA\tNA\t\t\n"
    "first\t2023-11-25 13:27:51\t\tMedia file(s)\tplayer #1:C:/videos/monday.mp4\t1.0\t4.000\t60.500\t25.000\tbird\t4\t"
    "peck\t\tNone\tPOINT\t12.000\t12.000\tNA\tC:/videos/monday.mp4\t300\t300\tNA\tNA\t\t\n",
    (Timeline("monday", (Mark(10.5, 13.25, "fly"),), 60.5, 25.0),),
    notes=("events of 'peck', which are points without length, left out: 1",),
)

AUDACITY = Sample(
    "audacity",
    "monday.mp4.txt",
    "2.150000\t2.150000\ta point\r\n3.400000\t6.100000\tjump high\r\n\\\t6928.456055\t7000.000000\r\n"
    "7.000000\t8.500000\t\r\n0,500000\t1,250000\trun\r\n",
    (Timeline("monday", (Mark(3.4, 6.1, "jump high"), Mark(0.5, 1.25, "run"))),),
    notes=(
        "1 label of points left out, which have no length: 1 'a point'",
        "1 label without text left out",
    ),
)

VIA3 = Sample(
    "via3",
    "via_project.json",
    json.dumps(
        {
            "project": {
                "pid": "__VIA_PROJECT_ID__",
                "rev": "__VIA_PROJECT_REV_ID__",
                "rev_timestamp": "__VIA_PROJECT_REV_TIMESTAMP__",
                "pname": "test",
                "creator": "VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)",
                "created": 1634093189898,
                "vid_list": ["1", "2"],
            },
            "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
            "attribute": {
                "1": {"aname": "who", "anchor_id": "FILE1_Z2_XY0", "type": 1, "options": {}, "default_option_id": ""},
                "2": {
                    "aname": "what",
                    "anchor_id": "FILE1_Z2_XY0",
                    "type": 2,
                    "desc": "",
                    "options": {"0": "jump", "1": "run"},
                    "default_option_id": "",
                },
                "3": {"aname": "box", "anchor_id": "FILE1_Z1_XY1", "type": 1, "options": {}},
            },
            "file": {
                "1": {"fid": "1", "fname": "monday 1.mp4", "type": 4, "loc": 1, "src": ""},
                "2": {"fid": 2, "fname": "https://example.org/v/day%202.webm?x=1", "type": 4, "loc": 2, "src": ""},
            },
            "metadata": {
                "1_XuODSv6Y": {"vid": "1", "flg": 0, "z": [1.022, 2.69913], "xy": [], "av": {"1": "Ann", "2": "0,1"}},
                "1_BXLfdQfa": {"vid": "1", "flg": 0, "z": [3, 4.5], "xy": [], "av": {"2": "1"}},
                "1_point000": {"vid": "1", "flg": 0, "z": [2.5], "xy": [], "av": {}},
                "1_box00000": {"vid": "1", "flg": 0, "z": [2.5], "xy": [2, 1, 1, 9, 9], "av": {"3": "x"}},
                "2_empty000": {"vid": "2", "flg": 0, "z": [0, 1], "xy": [], "av": {}},
            },
            "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": [2]}},
        }
    ),
    (
        Timeline("monday 1", (Mark(1.022, 2.69913, "jump"), Mark(1.022, 2.69913, "run"), Mark(3.0, 4.5, "run"))),
        Timeline("day 2"),
    ),
    notes=(
        "values of other attributes not kept: 1",
        "points in time left out: 1",
        "regions and attributes of files left out: 1",
        "segments without a label left out: 1",
    ),
    labels=("jump", "run"),
)

WEBVTT = Sample(
    "webvtt",
    "monday.vtt",
    "WEBVTT - made by hand\n\nNOTE not a cue\n--- but a note\n\nSTYLE\n::cue { color: red }\n\nfirst\n"
    "00:01.250 --> 00:04.000 align:start line:0%\n<v Ann>jump</v> &amp; <i>run</i>\n\n"
    "01:00:00.500 --> 01:00:01.000\nclean and\njerk 0.93\n\n00:05.000 --> 00:06.000\n\n",
    (Timeline("monday", (Mark(1.25, 4.0, "jump & run"), Mark(3600.5, 3601.0, "clean and jerk", 0.93))),),
    notes=("1 cue without text left out",),
)

SRT = Sample(
    "srt",
    "monday.srt",
    '1\r\n00:00:01,250 --> 00:00:04,000\r\n{\\an8}<font color="#ffff00">jump</font>\r\nhigh\r\n\r\n'
    "2\r\n01:00:00,500 --> 01:00:01,000 X1:10 X2:20\r\nrun 0.50\r\n\r\n",
    (Timeline("monday", (Mark(1.25, 4.0, "jump high"), Mark(3600.5, 3601.0, "run", 0.5))),),
)

ASS = Sample(
    "ass",
    "monday.ass",
    "[Script Info]\nTitle: test\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n"
    "[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,a comment\n"
    "Dialogue: 0,0:00:01.25,0:00:04.00,Default,,0,0,0,,{\\b1}jump{\\b0},\\Nhigh\n"
    "Dialogue: 0,1:00:00.50,1:00:01.00,Default,,0,0,0,,run 1.00\n",
    (Timeline("monday", (Mark(1.25, 4.0, "jump, high"), Mark(3600.5, 3601.0, "run", 1.0))),),
)

COIN = Sample(
    "coin",
    "COIN.json",
    json.dumps(
        {
            "database": {
                "LtRSn-abcde": {
                    "duration": 127.77,
                    "class": "ReplaceDrive",
                    "video_url": "https://example.org/embed/LtRSn-abcde",
                    "start": 56.64,
                    "annotation": [
                        {"id": "212", "segment": [60.0, 69.0], "label": "take out the drive"},
                        {"id": "216", "segment": [71, 82.5], "label": "insert the tray"},
                    ],
                    "subset": "training",
                    "end": 85.7,
                    "recipe_type": 131,
                }
            }
        }
    ),
    (
        Timeline(
            "LtRSn-abcde",
            (Mark(60.0, 69.0, "take out the drive"), Mark(71.0, 82.5, "insert the tray")),
            127.77,
            None,
            "training",
        ),
    ),
    notes=("the tasks of the videos are not read: ReplaceDrive",),
)

EGO4D = Sample(
    "ego4d",
    "moments_train.json",
    json.dumps(
        {
            "version": "1",
            "date": "220216",
            "description": "moments",
            "videos": [
                {
                    "video_uid": "v",
                    "split": "train",
                    "clips": [
                        {
                            "clip_uid": "c",
                            "video_start_sec": 10.0,
                            "video_end_sec": 20.0,
                            "video_start_frame": 300,
                            "video_end_frame": 600,
                            "annotations": [
                                {
                                    "annotator_uid": "x",
                                    "labels": [
                                        {"label": "wash", "primary": True, "start_time": 0.5, "end_time": 0.625},
                                        {"label": "dry", "primary": False, "start_time": 1.0, "end_time": 2.0},
                                    ],
                                }
                            ],
                        }
                    ],
                }
            ],
        }
    ),
    (Timeline("c", (Mark(0.5, 0.625, "wash"),), 10.0, 30.0, "train"),),
)

_EPIC = {
    "EPIC_100_verb_classes.csv": "id,key,instances,category\n0,take,\"['take']\",x\n1,put,\"['put']\",x\n",
    "EPIC_100_noun_classes.csv": "id,key,instances,category\n0,tap,\"['tap']\",x\n1,spoon,\"['spoon']\",x\n",
    "EPIC_100_video_info.csv": "video_id,duration,fps,resolution\nP01_01,100.5,50,1920x1080\n",
}
EPIC = [
    Sample(
        f"epic-kitchens-{task}s",
        "EPIC_100_train.csv",
        "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,verb,verb_class,noun,noun_class\n"
        "P01_01_0,P01,P01_01,00:00:01.50,00:00:02.25,put,1,tap,0\n",
        (Timeline("P01_01", (Mark(1.5, 2.25, label),), 100.5, 50.0, subset),),
        labels=labels,
        beside=_EPIC,
    )
    for subset in ("training",)
    for task, label, labels in (
        ("verb", "put", ("take", "put")),
        ("noun", "tap", ("tap", "spoon")),
        ("action", "1,0", ("1,0",)),
    )
]

SAMPLES = [
    *(ACTIVITYNET, DETECTIONS, TABLE, FRAMES, LABEL_STUDIO, ELAN, BORIS, BORIS_TABULAR, BORIS_AGGREGATED, AUDACITY),
    *(VIA3, WEBVTT, SRT, ASS, COIN, EGO4D, *EPIC),
]
