"""Files that are no videos, and names that are more than names elsewhere."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from refusals import refusal

from making_videos import make_video, numbered
from untrimmed.errors import VideoError
from untrimmed.video.reading.opening import MOST_PIXELS
from untrimmed.video.reading.reader import VideoFile, probe


def pictures(path: Path) -> int:
    """How many there are in a file."""
    with VideoFile(path) as video:
        return sum(1 for _ in video.frames())


def pillow(suffix: str, **options: Any) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(numbered(5)).save(path, suffix, **options)


def sound(codec: str, container: str, cover: bool = False) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with av.open(str(path), "w", format=container) as output:
            stream = output.add_stream(codec, rate=44100, layout="mono")
            picture = output.add_stream("mjpeg", rate=1) if cover else None
            if picture is not None:
                picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
                picture.disposition = av.stream.Disposition.attached_pic
                output.mux(picture.encode(av.VideoFrame.from_ndarray(numbered(5), "rgb24").reformat(format="yuvj420p")))
                output.mux(picture.encode(None))
            for i in range(20):
                frame = av.AudioFrame(format=stream.codec_context.format.name, layout="mono", samples=1024)
                frame.planes[0].update(bytes(frame.planes[0].buffer_size))
                frame.sample_rate, frame.pts = 44100, 1024 * i
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))

    return write


def text(content: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(content) and None  # type: ignore[func-returns-value]


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("video.mp4", b"0" * 100)


OTHERS = "is damaged, or not a video in one file: playlists, pictures, sound and text are not read"
NO_VIDEO = "is not a video that FFmpeg can read (Invalid data found when processing input)"
ONLY_SOUND = "there are no moving pictures in it, only sound. Expected is a video"


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("empty.mp4", lambda path: path.touch(), "the file is empty. Copy it again"),
        ("folder.mp4", lambda path: path.mkdir(), "is a folder, expected is a video file"),
        ("absent.mp4", lambda path: None, "there is no such file"),
        ("pipe.mp4", os.mkfifo, "is a device or a pipe, expected is a video file"),
        ("text.txt", text("What is this?\n" * 100), OTHERS),
        ("text.mp4", text("What is this?\n" * 100), NO_VIDEO),
        ("zeros.mp4", lambda path: path.write_bytes(bytes(10000)), NO_VIDEO),
        ("noise.mp4", lambda path: path.write_bytes(np.random.default_rng(0).bytes(50000)), NO_VIDEO),
        ("archive.zip", zipped, "is a zip archive, expected is a video"),
        ("array.npy", lambda path: np.save(path, np.zeros(9)), "is an array of numbers, expected is a video"),
        ("picture.png", pillow("png"), "is a picture, expected is a video"),
        ("picture.jpg", pillow("jpeg"), "is a picture, expected is a video"),
        ("picture.mp4", pillow("jpeg"), "is a picture, expected is a video"),
        ("picture.webp", pillow("webp"), "is a picture, expected is a video"),
        ("picture.bmp", pillow("bmp"), OTHERS),
        ("picture.tiff", pillow("tiff"), "is a picture, expected is a video"),
        ("picture.avif", pillow("avif"), "is a single picture, expected is a video"),
        ("sound.wav", sound("pcm_s16le", "wav"), "is sound, expected is a video"),
        ("sound.mp3", sound("libmp3lame", "mp3"), "is sound, expected is a video"),
        ("sound.flac", sound("flac", "flac"), "is sound, expected is a video"),
        ("sound.m4a", sound("aac", "mp4"), ONLY_SOUND),
        ("cover.m4a", sound("aac", "mp4", cover=True), ONLY_SOUND),
        ("sound.mkv", sound("aac", "matroska"), ONLY_SOUND),
        ("sound.flv", sound("aac", "flv"), ONLY_SOUND),
    ],
)
def test_what_is_no_video(name: str, write: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    write(tmp_path / name)
    assert refusal(tmp_path / name) == message
    with pytest.raises(VideoError):
        probe(tmp_path / name)


def test_an_encrypted_video(tmp_path: Path) -> None:
    key = {f"encryption_{name}": "00112233445566778899aabbccddeeff" for name in ("key", "kid")}
    path = make_video(tmp_path / "video.mp4", container_options={"encryption_scheme": "cenc-aes-ctr", **key})
    assert refusal(path) == "is encrypted"


def test_a_codec_that_nobody_knows(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.avi", codec="mjpeg")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"ZQX9"))
    assert refusal(path) == "this FFmpeg has no decoder for its pictures. Convert it, to H.264 for example"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "video.mp4")

    def denied(*args: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", denied)
    assert refusal(path) == "cannot be read (Permission denied)"


def test_a_picture_larger_than_any_camera_takes(tmp_path: Path) -> None:
    # The header of the stream says so; memory for such a frame must not even be asked for.
    path = make_video(tmp_path / "video.y4m", codec="wrapped_avframe", container="yuv4mpegpipe")
    side = int(MOST_PIXELS**0.5) + 100
    path.write_bytes(path.read_bytes().replace(b"W64 H48", b"W%d H%d" % (side, side), 1))
    assert refusal(path).startswith(("not one picture of it can be decoded", "is not a video"))


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4|b.mp4", "-", "pipe:0", "file:a.mp4", "a%03d.mp4"]
)
def test_names_are_only_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "a.mp4")
    make_video(tmp_path / "a001.mp4")
    with pytest.raises(VideoError, match="there is no such file"):
        VideoFile(name)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((tmp_path / "a.mp4").read_bytes())
    assert pictures(Path(name)) == 10


@pytest.mark.parametrize("name", ["ünï ✓.mp4", " .mp4", "a'b\"c;d&e.mp4", os.fsdecode(b"\xff\xfe.mp4")])
def test_odd_names(name: str, tmp_path: Path) -> None:
    assert pictures(make_video(tmp_path / "a.mp4").rename(tmp_path / name)) == 10


def test_a_name_that_cannot_be_one() -> None:
    with pytest.raises(VideoError, match="is not a file name"):
        VideoFile("a\0b.mp4")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "list.m3u8",
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
            "is a playlist, expected is a video",
        ),
        (
            "list.mp4",
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
            "is a playlist, expected is a video",
        ),
        ("list.ffconcat", "ffconcat version 1.0\nfile {}\n", "is a list of files, expected is a video"),
        ("list.mp4", "ffconcat version 1.0\nfile {}\n", "is a list of files, expected is a video"),
        ("list.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n", OTHERS),
        (
            "list.mpd",
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{}</BaseURL></MPD>',
            None,
        ),
        ("list.txt", "file {}\n", None),
    ],
)
def test_a_file_opens_no_other(name: str, content: str, message: str | None, tmp_path: Path) -> None:
    other = make_video(tmp_path / "other.mp4")
    path = tmp_path / name
    for address in (str(other), "other.mp4", other.as_uri(), "http://127.0.0.1:9/other.mp4"):
        path.write_text(content.format(address))
        said = refusal(path)
        assert message is None or said == message
