from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from making_videos import make_video
from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.errors import AnnotationError, VideoError
from untrimmed.experiment.config import load_config
from untrimmed.experiment.own_videos import LabelledVideos, configuration, find_table, label_videos, split
from untrimmed.experiment.planning import plan
from untrimmed.time_grid import TimeGrid
from untrimmed.video.reading.reader import probe

HEADER = "video,start,end,label\n"
GRID = TimeGrid(2, 2, 10)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three videos of 2 s."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("a.mp4", "b.mkv", "c.avi"):
        make_video(folder / name, 20, rate=10)
    return folder


@pytest.fixture
def videos(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(made, tmp_path / "videos"))


def labelled(videos: Path, rows: str, **options: Any) -> LabelledVideos:
    table = videos.parent / "labels.csv"
    table.write_text(HEADER + rows)
    return label_videos(videos, table, **options)


ROWS = "a,0.5,1,jump\nb.mkv,0:00.5,0:01,jump\nc.avi,1,2.3,jump\n"


def test_videos_are_looked_into_and_split(videos: Path) -> None:
    found = labelled(videos, ROWS)
    assert {id_: video.duration for id_, video in found.annotations.videos.items()} == dict.fromkeys("abc", 2.0)
    assert {video.rate for video in found.annotations} == {10}
    assert found.annotations.subsets == {"train": 2, "val": 1}
    assert found.files["b"] == videos / "b.mkv"
    assert found.annotations["c"].instances == (Instance(1, 2, "jump"),)
    (warning,) = found.warnings
    assert warning.endswith("1 action ended behind the video and now ends with it: row 4 by 0.3 s")
    assert len(found.of("train")) == 2


def test_videos_without_rows(videos: Path) -> None:
    found = labelled(videos, "a,0.5,1,jump\n")
    assert list(found.annotations.videos) == ["a"]
    assert found.unlisted == ("b", "c")
    table = videos.parent / "labels.csv"
    assert found.warnings == (
        f"2 videos without a row in {table}, not used: b, c. If they have no actions, say so: --unlisted-are-empty",
        "no video is set aside to validate on (fewer than 3 videos), so nothing will say how good the model is",
    )
    found = labelled(videos, "a,0.5,1,jump\n", unlisted_are_empty=True)
    assert [len(video.instances) for video in found.annotations] == [1, 0, 0]
    assert found.unlisted == ("b", "c")
    assert found.warnings == (
        "no video is set aside to validate on (each one with actions has a class that no other has), so nothing will "
        "say how good the model is",
    )


def test_videos_that_are_not_used_need_not_be_readable(videos: Path) -> None:
    (videos / "d.mp4").write_text("no video")
    assert labelled(videos, ROWS).unlisted == ("d",)
    with pytest.raises(VideoError, match=r"d\.mp4: "):
        labelled(videos, ROWS, unlisted_are_empty=True)


def test_all_videos_that_cannot_be_read_are_named(videos: Path) -> None:
    (videos / "a.mp4").write_text("no video")
    (videos / "c.avi").write_text("")
    with pytest.raises(VideoError) as error:
        labelled(videos, ROWS)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == [
        str(videos / "a.mp4"),
        str(videos / "c.avi"),
    ]


def test_many_videos_that_cannot_be_read(tmp_path: Path) -> None:
    for i in range(9):
        (tmp_path / "videos").mkdir(exist_ok=True)
        (tmp_path / "videos" / f"{i}.mp4").write_text("no video")
    with pytest.raises(VideoError) as error:
        labelled(tmp_path / "videos", "".join(f"{i},0,1,jump\n" for i in range(9)))
    lines = str(error.value).splitlines()
    assert len(lines) == 6
    assert lines[-1] == "and 4 more"


def test_a_video_that_does_not_say_how_long_it_is(videos: Path) -> None:
    """A stream that was recorded as it came has no duration: it is read to its end."""
    make_video(videos / "live.mkv", 20, rate=10, container_options={"live": "1"})
    assert probe(videos / "live.mkv").duration is None
    found = labelled(videos, f"{ROWS}live,0,1,jump\n")
    assert found.annotations["live"].duration == pytest.approx(2, abs=0.01)


def test_progress(videos: Path) -> None:
    (videos.parent / "labels.csv").write_text(HEADER + ROWS)
    seen: list[tuple[list[str], int]] = []

    def progress(ids: object, number: int) -> list[str]:
        assert isinstance(ids, list)
        seen.append((ids, number))
        return ids

    label_videos(videos, videos.parent / "labels.csv", progress=progress)
    assert seen == [(["a", "b", "c"], 3)]


def test_the_table_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "labels.tsv").write_text(HEADER.replace(",", "\t"))
    (folder / "found.csv").write_text("video,start,end,label,score\n")  # detections
    (folder / "prices.csv").write_text("item,price\n")
    (folder / "folder.csv").mkdir()
    (folder / "sub").mkdir()
    (folder / "sub" / "labels.csv").write_text(HEADER)
    assert find_table([folder, tmp_path, folder]) == folder / "labels.tsv"
    (tmp_path / "more.CSV").write_text("class;begin;stop;file\n")
    with pytest.raises(AnnotationError) as error:
        find_table([folder, tmp_path])
    found = f"several tables of labels: {folder / 'labels.tsv'}, {tmp_path / 'more.CSV'}. Say which by --labels FILE"
    assert str(error.value) == found


