from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from untrimmed.data.annotations import Instance, Video
from untrimmed.data.formats.interval_table import Row, read_interval_table
from untrimmed.data.labelling import Labelled, annotate, clock, match_videos
from untrimmed.errors import AnnotationError

FILES = {"friday": "friday.mkv", "gym.1": "sub/gym.1.MP4", "größe": "größe.mp4", "monday": "monday.mp4"}
FOLDER = Path("videos")


def table(folder: Path, *rows: str) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(["video,start,end,label", *rows]))
    return path


def matched(folder: Path, *rows: str, files: Mapping[str, str] = FILES) -> dict[str, list[Row]]:
    path = table(folder, *rows)
    return match_videos(read_interval_table(path), files, path, FOLDER)


def labelled(folder: Path, *rows: str, duration: float = 100.0) -> Labelled:
    path = table(folder, *rows)
    files = {"a": "a.mp4", "b": "b.mp4"}
    of_video = match_videos(read_interval_table(path), files, path, FOLDER)
    return annotate(of_video, {id_: Video(id_, duration) for id_ in files}, path)


def fault(folder: Path, *rows: str) -> str:
    with pytest.raises(AnnotationError) as error:
        labelled(folder, *rows)
    return str(error.value).replace(f"{folder / 'labels.csv'}: ", "")


def warnings(folder: Path, *rows: str) -> list[str]:
    return [warning.removeprefix(f"{folder / 'labels.csv'}: ") for warning in labelled(folder, *rows).warnings]


@pytest.mark.parametrize(
    ("name", "id_"),
    [
        ("monday.mp4", "monday"),
        ("monday", "monday"),
        ("./monday.mp4", "monday"),
        ("sub/gym.1.MP4", "gym.1"),
        ("sub\\gym.1.MP4", "gym.1"),
        ("gym.1.MP4", "gym.1"),
        ("gym.1", "gym.1"),
        ("gro\u0308ße.mp4", "größe"),
        (str(FOLDER.resolve() / "sub" / "gym.1.MP4"), "gym.1"),
    ],
)
def test_names_of_videos(tmp_path: Path, name: str, id_: str) -> None:
    found = matched(tmp_path, f"{name},1,2,jump")
    assert list(found) == [id_]
    assert [row.video for row in found[id_]] == [name]


def test_rows_of_a_video_stay_in_their_order(tmp_path: Path) -> None:
    found = matched(tmp_path, "monday,1,2,jump", "friday,1,2,jump", "monday.mp4,0,1,run")
    assert {id_: [row.number for row in rows] for id_, rows in found.items()} == {"friday": [3], "monday": [2, 4]}


