from __future__ import annotations

import gc
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import numpy as np
import pytest

from making_videos import CODECS, make_video, number_of, numbered
from untrimmed.errors import VideoError
from untrimmed.video.reading.ahead import ahead
from untrimmed.video.reading.pictures import PictureMaker
from untrimmed.video.reading.reader import Frame, VideoFile, probe
from untrimmed.video.view import View

WHOLE = View(48, 64)
FPS_25 = [i / 25 for i in range(10)]
VARIABLE = [0.0, 0.1, 0.15, 0.5, 0.6, 0.7, 1.2, 1.3, 1.31, 1.5]
KEEPS_TIMES = sorted(set(CODECS) - {".mpg"})  # which need a constant rate


def read(path: Path) -> tuple[list[float], list[int]]:
    """Seconds and numbers of all pictures."""
    with VideoFile(path) as video:
        frames = [(frame.seconds, number_of(frame.picture(WHOLE))) for frame in video.frames()]
        assert (video.damaged, video.jumps) == (0, 0)
    return [seconds for seconds, _ in frames], [number for _, number in frames]


@pytest.mark.parametrize("suffix", sorted(CODECS))
def test_every_container(suffix: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"video{suffix}")
    seconds, numbers = read(path)
    assert numbers == list(range(10))
    assert seconds == pytest.approx(FPS_25, abs=1e-3)
    with VideoFile(path) as video:
        list(video.frames())
        assert video.end == pytest.approx(0.4, abs=2e-3)
        assert (video.info.width, video.info.height, video.info.rotation) == (64, 48, 0)
        assert video.info.rate == pytest.approx(25)
        assert not video.info.has_audio


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("video.avi", "mjpeg", None),
        ("video.avi", "rawvideo", None),
        ("video.mkv", "ffv1", None),
        ("video.mkv", "libvpx", None),
        ("video.mov", "qtrle", None),
        ("video.mp4", "mpeg4", None),
        ("video.mp4", "libvpx-vp9", None),
        ("video.ts", "mpeg2video", None),
        ("video.mxf", "mpeg2video", "mxf"),
        ("video.ogv", "libvpx", "ogg"),
        ("video.nut", "mpeg4", "nut"),
        ("video.ivf", "libvpx-vp9", "ivf"),
        ("video.h264", "libx264", "h264"),
        ("video.mjpeg", "mjpeg", "mjpeg"),
        ("video.m4v", "mpeg4", "m4v"),
    ],
)
def test_other_codecs_and_streams_without_a_container(
    name: str, codec: str, container: str | None, tmp_path: Path
) -> None:
    seconds, numbers = read(make_video(tmp_path / name, codec=codec, container=container))
    assert numbers == list(range(10))
    assert seconds == pytest.approx(FPS_25, abs=1e-3)


@pytest.mark.parametrize("suffix", KEEPS_TIMES)
def test_variable_frame_rate(suffix: str, tmp_path: Path) -> None:
    seconds, numbers = read(make_video(tmp_path / f"video{suffix}", times=VARIABLE))
    assert numbers == list(range(10))
    assert seconds == pytest.approx(VARIABLE, abs=1e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".mpg"])
def test_b_frames_come_in_the_order_in_which_they_are_shown(suffix: str, tmp_path: Path) -> None:
    seconds, numbers = read(make_video(tmp_path / f"video{suffix}", 30, b_frames=3, codec=CODECS[suffix]))
    assert numbers == list(range(30))
    assert seconds == pytest.approx([i / 25 for i in range(30)], abs=1e-3)


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
@pytest.mark.parametrize("b_frames", [1, 3])
def test_b_frames_in_avi_which_has_no_presentation_times(codec: str, b_frames: int, tmp_path: Path) -> None:
    seconds, numbers = read(make_video(tmp_path / "video.avi", 30, b_frames=b_frames, codec=codec))
    assert numbers == list(range(30))
    assert seconds == pytest.approx([(i + 1) / 25 for i in range(30)], abs=1e-3)  # the packets are one frame ahead


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_where_browsers_play_it_a_late_start_stays(suffix: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"video{suffix}", start=3.0)
    seconds, numbers = read(path)
    assert numbers == list(range(10))
    assert seconds == pytest.approx([3 + s for s in FPS_25], abs=1e-3)
    assert probe(path).duration == pytest.approx(3.4, abs=1e-3)
    with VideoFile(path) as video:
        assert [number_of(picture) for (picture,) in video.sampled(10, [WHOLE]) if picture is not None] == [
            *[0] * 30,
            *[1, 3, 6, 8],
        ]


