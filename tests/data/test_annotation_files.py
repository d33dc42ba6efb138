from __future__ import annotations

import json
from pathlib import Path

import pytest

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.formats.activitynet import write_annotations
from untrimmed.data.formats.annotation_files import find_problems, open_annotations
from untrimmed.data.formats.ego4d import FeatureRows
from untrimmed.errors import AnnotationError

KITCHEN = {
    "EPIC_100_validation.csv": "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
    "P1_0,P1,00:00:01.00,00:00:02.50,1,0\n",
    "EPIC_100_verb_classes.csv": "id,key\n0,take\n1,put\n",
    "EPIC_100_noun_classes.csv": "id,key\n0,tap\n",
    "EPIC_100_video_info.csv": "video_id,duration,fps\nP1,10,50\n",
}
CLIP = {
    "clip_uid": "c",
    "video_start_sec": 1.0,
    "video_end_sec": 11.0,
    "video_start_frame": 30,
    "video_end_frame": 330,
    "annotations": [{"labels": [{"label": "wash", "primary": True, "start_time": 2, "end_time": 3}]}],
}


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    folder = tmp_path / "kitchen"
    folder.mkdir()
    for name, text in KITCHEN.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def moments(tmp_path: Path) -> Path:
    folder = tmp_path / "ego"
    folder.mkdir()
    content = {"videos": [{"video_uid": "v", "split": "val", "clips": [CLIP]}]}
    (folder / "moments_val.json").write_text(json.dumps(content))
    return folder


def test_activitynet(tmp_path: Path) -> None:
    known = Annotations({"a": Video("a", 3.0, "x", 25.0, (Instance(1.0, 2.0, "run"),))}, ("jump", "run"))
    write_annotations(known, tmp_path / "a.json")
    opened = open_annotations(tmp_path / "a.json", task="verb", cut_from=FeatureRows())
    assert (opened.videos, opened.labels) == (known.videos, known.labels)


def test_epic_kitchens(kitchen: Path) -> None:
    for path in (kitchen, kitchen / "EPIC_100_validation.csv"):
        assert open_annotations(path, task="verb").labels == ("take", "put")
        assert open_annotations(path, task="noun")["P1"].instances == (Instance(1.0, 2.5, "tap"),)
        assert find_problems(path) == []
        with pytest.raises(AnnotationError, match=r"verbs, nouns and actions: name one by data\.task .* --task"):
            open_annotations(path)


def test_moments(moments: Path) -> None:
    for path in (moments, moments / "moments_val.json"):
        assert open_annotations(path)["c"].instances == (Instance(2.0, 3.0, "wash"),)
        moved = open_annotations(path, cut_from=FeatureRows())["c"]
        assert moved.instances == (Instance(2 + 14 / 30, 3 + 14 / 30, "wash"),)  # frame 30 is the 14th of its row
        assert find_problems(path) == []


def test_what_cannot_be_used_may_be_left_out(kitchen: Path, tmp_path: Path) -> None:
    path = kitchen / "EPIC_100_validation.csv"
    path.write_text(path.read_text() + "P1_1,P1,00:00:03.00,00:00:02.00,0,0\n")
    (tmp_path / "a.json").write_text(
        json.dumps({"database": {"a": {"duration": 9, "annotations": [{"label": "x", "segment": [3, 2]}]}}})
    )
    assert len(find_problems(tmp_path / "a.json")) == 1
    for place in (path, tmp_path / "a.json"):
        with pytest.raises(AnnotationError):
            open_annotations(place, task="verb")
        open_annotations(place, task="verb", strict=False)


def test_a_folder_without_annotations(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="this folder has neither the files of EPIC-KITCHENS"):
        open_annotations(tmp_path)
    with pytest.raises(AnnotationError, match="there is no such file"):
        open_annotations(tmp_path / "no.json")
