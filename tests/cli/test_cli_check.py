from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import files, refused, run

from synthetic import make_videos, write_experiment
from untrimmed.data.annotations import Annotations, Instance


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a small experiment, beside its data."""
    return write_experiment(tmp_path / "data")


def with_instances(annotations: Annotations, video: str, *instances: Instance) -> Annotations:
    changed = replace(annotations[video], instances=(*annotations[video].instances, *instances))
    return replace(annotations, videos={**annotations.videos, video: changed})


def test_nothing_is_wrong(config: Path, tmp_path: Path) -> None:
    before = files(tmp_path)
    outcome = run("check", config)
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == "videos: 5 training, 2 validation"
    assert [cell.strip() for cell in lines[2].strip("┃").split("┃")] == [
        "class",
        "training instances",
        "validation instances",
        "never trained on",
    ]
    assert lines[-1] == "0 errors, 0 warnings"
    assert files(tmp_path) == before


def test_json(config: Path) -> None:
    outcome = run("check", config, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json["ok"]
    assert outcome.json["videos"] == {"training": 5, "validation": 2}
    assert [row["label"] for row in outcome.json["classes"]] == ["jump", "run"]


def test_warnings_are_no_failure(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, make_videos({"train": 3, "test": 2}, without=1))
    outcome = run("check", config)
    assert outcome.code == 0
    assert "warning: training videos: 1 of 3 videos without instances: train2" in outcome.out
    assert outcome.out.splitlines()[-1] == "0 errors, 2 warnings"


def test_errors_as_json(config: Path) -> None:
    (config.parent / "features" / "train1.npy").unlink()
    outcome = run("check", config, "--json")
    assert outcome.code == 1
    assert not outcome.json["ok"]
    (error,) = outcome.json["errors"]
    assert error["videos"] == ["train1"]


def test_every_unusable_annotation_is_listed(config: Path) -> None:
    path = config.parent / "annotations.json"
    content = json.loads(path.read_text())
    for video in ("train0", "train1"):
        content["database"][video]["annotations"][0]["segment"] = [5, 2]
    path.write_text(json.dumps(content))
    outcome = run("check", config)
    assert outcome.code == 1
    first, second, last = outcome.out.splitlines()
    assert first.startswith(f"error: {path}: video 'train0', annotation 0: \"segment\" is [5, 2]")
    assert second.startswith(f"error: {path}: video 'train1', annotation 0: ")
    assert last == "2 errors, 0 warnings"
    assert len(run("check", config, "--json").json["errors"]) == 2
    assert run("check", config, "--data.unusable", "drop").code == 0


@pytest.mark.parametrize(("subset", "code"), [("train", 1), ("test", 0)])
def test_instances_outside_of_their_video_are_an_error_in_training(tmp_path: Path, subset: str, code: int) -> None:
    annotations = make_videos({"train": 3, "test": 2})
    config = write_experiment(tmp_path, with_instances(annotations, f"{subset}1", Instance(900, 905, "run")))
    outcome = run("check", config)
    assert outcome.code == code
    role, kind = ("training", "error") if code else ("validation", "warning")
    assert f"{kind}: {role} segments: 1 instance outside the duration of their video, such as 'run'" in outcome.out
    dropped = run("check", config, "--data.unusable", "drop")
    assert dropped.code == 0
    assert f"warning: {role} segments: 1 instance outside" in dropped.out


def test_features_much_shorter_than_their_video(config: Path) -> None:
    path = config.parent / "features" / "train2.npy"
    np.save(path, np.load(path)[:3])
    outcome = run("check", config)
    assert (
        "warning: feature length: features of 1 of 7 videos end more than a window and a stride before" in outcome.out
    )
    assert "'train2', which end at 3.00 s" in outcome.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model.num_classes", "9"], "model.num_classes is 9, but the annotations have 2 classes. Correct it"),
        (["--data.train", "[]"], "error: training subsets: {annotations}: no subset is named"),
        (["--data.train", "trian"], "no video is in subset 'trian'; there are 'train' (5 videos)"),
    ],
)
def test_settings_that_do_not_fit_the_data(config: Path, words: list[str], message: str) -> None:
    outcome = run("check", config, *words)
    assert outcome.code == 1
    assert message.format(annotations=config.parent / "annotations.json") in outcome.out


def test_model_of_another_dimension(config: Path) -> None:
    outcome = run("check", config, "--model.input_dims", "9")
    assert outcome.code == 2
    assert "features.json: dimension is 9 in the configuration, but 8 there. Correct the configuration" in outcome.err
    (config.parent / "features" / "features.json").unlink()
    outcome = run("check", config, "--model.input_dims", "9", "--data.inputs", "{stride: 4, window: 4, rate: 4}")
    assert outcome.code == 1
    assert "7 of 7 videos with features of another dimension than the 9 that are expected" in outcome.out


def test_names_are_printed_as_they_are(config: Path) -> None:
    odd = "[red]jump[/red] :smile: größer"
    path = config.parent / "annotations.json"
    path.write_text(path.read_text().replace('"jump"', json.dumps(odd)))
    assert f"│ {odd} │" in run("check", config).out


@pytest.mark.parametrize("recipe", ["sbhar", "thumos14_i3d"])
def test_recipe_without_its_data(recipe: str) -> None:
    assert refused("check", recipe, code=2) == (
        "data.annotations and data.features are not set: say where they are, as in --data.annotations FILE "
        f"--data.features FOLDER; `untrimmed recipes {recipe}` says where to get them, and in which form"
    )
