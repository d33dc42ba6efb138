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
    assert [level["stride"] for level in outcome.json["levels"]] == [1.0, 2.0, 4.0]
    assert len(outcome.json["lengths"]) == sum(row["instances"]["training"] for row in outcome.json["classes"])


def test_warnings_are_no_failure(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, make_videos({"train": 3, "test": 2}, without=1))
    outcome = run("check", config)
    assert outcome.code == 0
    assert "warning: training videos: 1 of 3 videos without instances: train2" in outcome.out
    assert outcome.out.splitlines()[-1].startswith("0 errors, ")


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
    first, second = (line for line in outcome.out.splitlines() if line.startswith("error: "))
    assert first.startswith(f"error: {path}: video 'train0', annotation 0: \"segment\" is [5, 2]")
    assert second.startswith(f"error: {path}: video 'train1', annotation 0: ")
    assert outcome.out.splitlines()[-1].startswith("2 errors, ")
    report = run("check", config, "--json").json
    assert len(report["errors"]) == 2
    assert report["videos"] == {"training": 5, "validation": 2}  # the rest is checked too
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
        "error: feature length: features of 1 of 7 videos end before half or after twice of their video, so that "
        "training refuses them; those of 'train2', which end at 3.00 s" in outcome.out
    )


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
    assert (outcome.code, outcome.err) == (1, "")
    assert "features.json: dimension is 9 in the configuration, but 8 there. Correct the configuration" in outcome.out
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


def test_the_table_of_levels(config: Path) -> None:
    out = run("check", config).out
    assert "what each level is trained on" in out
    assert "to onset or offset, s" in out


def test_page_and_suggested_configuration(config: Path, tmp_path: Path) -> None:
    page, better = tmp_path / "check.html", tmp_path / "better.yaml"
    outcome = run("check", config, "--out", page, "--suggest", better)
    assert outcome.code == 0
    assert outcome.out.splitlines()[-2:] == [f"The page is {page}", f"The suggested configuration is {better}"]
    assert "suggestion: training.optimiser.kind" not in outcome.out
    assert "<svg" in page.read_text()
    assert "suggestion" not in run("check", better).out
    words = ["--training.epochs", 1, "--training.warmup_epochs", 0, "--model.width", 16, "--out", tmp_path / "run"]
    assert run("train", better, *words).code == 0


def test_suggestions_as_json(config: Path) -> None:
    rows = run("check", config, "--json").json["suggestion"]
    assert {"key", "value", "current", "reason"} == set(rows[0])
    assert "model.width" not in {row["key"] for row in rows}  # which the file has


def test_no_suggestion_beside_errors(config: Path, tmp_path: Path) -> None:
    (config.parent / "features" / "train1.npy").unlink()
    better = tmp_path / "better.yaml"
    outcome = run("check", config, "--suggest", better)
    assert outcome.code == 1
    assert f"{better}: not written, mend the errors first" in outcome.err
    assert not better.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "page.txt"], "--out page.txt: the name has to end in .html"),
        (["--suggest", "x.json"], "--suggest x.json: the name has to end in .yaml"),
        (["--out", "."], "--out .: is a folder; name the file to write"),
        (["--suggest", "{config}"], "--suggest {config}: is the configuration itself; name another file"),
    ],
)
def test_places_that_cannot_be_written_to(config: Path, words: list[str], message: str) -> None:
    given = [word.format(config=config) for word in words]
    assert refused("check", config, *given, code=2) == message.format(config=config)


def test_train_refuses_what_check_finds(config: Path, tmp_path: Path) -> None:
    path = config.parent / "annotations.json"
    content = json.loads(path.read_text())
    content["database"]["train0"]["annotations"] *= 2
    path.write_text(json.dumps(content))
    line = refused("train", config, "--out", tmp_path / "run", code=1)
    assert line.startswith(f"{path}: training segments: ")
    assert "given more than once, with the same label and times" in line
    assert not (tmp_path / "run").exists()


def test_train_names_all_videos_without_features(config: Path, tmp_path: Path) -> None:
    for name in ("train0", "train3"):
        (config.parent / "features" / f"{name}.npy").unlink()
    line = refused("train", config, "--out", tmp_path / "run", code=1)
    assert line.startswith("2 of 7 videos without features: train0, train3.")
