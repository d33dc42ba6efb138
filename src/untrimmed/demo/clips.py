"""Scripts to video files."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from fractions import Fraction
from multiprocessing.connection import wait
from pathlib import Path

import av

from untrimmed.data.files import write_atomically
from untrimmed.demo.drawing import draw
from untrimmed.demo.script import HEIGHT, RATE, WIDTH, Script

SUFFIX = ".mp4"


def render(script: Script, path: Path) -> None:
    """Draw a clip and encode it as H.264 in an mp4 that browsers play; never half written.

    Raises:
        OSError: if the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / path.name
        with av.open(file, "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            stream.codec_context.time_base = Fraction(1, RATE)
            stream.codec_context.thread_count = 1  # with more, the bytes would depend on the machine
            stream.codec_context.options = {"preset": "veryfast", "crf": "23", "g": str(2 * RATE)}
            for number in range(script.frames):
                frame = av.VideoFrame.from_ndarray(draw(script, number / RATE), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        write_atomically(path, file.read_bytes())


def render_missing(scripts: Sequence[Script], folder: Path, *, processes: int | None = None) -> Iterator[Script]:
    """Render the clips that a folder does not have yet, as `<id>.mp4`; gives each script when its file is there.

    Args:
        scripts: of all clips.
        folder: is made if it is not there.
        processes: how many draw side by side; `None` is one for each processor.

    Raises:
        OSError: if a file cannot be written.
    """
    missing = [script for script in scripts if not (folder / f"{script.id}{SUFFIX}").exists()]
    yield from (script for script in scripts if script not in missing)
    count = min(processes or len(os.sched_getaffinity(0)), len(missing))
    if count <= 1:
        for script in missing:
            render(script, folder / f"{script.id}{SUFFIX}")
            yield script
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent) as pool:
        longest_first = sorted(missing, key=lambda script: -script.frames * len(script.actors))
        jobs = {pool.submit(render, script, folder / f"{script.id}{SUFFIX}"): script for script in longest_first}
        try:
            for job in as_completed(jobs):
                job.result()
                yield jobs[job]
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _end_with_parent() -> None:
    """Let this process end when the one that started it does, even if that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
