from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.errors import VideoError
from untrimmed.video.extraction.finding import VIDEO_SUFFIXES, find_videos

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def problem(*paths: Path) -> str:
    with pytest.raises(VideoError) as error:
        find_videos(paths)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_folders_are_searched_and_what_is_named_is_taken(tmp_path: Path) -> None:
    touch(tmp_path / "videos", "b.mp4", "sub/deep/a.MKV", "notes.txt", ".hidden.mp4", ".trash/c.mp4", "d.mp4.part")
    (odd,) = touch(tmp_path, "odd.bin")
    found = find_videos([str(odd), tmp_path / "videos"])
    assert found == {"a": tmp_path / "videos/sub/deep/a.MKV", "b": tmp_path / "videos/b.mp4", "odd": odd}
    assert list(found) == ["a", "b", "odd"]


def test_an_id_is_all_but_the_last_suffix(tmp_path: Path) -> None:
    assert list(find_videos(touch(tmp_path, "v_1.2.mp4", "kein Name, größer.webm"))) == ["kein Name, größer", "v_1.2"]


def test_what_is_meant_twice_is_taken_once(tmp_path: Path) -> None:
    (path,) = touch(tmp_path, "sub/a.mp4")
    dotted = tmp_path / "sub" / ".." / "sub" / "a.mp4"
    assert find_videos([tmp_path, path, dotted, tmp_path / "sub"]) == {"a": path}


@posix
def test_links_are_followed_and_each_folder_is_searched_once(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere", "b.mp4")
    videos = tmp_path / "videos"
    touch(videos, "sub/a.mp4")
    (videos / "sub" / "up").symlink_to(videos)
    (videos / "self").symlink_to(videos / "self")
    (videos / "other").symlink_to(tmp_path / "elsewhere")
    (videos / "again").symlink_to(tmp_path / "elsewhere")
    assert find_videos([videos]) == {"a": videos / "sub" / "a.mp4", "b": videos / "again" / "b.mp4"}


@posix
def test_links_to_nowhere_are_reported_later_and_pipes_are_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert list(find_videos([tmp_path])) == ["gone"]


@pytest.mark.parametrize("second", ["x/a.mp4", "a.avi"])
def test_two_files_of_one_id_are_refused(tmp_path: Path, second: str) -> None:
    first, other = touch(tmp_path, "a.mp4", second)
    message = problem(tmp_path)
    assert str(first) in message
    assert str(other) in message
    assert "would both be video 'a'" in message


def test_nothing_there(tmp_path: Path) -> None:
    assert problem(tmp_path / "a.mp4") == f"{tmp_path / 'a.mp4'}: there is no such file or folder"
    assert "there are no videos in the folder, it is empty. Expected are" in problem(tmp_path)
    touch(tmp_path, "c.txt", "b/b.txt")
    assert f"{tmp_path}: there are no videos in the folder, its files are like 'b.txt'." in problem(tmp_path)


def test_names_that_cannot_be_ids(tmp_path: Path) -> None:
    assert "begins with a dot" in problem(*touch(tmp_path, ".a.mp4"))


@posix
def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.mp4"))
    try:
        path.touch()
    except OSError:
        pytest.skip("this file system takes no such names")
    message = problem(tmp_path)
    message.encode()
    assert re.search(r"\\xff\.mp4'?: the name of this file is not UTF-8. Rename it$", message)


NAMES = st.sampled_from(["a", "b", ".c", "d e"])
SUFFIXES = st.sampled_from([".mp4", ".MOV", ".txt", "", ".npy"])


@given(st.lists(st.tuples(st.lists(NAMES, max_size=2), NAMES, SUFFIXES), min_size=1, max_size=8))
def test_as_a_plain_search_finds(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[list[str], str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("tree")
    for number, (below, name, suffix) in enumerate(files):
        touch(folder.joinpath(*below), f"{name}{number}{suffix}")
    expected = {
        path.stem: path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }
    if expected:
        assert find_videos([folder]) == expected
    else:
        assert "there are no videos" in problem(folder)
