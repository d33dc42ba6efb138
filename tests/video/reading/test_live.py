from __future__ import annotations

import os
import socket
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from making_videos import make_video, number_of
from serving_bytes import served
from untrimmed.errors import VideoError
from untrimmed.video.reading.live import LiveVideo, is_live, shown_name
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import View

VIEW = View(48, 64)


def numbers_in(video: LiveVideo | VideoFile, rate: float = 10) -> list[int]:
    numbers = []
    for (picture,) in video.sampled(rate, [VIEW]):
        assert picture is not None
        numbers.append(number_of(picture))
    return numbers


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return make_video(tmp_path / "recorded.ts", 40, rate=25)


def test_an_address(recorded: Path) -> None:
    with VideoFile(recorded) as file:
        expected = numbers_in(file)
    with served(recorded) as address, LiveVideo(address) as video:
        assert numbers_in(video) == expected
    assert len(expected) == 16


def test_a_pipe(recorded: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=lambda: pipe.write_bytes(recorded.read_bytes()))
    writer.start()
    with LiveVideo(str(pipe)) as video:
        found = numbers_in(video)
    writer.join()
    with VideoFile(recorded) as file:
        assert found == numbers_in(file)


def test_seconds_count_from_the_first_picture(tmp_path: Path) -> None:
    """Cameras count from when they were switched on."""
    late = make_video(tmp_path / "late.ts", 20, rate=10, start=300.0)
    with served(late) as address, LiveVideo(address) as video:
        assert numbers_in(video) == list(range(20))


def test_views_of_every_third_frame(recorded: Path) -> None:
    with served(recorded) as address, LiveVideo(address) as video:
        frames = list(video.sampled(10, [VIEW, View(24, 32, every=3)]))
    assert [small is not None for _, small in frames] == [i % 3 == 1 for i in range(16)]
    assert all(np.shape(picture) == (48, 64, 3) for picture, _ in frames)


def test_damage_is_left_out(recorded: Path, tmp_path: Path) -> None:
    content = bytearray(recorded.read_bytes())
    content[4000:4400] = os.urandom(400)
    damaged = tmp_path / "damaged.ts"
    damaged.write_bytes(content)
    with served(damaged) as address, LiveVideo(address) as video:
        assert len(numbers_in(video)) >= 8


def test_a_source_that_falls_silent_has_ended(recorded: Path) -> None:
    """It is not waited for more than once."""
    content = recorded.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + content)
            held.append(connection)  # and says no more

        thread = Thread(target=answer)
        thread.start()
        with LiveVideo(f"http://127.0.0.1:{server.getsockname()[1]}/", patience=0.5) as video:
            assert len(numbers_in(video)) >= 12
        thread.join()
        held[0].close()


@pytest.mark.parametrize("source", ["rtsp://127.0.0.1:9/x", "http://127.0.0.1:9/x"])
def test_nobody_there(source: str) -> None:
    with pytest.raises(VideoError, match=f"^{source}: cannot be opened \\(Connection refused\\)"):
        LiveVideo(source)


def test_a_password_is_not_printed() -> None:
    with pytest.raises(VideoError) as refusal:
        LiveVideo("rtsp://me:secret@127.0.0.1:9/x")
    assert "secret" not in str(refusal.value)
    assert shown_name("rtsp://me:secret@host/x@y") == "rtsp://host/x@y"


@pytest.mark.parametrize("source", ["file:///etc/passwd", "concat://a|b", "ftp://host/x", "subfile://x"])
def test_what_is_no_source(source: str) -> None:
    with pytest.raises(VideoError, match="cannot be opened; expected is one of http, https, rtsp"):
        LiveVideo(source)


def test_what_an_address_sends_may_name_no_file(tmp_path: Path, recorded: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.6,\nfile://{recorded}\n#EXT-X-ENDLIST\n")
    with served(playlist) as address, pytest.raises(VideoError), LiveVideo(address) as video:
        numbers_in(video)


def test_an_address_without_video(tmp_path: Path) -> None:
    text = tmp_path / "page.html"
    text.write_text("<html>no camera here</html>" * 50)
    with served(text) as address, pytest.raises(VideoError, match=address):
        LiveVideo(address)


def test_what_is_live(tmp_path: Path, recorded: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert is_live("rtsp://camera/stream")
    assert is_live(str(tmp_path / "pipe"))
    assert is_live("/dev/null")
    assert not is_live(str(recorded))
    assert not is_live(str(tmp_path))
    assert not is_live("not there.mp4")
