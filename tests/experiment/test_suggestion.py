from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from synthetic import experiment, make_videos
from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.check import uncovered
from untrimmed.data.features import open_features
from untrimmed.data.inputs import Inputs
from untrimmed.experiment.checking import check_experiment, pyramid_of
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.experiment.data import open_data
from untrimmed.experiment.suggestion import GEOMETRY, Suggestion, stated_keys, suggest, suggested, suggested_yaml
from untrimmed.settings import dump, parse


class Signals:
    """Recordings of 100 s at 50 samples a second, with actions of some lengths."""

    def __init__(self, folder: Path, lengths: list[float], seconds: float = 100) -> None:
        instances: list[Instance] = []
        start = 1.0
        for length in lengths:
            instances.append(Instance(start, start + length, "ab"[len(instances) % 2]))
            start += length + 0.721
        assert start < seconds
        videos = {id_: Video(id_, seconds, "train", 50, tuple(instances)) for id_ in "xyz"}
        self.annotations = Annotations(videos, ("a", "b"))
        self.folder = folder
        for id_ in videos:
            np.save(folder / f"{id_}.npy", np.random.default_rng(0).normal(size=(int(50 * seconds), 2)))

    def suggest(self, stated: set[str] | None = None, **sections: Any) -> dict[str, Suggestion]:
        config = self.config(**sections)
        inputs = Inputs(open_features(self.folder), config.data.inputs)
        return {each.key: each for each in suggest(config, self.annotations, inputs, stated)}

    def config(self, **sections: Any) -> ExperimentConfig:
        inputs = {"kind": "signals", "stride": 10, "window": 20, "rate": 50} | sections.pop("inputs", {})
        return parse(ExperimentConfig, {"data": {"inputs": inputs}, **sections}, "test")


@pytest.fixture
def signals(tmp_path: Path) -> Signals:
    return Signals(tmp_path, [1.6, 2.0, 3.0, 4.0, 6.0] * 4)


def test_what_fits_is_left_alone(signals: Signals) -> None:
    assert signals.suggest() == {}


@pytest.mark.parametrize(("stride", "better"), [(1, 10), (4, 10), (5, None), (19, None), (25, 10), (100, 10)])
def test_strides_of_signals(signals: Signals, stride: int, better: int | None) -> None:
    """A short action, here of 1.6 s, has 8 clips of a stride that is suggested; 4 to 16 are let pass."""
    found = signals.suggest(inputs={"stride": stride, "window": max(stride, 20)})
    assert found.get("data.inputs.stride") == (
        None if better is None else Suggestion("data.inputs.stride", better, stride, found["data.inputs.stride"].reason)
    )


@pytest.mark.parametrize(("window", "better"), [(2, 40), (10, None), (80, None), (90, 40)])
def test_windows_of_signals(signals: Signals, window: int, better: int | None) -> None:
    found = signals.suggest(inputs={"window": window})
    assert (None if not found else found["data.inputs.window"].value) == better


def test_a_window_that_changes_the_dimension(signals: Signals) -> None:
    found = signals.suggest(inputs={"window": 90}, model={"input_dims": 180})
    assert found["model.input_dims"].value is None


def test_strides_of_which_one_sees_every_action(tmp_path: Path) -> None:
    """Of 33 actions one is much shorter than the others: the stride is made as short as it takes for that one."""
    signals = Signals(tmp_path, [1.6] * 32 + [0.12])
    config = signals.config()
    inputs = Inputs(open_features(tmp_path), config.data.inputs)
    found = signals.suggest()
    assert list(found) == ["data.inputs.stride"]
    assert found["data.inputs.stride"].value == 7
    better = suggested(config, list(found.values()))
    better_inputs = Inputs(open_features(tmp_path), better.data.inputs)
    for of, missing in ((inputs, 3), (better_inputs, 0)):
        rows = [of.grid(v).to_grid(v.segments) for v in signals.annotations]
        moments = pyramid_of(config).moments(of.length(signals.annotations["x"]))
        assert sum(uncovered(r, of.length(signals.annotations["x"]), moments, 1.5).sum() for r in rows) == missing


def test_actions_that_no_such_stride_sees(tmp_path: Path) -> None:
    signals = Signals(tmp_path, [1.6] * 32 + [0.01])
    assert list(signals.suggest()) == ["training.target.every_instance"]
    assert signals.suggest(training={"target": {"every_instance": True}}) == {}


