"""Every recipe once through, on features that are made up: from `untrimmed train` to `untrimmed evaluate`.

    python benchmarks/recipes.py --data ../shared/data

Each recipe gets features of its own dimension, names and place in time, for a few of the shortest videos of its
benchmark, and is trained two epochs at a width of 32. The features are noise, and while an action lasts, a direction of
its class on top. What is shown is that a recipe, the annotations as they are published and the layout on disk go
together. The mAP is NOT a result: it says that something was learnt from features that give the classes away.

Annotations are the real ones where they are at hand, in the folder that `--data` names: THUMOS14, MultiTHUMOS,
Charades, ActivityNet 1.3, EPIC-KITCHENS-100 and SBHAR (with its real signals). EPIC's training file is put together
from `training_alternative.csv`; MultiTHUMOS gets its frame rates from THUMOS14. Ego4D's are made up, in the form of its
own `moments_*.json`; class scores of ActivityNet's videos are made up, too. Takes three minutes.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.formats.activitynet import read_annotations, write_annotations
from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.experiment.config import ExperimentConfig, load_config, recipe_names
from untrimmed.time_grid import TimeGrid

TRAINED, TESTED = 12, 6
"""Videos of either split."""
SHORTEST = 10.0
"""Seconds that a video lasts at least."""
STRENGTH = 1.0
"""Length of a class's direction in each dimension, in standard deviations of the noise."""
REDUCED = {
    "model.width": 32,
    "model.attention_heads": 4,
    "training.epochs": 2,
    "training.warmup_epochs": 0,
    "training.batch_size": 1,
    "training.validate_every": 2,
    "training.optimiser.learning_rate": 0.005,
    "training.accelerator": "cpu",
    "training.threads": 1,
}
EGO4D_STREAMS = {"slowfast": 2304, "omnivore": 1536, "egovlp": 256}


@dataclass(frozen=True)
class Subject:
    """What a recipe is run on.

    Attributes:
        annotations: file or folder, as `--data.annotations` names it; `None` is what the recipe itself names.
        origin: where they come from, in a word or two.
        chosen: the videos among them that are trained and tested on.
        features: where features are at hand already.
    """

    annotations: Path | None
    origin: str
    chosen: Annotations
    features: Path | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    recipe: str
    origin: str
    trained: int
    tested: int
    classes: int
    dimension: str
    seconds: float
    average: float


@dataclass(frozen=True)
class Places:
    """The folder with real annotations, and one for all that is made."""

    data: Path
    made: Path


