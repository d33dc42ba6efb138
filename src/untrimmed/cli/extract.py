"""`untrimmed extract`."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from untrimmed.cli.archive import ray_cluster
from untrimmed.cli.console import bar, show_json, show_table, warn
from untrimmed.cli.extract_archive import extract_in_cluster
from untrimmed.cli.stopping import sigterm_interrupts, stopped
from untrimmed.data.check.report import count
from untrimmed.data.remote import refuse_out
from untrimmed.errors import ConfigError
from untrimmed.video.extraction.one_video import SHOTS
from untrimmed.video.extraction.progress import Progress
from untrimmed.video.extraction.videos import Extraction, extract_videos
from untrimmed.video.extraction.workers import ExtractorChoice


def extract(
    video: Path,
    /,
    *videos: Path,
    out: str,
    extractor: str = "default",
    stride: float | None = None,
    window: float | None = None,
    rate: float | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    processes: int | None = None,
    half: bool = False,
    shots: bool = False,
    allow_truncated: bool = False,
    ray: str | None = None,
    workers: str | None = None,
    threads: int | None = None,
    decoders: int | None = None,
    outcomes: Path | None = None,
    json: bool = False,
) -> None:
    """Make features of videos, which is what models are trained on and detect in.

    A run that was interrupted, or killed, goes on where it was when the same command is run again. A video that cannot
    be read is reported at the end, and does not stop the others; the exit code is 1 then.

    Examples: `untrimmed extract videos/ --out features/`; `untrimmed extract a.mp4 b.mkv --out features/ --shots`

    Parameters
    ----------
    video
        A video; a folder that is searched for videos, with all folders in it; or a manifest: a .csv, .tsv or .parquet
        file with a column `path` and, if it is to name the videos, `id`.
    videos
        More of them.
    out
        Folder for the features: `NAME.npy` of each video, and a `features.json` that says what made them. With `--ray`
        it may be in an object store, such as s3://bucket/folder.
    extractor
        What makes them: default, default-appearance, default-motion, hf:MODEL, i3d:WEIGHTS, slowfast:WEIGHTS,
        r2plus1d:WEIGHTS, or your own as python:MODULE:ATTRIBUTE.
    stride
        Sampled frames from one row of the features to the next; by default the extractor's own.
    window
        Sampled frames that a row covers; by default the extractor's own.
    rate
        Sampled frames per second; by default the extractor's own.
    device
        Where the extractor runs: auto, cpu, cuda or mps.
    precision
        Precision that it computes in.
    processes
        How many videos are worked on at once; by default one for each core, or one in all on a GPU.
    half
        Keep the features as float16, which takes half the space.
    shots
        Also write when a video's shots change, to `shots/NAME.csv` in that folder.
    allow_truncated
        Take videos whose end is missing as far as they go.
    ray
        Do the work in a Ray cluster: `local` for one that is started here and ended afterwards, `auto` for the one
        that this machine belongs to, or HOST:PORT.
    workers
        With `--ray`, how many videos are worked on at once: a number, or MIN:MAX for a cluster that grows; by default
        as many as there is room for.
    threads
        With `--ray`, cores that each worker takes; 1 where nothing is said.
    decoders
        With `--ray`, how many videos are decoded at once for each worker, by processes of a core each anywhere in the
        cluster; 0 is in the worker itself, as it is where nothing is said, but on a GPU up to 4.
    outcomes
        With `--ray`, file for what came of each video, a line of JSON for each; by default beside the folder.
    json
        Print what came of each video as JSON; with `--ray`, the sum, and the name of that file.
    """
    cluster = ray_cluster(ray, workers, threads, decoders, outcomes)
    if cluster is not None:
        if processes is not None:
            raise ConfigError("--processes is for one machine; with --ray, say --workers")
        choice = ExtractorChoice(
            name=extractor,
            stride=stride,
            window=window,
            rate=rate,
            device=device,
            precision=precision,
            trust_python=True,  # as below
        )
        with sigterm_interrupts(), ExtractionBar() as shown:
            extract_in_cluster(
                [video, *videos],
                out,
                choice,
                cluster,
                half=half,
                shots=shots,
                allow_truncated=allow_truncated,
                outcomes=outcomes,
                json=json,
                shown=shown,
            )
        return
    refuse_out(out)
    began = time.monotonic()
    with sigterm_interrupts(), ExtractionBar() as shown:
        try:
            extraction = extract_videos(
                [video, *videos],
                Path(out),
                extractor,
                stride=stride,
                window=window,
                rate=rate,
                device=device,
                precision=precision,
                processes=processes,
                half=half,
                shots=shots,
                allow_truncated=allow_truncated,
                trust_python=True,  # who has typed its name means it
                on_progress=shown.update,
            )
        except KeyboardInterrupt:
            shown.stop()
            stopped(f"; the features of finished videos are in {out}" if Path(out).is_dir() else "")
    for each in extraction.videos.values():
        if each.damaged:
            packets = "packet was" if each.damaged == 1 else "packets were"
            warn(f"{each.path}: {each.damaged} damaged {packets} left out")
    if json:
        show_json(_as_json(extraction))
    else:
        _show(extraction, time.monotonic() - began, shots=shots)
    if extraction.failed:
        sys.exit(1)


def _as_json(extraction: Extraction) -> dict[str, Any]:
    videos = {video_id: asdict(outcome) for video_id, outcome in extraction.videos.items()}
    for outcome in videos.values():
        del outcome["id"]
    return {"out": str(extraction.out), "features": asdict(extraction.description), "videos": videos}


def _show(extraction: Extraction, took: float, *, shots: bool) -> None:
    """Say in a few lines what came of all, and what to do next."""
    failed = extraction.failed
    print(f"{extraction.out}: {_made(extraction, took)}")
    if shots:
        print(f"When shots change is in {extraction.out / SHOTS}, a CSV file for each video")
    if failed:
        show_table("Not extracted", ["file", "reason"], [(each.path, each.error) for each in failed], texts=2)
        print("Next: mend these files or leave them out, and run the same command again; it makes only what is missing")
        return
    planned = extraction.out.parent / "untrimmed.yaml"
    if planned.exists():
        print(f"Next: `untrimmed check {planned}`, which takes seconds, and `untrimmed train {planned} --out RUN`")
    else:
        print(
            "Next: `untrimmed init` makes a configuration of your labels; "
            f"`untrimmed detect MODEL {extraction.out}` detects with a model that you have"
        )


def _made(extraction: Extraction, took: float) -> str:
    made = [each for each in extraction.videos.values() if each.error is None and each.duration is not None]
    there = len(extraction.videos) - len(extraction.failed) - len(made)
    were_there = f"{count(there, 'video')} were there already"
    if not made:
        return f"features of {were_there}" if there else "no features were made"
    rows = sum(outcome.rows or 0 for outcome in made)
    seconds = sum(outcome.duration or 0 for outcome in made)
    text = (
        f"features of {count(len(made), 'video')} were made, {rows:,} rows of {extraction.description.dimension:,} "
        f"dimensions; {seconds:,.1f} s of video in {took:,.1f} s"
    )
    return f"{text}; those of {were_there}" if there else text


class ExtractionBar:
    """Shows on stderr how many seconds of video have been read, and of how many as far as can be told."""

    def __init__(self) -> None:
        self._bar = bar(counted=False)
        self._task = self._bar.add_task("extracting", total=1.0, note="starting")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def update(self, progress: Progress) -> None:
        """Show how far it is."""
        # The bar's total stays the same: at each new one, the time left would be unknown for a while.
        read, total = progress.seconds, progress.of_seconds
        seconds = f"{read:,.0f} s" if total is None else f"{read:,.0f} of {total:,.0f} s"
        note = f"{progress.videos} of {progress.of_videos} videos, {seconds}"
        self._bar.update(self._task, completed=read / total if total else 0.0, note=note)

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()