def test_a_name_is_a_file_before_it_is_an_id(tmp_path: Path) -> None:
    files = {"a": "a.mp4", "a.mp4": "a.mp4.mkv"}
    assert list(matched(tmp_path, "a.mp4,1,2,jump", files=files)) == ["a"]
    assert list(matched(tmp_path, "a.mp4.mkv,1,2,jump", files=files)) == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mondy.mp4", "did you mean 'monday.mp4'?"),
        ("Monday.mp4", "did you mean 'monday.mp4'?"),
        ("monday.avi", "did you mean 'monday.mp4'?"),
        ("/elsewhere/monday.mp4", "did you mean 'monday.mp4'?"),
        ("C:\\films\\FRIDAY", "did you mean 'friday.mkv'?"),
        ("gym.1.mp4", "did you mean 'sub/gym.1.MP4'?"),
        ("gym", "did you mean 'sub/gym.1.MP4'?"),
        ("2024-07-31", "there are 'friday.mkv', 'sub/gym.1.MP4', 'größe.mp4' and 1 more"),
    ],
)
def test_a_video_that_is_not_there(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(AnnotationError) as error:
        matched(tmp_path, "monday,1,2,jump", f"{name},1,2,jump", f"{name},3,4,jump")
    expected = f"{tmp_path / 'labels.csv'}: row 3, column 'video': there is no video {name!r} in videos; {hint}"
    assert str(error.value) == expected


def test_annotations(tmp_path: Path) -> None:
    result = labelled(tmp_path, "a,5,7.5,run", "a,1,2,jump", "b,,,")
    assert result.warnings == ()
    assert result.annotations.labels == ("jump", "run")
    assert result.annotations["a"].instances == (Instance(1, 2, "jump"), Instance(5, 7.5, "run"))
    assert result.annotations["b"] == Video("b", 100)


def test_a_video_without_rows_has_no_actions(tmp_path: Path) -> None:
    assert labelled(tmp_path, "a,1,2,jump").annotations["b"].instances == ()


def test_blanks_of_labels(tmp_path: Path) -> None:
    result = labelled(tmp_path, "a,1,2, high  jump ", "a,3,4,high jump")
    assert result.annotations.labels == ("high jump",)
    (warning,) = result.warnings
    expected = "labels that differ by blanks only were taken for one class: ' high  jump ', 'high jump'"
    assert warning == f"{tmp_path / 'labels.csv'}: {expected}"
    assert warnings(tmp_path, "a,1,2, jump", "b, 3, 4, jump") == []


def test_labels_that_differ_by_case(tmp_path: Path) -> None:
    assert warnings(tmp_path, "a,1,2,Jump", "a,3,4,jump", "a,5,6,run") == [
        "different classes that differ only by upper and lower case: 'Jump', 'jump'. Write them alike if they are one"
    ]


def test_duplicate_rows(tmp_path: Path) -> None:
    result = labelled(tmp_path, "a,1,2,jump", "a.mp4,0:01,2.0,jump ", "b,1,2,jump", "a,1,2,run")
    assert [len(video.instances) for video in result.annotations] == [2, 1]
    assert "1 row repeated another one and was left out: row 3" in result.warnings[0]


def test_an_end_a_little_behind_the_video(tmp_path: Path) -> None:
    result = labelled(tmp_path, "a,90,100.5,jump", "b,99,100,jump")
    assert result.annotations["a"].instances == (Instance(90, 100, "jump"),)
    assert warnings(tmp_path, "a,90,100.5,jump") == [
        "1 action ended behind the video and now ends with it: row 2 by 0.5 s"
    ]
    assert fault(tmp_path, "a,90,100.51,jump") == (
        "row 2, column 'end': 100.51 s lies behind the end of 'a', which lasts 1:40 (100.00 s); correct it, or is it "
        "another video?"
    )


@pytest.mark.parametrize(
    ("start", "shown", "hint"),
    [
        ("2500", "2500 s", "times are in seconds, mm:ss or hh:mm:ss, not in frames or milliseconds"),
        ("100", "100 s", "times are in seconds, mm:ss or hh:mm:ss, not in frames or milliseconds"),
        ("01:30:00", "5400 s", "spreadsheets make hours of minutes: was 1:30 meant?"),
    ],
)
def test_a_start_behind_the_video(tmp_path: Path, start: str, shown: str, hint: str) -> None:
    message = fault(tmp_path, f"a,{start},999999,jump")
    assert message == (
        f"row 2, column 'start': {shown} lies behind the end of 'a', which lasts 1:40 (100.00 s); {hint}"
    )


def test_a_video_with_and_without_actions(tmp_path: Path) -> None:
    message = fault(tmp_path, "a,,,", "b,1,2,jump", "a.mp4,3,4,jump", "b,500,600,jump")
    assert message.splitlines() == [
        "row 2: says that 'a' has no actions, but row 4 has one; remove a row",
        "row 5, column 'start': 500 s lies behind the end of 'b', which lasts 1:40 (100.00 s); times are in seconds, "
        "mm:ss or hh:mm:ss, not in frames or milliseconds",
    ]


def test_no_actions_at_all(tmp_path: Path) -> None:
    for rows in [("a,,,", "b,,,"), ()]:
        assert fault(tmp_path, *rows).startswith("no row has an action; a row is video,start,end,label as in ")


@pytest.mark.parametrize(("value", "text"), [(0, "0:00"), (59.99, "0:59"), (61, "1:01"), (3661.5, "1:01:01")])
def test_clock(value: float, text: str) -> None:
    assert clock(value) == text


def test_labels_that_look_alike(tmp_path: Path) -> None:
    assert warnings(tmp_path, "a,1,2,gru\u0308n", "a,3,4,gr\xfcn") == []  # one text, in two encodings
    (warning,) = warnings(tmp_path, "a,1,2,jump", "a,3,4,jump\u200b")
    assert warning.startswith("different classes that differ only by upper and lower case or by characters that are ")


def test_many_videos_that_are_not_there(tmp_path: Path) -> None:
    """Near names are looked for as often as they are shown, not for each of a hundred thousand rows."""
    files = {f"video {i}": f"video {i}.mp4" for i in range(300)}
    with pytest.raises(AnnotationError) as error:
        matched(tmp_path, *(f"vedeo {i},1,2,jump" for i in range(3000)), files=files)
    lines = str(error.value).splitlines()
    assert [line.rsplit("; ")[-1][:12] for line in lines[:-1]] == ["did you mean"] * 5
    assert lines[-1].endswith("and 2995 more like these")
