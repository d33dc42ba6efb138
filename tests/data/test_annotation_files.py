from __future__ import annotations

import json
from pathlib import Path

import pytest

from annotation_samples import write_kitchen, write_moments
from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.formats.activitynet import write_annotations
from untrimmed.data.formats.annotation_files import find_problems, open_annotations
from untrimmed.data.formats.ego4d import FeatureRows
from untrimmed.errors import AnnotationError


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    return write_kitchen(tmp_path / "kitchen")


@pytest.fixture
def moments(tmp_path: Path) -> Path:
    return write_moments(tmp_path / "ego")


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
