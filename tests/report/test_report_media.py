from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from making_videos import make_video
from untrimmed.errors import ConfigError
from untrimmed.report import media
from untrimmed.report.media import Absent, Embedded, Linked, Media, address, media_of

ODD = ["a b#?%.mp4", "100%25.mp4", "javascript:alert(1).mp4", "ä 走る.mp4", "'\"<>&.mp4", "c:d.mp4", "..mp4", "~.mp4"]


def single(path: Path, page: Path, **options: object) -> Media:
    ((id_, made),) = media_of({"v": path}, page, **options)  # type: ignore[arg-type]
    assert id_ == "v"
    return made


@pytest.mark.parametrize("name", ODD)
def test_links_lead_to_files_of_any_name(tmp_path: Path, name: str) -> None:
    page = tmp_path / "out put" / "report.html"
    link = address(tmp_path / "videos" / name, page)
    assert link.isascii()
    parts = urlsplit(link)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    reached = os.path.normpath(os.path.join(os.fsencode(page.parent), unquote_to_bytes(link)))  # noqa: PTH118  bytes
    assert reached == os.fsencode(tmp_path / "videos" / name)


@given(st.binary(min_size=1, max_size=40).filter(lambda b: not set(b) & set(b"/\0") and b not in (b".", b"..")))
def test_links_lead_to_files_of_any_bytes(name: bytes) -> None:
    link = address(Path("/data") / os.fsdecode(name), Path("/data/report.html"))
    assert unquote_to_bytes(link) == name
    assert urlsplit(link).path == link
    assert not urlsplit(link).scheme


def test_a_page_in_another_folder(tmp_path: Path) -> None:
    assert address(tmp_path / "a" / "v.mp4", tmp_path / "a" / "r.html") == "v.mp4"
    assert address(tmp_path / "a" / "v.mp4", tmp_path / "b" / "r.html") == "../a/v.mp4"
    (tmp_path / "b").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "b", target_is_directory=True)
    assert address(tmp_path / "a" / "v.mp4", tmp_path / "link" / "r.html") == "../a/v.mp4"


def test_small_files_are_embedded_and_large_ones_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, page = make_video(tmp_path / "v.mp4", 3), tmp_path / "report.html"
    made = single(path, page)
    assert isinstance(made, Embedded)
    assert (made.content, made.type) == (path.read_bytes(), "video/mp4")
    assert single(path, page, mode="link") == Linked("v.mp4")
    monkeypatch.setattr(media, "SMALL", path.stat().st_size - 1)
    assert single(path, page) == Linked("v.mp4")
    assert isinstance(single(path, page, mode="embed"), Embedded)
    monkeypatch.setattr(media, "MOST_EMBEDDED", path.stat().st_size - 1)
    with pytest.raises(ConfigError, match=r"--media embed: .* Use --media link, or show fewer by --most-videos"):
        single(path, page, mode="embed")


def test_types(tmp_path: Path) -> None:
    made = single(make_video(tmp_path / "v.webm", 3), tmp_path / "report.html")
    assert isinstance(made, Embedded)
    assert made.type == "video/webm"


@pytest.mark.parametrize("transcode", [False, True])
def test_files_that_are_no_videos(tmp_path: Path, transcode: bool) -> None:
    (tmp_path / "v.mp4").write_text("no video")
    (tmp_path / "folder.mp4").mkdir()
    for name in ("v.mp4", "absent.mp4", "folder.mp4"):
        made = single(tmp_path / name, tmp_path / "report.html", transcode=transcode)
        assert isinstance(made, Absent)
        assert made.reason.startswith("There is no player, because ")
    assert not list(tmp_path.glob("**/*.mp4-*"))


def test_without_players(tmp_path: Path) -> None:
    assert isinstance(single(make_video(tmp_path / "v.mp4", 3), tmp_path / "r.html", mode="none"), Absent)


def test_copies_for_browsers(tmp_path: Path) -> None:
    source, page = make_video(tmp_path / "old.avi", 5), tmp_path / "report.html"
    made = single(source, page)
    assert isinstance(made, Absent)
    assert "--transcode" in made.reason

    linked = single(source, page, mode="link", transcode=True)
    assert isinstance(linked, Linked)
    copy = tmp_path / linked.address
    assert copy.parent == tmp_path / "report_videos"
    with av.open(str(copy)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
    before = copy.stat()
    assert single(source, page, mode="link", transcode=True) == linked
    assert copy.stat().st_mtime_ns == before.st_mtime_ns  # not made again
    os.utime(source, (before.st_mtime + 10, before.st_mtime + 10))
    assert single(source, page, mode="link", transcode=True) == linked
    assert copy.stat().st_mtime_ns > before.st_mtime_ns  # the source has changed

    embedded = single(source, tmp_path / "other.html", mode="embed", transcode=True)
    assert isinstance(embedded, Embedded)
    assert embedded.content[4:8] == b"ftyp"
    assert not (tmp_path / "other_videos").exists()


def test_copies_of_files_of_one_name(tmp_path: Path) -> None:
    files = {}
    for k in range(2):
        (tmp_path / str(k)).mkdir()
        files[str(k)] = make_video(tmp_path / str(k) / f"{'x' * 200}.avi", 3 + k)
    made = dict(media_of(files, tmp_path / "report.html", mode="link", transcode=True))
    assert len(set(made.values())) == 2