def main() -> None:
    """Run the recipes, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(__file__).parents[2] / "shared" / "data",
        help="folder with the folders thumos14, other_annotations, activitynet, epic_kitchens and sbhar",
    )
    parser.add_argument("--recipes", nargs="*", default=recipe_names(), help="all where left out")
    options = parser.parse_args()
    print("| recipe | annotations | videos, trained + tested | classes | dimension | seconds | mAP, says nothing |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in options.recipes:
        with tempfile.TemporaryDirectory() as folder:
            row = run(name, Places(options.data, Path(folder)))
        print(
            f"| {row.recipe} | {row.origin} | {row.trained} + {row.tested} | {row.classes} | {row.dimension} | "
            f"{row.seconds:.0f} | {100 * row.average:.1f} |",
            flush=True,
        )


def run(name: str, places: Places) -> Row:
    """Train and evaluate a recipe by the commands that a user types."""
    config = load_config(name)
    subject = subject_of(name, config, places)
    settings = dict[str, object](REDUCED)
    dims = dimensions(name, config)
    if subject.annotations is not None:
        settings["data.annotations"] = subject.annotations
        folders = [subject.features] if subject.features else write_features(config, subject.chosen, dims, places.made)
        settings["data.features"] = folders[0] if len(folders) == 1 else f"[{', '.join(map(str, folders))}]"
    if config.model.stream_widths is not None:
        settings["model.stream_widths"] = [8, 12, 12]
    if config.data.class_agnostic:
        settings["evaluation.class_scores"] = write_class_scores(subject.chosen, places.made / "scores.json")
    out = places.made / "run"
    words = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    began = time.perf_counter()
    command("train", name, "--out", str(out), *words)
    score = json.loads(command("evaluate", str(out), "--json"))
    seconds = time.perf_counter() - began
    trained, tested = (subject.chosen.of_subsets(names) for names in (config.data.train, config.data.validate))
    classes = 1 if config.data.class_agnostic else len(subject.chosen.labels)
    shown = " + ".join(map(str, dims)) or "150, signals"
    return Row(name, subject.origin, len(trained), len(tested), classes, shown, seconds, score["average"])


def command(*words: str) -> str:
    """Run `untrimmed` with one thread, and return what it prints.

    Raises:
        RuntimeError: if it fails, with its own message.
    """
    program = str(Path(sys.executable).parent / "untrimmed")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"untrimmed {' '.join(words)}\n{done.stderr}")
    return done.stdout


def dimensions(name: str, config: ExperimentConfig) -> tuple[int, ...]:
    """Dimension of each stream of features, one or several."""
    if name.startswith("ego4d_"):
        return tuple(EGO4D_STREAMS[stream] for stream in name.removeprefix("ego4d_").split("_"))
    return () if config.model.input_dims is None else (config.model.input_dim,)


# Annotations


def subject_of(name: str, config: ExperimentConfig, places: Places) -> Subject:
    """Find or make the annotations of a recipe."""
    sources = {
        "thumos14": "thumos14/thumos14.json",
        "multithumos": "other_annotations/multithumos.json",
        "charades": "other_annotations/charades.json",
        "activitynet": "activitynet/activitynet13_bsn_subset.json",
        "sbhar": "sbhar/annotations.json",
    }
    if config.data.annotations is not None:
        return Subject(None, "real, all, and real signals", read_annotations(config.data.annotations))
    if name.startswith("epic"):
        return epic_kitchens(config, places)
    if name.startswith("ego4d"):
        return ego4d(config, places.made)
    benchmark, *_ = name.split("_")
    source = places.data / sources[benchmark]
    annotations = read_annotations(source, strict=config.data.unusable == "refuse")
    if benchmark == "multithumos":
        annotations = with_rates(annotations, read_annotations(places.data / sources["thumos14"]))
    few = chosen(annotations, config)
    path = places.made / "annotations.json"
    write_annotations(few, path)
    if benchmark == "sbhar":
        return Subject(path, "real, and real signals", few, source.with_name("signals.npz"))
    return Subject(path, f"real: {source.name}", few)


def with_rates(annotations: Annotations, others: Annotations) -> Annotations:
    """Give each video the frame rate that it has in other annotations; 30 where it is not among them."""
    rates = {video.id: video.rate for video in others}
    return replace(annotations, videos={v.id: replace(v, rate=rates.get(v.id) or 30.0) for v in annotations})


def chosen(annotations: Annotations, config: ExperimentConfig) -> Annotations:
    """Choose the shortest videos to test on, and the shortest with one of their labels to train on, where there are."""

    def usable(subsets: Sequence[str]) -> list[Video]:
        videos = annotations.of_subsets(subsets)
        long_enough = [video for video in videos if video.instances and video.duration >= SHORTEST]
        return sorted(long_enough, key=lambda video: (video.duration, video.id))

    tested = usable(config.data.validate)[:TESTED]
    labels = {instance.label for video in tested for instance in video.instances}
    trained = usable(config.data.train)
    trained.sort(key=lambda video: not any(instance.label in labels for instance in video.instances))
    ids = {video.id for video in (*tested, *trained[:TRAINED])}
    return annotations.where(lambda video: video.id in ids)


def epic_kitchens(config: ExperimentConfig, places: Places) -> Subject:
    """EPIC-KITCHENS' own files, of a few videos. The alternative training file has frames, at 30 a second."""
    source, folder = places.data / "epic_kitchens", places.made / "annotations"
    folder.mkdir()
    for path in source.glob("EPIC_100_*.csv"):
        shutil.copyfile(path, folder / path.name)
    with (source / "training_alternative.csv").open(newline="") as file:
        segments = [
            {
                "narration_id": row["narration_id"],
                "video_id": row["video"],
                "start_timestamp": timestamp(int(row["start"]) / 30),
                "stop_timestamp": timestamp(int(row["stop"]) / 30),
                "verb_class": row["verb"],
                "noun_class": row["noun"],
            }
            for row in csv.DictReader(file)
        ]
    write_csv(folder / "EPIC_100_train.csv", segments)
    few = chosen(open_annotations(folder, task=config.data.task, strict=False), config)
    for name in ("EPIC_100_train.csv", "EPIC_100_validation.csv"):
        with (folder / name).open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["video_id"] in few.videos]
        write_csv(folder / name, rows)
    return Subject(folder, "real: EPIC_100_*.csv", open_annotations(folder, task=config.data.task, strict=False))


