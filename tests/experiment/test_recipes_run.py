"""Recipes from `train` to the table of `evaluate`, on made-up data in the form and layout that each is for.

All recipes, on real annotations: `benchmarks/recipes.py`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from synthetic import experiment, make_videos
from untrimmed.cli import main
from untrimmed.data.annotations import Annotations, Instance
from untrimmed.data.formats.activitynet import write_annotations
from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.detection.localizer import Localizer
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.experiment.training import train
from untrimmed.time_grid import TimeGrid

pytestmark = pytest.mark.usefixtures("one_thread")

REDUCED = {
    "model.width": 16,
    "model.attention_heads": 2,
    "training.epochs": 2,
    "training.warmup_epochs": 0,
    "training.batch_size": 1,
    "training.validate_every": 2,
    "training.optimiser.learning_rate": 0.02,
    "training.accelerator": "cpu",
    "training.threads": 1,
}
VIDEOS = {"training": 6, "validation": 2}


def command(*words: object) -> str:
    """Run `untrimmed` in this process, and return what it prints."""
    out = io.StringIO()
    with redirect_stdout(out), pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert end.value.code == 0
    return out.getvalue()


def trained(folder: Path, recipe: str, **settings: object) -> Path:
    out = folder / "run"
    every = {**REDUCED, **{key.replace("__", "."): value for key, value in settings.items()}}
    words = [str(word) for key, value in every.items() for word in (f"--{key}", value)]
    command("train", recipe, "--out", out, *words)
    return out


def assert_table(run: Path, config: ExperimentConfig, *, at_least: float) -> None:
    """The table of the run has a column for each tIoU, and the score is that of a model that has learnt something."""
    table = command("evaluate", run)
    assert all(f" {tiou:g} " in table for tiou in config.evaluation.tious)
    score = json.loads(command("evaluate", run, "--json"))
    assert score["tious"] == pytest.approx(config.evaluation.tious)
    assert score["average"] > at_least


def write_features(folder: Path, annotations: Annotations, config: ExperimentConfig) -> None:
    """Write features that give the classes away, as the recipe expects them."""
    folder.mkdir()
    inputs = config.data.inputs
    assert inputs.stride is not None
    assert inputs.window is not None
    assert inputs.rate is not None
    grid = TimeGrid(inputs.stride, inputs.window, inputs.rate)
    directions = np.random.default_rng(0).normal(size=(len(annotations.labels), config.model.input_dim))
    for video in annotations:
        clips = grid.clips(round(video.duration * grid.rate))
        array = np.random.default_rng([*video.id.encode()]).normal(size=(clips, config.model.input_dim))
        centres = grid.to_seconds(np.arange(clips, dtype=np.float64))
        for instance, label in zip(video.instances, annotations.label_numbers(video), strict=True):
            array[(centres > instance.start) & (centres < instance.end)] += directions[label]
        save(folder / f"{config.data.prefix}{video.id}", config.data.key, array.astype(np.float16))


def save(path: Path, key: str | None, array: NDArray[np.float16]) -> None:
    if key is None:
        np.save(path.with_name(f"{path.name}.npy"), array)
    else:
        np.savez(path.with_name(f"{path.name}.npz"), allow_pickle=False, **{key: array})


def moments_in(count: int, first: float = 3.0, every: float = 12.0, lasts: float = 7.0) -> list[tuple[float, float]]:
    return [(first + i * every, first + i * every + lasts) for i in range(count)]


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def clock(seconds: float) -> str:
    return f"00:{int(seconds // 60):02}:{seconds % 60:05.2f}"


def test_activitynet_with_outside_class_scores(tmp_path: Path) -> None:
    """One class, videos resampled to one length, files with a prefix, labels by class scores."""
    config = load_config("activitynet_tsp")
    labels = ["Archery", "Ballet", "Cricket"]
    database = {}
    for subset, count in VIDEOS.items():
        for i in range(count):
            segments = moments_in(3, lasts=8.0)
            items = [{"label": labels[i % 3], "segment": list(segment)} for segment in segments]
            database[f"{subset}{i}"] = {"subset": subset, "duration": 45.0 + i, "annotations": items}
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"database": database}))
    annotations = open_annotations(path)
    # All classes look alike: the model is to say when, and no more.
    write_features(tmp_path / "features", annotations.of_one_class("action"), config)
    scores = {
        id_: [float(entry["annotations"][0]["label"] == label) for label in labels] for id_, entry in database.items()
    }
    (tmp_path / "scores.json").write_text(json.dumps({"class": labels, "results": scores}))
    run = trained(
        tmp_path,
        "activitynet_tsp",
        data__annotations=path,
        data__features=tmp_path / "features",
        evaluation__class_scores=tmp_path / "scores.json",
        training__epochs=6,
    )
    assert Localizer.load(run).labels == ("action",)
    assert_table(run, config, at_least=0.05)


def test_epic_kitchens_from_its_own_files(tmp_path: Path) -> None:
    """Verbs read from EPIC-KITCHENS' CSV files, features in `.npz` files under a key."""
    config = load_config("epic_verb_slowfast")
    folder = tmp_path / "annotations"
    folder.mkdir()
    write_csv(folder / "EPIC_100_verb_classes.csv", [{"id": i, "key": f"verb{i}"} for i in range(97)])
    write_csv(folder / "EPIC_100_noun_classes.csv", [{"id": i, "key": f"noun{i}"} for i in range(300)])
    ids = {subset: [f"{subset}_{i}" for i in range(count)] for subset, count in VIDEOS.items()}
    every = [{"video_id": id_, "duration": 130.0, "fps": 59.94} for of_subset in ids.values() for id_ in of_subset]
    write_csv(folder / "EPIC_100_video_info.csv", every)
    for subset, name in (("training", "EPIC_100_train.csv"), ("validation", "EPIC_100_validation.csv")):
        rows = [
            {
                "narration_id": f"{id_}_{i}",
                "video_id": id_,
                "start_timestamp": clock(start),
                "stop_timestamp": clock(end),
                "verb_class": i % 3,
                "noun_class": 7,
            }
            for id_ in ids[subset]
            for i, (start, end) in enumerate(moments_in(10))
        ]
        write_csv(folder / name, rows)
    write_features(tmp_path / "features", open_annotations(folder, task="verb"), config)
    run = trained(tmp_path, "epic_verb_slowfast", data__annotations=folder, data__features=tmp_path / "features")
    localizer = Localizer.load(run)
    assert localizer.labels == tuple(f"verb{i}" for i in range(97))
    assert localizer.model.config.empty_classes == tuple(range(3, 97))
    assert_table(run, config, at_least=0.05)


