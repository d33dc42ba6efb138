"""Files that are damaged or cut short."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest
from refusals import refusal

from making_videos import make_video, number_of, numbered
from untrimmed.errors import VideoError
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import View

WHOLE = View(48, 64)


def read(path: Path, **options: Any) -> tuple[list[int], list[float], int]:
    """Numbers and seconds of the pictures, and how many packets are damaged."""
    with VideoFile(path, **options) as video:
        frames = [(number_of(frame.picture(WHOLE)), frame.seconds) for frame in video.frames()]
        return [number for number, _ in frames], [seconds for _, seconds in frames], video.damaged


def cut(path: Path, part: float = 0.5) -> Path:
    """Cut a file short."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * part)])
    return path


def spoil(path: Path, *packets: int, skip: int = 0) -> Path:
    """Overwrite packets of a file, by their numbers, all but the first bytes."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in packets:
        start, size = places[number]
        assert start is not None
        data[start + skip : start + size] = b"\xff" * (size - skip)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("video.avi", {"codec": "mjpeg"}),
        ("video.mov", {"codec": "qtrle"}),
        ("video.mov", {"codec": "prores_ks", "pixel_format": "yuv422p10le"}),
        ("video.mp4", {"key_every": 1}),
        ("video.avi", {"key_every": 1}),
    ],
)
def test_damaged_packets_are_left_out_and_counted(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = spoil(make_video(tmp_path / name, 100, **options), 10, 50, 51, 70)
    numbers, seconds, damaged = read(path)
    expected = [i for i in range(100) if i not in {10, 50, 51, 70}]
    assert numbers == expected
    assert seconds == pytest.approx([i / 25 for i in expected], abs=1e-3)
    assert damaged == 4
    with VideoFile(path) as video:  # the picture before the hole stands until after it
        sampled = [number_of(picture) for (picture,) in video.sampled(25, [WHOLE]) if picture is not None]
    assert sampled == [i if i in expected else {10: 9, 50: 49, 51: 49, 70: 69}[i] for i in range(100)]


@pytest.mark.parametrize("threads", [1, 3])
def test_pictures_that_need_a_damaged_one_do_not_stop_it(threads: int, tmp_path: Path) -> None:
    path = spoil(make_video(tmp_path / "video.mp4", 100, b_frames=2, key_every=10), 5, 30, 31, 77)
    numbers, seconds, damaged = read(path, threads=threads)
    assert len(numbers) >= 90
    assert damaged >= 4
    assert seconds == sorted(seconds)


def test_the_first_packets_may_be_damaged(tmp_path: Path) -> None:
    numbers, seconds, damaged = read(spoil(make_video(tmp_path / "video.avi", 20, codec="mjpeg"), 0, 1, 2))
    assert (numbers, damaged) == (list(range(3, 20)), 3)
    assert seconds[0] == pytest.approx(0.12)


def test_if_more_is_damaged_than_not_it_is_refused(tmp_path: Path) -> None:
    path = spoil(make_video(tmp_path / "video.avi", 20, codec="mjpeg"), *range(0, 20, 2))
    assert read(path)[2] == 10
    spoil(path, 1)
    assert refusal(path) == "11 of its packets are damaged, and only 9 pictures could be decoded. Copy it again"
    spoil(path, *range(20))
    assert refusal(path) == "not one picture of it can be decoded: it is damaged, or was not copied to its end"


def test_a_hole_in_a_matroska_file(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mkv", 200, container_options={"cluster_time_limit": "400"}, key_every=1)
    data = bytearray(path.read_bytes())
    start = len(data) // 2
    data[start : start + 300] = bytes(300)
    path.write_bytes(data)
    numbers, seconds, _ = read(path)
    assert 170 <= len(numbers) < 200
    assert seconds == pytest.approx([number / 25 for number in numbers], abs=1e-3)
    assert numbers[-1] == 199


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("video.mp4", {"container_options": {"movflags": "faststart"}}),
        ("video.mov", {"container_options": {"movflags": "faststart"}, "sound": 16.0}),
        ("video.mkv", {}),
        ("video.mkv", {"sound": 12.0}),
        ("video.webm", {}),
        ("video.avi", {"codec": "mjpeg"}),
        ("video.flv", {}),
        ("video.flv", {"sound": 12.0}),
    ],
)
def test_a_truncated_file_is_refused_at_its_end(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = cut(make_video(tmp_path / name, [numbered(i % 4096) for i in range(300)], **options), 0.6)
    numbers, seconds, _ = read(path, allow_truncated=True)
    assert 20 < len(numbers) < 290
    assert numbers == list(range(len(numbers)))
    assert seconds == pytest.approx([i / 25 for i in numbers], abs=0.022)  # flv with sound begins a little later
    message = refusal(path)
    assert message.startswith("ends after ")
    assert message.endswith(
        "was not copied to its end, or is damaged. Copy it again, or read what is there with --allow-truncated"
    )
    if "sound" not in options:
        assert message.startswith(f"ends after {seconds[-1] + 0.04:.1f} of 12.0 seconds: ")
    with VideoFile(path) as video:
        frames = video.frames()
        there = [number_of(frame.picture(WHOLE)) for frame in itertools.islice(frames, len(numbers))]
        assert there == numbers  # what is there comes first
        with pytest.raises(VideoError, match="ends after"):
            next(frames)


@pytest.mark.parametrize("name", ["video.ts", "video.mpg", "video.wmv"])
def test_where_nothing_is_declared_what_is_there_is_read(name: str, tmp_path: Path) -> None:
    numbers, _, _ = read(cut(make_video(tmp_path / name, 100)))
    assert numbers == list(range(len(numbers)))
    assert 20 < len(numbers) < 99


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi", ".flv", ".ts", ".mpg", ".wmv"])
def test_sound_that_is_longer_is_no_reason(suffix: str, tmp_path: Path) -> None:
    assert len(read(make_video(tmp_path / f"video{suffix}", 50, sound=7.0))[0]) == 50


def test_matroska_without_a_tag_for_its_pictures_ends_with_whatever_is_longest(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mkv", 100, sound=12.0)
    path.write_bytes(path.read_bytes().replace(b"DURATION", b"SOMETIME"))
    with VideoFile(path) as video:
        assert video.info.duration == pytest.approx(12.02, abs=0.01)
    assert len(read(path)[0]) == 100
    assert refusal(cut(path, 0.7)).startswith("ends after ")


def test_a_tag_that_is_longer_than_the_file_says_nothing(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mkv", 100)
    path.write_bytes(path.read_bytes().replace(b"00:00:04", b"07:00:04"))
    assert len(read(path)[0]) == 100


def test_live_recordings_declare_no_length(tmp_path: Path) -> None:
    for name, container_options in (
        ("video.webm", {"live": "1"}),
        ("video.mkv", {"live": "1"}),
        ("video.flv", {"flvflags": "no_duration_filesize"}),
        ("video.mp4", {"movflags": "frag_keyframe+empty_moov"}),
    ):
        path = make_video(tmp_path / name, 50, container_options=container_options, sound=3.0)
        assert len(read(path)[0]) == 50
        assert len(read(cut(path))[0]) < 50


def test_a_little_may_be_missing(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.avi", 100, codec="mjpeg")
    assert read(spoil(path, *range(75, 100)))[2] == 25
    assert refusal(spoil(path, 74)).startswith("ends after 3.0 of 4.0 seconds")


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_an_unfinished_recording(suffix: str, tmp_path: Path) -> None:
    path = cut(make_video(tmp_path / f"video{suffix}", 50))
    assert refusal(path).startswith("the index (moov) of this MP4 file is missing")
    assert refusal(path, allow_truncated=True).startswith("the index (moov) of this MP4 file is missing")


def test_a_truncated_header_of_avi(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.avi", 50)
    path.write_bytes(path.read_bytes()[:1000])
    assert refusal(path) == "this AVI file is damaged, or was not copied to its end. Copy it again"


def test_nothing_is_written_to_the_terminal(tmp_path: Path) -> None:
    path = spoil(make_video(tmp_path / "video.mp4", 50), 10, 20)
    code = (
        "from untrimmed.video.reading.reader import VideoFile\n"
        f"with VideoFile({str(path)!r}) as video: list(video.frames())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