def timestamp(seconds: float) -> str:
    """Write seconds as EPIC-KITCHENS does."""
    return f"{int(seconds // 3600):02}:{int(seconds // 60) % 60:02}:{seconds % 60:05.2f}"


def write_csv(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """Write a table, the keys of the first row as its header."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def ego4d(config: ExperimentConfig, made: Path) -> Subject:
    """Make `moments_train.json` and `moments_val.json`: clips of three minutes, every second label a frequent one."""
    random = np.random.default_rng(0)
    folder, number = made / "annotations", config.model.num_classes or 0
    folder.mkdir()
    rare = 0
    for split, count in (("train", TRAINED), ("val", TESTED)):
        videos = []
        for i in range(count):
            items = []
            for place, start in enumerate(np.arange(2.0, 170.0, 11.0).tolist()):
                label = rare % number if place % 2 else place % 8
                rare += place % 2
                end = start + float(random.uniform(2, 10))
                items.append({"label": f"{label:03}", "primary": True, "start_time": start, "end_time": end})
            clip = {
                "clip_uid": f"{split}-{i}",
                "video_start_sec": 60.0,
                "video_end_sec": 240.0,
                "video_start_frame": 1800,
                "video_end_frame": 7200,
                "annotations": [{"labels": items}],
            }
            videos.append({"video_uid": f"{split}-video-{i}", "split": split, "clips": [clip]})
        (folder / f"moments_{split}.json").write_text(json.dumps({"videos": videos}))
    return Subject(folder, "made: moments_*.json", open_annotations(folder, cut_from=config.data.cut_from))


# Features


def write_features(config: ExperimentConfig, annotations: Annotations, dims: Sequence[int], made: Path) -> list[Path]:
    """Write a folder of features for each stream, as the recipe expects them; returns the folders."""
    inputs = config.data.inputs
    assert inputs.stride is not None
    assert inputs.window is not None
    folders = []
    for number, dimension in enumerate(dims):
        folder = made / f"features{number}"
        folder.mkdir()
        directions = np.random.default_rng(number).normal(size=(len(annotations.labels), dimension)) * STRENGTH
        for video in annotations:
            rate = inputs.rate or video.rate
            assert rate is not None, video.id
            grid = TimeGrid(inputs.stride, inputs.window, rate)
            array = features(video, grid, directions, annotations.label_numbers(video))
            path = folder / f"{config.data.prefix}{video.id}"
            if config.data.key is None:
                np.save(path.with_name(f"{path.name}.npy"), array)
            else:
                np.savez(path.with_name(f"{path.name}.npz"), allow_pickle=False, **{config.data.key: array})
        folders.append(folder)
    return folders


def features(
    video: Video, grid: TimeGrid, directions: NDArray[np.float64], labels: Iterable[int]
) -> NDArray[np.float16]:
    """Make features `[T, D]`: noise, and at the clips of an instance the direction `[classes, D]` of its class."""
    clips = max(1, grid.clips(round(video.duration * grid.rate)))
    array = np.random.default_rng([*video.id.encode()]).normal(size=(clips, directions.shape[1]))
    centres = grid.to_seconds(np.arange(clips, dtype=np.float64))
    for instance, label in zip(video.instances, labels, strict=True):
        array[(centres >= instance.start) & (centres <= instance.end)] += directions[label]
    return array.astype(np.float16)


def write_class_scores(annotations: Annotations, path: Path) -> Path:
    """Write scores of all classes for each video, those that occur in it ahead of the others."""
    random = np.random.default_rng(0)
    results = {}
    for video in annotations:
        scores = random.uniform(0, 0.1, len(annotations.labels))
        scores[annotations.label_numbers(video)] += 0.8
        results[video.id] = scores.tolist()
    path.write_text(json.dumps({"class": annotations.labels, "results": results}))
    return path


if __name__ == "__main__":
    main()
