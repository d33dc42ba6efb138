"""Scripts to video files."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from fractions import Fraction
from multiprocessing.connection import wait
from pathlib import Path
from typing import Final

import av
from av.video.reformatter import ColorRange, Colorspace

from untrimmed.data.files import write_atomically
from untrimmed.demo.drawing import draw
from untrimmed.demo.scene import HEIGHT, RATE, WIDTH, Script
from untrimmed.errors import ConfigError, VideoError
from untrimmed.processors import usable_cores

SUFFIX = ".mp4"

_ENCODER: Final = "libx264"
_OPTIONS = {"preset": "veryfast", "crf": "23"}


def encoded(script: Script) -> bytes:
    """Draw a clip and encode it as H.264 in an mp4 that browsers play.

    What is drawn is the same to the bit in every process. What x264 makes of it nearly always is, too; now and then,
    with one thread as well, it encodes the same pictures a little differently.

    Raises:
        VideoError: if this FFmpeg cannot encode H.264.
    """
    if _ENCODER not in av.codecs_available:
        raise VideoError("this FFmpeg cannot encode H.264, as the demo's clips are. Get PyAV's own: pip install -U av")
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(_ENCODER, rate=RATE, options=_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, RATE)
        context.thread_count = 1  # clips are encoded side by side already
        context.max_b_frames = 0  # some players show the first picture late with them, and they take time
        context.gop_size = 2 * RATE
        context.colorspace, context.color_range = Colorspace.ITU601, ColorRange.MPEG
        for number in range(script.frames):
            frame = av.VideoFrame.from_ndarray(draw(script, number / RATE), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def clip_path(script: Script, folder: Path) -> Path:
    """Return where a folder has the video file of a script."""
    return folder / f"{script.id}{SUFFIX}"


def render_missing(scripts: Sequence[Script], folder: Path, *, processes: int | None = None) -> Iterator[Script]:
    """Render the clips that a folder does not have yet, as `<id>.mp4`; gives each script when its file is there.

    A file that is there is taken for the clip of its name. Whether it was made of another script can be told from the
    annotations that were written beside it: they differ from those of `scripts`.

    Args:
        scripts: of all clips.
        folder: is made if it is not there.
        processes: how many draw side by side; `None` is one for each processor.

    Raises:
        ConfigError: if the folder is a file.
        VideoError: if this FFmpeg cannot encode H.264, or a process dies.
        OSError: if a file cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is a file, but a folder for the clips is expected; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for script in scripts:
        if clip_path(script, folder).exists():
            yield script
        else:
            missing.append(script)
    count = min(usable_cores() if processes is None else processes, len(missing))
    yield from _side_by_side(missing, folder, count) if count > 1 else _one_by_one(missing, folder)


def _render(script: Script, folder: Path) -> None:
    write_atomically(clip_path(script, folder), encoded(script))


def _one_by_one(scripts: Sequence[Script], folder: Path) -> Iterator[Script]:
    for script in scripts:
        _render(script, folder)
        yield script


def _side_by_side(scripts: Sequence[Script], folder: Path, processes: int) -> Iterator[Script]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_heed_only_the_parent) as pool:
        longest_first = sorted(scripts, key=lambda script: -script.frames * len(script.actors))
        with _without_interrupts():  # which those that are started inherit, before they could say so themselves
            jobs = {pool.submit(_render, script, folder): script for script in longest_first}
        try:
            for job in as_completed(jobs):
                job.result()
                yield jobs[job]
        except BrokenProcessPool:
            raise VideoError(
                f"{folder}: a process that rendered clips has died, as happens when memory runs out. Run the same "
                "again: it goes on with the clips that are missing"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Context in which Ctrl-C does nothing, as far as that can be had: Python allows it in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _heed_only_the_parent() -> None:
    """Let this process end when the one that started it does, even if that was killed; Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    sentinel = parent.sentinel

    def watch() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
