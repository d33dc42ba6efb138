"""`untrimmed check` on the recordings that ship with the package, and on a copy of them with faults of many kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from command_line import Outcome, run

from untrimmed.experiment.config import load_config

RANGES = [[0, 4], [2, 8], [4, 16], [8, 32], [16, 36], [18, 40]]
"""As in the recipe but for the last two, which end early enough for an action to be longer: twice 40 clips are 8 s."""


class DataSet:
    """A copy of the recordings, one file each, which faults are planted into."""

    def __init__(self, folder: Path) -> None:
        data = load_config("timed_up_and_go").data
        assert data.annotations is not None
        self.folder = folder
        self.content: dict[str, Any] = json.loads(data.annotations.read_text())
        (folder / "signals").mkdir()
        with np.load(data.streams[0]) as arrays:
            for name in arrays.files:
                np.save(folder / "signals" / f"{name}.npy", arrays[name])
        self.describe(dimension=6, rate=50)
        self.of_subset: dict[str, list[str]] = {}
        for name, entry in self.content["database"].items():
            self.of_subset.setdefault(entry["subset"], []).append(name)
            for item in entry["annotations"]:
                item.pop("label_id")  # which labels that are planted would need too
        self.settings: dict[str, Any] = {
            "data": {
                "annotations": "annotations.json",
                "features": "signals",
                "train": ["fold1", "fold2", "fold3"],
                "validate": ["fold0"],
                "inputs": {"kind": "signals", "stride": 5, "window": 25, "rate": 50, "scale": [5, 5, 5, 1, 1, 1]},
            },
            "model": {"width": 128, "window": 9, "regression_ranges": RANGES},
            "training": {"crop": {}},
        }

    def describe(self, **values: Any) -> None:
        (self.folder / "signals" / "features.json").write_text(json.dumps(values))

    def array(self, video: str) -> Any:
        return np.load(self.folder / "signals" / f"{video}.npy")

    def save(self, video: str, array: Any) -> None:
        np.save(self.folder / "signals" / f"{video}.npy", array)

    def entry(self, video: str) -> dict[str, Any]:
        return self.content["database"][video]

    def add(self, video: str, label: str, start: float, end: float) -> None:
        self.entry(video)["annotations"].append({"label": label, "segment": [start, end]})

    def check(self, *words: object) -> Outcome:
        (self.folder / "annotations.json").write_text(json.dumps(self.content))
        (self.folder / "tug.yaml").write_text(yaml.safe_dump(self.settings))
        return run("check", self.folder / "tug.yaml", *words)


def plant(data: DataSet) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Plant a fault of each kind; return the severity, what is said of it, and the names that have to be named."""
    train, scored = iter(data.of_subset["fold1"] + data.of_subset["fold2"]), iter(data.of_subset["fold0"])
    signals = data.folder / "signals"
    faults: dict[str, tuple[str, str, tuple[str, ...]]] = {}

    def fault(kind: str, severity: str, said: str, *names: str) -> None:
        faults[kind] = (severity, said, names)

    # Features
    fault("missing features", "error", "videos without features: ", video := next(train))
    (signals / f"{video}.npy").unlink()
    fault("unreadable features", "error", "the file is cut short", video := next(train))
    (signals / f"{video}.npy").write_bytes((signals / f"{video}.npy").read_bytes()[:200])
    fault("values that are not finite", "error", "values are NaN or infinite", video := next(train))
    array = data.array(video)
    array[3, 2] = np.nan
    data.save(video, array)
    fault("another dimension", "error", "the signals have 5 channels", video := next(train))
    data.save(video, data.array(video)[:, :5])
    data.describe(dimension=7, rate=50)
    fault("features.json contradicted", "error", "dimension is 7 there, but arrays of", "features.json")
    fault("features that end early", "warning", "end more than a window and a stride before or after", v := next(train))
    data.save(v, data.array(v)[:-60])
    fault("features of a part of the video", "error", "end before half", video := next(train))
    data.save(video, data.array(video)[:200])
    fault("instances without features", "warning", "behind that of the last", video)
    fault("a recording twice", "warning", "scored on", one := next(train), other := next(scored))
    data.save(other, data.array(one))
    data.entry(other).update(duration=data.entry(one)["duration"], annotations=data.entry(one)["annotations"])
    fault("constant features", "warning", "the same numbers from beginning to end", video := next(train))
    data.save(video, 0 * data.array(video))

    # Subsets and videos
    data.settings["data"]["validate"] = ["fold0", "fodl4", "fold3"]
    fault("misspelt subset", "error", "no video is in subset 'fodl4'", "Did you mean 'fold4'")
    fault("videos in both splits", "warning", "in both: ", data.of_subset["fold3"][0])
    fault("video without instances", "warning", "without instances: ", video := next(train))
    data.entry(video)["annotations"] = []

    # Labels
    data.add(video := next(train), "Turning", 0.5, 1.5)
    fault("label of another case", "error", "differ only by case or spaces", "'Turning'", "'turning'", video)
    data.add(next(scored), "siting_down", 0.5, 1.5)
    fault("unknown label", "warning", "without a training instance", "'siting_down'", "'sitting_down'")
    for _ in range(6):
        data.add(next(train), "hopping", 0.5, 1.5)
    fault("label in training only", "warning", "so never scored", "'hopping'")
    data.add(next(train), "jumping", 0.5, 1.5)
    fault("few instances", "warning", "with fewer than 5 training instances", "'jumping' 1")

    # Segments
    data.add(video := next(train), "walking", 5, 3)
    fault("reversed segment", "error", "[5, 3]", video)
    data.add(video := next(train), "walking", 500, 503)
    fault("segment outside", "error", "outside the duration", "'walking' from 500 to 503 s", video)
    data.add(video := next(train), "walking", data.entry(video)["duration"] - 1, data.entry(video)["duration"] + 0.5)
    fault("segment over the end", "warning", "over the end of their video, by up to 0.5 s", video)
    action = data.entry(video := next(train))["annotations"][1]
    data.add(video, action["label"], *action["segment"])
    fault("instance twice", "error", "given more than once", video)
    action = data.entry(video := next(train))["annotations"][1]
    start, end = action["segment"]
    data.add(video, action["label"], start, end + 0.02 * (end - start))
    fault("instance almost twice", "warning", "almost the same as another one", video)
    action = data.entry(video := next(train))["annotations"][1]
    start, end = action["segment"]
    data.add(video, action["label"], start + 0.4 * (end - start), end + 0.4 * (end - start))
    fault("heavy overlap", "warning", "mostly upon another one", video)
    data.add(next(train), "turning", 4.02, 4.04)
    fault("instance between clips", "warning", "fall between clips, 0.1 s apart", "'turning' 1 of", "(0.02 s)")
    long = max(data.of_subset["fold2"][-12:], key=lambda name: data.entry(name)["duration"])
    data.add(long, "walking", 0.3, data.entry(long)["duration"] - 0.3)
    fault("instance longer than the coarsest range", "warning", "the end of the coarsest range", "'walking' 1 of")

    # Settings that do not fit
    data.settings["training"]["crop"] = {"max_length": 70}
    fault("crop shorter than an instance", "warning", "longer than a crop of 70 clips", "max_length")
    data.settings["model"]["window"] = 2001
    fault("window longer than the videos", "warning", "attention looks at 2001 moments", "--model.window")
    return faults


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, tuple[str, str, tuple[str, ...]]], Any]:
    data = DataSet(tmp_path_factory.mktemp("planted"))
    faults = plant(data)
    outcome = data.check("--json")
    assert outcome.code == 1
    return faults, outcome.json


