from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from command_line import files, refused, run

TABLE = "video,start,end,label\nmonday.mp4,0.5,1,jump\nmonday.mp4,0.75,1.5,run\ntuesday,0,0.2504,jump\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(TABLE)
    return path


def video(path: Path, frames: int, rate: int) -> None:
    """Write a small video of so many frames."""
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height = 64, 48
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), i, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_it_says_what_was_converted_and_lost(table: Path, tmp_path: Path) -> None:
    outcome = run("convert", table, tmp_path / "out", "--to", "elan")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        f"{table} -> {tmp_path / 'out'}: table, CSV or TSV to ELAN, 2 videos, 3 marks",
        "wrote 2 files",
        "lost: the times of 1 mark rounded to 0.001 s",
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["monday.eaf", "tuesday.eaf"]


def test_json(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.boris"
    outcome = run("convert", table, out, "--json")
    assert outcome.code == 0
    assert outcome.json == {
        "source": "table",
        "target": "boris",
        "files": [str(out)],
        "videos": 2,
        "marks": 3,
        "notes": [],
        "losses": ["the times of 1 mark rounded to 0.001 s"],
    }


def test_lengths_and_rates_come_from_the_videos(table: Path, tmp_path: Path) -> None:
    for name in ("monday", "tuesday"):
        video(tmp_path / "videos" / f"{name}.mp4", 20, 10)
    out = tmp_path / "annotations.json"
    assert (
        run("convert", table, out, "--to", "activitynet", "--videos", tmp_path / "videos", "--subset", "train").code
        == 0
    )
    database = json.loads(out.read_text())["database"]
    assert {id_: (entry["duration"], entry["subset"]) for id_, entry in database.items()} == {
        "monday": (2.0, "train"),
        "tuesday": (2.0, "train"),
    }
    tasks = tmp_path / "tasks.json"
    assert run("convert", out, tasks, "--to", "label-studio", "--videos", tmp_path / "videos").code == 0
    first = json.loads(tasks.read_text())[0]
    assert first["data"] == {"video": "monday.mp4", "fps": 10.0, "duration": 2.0, "subset": "train"}
    assert [each["value"]["ranges"] for each in first["annotations"][0]["result"]] == [
        [{"start": 6, "end": 10}],
        [{"start": 9, "end": 15}],
    ]


def test_a_damaged_video_is_opened_only_where_it_is_needed(table: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for name in ("monday", "tuesday"):
        (tmp_path / "videos" / f"{name}.mp4").write_bytes(b"nothing")
    words = ("--videos", tmp_path / "videos")
    assert run("convert", table, tmp_path / "out", "--to", "srt", *words).code == 0
    line = refused("convert", table, tmp_path / "a.json", "--to", "activitynet", *words, code=1)
    assert "monday.mp4" in line


def test_detections_become_drafts_and_come_back(tmp_path: Path) -> None:
    marks = [
        {"label": "jump", "score": 0.9, "segment": [1.0, 2.0]},
        {"label": "jump", "score": 0.25, "segment": [1.5, 3.0]},
    ]
    first = tmp_path / "detections.json"
    first.write_text(json.dumps({"results": {"v": marks}}))
    run("convert", first, tmp_path / "v.eaf")
    assert run("convert", tmp_path / "v.eaf", tmp_path / "back.json", "--to", "detections").code == 0
    assert json.loads((tmp_path / "back.json").read_text())["results"] == {"v": marks}
    assert run("convert", first, tmp_path / "best.csv", "--min-score", "0.5").code == 0
    assert (tmp_path / "best.csv").read_text() == "video,start,end,label,score\nv,1.0,2.0,jump,0.9\n"


def test_subsets(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_text("video,start,end,label,subset\na,1,2,x,train\nb,1,2,x,val\n")
    assert run("convert", source, tmp_path / "b.csv", "--subset", "VAL").code == 0
    assert (tmp_path / "b.csv").read_text() == "video,start,end,label,subset\nb,1.0,2.0,x,val\n"
    line = refused("convert", source, tmp_path / "c.csv", "--subset", "test", code=1)
    assert line.endswith("no video is in subset 'test'; there are 'train', 'val'")


def test_mistakes_are_said_in_one_line(table: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    assert "no such file" in refused("convert", tmp_path / "x.csv", tmp_path / "y.srt", code=1)
    assert "say by --to which of activitynet" in refused("convert", table, tmp_path / "y.json", code=2)
    assert "no format is named" in refused("convert", table, tmp_path / "y", code=2)
    assert "there is no such format" in refused("convert", table, tmp_path / "y", "--to", "elaan", code=2)
    assert "there is no such format" in refused("convert", table, tmp_path / "y.srt", "--from", "x", code=2)
    assert "is only read" in refused("convert", table, tmp_path / "y.csv", "--to", "epic-kitchens-verbs", code=2)
    assert "written to .eaf files, or a folder" in refused("convert", table, tmp_path / "y.xml", "--to", "elan", code=2)
    assert "name a folder" in refused("convert", table, tmp_path / "y.eaf", code=2)
    assert "--videos FOLDER" in refused("convert", table, tmp_path / "y.json", "--to", "activitynet", code=1)
    assert "--rate" in refused("convert", table, tmp_path / "y.json", "--to", "label-studio", code=1)
    assert "--rate 0" in refused("convert", table, tmp_path / "y.srt", "--rate", "0", code=2)
    assert "nothing in it has a score" in refused("convert", table, tmp_path / "y.srt", "--min-score", "1", code=1)
    assert "no such folder" in refused("convert", table, tmp_path / "y", "--videos", tmp_path / "x", code=2)
    assert "never replaced" in refused("convert", table, table, code=2)
    assert files(tmp_path) == before