@pytest.mark.parametrize("suffix", [".ts", ".mpg", ".flv", ".wmv"])
def test_elsewhere_time_begins_with_the_first_stream(suffix: str, tmp_path: Path) -> None:
    seconds, numbers = read(make_video(tmp_path / f"video{suffix}", start=3.0))
    assert numbers == list(range(10))
    assert seconds == pytest.approx(FPS_25, abs=1e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".ts", ".mpg", ".flv", ".wmv"])
def test_pictures_that_begin_later_than_the_sound(suffix: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"video{suffix}", start=1.0, sound=2.0)
    assert probe(path).has_audio
    seconds, numbers = read(path)
    assert numbers == list(range(10))
    # What the encoder of the sound puts in front of it, up to 50 ms, is part of it for these containers.
    assert seconds == pytest.approx([1 + s for s in FPS_25], abs=1e-3 if suffix in {".mp4", ".mkv", ".webm"} else 0.05)
    assert np.diff(seconds) == pytest.approx(np.full(9, 0.04), abs=1.1e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_times_of_day_begin_at_zero(suffix: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"video{suffix}", start=50000.0)
    assert read(path)[0] == pytest.approx(FPS_25, abs=1e-3)
    assert probe(path).duration == pytest.approx(0.4, abs=1e-3)


def test_time_that_overflows_goes_on(tmp_path: Path) -> None:
    # MPEG counts in 33 bits, at 90 kHz: for a day.
    seconds, numbers = read(make_video(tmp_path / "video.ts", 20, start=2**33 / 90000 - 0.2))
    assert numbers == list(range(20))
    assert seconds == pytest.approx([i / 25 for i in range(20)], abs=1e-3)


@pytest.mark.parametrize("start", [0.0, 1000.0])
@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_joined_recordings_follow_each_other(suffix: str, start: float, tmp_path: Path) -> None:
    one = make_video(tmp_path / f"one{suffix}", 10)
    two = make_video(tmp_path / f"two{suffix}", [numbered(100 + i) for i in range(10)], start=start)
    joined = tmp_path / f"joined{suffix}"
    for parts, numbers in (((one, two), [*range(10), *range(100, 110)]), ((two, one), [*range(100, 110), *range(10)])):
        joined.write_bytes(b"".join(part.read_bytes() for part in parts))
        with VideoFile(joined) as video:
            frames = list(video.frames())
            assert video.jumps == 1
        assert [number_of(frame.picture(WHOLE)) for frame in frames] == numbers
        assert [frame.seconds for frame in frames] == pytest.approx([i / 25 for i in range(20)], abs=1e-3)


def test_a_single_picture_in_a_video(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv", ".avi", ".gif"):
        with VideoFile(make_video(tmp_path / f"video{suffix}", 1)) as video:
            assert [number_of(p) for (p,) in video.sampled(16, [WHOLE]) if p is not None] == [0]


def test_the_length_of_the_last_picture(tmp_path: Path) -> None:
    with VideoFile(make_video(tmp_path / "video.mp4", 3, times=[0.0, 0.1, 0.2])) as video:
        *_, last = video.frames()
        assert (last.seconds, last.duration, video.end) == pytest.approx((0.2, 0.04, 0.24), abs=1e-3)  # as declared
    with VideoFile(make_video(tmp_path / "video.flv", 3, times=[0.0, 0.1, 0.2])) as video:
        *_, last = video.frames()
        assert (last.seconds, last.duration, video.end) == pytest.approx((0.2, 0.1, 0.3), abs=1e-3)  # the usual gap


def test_what_a_file_says_of_itself(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", 50, rate=Fraction(30000, 1001), sound=3.0, rotation=90)
    info = probe(path)
    assert info.path == path
    assert info.duration == pytest.approx(50 * 1001 / 30000)
    assert info.rate == pytest.approx(30000 / 1001)
    assert (info.width, info.height, info.rotation) == (48, 64, 90)
    assert (info.codec, info.has_audio) == ("h264", True)
    assert probe(str(path)) == info


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi"])
def test_the_duration_is_that_of_the_pictures(suffix: str, tmp_path: Path) -> None:
    assert probe(make_video(tmp_path / f"video{suffix}", sound=3.0)).duration == pytest.approx(0.4, abs=0.05)


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    wide, high = Fraction(4, 3), Fraction(2, 3)
    assert (probe(make_video(tmp_path / "wide.mp4", pixel_shape=wide)).width) == 85
    info = probe(make_video(tmp_path / "high.mp4", pixel_shape=high, rotation=90))
    assert (info.width, info.height) == (72, 64)


def test_a_file_may_be_read_again(tmp_path: Path) -> None:
    with VideoFile(make_video(tmp_path / "video.mp4")) as video:
        first = [frame.seconds for frame in video.frames()]
        begun = video.frames()
        next(begun)
        assert [frame.seconds for frame in video.frames()] == first
        assert video.end == pytest.approx(0.4)


def test_frames_outlive_their_file(tmp_path: Path) -> None:
    with VideoFile(make_video(tmp_path / "video.mp4", 30)) as video:
        frames = list(video.frames())
    gc.collect()
    assert [number_of(frame.picture(WHOLE)) for frame in frames] == list(range(30))


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_any_number_of_threads(threads: int, tmp_path: Path) -> None:
    with VideoFile(make_video(tmp_path / "video.mp4", 30, b_frames=2), threads=threads) as video:
        assert [number_of(frame.picture(WHOLE)) for frame in video.frames()] == list(range(30))


def sampled(path: Path, rate: float, views: list[View]) -> list[tuple[int | None, ...]]:
    with VideoFile(path) as video:
        return [
            tuple(None if picture is None else number_of(picture) for picture in pictures)
            for pictures in video.sampled(rate, views)
        ]


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi", ".ts"])
def test_sampling(suffix: str, tmp_path: Path) -> None:
    path = make_video(tmp_path / f"video{suffix}", 50)
    assert sampled(path, 25, [WHOLE]) == [(i,) for i in range(50)]
    assert sampled(path, 12.5, [WHOLE]) == [(i,) for i in range(1, 50, 2)]
    assert sampled(path, 5, [WHOLE]) == [(i,) for i in range(2, 50, 5)]
    assert sampled(path, 0.1, [WHOLE]) == [(49,)]


def test_each_view_has_its_own_frames(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", 12)
    assert sampled(path, 25, [WHOLE, View(24, 32, every=4), View(48, 64, every=3)]) == [
        (i, i if i % 4 == 2 else None, i if i % 3 == 1 else None) for i in range(12)
    ]
    assert sampled(path, 25, []) == [()] * 12


def test_only_what_is_shown_is_converted_and_only_once(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", 20)
    made: list[tuple[int, View]] = []
    small = View(24, 32, every=4)
    convert = PictureMaker.picture

    def counted(self: PictureMaker, frame: av.VideoFrame, view: View) -> Any:
        picture = convert(self, frame, view)
        made.append((number_of(picture), view))
        return picture

    with patch.object(PictureMaker, "picture", counted), VideoFile(path) as video:
        pictures = list(video.sampled(5, [WHOLE, small]))
        assert made == [(2, WHOLE), (7, WHOLE), (12, WHOLE), (12, small), (17, WHOLE)]
        made.clear()
        pictures = list(video.sampled(100, [WHOLE]))
        assert made == [(i, WHOLE) for i in range(20)]
    assert all(pictures[4 * i][0] is pictures[4 * i + 3][0] for i in range(20))


def test_sampling_in_a_thread(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", 30)
    with VideoFile(path) as video:
        pictures = list(ahead(video.sampled(25, [WHOLE]), 8))
        assert [number_of(p) for (p,) in pictures if p is not None] == list(range(30))
    with VideoFile(path) as video:
        begun = ahead(video.sampled(25, [WHOLE]), 2)
        next(begun)
        begun.close()


def test_one_frame_is_held_at_a_time(tmp_path: Path) -> None:
    with VideoFile(make_video(tmp_path / "video.mp4", 100)) as video:
        for i, _ in enumerate(video.sampled(25, [WHOLE])):
            if i % 20 == 10:
                assert sum(type(each) is Frame for each in gc.get_objects()) <= 3


def test_real_videos(shared: Path) -> None:
    paths = sorted(p for p in (shared / "data" / "videos").rglob("*.*") if p.suffix in {".mp4", ".avi", ".mkv"})
    assert len(paths) > 10
    for path in paths:
        with VideoFile(path) as video:
            seconds, durations = zip(*((frame.seconds, frame.duration) for frame in video.frames()), strict=True)
            assert (video.damaged, video.jumps) == (0, 0)
            assert video.info.duration == pytest.approx(video.end, abs=durations[-1] + 1e-3), path
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            times = [frame.time for frame in container.decode(stream)]
        # One is an AVI file with B-frames, whose timestamps FFmpeg leaves in the order in which they are stored.
        assert seconds == pytest.approx(sorted(times), abs=1e-3), path


def test_an_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match=r"absent\.mp4: there is no such file"):
        VideoFile(tmp_path / "absent.mp4")
