"""`untrimmed check` on every recipe, as somebody meets it who does not have all data yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from command_line import refused, run

from untrimmed.experiment.config import load_config, recipe_names

WITHOUT_DATA = [name for name in recipe_names() if load_config(name).data.annotations is None]
SOURCE = "`untrimmed recipes {}` says where to get them, and in which form"
RATE = 30.0
SECONDS = 40.0


def write_annotations(path: Path, recipe: str, *, classes: int | None = None, rate: float | None = RATE) -> Path:
    """Write ActivityNet-style annotations with the subsets of a recipe, and as many classes as it has."""
    config = load_config(recipe)
    classes = classes or (2 if config.data.class_agnostic else config.model.num_classes or 3)
    database = {}
    for subset in (*config.data.train, *config.data.validate):
        items = [{"label": f"action {i}", "segment": [i % 30, i % 30 + 6.0]} for i in range(classes)]
        entry = {"subset": subset, "duration": SECONDS, "annotations": items}
        database[f"{subset}0"] = entry if rate is None else entry | {"fps": rate}
    path.write_text(json.dumps({"database": database}))
    return path


def write_features(folder: Path, recipe: str, annotations: Path, dimension: int, prefix: str | None = None) -> Path:
    """Write features of a dimension on the time grid and in the files of a recipe."""
    config = load_config(recipe)
    inputs, data = config.data.inputs, config.data
    assert inputs.stride is not None
    assert inputs.window is not None
    folder.mkdir()
    frames = SECONDS * (inputs.rate or RATE)
    array = np.zeros((int((frames - inputs.window) // inputs.stride) + 1, dimension), np.float16)
    for video in json.loads(annotations.read_text())["database"]:
        name = f"{data.prefix if prefix is None else prefix}{video}"
        if data.key is None:
            np.save(folder / f"{name}.npy", array)
        else:
            np.savez(folder / f"{name}.npz", **{data.key: array})
    return folder


def options(**paths: Path | str) -> list[str]:
    return [word for key, path in paths.items() for word in (f"--data.{key}", str(path))]


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_nothing_is_given(name: str) -> None:
    assert refused("check", name, code=2) == (
        "data.annotations and data.features are not set: say where they are, as in --data.annotations FILE "
        f"--data.features FOLDER; {SOURCE.format(name)}"
    )


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_features_are_missing(name: str, tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "annotations.json", name)
    assert refused("check", name, *options(annotations=path), code=2) == (
        f"data.features is not set: say where they are, as in --data.features FOLDER; {SOURCE.format(name)}"
    )


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_annotations_are_missing(name: str, tmp_path: Path) -> None:
    assert refused("check", name, *options(features=tmp_path), code=2) == (
        f"data.annotations is not set: say where they are, as in --data.annotations FILE; {SOURCE.format(name)}"
    )


@pytest.mark.parametrize("name", WITHOUT_DATA)
def test_annotations_are_not_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    line = refused("check", name, *options(annotations=path, features=tmp_path), code=1)
    assert line == f"{path}: there is no such file"


def of_features(names: list[str]) -> Mapping[str, int]:
    """The recipes on features, and their dimension."""
    configs = {name: load_config(name) for name in names}
    return {name: c.model.input_dim for name, c in configs.items() if c.data.inputs.kind == "features"}


@pytest.mark.parametrize(("name", "dimension"), of_features(WITHOUT_DATA).items())
def test_features_as_they_should_be(name: str, dimension: int, tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "annotations.json", name)
    folder = write_features(tmp_path / "features", name, path, dimension)
    outcome = run("check", name, *options(annotations=path, features=folder))
    assert outcome.code == 0, outcome.out
    assert outcome.out.splitlines()[-1].startswith("0 errors, ")


@pytest.mark.parametrize(("name", "dimension"), of_features(WITHOUT_DATA).items())
def test_features_of_another_dimension(name: str, dimension: int, tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "annotations.json", name)
    folder = write_features(tmp_path / "features", name, path, 7)
    outcome = run("check", name, *options(annotations=path, features=folder))
    assert (outcome.code, outcome.err) == (1, "")
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("error: ")]
    assert f"2 of 2 videos with features of another dimension than the {dimension} that are expected: " in line
    assert "0' has 7" in line
    assert line.endswith(". Name the features that the configuration is for, or correct model.input_dims")


@pytest.mark.parametrize("name", ["activitynet_i3d", "activitynet_tsp"])
def test_files_without_the_prefix(name: str, tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "annotations.json", name)
    folder = write_features(tmp_path / "features", name, path, 7, prefix="")
    outcome = run("check", name, *options(annotations=path, features=folder))
    assert outcome.code == 1
    (line,) = (line for line in outcome.out.splitlines() if line.startswith("error: "))
    assert line.startswith(
        f"error: features: {folder}: none of its 2 feature files begins with the prefix 'v_'; one is 'training0.npy'"
    )


@pytest.fixture
def activitynet(tmp_path: Path) -> list[str]:
    """Options that name annotations and features for `activitynet_tsp`."""
    path = write_annotations(tmp_path / "annotations.json", "activitynet_tsp")
    folder = write_features(tmp_path / "features", "activitynet_tsp", path, 512)
    return options(annotations=path, features=folder)


def test_a_model_that_says_only_when_wants_class_scores(activitynet: list[str]) -> None:
    outcome = run("check", "activitynet_tsp", *activitynet)
    assert outcome.code == 0
    assert "warning: class scores: evaluation.class_scores is not set, " in outcome.out
    assert "as in --evaluation.class_scores FILE.json\n" in outcome.out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "{path}: there is no such file"),
        ({"results": {}}, "there are no class scores of video 'validation0'; leave it out, or add them"),
        ({"results": {"validation0": [0.5]}}, "{path}: video 'validation0': "),
        ({"results": {"validation0": [0.5, 0.1]}}, None),
    ],
)
def test_class_scores_are_checked(content: object, message: str | None, activitynet: list[str], tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    if content is not None:
        path.write_text(json.dumps(content))
    outcome = run("check", "activitynet_tsp", *activitynet, "--evaluation.class_scores", path)
    if message is None:
        assert outcome.code == 0
        assert "class scores" not in outcome.out
    else:
        assert outcome.code == 1
        assert f"error: class scores: {message.format(path=path)}" in outcome.out


def test_another_number_of_classes(tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "annotations.json", "charades", classes=9)
    folder = write_features(tmp_path / "features", "charades", path, 1024)
    outcome = run("check", "charades", *options(annotations=path, features=folder))
    assert outcome.code == 1
    assert "model.num_classes is 157, but the annotations have 9 classes. Correct it, or leave it out" in outcome.out


@pytest.mark.parametrize("name", ["multithumos", "thumos14_videomaev2"])
def test_annotations_without_frame_rates(name: str, tmp_path: Path) -> None:
    path = write_annotations(tmp_path / "annotations.json", name, rate=None)
    folder = write_features(tmp_path / "features", name, path, load_config(name).model.input_dim)
    words = options(annotations=path, features=folder)
    outcome = run("check", name, *words)
    assert outcome.code == 1
    assert "2 of 2 videos without a time grid. " in outcome.out
    assert "the frame rate is not known. Set inputs.rate" in outcome.out
    assert run("check", name, *words, "--data.inputs.rate", RATE).code == 0


def test_features_with_the_suffix_of_internvideo2(tmp_path: Path) -> None:
    """The recipe says how to rename them; who did not is told which name is expected."""
    name = "thumos14_internvideo2"
    path = write_annotations(tmp_path / "annotations.json", name)
    folder = write_features(tmp_path / "features", name, path, 3200)
    for file in list(folder.iterdir()):
        file.rename(file.with_name(f"{file.stem}_spatial_feature.npy"))
    outcome = run("check", name, *options(annotations=path, features=folder))
    assert outcome.code == 1
    assert "2 of 2 videos without features: " in outcome.out
    assert "validation0.npy" in outcome.out
    assert "_spatial_feature.npy" in outcome.out


def test_a_configuration_of_ones_own_has_no_recipe_to_look_up(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(run("recipes", "sbhar").out)
    assert refused("check", path, code=2) == (
        "data.annotations and data.features are not set: say where they are, as in --data.annotations FILE "
        "--data.features FOLDER"
    )


def test_labels_with_other_numbers_are_not_meant(tmp_path: Path) -> None:
    """Classes that are numbered and not named differ by their number, which is no slip."""
    path = tmp_path / "annotations.json"
    entry = {"duration": SECONDS, "fps": RATE}
    database = {
        "a": entry | {"subset": "training", "actions": [[1, 2.0, 9.0]]},
        "b": entry | {"subset": "testing", "actions": [[1, 2.0, 9.0], [1, 20.0, 29.0], [12, 2.0, 9.0]]},
    }
    path.write_text(json.dumps({"database": database}))
    folder = write_features(tmp_path / "features", "multithumos", path, 2048)
    outcome = run("check", "multithumos", *options(annotations=path, features=folder))
    assert outcome.code == 0
    assert "1 label without a training instance, so never found: 'class 12' (1 instance). Correct" in outcome.out
