"""From a run folder and its data to what goes onto the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.experiment.evaluation import EvaluationData
from untrimmed.experiment.run_folder import EXPERIMENT, METRICS
from untrimmed.report.contents import MOST_VIDEOS, Contents
from untrimmed.report.history import read_history
from untrimmed.report.media import MediaMode, media_of
from untrimmed.report.results import assess

Item = TypeVar("Item")


class Progress(Protocol):
    """Passes items on, and shows how many there were."""

    def __call__(self, items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
        """Pass on `total` items."""


@dataclass(frozen=True)
class ReportOptions:
    """How a page of a run is made.

    Attributes:
        files: video files by id; there may be more of them than videos, or fewer.
        media: how the files come into the page; `None` embeds them if they are small together, and links otherwise.
        transcode: make copies of files that browsers cannot play.
        most_videos: so many videos are shown in detail.
    """

    files: Mapping[str, Path] = field(default_factory=dict)
    media: MediaMode | None = None
    transcode: bool = False
    most_videos: int = MOST_VIDEOS


def _silently(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    del description, total
    return iter(items)


def contents_of_run(
    model: Path,
    localizer: Localizer,
    data: EvaluationData,
    detections: Mapping[str, Detections],
    page: Path,
    options: ReportOptions | None = None,
    progress: Progress = _silently,
) -> Contents:
    """Gather what goes onto the page of a run.

    Args:
        model: the run's folder, its `best` folder, or any other model folder.
        localizer: the model.
        data: the videos to show; they need not have instances.
        detections: what the localizer detects in them, by video id.
        page: where the page will be, which links start from.
        options: see there.
        progress: shows how far this has come.

    Raises:
        UntrimmedError: if features cannot be read, or the video files are too large to be embedded.
    """
    options = options or ReportOptions()
    results = assess(data.truth, detections, data.tious)
    shown = results.most_telling(options.most_videos)
    files = {id_: options.files[id_] for id_ in shown if id_ in options.files}
    levels = {
        id_: localizer.level_scores(
            Recording(data.inputs.store.read(id_), id=id_, duration=data.truth[id_].duration, rate=data.truth[id_].rate)
        )
        for id_ in progress(shown, "scoring moments", len(shown))
    }
    prepared = media_of(files, page, mode=options.media, transcode=options.transcode)
    media = dict(progress(prepared, "preparing videos", len(files)))
    run = run_folder_of(model)
    config = None if run is None else load_config(str(run / EXPERIMENT))
    folder = (run or model).resolve()
    return Contents(
        title=folder.name,
        results=results,
        subtitle=_subtitle(data.truth),
        shown=shown,
        levels=levels,
        level_labels=localizer.labels,
        media=media,
        history=read_history(folder / METRICS),
        parameters=sum(parameter.numel() for parameter in localizer.model.parameters()),
        facts=_facts(model, localizer, config),
        notes=_notes(data.truth, config),
    )


def run_folder_of(model: Path) -> Path | None:
    """Return the folder of the run that a model folder belongs to; `None` if it is of no run."""
    return next((f for f in (model, model.resolve().parent) if (f / EXPERIMENT).is_file()), None)


def _subtitle(truth: Annotations) -> str:
    subsets = [name or "no subset" for name in truth.subsets]
    if not subsets:
        return ""
    some = ", ".join(subsets[:5]) + (", …" if len(subsets) > 5 else "")
    return f"Evaluated on {len(truth):,} {'video' if len(truth) == 1 else 'videos'} of {some}"


def _notes(truth: Annotations, config: ExperimentConfig | None) -> list[str]:
    """Say what one has to know before the numbers."""
    if config is None or config.data.annotations is None:
        return []
    if Path(truth.source).resolve() != config.data.annotations.resolve():
        return []  # in another file, a subset of the same name may be anything
    learnt = {name.lower() for name in config.data.train}
    count = sum(video.subset.lower() in learnt for video in truth)
    if not count:
        return []
    some = "All" if count == len(truth) else f"{count:,} of the {len(truth):,}"
    return [f"{some} videos were trained on, so the numbers say little about new ones."]


def _facts(model: Path, localizer: Localizer, config: ExperimentConfig | None) -> dict[str, str]:
    network = localizer.model.config
    facts = {"Model folder": str(model)}
    if config is not None and config.description.strip():
        facts["Experiment"] = " ".join(config.description.split())
    window = "all" if network.window is None else network.window
    facts["Network"] = (
        f"ActionFormer, width {network.width}, {len(network.strides)} levels, attention over {window} moments"
    )
    facts["Input"] = f"{network.input_dim} dimensions"
    if localizer.extractor is not None:
        facts["Input"] += f", made by the extractor {localizer.extractor.name}"
    if config is not None:
        facts["Trained on"] = ", ".join(config.data.train)
    facts["Classes"] = ", ".join(localizer.labels[:30]) + (", …" if len(localizer.labels) > 30 else "")
    return facts