def test_ego4d_from_its_own_files(tmp_path: Path) -> None:
    """Clips read from Ego4D's JSON, each of whose features are rows of those of its video."""
    config = load_config("ego4d_slowfast")
    folder = tmp_path / "annotations"
    folder.mkdir()
    rare = iter(range(3, 110))
    for split, count in (("train", 12), ("val", 2)):
        videos = []
        for i in range(count):
            # Three labels are frequent; the others have to be there, since the benchmark has 110.
            labels = [place % 3 if place % 2 or split == "val" else next(rare, 0) for place in range(18)]
            items = [
                {"label": f"{label:03}", "primary": True, "start_time": start, "end_time": end}
                for label, (start, end) in zip(labels, moments_in(18), strict=True)
            ]
            clip = {
                "clip_uid": f"{split}{i}",
                "video_start_sec": 60.1,
                "video_end_sec": 285.1,
                "video_start_frame": 1803,
                "video_end_frame": 8553,
                "annotations": [{"labels": items}],
            }
            videos.append({"video_uid": f"{split}-video{i}", "split": split, "clips": [clip]})
        (folder / f"moments_{split}.json").write_text(json.dumps({"videos": videos}))
    annotations = open_annotations(folder, cut_from=config.data.cut_from)
    assert len(annotations.labels) == config.model.num_classes
    assert annotations["train0"].instances[0].start > 3  # moved to where the features begin
    write_features(tmp_path / "features", annotations, config)
    run = trained(tmp_path, "ego4d_slowfast", data__annotations=folder, data__features=tmp_path / "features")
    assert_table(run, config, at_least=0.05)


# Classes without data


def with_labels(annotations: Annotations, *labels: str) -> Annotations:
    """Return the same videos, with further classes after their own."""
    return replace(annotations, labels=(*annotations.labels, *labels))


def with_instance(annotations: Annotations, video: str, instance: Instance) -> Annotations:
    """Return the same videos, one of them with an instance more, of a label of its own."""
    changed = replace(annotations[video], instances=(*annotations[video].instances, instance))
    labelled = with_labels(annotations, instance.label)
    return replace(labelled, videos={**annotations.videos, video: changed})


def final_bias(run: Path) -> NDArray[np.float32]:
    bias = Localizer.load(run).model.classification.output.bias
    assert bias is not None
    return bias.detach().numpy()


def test_classes_without_training_data_are_switched_off(tmp_path: Path) -> None:
    annotations = make_videos({"train": 5, "test": 2})
    config = experiment(tmp_path, annotations=annotations)
    write_annotations(with_instance(annotations, "test0", Instance(1, 3, "fly")), tmp_path / "annotations.json")
    run = train(config, tmp_path / "run").folder
    localizer = Localizer.load(run)
    assert localizer.labels == ("jump", "run", "fly")
    assert localizer.model.config.empty_classes == (2,)
    assert np.argmin(final_bias(run)) == 2
    assert final_bias(run)[2] < -10  # the others start at -4.6
    for video in ("test0", "train0"):
        assert 2 not in localizer.detect(tmp_path / "features" / f"{video}.npy").labels


def test_all_classes_have_data(tmp_path: Path) -> None:
    run = train(experiment(tmp_path), tmp_path / "run").folder
    assert Localizer.load(run).model.config.empty_classes == ()


def test_empty_classes_that_are_named_stay(tmp_path: Path) -> None:
    annotations = with_labels(make_videos({"train": 5, "test": 2}), "fly", "swim")
    config = experiment(tmp_path, {"model.empty_classes": [3]}, annotations=annotations)
    run = train(config, tmp_path / "run").folder
    assert Localizer.load(run).model.config.empty_classes == (3,)
    assert final_bias(run)[2] > -6
    assert final_bias(run)[3] < -10
