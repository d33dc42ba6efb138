"""The whole way from video to a report, on clips of a moving figure that are drawn for it: the steps, one by one.

Each step leaves what it makes in one folder, and is left out when that is there already, so a demo that was interrupted
goes on::

    OUT/
      annotations.json   what happens when in which clip, as `untrimmed init` writes it
      clips/             the videos
      features/          what `untrimmed extract` makes of them
      untrimmed.yaml     a configuration for people to read, as `untrimmed init` writes it
      run/               what `untrimmed train` makes of both
      report.html        what `untrimmed report` makes of the run
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.data.files import write_atomically
from untrimmed.data.formats.activitynet import read_annotations, write_annotations
from untrimmed.data.splitting import TRAIN, VALIDATE
from untrimmed.demo.clips import render_missing
from untrimmed.demo.scene import Script
from untrimmed.demo.script import annotations_of, clip_plan
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError, VideoError
from untrimmed.experiment.commented_yaml import commented_yaml
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.experiment.evaluation import EvaluationData
from untrimmed.experiment.own_videos import ANNOTATIONS, FEATURES, argument, data_choices
from untrimmed.experiment.planning import Choice, plan
from untrimmed.experiment.run_folder import is_run
from untrimmed.experiment.training import Trained, train
from untrimmed.learning.trainer import Watcher
from untrimmed.report.page import write_report
from untrimmed.report.run import Progress, ReportOptions, contents_of_run
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extraction.finding import find_videos
from untrimmed.video.extraction.progress import Progress as ExtractionProgress
from untrimmed.video.extraction.videos import Extraction, extract_videos
from untrimmed.video.extractors.opening import open_extractor

CLIPS = 96
"""Clips of a demo; a quarter of them is held out."""
EPOCHS = 24
"""Epochs to train with so many clips, a sixth of them to warm up."""
FEWEST_CLIPS = 4


@dataclass(frozen=True)
class Demo:
    """What the demo is made of and where it is.

    Attributes:
        out: the folder of all it leaves.
        clips: how many clips there are.
        epochs: how long to train.
        extractor: what makes the features.
        seed: of the clips.
        seconds: where clips are cut off; `None` lets them play to the end.
    """

    out: Path
    clips: int = CLIPS
    epochs: int = EPOCHS
    extractor: str = "default"
    seed: int = 0
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that make no demo.

        Raises:
            ConfigError: if there are too few clips, or no epochs.
        """
        if self.clips < FEWEST_CLIPS:
            raise ConfigError(f"clips is {self.clips}, but has to be {FEWEST_CLIPS} or more: every fourth is held out")
        if self.epochs < 1:
            raise ConfigError(f"epochs is {self.epochs}, but has to be 1 or more")

    @property
    def videos(self) -> Path:
        """Folder of the clips."""
        return self.out / "clips"

    @property
    def features(self) -> Path:
        """Folder of their features."""
        return self.out / FEATURES

    @property
    def configuration(self) -> Path:
        """Configuration of the training."""
        return self.out / "untrimmed.yaml"

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.out / "run"

    @property
    def report(self) -> Path:
        """The page."""
        return self.out / "report.html"

    def scripts(self) -> list[Script]:
        """Return what happens in each clip."""
        return [clip_plan(self.seed, number, seconds=self.seconds) for number in range(self.clips)]


def begin(demo: Demo) -> Annotations:
    """Write down what the clips will show, before anything that takes time.

    Raises:
        ConfigError: if the folder holds other clips, or something else altogether, or there is no such extractor.
        ModelError: if the extractor cannot be opened.
        OSError: if the folder cannot be written to.
    """
    open_extractor(demo.extractor, device="cpu")
    if is_run(demo.out):
        raise ConfigError(f"{demo.out}: holds a run, not this demo; choose another --out")
    annotations = annotations_of(demo.scripts())
    file = demo.out / ANNOTATIONS
    if not file.exists():
        if demo.videos.exists():
            raise ConfigError(f"{demo.videos}: is there already, but not from a demo; choose another --out")
        write_annotations(annotations, file)
    there = read_annotations(file)
    if (dict(there.videos), there.labels) != (dict(annotations.videos), annotations.labels):
        raise ConfigError(
            f"{file}: is of another demo, with {len(there)} clips where this one has {len(annotations)}; choose "
            "another --out, or give the options that it was made with"
        )
    return there


