"""From a folder of videos and a table of labels to annotations and a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.check.report import count, some
from untrimmed.data.formats.interval_table import is_interval_table, read_interval_table
from untrimmed.data.labelling import annotate, match_videos
from untrimmed.data.splitting import FEWEST, TRAIN, VALIDATE, validation_videos
from untrimmed.errors import AnnotationError, VideoError
from untrimmed.experiment.commented_yaml import commented_yaml
from untrimmed.experiment.planning import Choice, Plan
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extraction.finding import find_videos
from untrimmed.video.reading.reader import VideoFile, probe

ANNOTATIONS, FEATURES = "annotations.json", "features"
"""What the configuration calls the annotation file and the feature folder beside it."""

_TABLES = (".csv", ".tsv")
_MOST_SHOWN = 5


@dataclass(frozen=True)
class LabelledVideos:
    """Videos with what a table says of them.

    Attributes:
        annotations: of the videos that are used, each in the subset `train` or `val`.
        files: of all videos of the folder, by id.
        unlisted: ids of the videos of which the table has no row.
        warnings: what one should know.
    """

    annotations: Annotations
    files: Mapping[str, Path]
    unlisted: tuple[str, ...]
    warnings: tuple[str, ...]

    def of(self, subset: str) -> Annotations:
        """Return the videos of a subset, which may have none."""
        return self.annotations.where(lambda video: video.subset == subset)


def find_table(folders: Iterable[Path]) -> Path:
    """Find the one table of labels in these folders, not in folders below them.

    Raises:
        AnnotationError: if there is none, or more than one.
    """
    places = list({folder.resolve(): folder for folder in folders}.values())
    files = [
        file
        for place in places
        if place.is_dir()
        for file in sorted(place.iterdir())
        if file.suffix.lower() in _TABLES and file.is_file() and not file.name.startswith(".")
    ]
    tables = [file for file in files if is_interval_table(file)]
    if len(tables) == 1:
        return tables[0]
    if tables:
        raise AnnotationError(f"several tables of labels: {some(map(str, tables))}. Say which by --labels FILE")
    if len(files) == 1:
        read_interval_table(files[0])  # says what is missing
    others = f" ({some(file.name for file in files)}: not with these columns)" if files else ""
    raise AnnotationError(
        f"there is no table of labels in {' or '.join(map(str, places))}{others}. Make a .csv file with the columns "
        "video,start,end,label, or name one by --labels FILE"
    )


def label_videos(
    folder: Path,
    table: Path,
    *,
    unlisted_are_empty: bool = False,
    subsets: Mapping[str, str] = MappingProxyType({}),
    progress: Callable[[Iterable[str], int], Iterable[str]] = lambda ids, _: ids,
) -> LabelledVideos:
    """Read a table, find its videos, and split them into those to train and those to validate on.

    Args:
        folder: of the videos, searched with the folders below it.
        table: of labels.
        unlisted_are_empty: whether videos without a row have no actions; otherwise they are left out.
        subsets: of videos that have been split before (see `split`).
        progress: is given the ids of the videos to look into and their number, and passes the ids on.

    Raises:
        AnnotationError: if the table cannot be read, or does not fit the videos.
        VideoError: if there are no videos, or one that is used cannot be read.
    """
    rows = read_interval_table(table)
    files = find_videos([folder])
    names = {id_: path.relative_to(folder).as_posix() for id_, path in files.items()}
    of_video = match_videos(rows, names, table, folder)
    unlisted = tuple(id_ for id_ in files if id_ not in of_video)
    used = [id_ for id_ in files if unlisted_are_empty or id_ in of_video]
    videos = _probed(files, progress(used, len(used)))
    labelled = annotate(of_video, videos, table)
    annotations = split(labelled.annotations, subsets)
    warnings = list(labelled.warnings)
    moved = [video.id for video in annotations if subsets.get(video.id, video.subset) != video.subset]
    if moved:
        warnings.append(f"{count(len(moved), 'video')} in another subset than before: {some(moved)}")
    if unlisted and not unlisted_are_empty:
        warnings.append(
            f"{count(len(unlisted), 'video')} without a row in {table}, not used: {some(unlisted)}. If they have no "
            "actions, say so: --unlisted-are-empty"
        )
    if not any(video.subset == VALIDATE for video in annotations):
        why = (
            f"fewer than {FEWEST} videos"
            if len(used) < FEWEST
            else "each one with actions has a class that no other has"
        )
        warnings.append(f"no video is set aside to validate on ({why}), so nothing will say how good the model is")
    return LabelledVideos(annotations, files, unlisted, tuple(warnings))


def split(annotations: Annotations, before: Mapping[str, str] = MappingProxyType({})) -> Annotations:
    """Return annotations with each video in the subset `train` or `val` (see `validation_videos`).

    Args:
        annotations: to be split.
        before: subsets of videos that have been split before, maybe by a person who knows what must not be separated.
            They stay where they are, and the new videos are split on their own, unless nothing would be validated
            on, or a class would have nothing to train on: then all are split anew.
    """
    new = annotations.where(lambda video: before.get(video.id) not in (TRAIN, VALIDATE))
    kept = frozenset(id_ for id_ in annotations.videos if before.get(id_) == VALIDATE)
    chosen = kept | validation_videos(new)
    learnt = {i.label for video in annotations if video.id not in chosen for i in video.instances}
    if learnt != set(annotations.labels) or not any(annotations[id_].instances for id_ in chosen):
        chosen = validation_videos(annotations)
    subsets = {id_: VALIDATE if id_ in chosen else TRAIN for id_ in annotations.videos}
    return replace(
        annotations, videos={id_: replace(video, subset=subsets[id_]) for id_, video in annotations.videos.items()}
    )


def argument(path: Path) -> str:
    """Return a path as it stands in a command, where nothing takes it for an option; quotes are left to `shlex`."""
    return f"./{path}" if str(path).startswith("-") else str(path)


def configuration(videos: LabelledVideos, plan: Plan, grid: TimeGrid, commands: Sequence[str]) -> str:
    """Write the configuration, for a file beside the annotations and the features.

    Args:
        videos: what it is for.
        plan: the settings of model, training and detection.
        grid: of the features.
        commands: to run next.
    """
    heading = (
        "Written by `untrimmed init`, which chose each value for these videos. Change what you like: what stands above "
        "a setting says when. There are many more, which need no change; `untrimmed recipes sbhar --full` lists them.\n"
        "Next:\n"
    ) + "\n".join(f"  {' '.join(command.splitlines())}" for command in commands)
    labels = videos.annotations.labels
    description = f"{count(len(labels), 'class')} of actions: {some(labels, 5)}"
    validate = [VALIDATE] if len(videos.of(VALIDATE)) else []
    return commented_yaml(heading, (*data_choices(description, validate, grid), *plan.choices))


def data_choices(description: str, validate: list[str], grid: TimeGrid) -> tuple[Choice, ...]:
    """Return the settings that say what the data are, for a configuration beside its annotations and features."""
    return (
        Choice("description", description, "What it is about."),
        Choice("data.annotations", ANNOTATIONS, "What happens when in which video, and the subset of each video."),
        Choice(
            "data.features",
            FEATURES,
            "The folder that `untrimmed extract` writes: what a ready network makes of the videos, one row of numbers "
            f"every {grid.stride / grid.rate:.2g} s.",
        ),
        Choice("data.train", [TRAIN], "Subsets to learn from."),
        Choice(
            "data.validate", list(validate), "Subsets to score on, from which nothing is learnt. [] scores on none."
        ),
    )


def _probed(files: Mapping[str, Path], ids: Iterable[str]) -> dict[str, Video]:
    """Find out how long these videos are.

    Raises:
        VideoError: if one cannot be read; the message has the first few of all that cannot.
    """
    videos: dict[str, Video] = {}
    faults: list[str] = []
    for id_ in ids:
        path = files[id_]
        try:
            info = probe(path)
            duration = info.duration or _decoded_duration(path)
        except VideoError as error:
            faults.append(str(error))
            continue
        videos[id_] = Video(id_, max(round(duration, 3), 0.001), rate=info.rate)
    if faults:
        more = [f"and {len(faults) - _MOST_SHOWN} more"] if len(faults) > _MOST_SHOWN else []
        raise VideoError("\n".join([*faults[:_MOST_SHOWN], *more]))
    return videos


def _decoded_duration(path: Path) -> float:
    """Return when the last picture ends, of a file that does not say."""
    with VideoFile(path) as video:
        for _ in video.frames():
            pass
        return video.end
