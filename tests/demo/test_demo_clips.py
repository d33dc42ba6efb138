from __future__ import annotations

import errno
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from untrimmed.demo.clips import clip_path, encoded, render_missing
from untrimmed.demo.drawing import draw
from untrimmed.demo.scene import HEIGHT, RATE, WIDTH, Script
from untrimmed.demo.script import clip_plan
from untrimmed.errors import ConfigError, VideoError
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import View

SHORT = [clip_plan(3, number, seconds=0.6) for number in range(4)]


def rendered(scripts: list[Script], folder: Path, processes: int) -> dict[str, bytes]:
    given = list(render_missing(scripts, folder, processes=processes))
    assert sorted(script.id for script in given) == sorted(script.id for script in scripts)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same_clip(one: bytes, other: bytes) -> bool:
    """Whether two files show the same; x264 does not always make the same bytes of the same pictures."""
    ones, others = pictures(one), pictures(other)
    return ones.shape == others.shape and np.abs(ones.astype(int) - others).mean() < 2


def same_clips(one: dict[str, bytes], other: dict[str, bytes]) -> bool:
    return one.keys() == other.keys() and all(same_clip(one[name], other[name]) for name in one)


def pictures(file: bytes) -> np.ndarray:
    with av.open(io.BytesIO(file)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def expected(scripts: list[Script]) -> dict[str, bytes]:
    return {f"{script.id}.mp4": encoded(script) for script in scripts}


def test_the_comparison_of_clips_tells_one_from_another() -> None:
    assert not any(same_clip(encoded(SHORT[i]), encoded(SHORT[i + 1])) for i in range(3))


def test_a_clip_is_read_back_as_it_was_drawn(tmp_path: Path) -> None:
    script = clip_plan(0, 1, seconds=4.0)
    list(render_missing([script], tmp_path))
    with VideoFile(clip_path(script, tmp_path)) as video:
        info = video.info
        frames = [(frame.seconds, frame.picture(View(HEIGHT, WIDTH))) for frame in video.frames()]
        assert abs(video.end - script.duration) < 1e-6
    assert (info.width, info.height, info.codec, info.rotation) == (WIDTH, HEIGHT, "h264", 0)
    assert info.rate == RATE
    assert info.duration is not None
    assert abs(info.duration - script.duration) < 1e-6
    assert not info.has_audio
    assert len(frames) == script.frames == 80
    for number, (seconds, picture) in enumerate(frames):
        assert abs(seconds - number / RATE) < 1e-6
        if number % 20 == 0:
            assert np.abs(picture.astype(int) - draw(script, seconds)).mean() < 5


def test_browsers_can_play_and_seek_it(tmp_path: Path) -> None:
    """8 bits, 4:2:0, no B-frames before 0:00, and a key frame every two seconds."""
    (tmp_path / "clip.mp4").write_bytes(encoded(clip_plan(0, 1, seconds=4.5)))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.format.name == "yuv420p"
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert [packet.pts for packet in packets] == [packet.dts for packet in packets]
    keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    assert keys[0] == 0
    assert max(np.diff([*keys, len(packets)])) <= 2 * RATE


def test_one_process_and_two_write_the_same_clips_and_nothing_else(tmp_path: Path) -> None:
    one, two = rendered(SHORT, tmp_path / "one", 1), rendered(SHORT, tmp_path / "deep" / "two", 2)
    assert same_clips(one, two)
    assert same_clips(one, expected(SHORT))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("processes", [1, 2])
def test_only_what_is_missing_is_rendered(tmp_path: Path, processes: int) -> None:
    clip_path(SHORT[1], tmp_path).write_bytes(b"there already")
    (tmp_path / ".0123.unfinished").write_bytes(b"of somebody who was killed")
    files = rendered(SHORT[:3], tmp_path, processes)
    assert files.pop(".0123.unfinished")
    assert files.pop("clip001.mp4") == b"there already"
    assert same_clips(files, expected([SHORT[0], SHORT[2]]))


def test_nothing_is_started_where_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rendered(SHORT[:2], tmp_path, 1)
    monkeypatch.setattr("untrimmed.demo.clips.encoded", None)
    monkeypatch.setattr("untrimmed.demo.clips.ProcessPoolExecutor", None)
    assert rendered(SHORT[:2], tmp_path, 2) == first
    assert list(render_missing([], tmp_path / "empty")) == []


def test_a_script_is_given_when_its_file_is_there(tmp_path: Path) -> None:
    for script in render_missing(SHORT[:2], tmp_path, processes=1):
        assert clip_path(script, tmp_path).exists()
        assert len(contents(tmp_path)) == script.number + 1


def test_who_stops_early_leaves_whole_files_and_no_processes(tmp_path: Path) -> None:
    going = render_missing(SHORT, tmp_path, processes=2)
    next(going)
    going.close()
    assert multiprocessing.active_children() == []
    files = contents(tmp_path)
    assert files
    assert same_clips(files, expected([script for script in SHORT if f"{script.id}.mp4" in files]))
    assert len(rendered(SHORT, tmp_path, 1)) == len(SHORT)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("not a folder")
    with pytest.raises(ConfigError, match=r"clips: is a file, but a folder for the clips is expected"):
        next(render_missing(SHORT, tmp_path / "clips"))
    with pytest.raises(NotADirectoryError, match="clips"):
        next(render_missing(SHORT, tmp_path / "clips" / "deeper"))


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that not even root can write to")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_folder_that_cannot_be_written_to_is_one_error(processes: int) -> None:
    with pytest.raises(OSError, match=r"/clip00[01]\.mp4") as told:
        list(render_missing(SHORT[:2], Path("/proc"), processes=processes))
    assert told.value.errno in {errno.ENOENT, errno.EACCES, errno.EPERM}
    assert told.value.strerror, "so that it is told in one line"
    assert multiprocessing.active_children() == []


class Deadly(Script):
    """Ends the process that it is sent to."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_a_process_that_dies_is_one_error_and_what_it_leaves_does_no_harm(tmp_path: Path) -> None:
    dying = Deadly(**{name: getattr(SHORT[0], name) for name in Script.__dataclass_fields__})
    with pytest.raises(VideoError, match=r"^[^\n]* has died, .*Run the same again"):
        list(render_missing([dying, *SHORT[1:]], tmp_path, processes=2))
    assert multiprocessing.active_children() == []
    assert same_clips(rendered(SHORT, tmp_path, 1), expected(SHORT))


def test_without_an_encoder_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", {"mpeg4"})
    with pytest.raises(VideoError, match=r"cannot encode H\.264"):
        list(render_missing(SHORT[:1], tmp_path, processes=1))
    assert contents(tmp_path) == {}


@pytest.mark.skipif(os.name != "posix" or not Path("/proc/self").is_dir(), reason="looks for processes in /proc")
def test_what_was_killed_goes_on_and_its_processes_end(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import multiprocessing, sys\n"
        "from pathlib import Path\n"
        "from untrimmed.demo.clips import render_missing\n"
        "from untrimmed.demo.script import clip_plan\n"
        "if __name__ == '__main__':\n"
        "    scripts = [clip_plan(3, number, seconds=2.0) for number in range(24)]\n"
        "    going = render_missing(scripts, Path(sys.argv[1]), processes=2)\n"
        "    next(going)\n"
        "    print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "    list(going)\n"
    )
    clips = tmp_path / "clips"
    with subprocess.Popen([sys.executable, program, clips], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        children = process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
    assert len(children) == 2
    deadline = time.monotonic() + 20
    while any(alive(child) for child in children):
        assert time.monotonic() < deadline, "they outlive the process that started them"
        time.sleep(0.01)
    files = contents(clips)
    assert {Path(name).suffix for name in files} <= {".mp4", ".unfinished"}
    whole = [name for name in files if name.endswith(".mp4")]
    assert 1 <= len(whole) < 24
    name = whole[0]
    number = int(name.removeprefix("clip").removesuffix(".mp4"))
    assert same_clip(files[name], encoded(clip_plan(3, number, seconds=2.0)))


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