def test_no_table(tmp_path: Path) -> None:
    ways_out = "Make a .csv file with the columns video,start,end,label, or name one by --labels FILE"
    with pytest.raises(AnnotationError) as error:
        find_table([tmp_path, tmp_path / "missing"])
    assert str(error.value) == f"there is no table of labels in {tmp_path} or {tmp_path / 'missing'}. {ways_out}"
    (tmp_path / "labels.csv").write_text("video,start,label\n")
    with pytest.raises(AnnotationError, match=r"labels\.csv: no column 'end' in the first row"):
        find_table([tmp_path])
    (tmp_path / "more.csv").write_text("")
    with pytest.raises(AnnotationError, match=r" \(labels\.csv, more\.csv: not with these columns\)\. Make a"):
        find_table([tmp_path])


def test_the_configuration(videos: Path, tmp_path: Path) -> None:
    found = labelled(videos, ROWS)
    planned = plan(found.of("train"), GRID)
    text = configuration(found, planned, GRID, ["untrimmed extract videos --out features"])
    (tmp_path / "untrimmed.yaml").write_text(text)
    config = load_config(str(tmp_path / "untrimmed.yaml"))
    assert config.data.annotations == tmp_path / "annotations.json"
    assert config.data.features == tmp_path / "features"
    assert (config.data.train, config.data.validate) == (("train",), ("val",))
    assert config.model.width == planned.values["model"]["width"]
    assert "#   untrimmed extract videos --out features\n" in text
    assert "one row of numbers every 0.2 s." in " ".join(text.replace("#", "").split())


def test_the_configuration_without_validation(videos: Path, tmp_path: Path) -> None:
    found = labelled(videos, "a,0.5,1,jump\n")
    (tmp_path / "x.yaml").write_text(configuration(found, plan(found.of("train"), GRID), GRID, []))
    assert load_config(str(tmp_path / "x.yaml")).data.validate == ()


@pytest.mark.parametrize("label", ["it's: #1", "- a", "größe 🎾", "{x}", "!!python/object", "a\u202eb", "%", "'", '"'])
def test_odd_labels(videos: Path, tmp_path: Path, label: str) -> None:
    found = labelled(videos, f'a,0.5,1,"{label.replace(chr(34), chr(34) * 2)}"\nb,0,1,run\n')
    (tmp_path / "x.yaml").write_text(configuration(found, plan(found.of("train"), GRID), GRID, []), encoding="utf-8")
    assert label in load_config(str(tmp_path / "x.yaml")).description


def test_split_keeps_what_is_known() -> None:
    before = Annotations(
        {f"v{i}": Video(f"v{i}", 5, rate=3, instances=(Instance(0, 1, "a"),)) for i in range(10)}, ("a",)
    )
    after = split(before)
    assert after.subsets == {"train": 8, "val": 2}
    assert [video.instances for video in after] == [video.instances for video in before]
    assert split(before) == after


def test_videos_stay_where_they_were() -> None:
    instances = (Instance(0, 1, "a"),)
    whole = Annotations({f"v{i}": Video(f"v{i}", 5, instances=instances) for i in range(12)}, ("a",))
    before = {f"v{i}": "val" if i in (0, 1, 5) else "train" for i in range(8)}
    after = split(whole, before)
    assert {id_: after[id_].subset for id_ in before} == before
    assert sum(after[f"v{i}"].subset == "val" for i in range(8, 12)) == 1


ALL_TRAIN = {f"v{i}": "train" for i in range(4)}


@pytest.mark.parametrize(
    "before", [{}, dict.fromkeys(["v0", "v1"], "train"), {"v0": "test"}, {"gone": "val"}, {**ALL_TRAIN, "v4": "val"}]
)
def test_split_anew_where_nothing_would_be_validated_on(before: dict[str, str]) -> None:
    videos = {f"v{i}": Video(f"v{i}", 5, instances=(Instance(0, 1, "a"),) * (i < 4)) for i in range(5)}
    used = [id_ for id_ in videos if id_ != "v4" or id_ in before]  # which has no actions
    whole = Annotations({id_: videos[id_] for id_ in used}, ("a",))
    assert split(whole, before) == split(whole)
    assert split(whole, before).subsets["val"] == 1


def test_split_anew_where_a_class_could_not_be_learnt() -> None:
    videos = {f"v{i}": Video(f"v{i}", 5, instances=(Instance(0, 1, "ab"[i < 2]),)) for i in range(6)}
    whole = Annotations(videos, ("a", "b"))
    after = split(whole, {"v0": "val", "v1": "val", "v2": "train"})
    assert after == split(whole)
    assert {i.label for video in after if video.subset == "train" for i in video.instances} == {"a", "b"}


def test_moved_videos_are_warned_of(videos: Path) -> None:
    found = labelled(videos, ROWS, subsets=dict.fromkeys("abc", "val"))
    (moved,) = [warning for warning in found.warnings if "another subset" in warning]
    assert moved.startswith("2 videos in another subset than before: ")