def test_there_are_many_kinds(planted: tuple[Mapping[str, Any], Any]) -> None:
    assert len(planted[0]) >= 20


def test_every_planted_fault_is_found(planted: tuple[Mapping[str, tuple[str, str, tuple[str, ...]]], Any]) -> None:
    faults, report = planted
    unseen = {}
    for kind, (severity, said, names) in faults.items():
        texts = [f"{f['place']}: {f['message']} {f['videos']}" for f in report[f"{severity}s"]]
        if not any(said in text and all(name in text for name in names) for text in texts):
            unseen[kind] = [text for text in texts if said in text]
    assert not unseen


def test_nothing_else_is_found(planted: tuple[Mapping[str, tuple[str, str, tuple[str, ...]]], Any]) -> None:
    """Each finding is about a fault that was planted."""
    faults, report = planted
    for finding in (*report["errors"], *report["warnings"]):
        text = f"{finding['place']}: {finding['message']}"
        assert any(said in text for _, said, _ in faults.values()), text


def test_every_finding_is_one_line_with_a_way_out(planted: tuple[Any, Any]) -> None:
    for finding in (*planted[1]["errors"], *planted[1]["warnings"]):
        assert "\n" not in finding["message"]
        assert len(finding["message"]) > 40


def test_nothing_is_found_in_the_clean_copy(tmp_path: Path) -> None:
    outcome = DataSet(tmp_path).check()
    assert outcome.code == 0
    assert "0 errors, 0 warnings" in outcome.out.splitlines()


def test_nothing_is_found_under_the_recipe() -> None:
    outcome = run("check", "timed_up_and_go")
    assert (outcome.code, outcome.out.splitlines()[-1]) == (0, "0 errors, 0 warnings")


def test_recordings_of_another_rate_than_features_json_states(tmp_path: Path) -> None:
    data = DataSet(tmp_path)
    data.describe(dimension=6, rate=100)
    outcome = data.check("--json")
    assert outcome.code == 1
    (error,) = outcome.json["errors"]
    assert "typically they end at 0.497 of the duration. Correct inputs.stride or inputs.rate" in error["message"]
