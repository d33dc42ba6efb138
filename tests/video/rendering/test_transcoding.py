from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from making_videos import make_video, number_of
from untrimmed.errors import VideoError
from untrimmed.video.reading.reader import VideoFile, probe
from untrimmed.video.rendering.transcoding import playable, transcode
from untrimmed.video.view import Picture, View

UNEVEN = [0, 0.04, 0.08, 0.5, 0.54, 0.9, 1.0, 1.3, 1.333, 1.4]


def shown(path: Path) -> list[tuple[float, Picture]]:
    """Second and picture of every frame, at the size at which players show it."""
    with VideoFile(path) as video:
        view = View(video.info.height, video.info.width)
        return [(frame.seconds, frame.picture(view)) for frame in video.frames()]


def sound_of(path: Path) -> list[tuple[float, bytes]]:
    """Second and content of every packet of sound, from the player's 0:00."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.audio[0]) if packet.size]
        return [(float((packet.pts or 0) * (packet.time_base or 0)), bytes(packet)) for packet in packets]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("even.mp4", {}),
        ("uneven.mp4", {"times": UNEVEN, "b_frames": 2}),
        ("late.mkv", {"times": UNEVEN, "start": 0.7, "sound": 1.0}),
        ("early_sound.mp4", {"times": UNEVEN, "sound": 2.0}),
        ("late_sound.mp4", {"sound": 0.3, "sound_start": 0.1}),
        ("uneven.webm", {"times": UNEVEN, "sound": 0.5}),
        ("plain.avi", {}),
        ("plain.gif", {}),
        ("stream.ts", {"b_frames": 2, "start": 5.0, "sound": 0.4, "sound_start": 5.0}),
        ("flash.flv", {"sound": 0.4}),
        ("thirty.mov", {"rate": Fraction(30000, 1001)}),
    ],
)
def test_every_picture_at_its_second(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    source, copy = make_video(tmp_path / name, 10, **options), tmp_path / "copy.mp4"  # type: ignore[arg-type]
    copied = transcode(source, copy)
    assert (copied.frames, copied.damaged, copied.lost_sound) == (10, 0, None)
    before, after = shown(source), shown(copy)
    assert [number_of(picture) for _, picture in after] == list(range(10))
    assert after[0][0] == 0  # the first picture is shown from the start
    np.testing.assert_allclose([t for t, _ in after[1:]], [t for t, _ in before[1:]], atol=1e-4)
    with VideoFile(source) as video:
        *_, last = video.frames()
    assert probe(copy).duration == pytest.approx(last.seconds + last.duration, abs=1e-3)
    assert probe(copy).has_audio == ("sound" in options)
    assert playable(copy)


def test_sound_that_is_damaged(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.ts", 25, sound=1.0)
    content = source.read_bytes()
    for sync in (b"\xff\xf1", b"\xff\xf9"):
        content = content.replace(sync, b"\0\0")
    source.write_bytes(content)
    copied = transcode(source, tmp_path / "copy.mp4")
    assert (copied.frames, copied.lost_sound) == (25, "damaged aac")
    assert [number_of(picture) for _, picture in shown(tmp_path / "copy.mp4")] == list(range(25))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_sound_is_copied(tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path / name, 25, sound=1.0, sound_start=0.2)
    transcode(source, tmp_path / "copy.mp4")
    before, after = sound_of(source), sound_of(tmp_path / "copy.mp4")
    assert [content for _, content in after] == [content for _, content in before]
    np.testing.assert_allclose([t for t, _ in after], [t for t, _ in before], atol=2e-3)


def test_sound_that_mp4_cannot_hold(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mpg", 25, sound=1.0)
    assert transcode(source, tmp_path / "copy.mp4").lost_sound == "mp2"
    assert not probe(tmp_path / "copy.mp4").has_audio


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_positions_of_the_camera(tmp_path: Path, rotation: int, flip: bool) -> None:
    source = make_video(tmp_path / "a.mp4", range_of_colours(2), rotation=rotation, flip=flip)
    transcode(source, tmp_path / "copy.mp4")
    assert probe(tmp_path / "copy.mp4").rotation == 0
    for (_, expected), (_, found) in zip(shown(source), shown(tmp_path / "copy.mp4"), strict=True):
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).mean() < 4


def range_of_colours(count: int) -> list[Picture]:
    """Four fields of different strong colours."""
    picture = np.zeros((48, 64, 3), np.uint8)
    for i, colour in enumerate([(220, 30, 30), (30, 200, 40), (40, 60, 220), (230, 220, 60)]):
        picture[(i // 2) * 24 : (i // 2) * 24 + 24, (i % 2) * 32 : (i % 2) * 32 + 32] = colour
    return [picture] * count


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("unsaid.mp4", {}),
        ("bt709.mp4", {"colours": {"colorspace": 1, "color_range": 1}}),
        ("bt601.mp4", {"colours": {"colorspace": 5, "color_range": 1}}),
        ("full.mp4", {"colours": {"colorspace": 1, "color_range": 2}}),
        ("jpeg.avi", {"codec": "mjpeg", "options": {"qscale": "2"}}),
        ("fine.mkv", {"pixel_format": "yuv444p"}),
        ("deep.mkv", {"pixel_format": "yuv420p10le"}),
        ("palette.gif", {}),
        ("rgb.mov", {"codec": "qtrle"}),
    ],
)
def test_colours_stay(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    source = make_video(tmp_path / name, range_of_colours(3), **options)  # type: ignore[arg-type]
    transcode(source, tmp_path / "copy.mp4")
    (_, expected), (_, found) = shown(source)[1], shown(tmp_path / "copy.mp4")[1]
    for top in (0, 24):
        for left in (0, 32):
            field = slice(top + 4, top + 20), slice(left + 4, left + 28)  # what has a palette is dithered
            difference = found[field].mean(axis=(0, 1)) - expected[field].mean(axis=(0, 1))
            assert np.abs(difference).max() <= 4, (top, left)
    with av.open(str(tmp_path / "copy.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.pix_fmt, context.color_range) == ("yuv420p", 1)
        assert context.colorspace != 2


@pytest.mark.parametrize(
    ("width", "height", "shape", "size"),
    [
        (65, 47, None, (66, 48)),
        (64, 48, Fraction(4, 3), (86, 48)),
        (16, 16, None, (16, 16)),
        (17, 301, None, (18, 302)),
    ],
)
def test_sizes(tmp_path: Path, width: int, height: int, shape: Fraction | None, size: tuple[int, int]) -> None:
    pictures = [np.full((height, width, 3), 128, np.uint8)] * 2
    source = make_video(tmp_path / "a.mkv", pictures, pixel_format="yuv444p", pixel_shape=shape)
    transcode(source, tmp_path / "copy.mp4")
    info = probe(tmp_path / "copy.mp4")
    assert (info.width, info.height) == size


def test_the_index_comes_first(tmp_path: Path) -> None:
    transcode(make_video(tmp_path / "a.avi", 5), tmp_path / "copy.mp4")
    content = (tmp_path / "copy.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_progress(tmp_path: Path) -> None:
    told: list[tuple[float, float | None]] = []
    source = make_video(tmp_path / "a.mp4", 10, rate=10)
    transcode(source, tmp_path / "copy.mp4", on_progress=lambda *now: told.append(now))
    np.testing.assert_allclose([seconds for seconds, _ in told], (np.arange(10) + 1) / 10)
    assert all(declared == pytest.approx(1.0) for _, declared in told)


# What can go wrong


def test_a_truncated_video(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "a.mkv", 200).read_bytes()
    cut, copy = tmp_path / "cut.mkv", tmp_path / "copy.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    copy.write_text("from before")
    with pytest.raises(VideoError, match="cut"):
        transcode(cut, copy)
    assert copy.read_text() == "from before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "copy.mp4", "cut.mkv"]
    copied = transcode(cut, copy, allow_truncated=True)
    assert 50 < copied.frames < 150
    assert [number_of(picture) for _, picture in shown(copy)] == list(range(copied.frames))


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", 30, sound=1.0)

    def stop(seconds: float, declared: float | None) -> None:
        if seconds > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transcode(source, tmp_path / "new" / "copy.mp4", on_progress=stop)
    assert list((tmp_path / "new").iterdir()) == []


def test_the_video_itself(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", 3)
    (tmp_path / "link.mp4").symlink_to(source)
    before = source.read_bytes()
    for out in (source, tmp_path / "link.mp4", tmp_path / "." / "a.mp4"):
        with pytest.raises(VideoError, match="is the video itself, which is never overwritten"):
            transcode(source, out)
    assert source.read_bytes() == before


def test_what_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no video")
    for path in (tmp_path / "a.mp4", tmp_path / "none.mp4", tmp_path):
        with pytest.raises(VideoError, match=f"^{path}"):
            transcode(path, tmp_path / "copy.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        transcode(make_video(tmp_path / "a.mp4", 3), tmp_path / "file" / "copy.mp4")


def test_names_that_ffmpeg_would_take_for_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "a.mp4", 3)
    Path("http:").mkdir()
    for name in ("http:/a%20%d.mp4", "pipe:1", "-", "concat:a.mp4|b.mp4"):
        transcode("a.mp4", name)
        assert len(shown(Path(name))) == 3


# What browsers play


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.mp4", {}, True),
        ("a.MP4", {"container": "mp4", "codec": "libx264"}, True),
        ("a.m4v", {"container": "mp4"}, True),
        ("a.mov", {}, True),
        ("a.webm", {}, True),
        ("vp8.webm", {"codec": "libvpx"}, True),
        ("vp9.mp4", {"codec": "libvpx-vp9"}, True),
        ("full.mp4", {"pixel_format": "yuvj420p"}, True),
        ("deep.mp4", {"pixel_format": "yuv420p10le"}, False),
        ("fine.mp4", {"pixel_format": "yuv444p"}, False),
        ("old.mp4", {"codec": "mpeg4"}, False),
        ("a.mkv", {}, False),
        ("a.avi", {}, False),
        ("a.gif", {}, False),
        ("really_mkv.mp4", {"container": "matroska"}, False),
        ("really_mp4.webm", {"container": "mp4", "codec": "libx264"}, False),
    ],
)
def test_what_is_playable(tmp_path: Path, name: str, options: dict[str, object], expected: bool) -> None:
    assert playable(make_video(tmp_path / name, 2, **options)) is expected  # type: ignore[arg-type]


def test_what_is_no_video_is_not_playable(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.webm").write_bytes(b"")
    for path in (tmp_path / "text.mp4", tmp_path / "empty.webm", tmp_path / "none.mp4", tmp_path):
        assert not playable(path)
        assert not playable(str(path))


def test_real_clips(shared: Path, tmp_path: Path) -> None:
    for name in ("clips/v_SoccerJuggling_g23_c01.avi", "clips/flipping_a_pancake.mkv"):
        source = shared / "data" / "videos" / name
        transcode(source, tmp_path / "copy.mp4")
        with VideoFile(source) as before, VideoFile(tmp_path / "copy.mp4") as after:
            times = [[frame.seconds for frame in video.frames()] for video in (before, after)]
        np.testing.assert_allclose(times[1][1:], times[0][1:], atol=1e-4)
        assert not playable(source)
        assert playable(tmp_path / "copy.mp4")
