"""`untrimmed demo`."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from untrimmed.cli.console import show_score, show_table, with_progress
from untrimmed.cli.extract import ExtractionBar
from untrimmed.cli.train import TrainingBar, stop_politely
from untrimmed.data.annotations import Video
from untrimmed.data.check.report import count
from untrimmed.data.detections import Detections
from untrimmed.data.labelling import clock
from untrimmed.demo import moving_figures
from untrimmed.demo.moving_figures import CLIPS, EPOCHS, Demo
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError
from untrimmed.evaluation.mean_ap import mean_average_precision
from untrimmed.experiment.config import load_config
from untrimmed.experiment.evaluation import EvaluationData, detect_all, evaluation_data
from untrimmed.experiment.own_videos import argument
from untrimmed.experiment.run_folder import is_run
from untrimmed.experiment.training import train

RECIPE = "timed_up_and_go"
RECIPE_EPOCHS = 30


def demo(
    *,
    data: Literal["moving_figures", "timed_up_and_go"] = "moving_figures",
    out: Path | None = None,
    epochs: int | None = None,
    clips: int | None = None,
    extractor: str | None = None,
) -> None:
    """Go the whole way, from video to a page that shows what was found, with nothing but this package.

    moving_figures draws clips of a figure that does eight things, makes features of them, trains a model, scores it on
    clips that it has never seen, and writes a report with these clips in it; a few minutes. timed_up_and_go trains on
    recordings, from a phone in the pocket, of 23 people who stand up, walk, turn and sit down; a minute or two.
    A demo that was interrupted goes on where it was when the same command is run again.

    Example: `untrimmed demo`

    Parameters
    ----------
    data
        Which of the two.
    out
        Folder for all that it makes: by default runs/demo, or runs/timed_up_and_go.
    epochs
        Epochs to train, a sixth of them to warm up; fewer are faster and worse.
    clips
        Clips to draw, of which every fourth is held out; moving_figures only.
    extractor
        What makes the features, as for `untrimmed extract`: default-appearance and default-motion show what the two
        halves of the default one are worth; moving_figures only.
    """
    if data == "timed_up_and_go":
        for option, value in (("--clips", clips), ("--extractor", extractor)):
            if value is not None:
                raise ConfigError(f"{option} is of no use for --data {data}, whose recordings are no videos")
        _timed_up_and_go(out or Path("runs/timed_up_and_go"), RECIPE_EPOCHS if epochs is None else epochs)
    else:
        _moving_figures(
            Demo(
                out or Path("runs/demo"),
                clips=CLIPS if clips is None else clips,
                epochs=EPOCHS if epochs is None else epochs,
                extractor=extractor or "default",
            )
        )


def _moving_figures(demo: Demo) -> None:
    options = {"out": demo.out, "clips": demo.clips, "epochs": demo.epochs, "extractor": demo.extractor}
    words = [f"--{option}={value}" for option, value in options.items()]
    with _stop_politely(shlex.join(["untrimmed", "demo", *words]), demo.out) as again:
        data, found = _way(demo, again, Steps(6))
    _show_score("Clips that the model has never seen", data, found)
    video = next(iter(data.truth))
    _show_video(video, found[video.id], "What happens")
    clip = demo.videos / f"{video.id}.mp4"
    detect = shlex.join(["untrimmed", "detect", argument(demo.run), argument(clip), "--render", "seen.mp4"])
    print(
        f"Open {demo.report} in a browser: it plays the clips beside what was found.\n"
        f"Next: `{detect}` finds the actions of one clip and draws them below it. For your own videos, begin with "
        "`untrimmed init --help`"
    )


def _way(demo: Demo, again: str, steps: Steps) -> tuple[EvaluationData, dict[str, Detections]]:
    """Go it, and say after each step what it has left where; those that are done already take no time."""
    annotations = moving_figures.begin(demo)
    scripts = list(with_progress(moving_figures.draw_clips(demo), "drawing clips", demo.clips))
    seconds = sum(script.duration for script in scripts)
    steps.done(f"{count(len(scripts), 'clip')} drawn, {clock(seconds)} of video: {demo.videos}")

    with ExtractionBar() as shown:
        extraction = moving_figures.extract(demo, shown.update)
    steps.done(f"features of them made, {extraction.description.dimension:,} numbers every 0.2 s: {demo.features}")

    config = moving_figures.configure(demo, annotations)
    steps.done(f"settings chosen: {demo.configuration}")

    with stop_politely(again, demo.run), TrainingBar() as watching:
        trained = moving_figures.learn(demo, config, [watching])
    steps.done(f"trained for {count(trained.epochs, 'epoch')}: {demo.run}")

    localizer = Localizer.load(demo.run)
    data = evaluation_data(demo.run, localizer)
    found = _detected(localizer, data)
    steps.done(f"detected in the {count(len(data.truth), 'clip')} that are held out")

    moving_figures.write_page(demo, localizer, data, found, with_progress)
    steps.done(f"report written, {demo.report.stat().st_size / 1e6:.1f} MB: {demo.report}")
    return data, found


def _timed_up_and_go(out: Path, epochs: int) -> None:
    warmup = epochs // 6
    config = load_config(RECIPE, {"training.epochs": epochs - warmup, "training.warmup_epochs": warmup})
    again = shlex.join(["untrimmed", "demo", "--data", RECIPE, f"--out={out}", "--epochs", str(epochs)])
    with stop_politely(again, out), TrainingBar() as shown:
        train(config, out, resume=is_run(out), watchers=[shown])
    localizer = Localizer.load(out)
    data = evaluation_data(out, localizer)
    found = _detected(localizer, data)
    _show_score("People that the model has never seen", data, found)
    video = next(iter(data.truth))
    _show_video(video, found[video.id], "What a person had marked")
    detect = shlex.join(["untrimmed", "detect", argument(out), "RECORDING.npy"])
    print(f"The model is in {out}. Next: `{detect}`, or `untrimmed recipes {RECIPE}`")


def _detected(localizer: Localizer, data: EvaluationData) -> dict[str, Detections]:
    detecting = detect_all(localizer, data.truth, data.inputs)
    return {each.video_id: each for each in with_progress(detecting, "detecting", len(data.truth))}


def _show_score(who: str, data: EvaluationData, found: Mapping[str, Detections]) -> None:
    show_score(f"{who}: average precision by tIoU, %", mean_average_precision(data.truth, found, data.tious))


def _show_video(video: Video, found: Detections, truth: str) -> None:
    rows = [(d.label, f"{d.start:.2f}", f"{d.end:.2f}", f"{d.score:.2f}") for d in found.above(0.3)]
    show_table(f"Detected in {video.id}", ["label", "start, s", "end, s", "score"], rows)
    instances = [(i.label, f"{i.start:.2f}", f"{i.end:.2f}") for i in video.instances]
    show_table(f"{truth} in {video.id}", ["label", "start, s", "end, s"], instances)


class Steps:
    """Says on stdout what has been done, and how long it took."""

    def __init__(self, total: int) -> None:
        self._total, self._number, self._since = total, 0, time.monotonic()

    def done(self, what: str) -> None:
        """Say so of the next step."""
        now = time.monotonic()
        self._number += 1
        print(f"{self._number}/{self._total}  {now - self._since:4.0f} s  {what}", flush=True)
        self._since = now


@contextmanager
def _stop_politely(again: str, out: Path) -> Iterator[str]:
    """Context that turns Ctrl-C into a line that says how to go on, and exit code 130."""
    try:
        yield again
    except KeyboardInterrupt:
        print(f"\nuntrimmed: stopped; what is done is in {out}. To go on: {again}", file=sys.stderr)
        sys.exit(130)