def draw_clips(demo: Demo, processes: int | None = None) -> Iterator[Script]:
    """Draw the clips and encode them; gives each script when its clip is there.

    Raises:
        VideoError: if they cannot be encoded.
        OSError: if they cannot be written.
    """
    return render_missing(demo.scripts(), demo.videos, processes=processes)


def extract(demo: Demo, on_progress: Callable[[ExtractionProgress], object] = lambda _: None) -> Extraction:
    """Make the features of all clips.

    Raises:
        VideoError: if a clip cannot be read.
        UntrimmedError: as `extract_videos`.
    """
    extraction = extract_videos([demo.videos], demo.features, demo.extractor, on_progress=on_progress)
    for each in extraction.failed:
        raise VideoError(f"{each.path}: {each.error}. Delete it and run the demo again, which draws what is missing")
    return extraction


def configure(demo: Demo, annotations: Annotations) -> ExperimentConfig:
    """Write the configuration, unless it is there, and load it.

    Raises:
        ConfigError: if one is there with other settings.
    """
    text = _configuration(demo, annotations, open_extractor(demo.extractor, device="cpu").grid)
    if not demo.configuration.exists():
        write_atomically(demo.configuration, text)
    elif _settings(demo.configuration.read_bytes()) != _settings(text.encode()):
        again = shlex.join(
            ["untrimmed", "train", argument(demo.configuration), "--out", argument(demo.out / "another_run")]
        )
        raise ConfigError(
            f"{demo.configuration}: is not as this demo would write it. To train with it: {again}; for this demo, "
            "choose another --out, or give the options that it was made with"
        )
    return load_config(str(demo.configuration))


def _settings(text: bytes) -> object:
    """Return what a configuration says, its comments left out; `None` if it cannot be read."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return None


def _configuration(demo: Demo, annotations: Annotations, grid: TimeGrid) -> str:
    warmup = demo.epochs // 6
    ours = {
        "training.epochs": Choice("", demo.epochs - warmup, "So few that the demo does not take long."),
        "training.warmup_epochs": Choice("", warmup, "Epochs in which the learning rate grows to its height."),
        "training.batch_size": Choice("", 2, "Videos in a step. With few epochs, many small steps get farther."),
        "training.validate_every": Choice("", max(1, demo.epochs // 4), "Epochs from one scoring to the next."),
    }
    planned = [
        Choice(each.key, ours[each.key].value, ours[each.key].reason) if each.key in ours else each
        for each in plan(annotations.of_subsets([TRAIN]), grid).choices
    ]
    heading = (
        "Written by `untrimmed demo`, which chose most values as `untrimmed init` does for videos of your own.\n"
        "To train with it again, in its folder, after changing what you like:\n"
        f"  untrimmed train {demo.configuration.name} --out another_run"
    )
    description = f"The demo's figure, in {demo.clips} clips: {', '.join(annotations.labels)}"
    return commented_yaml(heading, (*data_choices(description, [VALIDATE], grid), *planned))


def learn(demo: Demo, config: ExperimentConfig, watchers: Sequence[Watcher] = ()) -> Trained:
    """Train, or go on with it.

    Raises:
        Interrupted: if it was told to stop; all is saved.
        UntrimmedError: as `train`.
    """
    return train(config, demo.run, resume=is_run(demo.run), watchers=watchers)


def write_page(
    demo: Demo, localizer: Localizer, data: EvaluationData, found: dict[str, Detections], progress: Progress
) -> None:
    """Write the report, with the clips in it.

    Raises:
        OSError: if it cannot be written.
    """
    options = ReportOptions(files=find_videos([demo.videos]), media="embed")
    contents = contents_of_run(demo.run, localizer, data, found, demo.report, options, progress)
    write_report(replace(contents, title="Moving figures"), demo.report)