def test_levels_ranges_and_windows_that_belong_together(tmp_path: Path) -> None:
    signals = Signals(tmp_path, [2.0] * 20 + [120.0, 130.0], seconds=400)
    ranges = [[0, 4], [4, 8], [8, 1000]]
    model = {"downsampling_blocks": 2, "window": [9, 9, 5], "regression_ranges": ranges}
    found = signals.suggest(model=model)
    assert found["model.downsampling_blocks"].value == 7
    assert found["model.regression_ranges"].value == "overlapping"
    assert found["model.window"].value == 9
    config = suggested(signals.config(model=model), list(found.values()))
    assert pyramid_of(config).usual_longest > 650  # clips


def test_crops(signals: Signals) -> None:
    assert signals.suggest(training={"crop": {"max_length": 25}})["training.crop.max_length"].value == 2304
    assert signals.suggest(training={"crop": {"max_length": 9000}})["training.crop.max_length"].value == 2304
    assert signals.suggest(training={"crop": {"max_length": 400}}) == {}


def test_features_that_are_finer_than_they_have_to_be(signals: Signals) -> None:
    inputs = {"kind": "features", "stride": 1, "window": 1}
    assert signals.suggest(inputs=inputs)["data.inputs.downsample"].value == 10
    assert signals.suggest(inputs=inputs | {"downsample": 10}) == {}
    assert signals.suggest(inputs=inputs | {"downsample": 50})["data.inputs.downsample"].value == 10


def test_what_nobody_has_set_is_planned(signals: Signals) -> None:
    found = signals.suggest(stated={"model.width"}, model={"width": 64})
    assert "model.width" not in found
    assert found["training.optimiser.learning_rate"].value == 1e-3
    assert signals.suggest(model={"width": 64}) == {}


def test_stated_keys() -> None:
    values = {"model": {"width": 3, "window": [1, 2]}, "data": {"inputs": {"stride": 3}}, "training": {}}
    assert stated_keys(values) == {"model.width", "model.window", "data.inputs.stride", "training"}


def test_a_file_with_all_that_is_suggested(tmp_path: Path) -> None:
    config = experiment(tmp_path, model={"downsampling_blocks": 1})
    data = open_data(config.data)
    assert data.train is not None
    suggestions = suggest(config, data.train, data.inputs, frozenset())
    text = suggested_yaml(config, suggestions, "that one", {"training.batch_size"})
    (tmp_path / "new.yaml").write_text(text)
    assert load_config(str(tmp_path / "new.yaml")) == suggested(config, suggestions)
    assert "batch_size" in text
    for each in suggestions:
        assert " ".join(each.reason.split()[:5]) in text
    assert suggest(suggested(config, suggestions), data.train, data.inputs) == ()  # no more to suggest
    assert {each.key for each in suggestions} >= set(GEOMETRY) - {"training.crop.max_length"}


def test_a_file_without_suggestions(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    text = suggested_yaml(config, (), "that one", ())
    (tmp_path / "new.yaml").write_text(text)
    assert dump(load_config(str(tmp_path / "new.yaml"))) == dump(suggested(config, ()))
    assert "as in that one" in text
    assert yaml.safe_load(text)["model"]["width"] == 16


def test_nothing_is_suggested_without_features(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    inputs = open_data(config.data).inputs
    others = make_videos({"other": 3})
    assert suggest(config, others, inputs) == ()


def test_a_plan_fits_its_own_data() -> None:
    """What the recipe of the recordings that ship with the package says is left as it is."""
    config = load_config("timed_up_and_go")
    checked = check_experiment(config)
    assert checked.report.findings == ()
    assert checked.train is not None
    assert checked.inputs is not None
    assert suggest(config, checked.train, checked.inputs) == ()


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_signals_in_units_of_another_size(signals: Signals, factor: float) -> None:
    for path in signals.folder.glob("*.npy"):
        np.save(path, np.load(path) * [1, factor])
    found = signals.suggest(stated=set())
    assert found["data.inputs.normalise"].value == "standard"
    smallest, largest = re.findall(r"[\d.]+", found["data.inputs.normalise"].reason)
    assert (float(smallest), float(largest)) == pytest.approx((min(1, factor), max(1, factor)), rel=0.05)
    config = suggested(signals.config(), list(found.values()))
    assert config.data.inputs.unfitted
    for said in ({"normalise": "standard"}, {"scale": [1, 1]}, {"offset": [0, 0]}):
        assert "data.inputs.normalise" not in signals.suggest(set(), inputs=said)
    assert "data.inputs.normalise" not in signals.suggest(stated={"data.inputs.normalise"})


def test_channels_that_are_zero_say_nothing_of_units(signals: Signals) -> None:
    for path in signals.folder.glob("*.npy"):
        np.save(path, np.load(path) * [1, 0])
    assert "data.inputs.normalise" not in signals.suggest(stated=set())
    for path in signals.folder.glob("*.npy"):
        np.save(path, np.load(path) * 0)
    assert "data.inputs.normalise" not in signals.suggest(stated=set())
