"""Tables of two sensors, from `check` and `train` to `detect`, as a user types it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from command_line import Outcome, refused, run

from synthetic import TINY
from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.formats.activitynet import write_annotations
from untrimmed.detection.localizer import Localizer

SECONDS = 12.0
STREAMS = {"acceleration": 50, "rotation": 100}


def samples(name: str, instances: tuple[Instance, ...], rate: float) -> dict[str, np.ndarray]:
    """Three columns of a sensor: noise, and more of it while something happens; and their jittered times."""
    random = np.random.default_rng([*name.encode()])
    count = round(SECONDS * rate)
    times = np.sort(np.arange(count) / rate + random.uniform(-0.2, 0.2, count) / rate).clip(min=0)
    loud = 1 + 3.0 * np.any([(times > each.start) & (times < each.end) for each in instances] or [times < 0], axis=0)
    return {"time": times, "x": 100 + 20 * loud * random.normal(size=count), "y": loud, "z": np.full(count, 9.81)}


def write(path: Path, columns: dict[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, np.column_stack(list(columns.values())), delimiter=",", header=",".join(columns), comments="")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of two streams of tables, its configuration, and a run on it."""
    folder = tmp_path_factory.mktemp("signals")
    videos = {}
    for number in range(6):
        name, start = f"v{number}", 2.0 + number / 2
        instances = (Instance(start, start + 3, "shake"),)
        videos[name] = Video(name, SECONDS, "test" if number > 3 else "train", instances=instances)
        for stream, rate in STREAMS.items():
            write(folder / stream / f"{name}.csv", samples(name, instances, rate))
    write_annotations(Annotations(videos, ("shake",)), folder / "annotations.json")
    inputs = {"kind": "signals", "stride": 10, "window": 25, "rate": 50, "normalise": "standard"}
    config: dict[str, Any] = {
        "data": {
            "annotations": "annotations.json",
            "features": list(STREAMS),
            "train": ["train"],
            "validate": ["test"],
            "inputs": inputs,
        },
        "model": TINY,
        "training": {"epochs": 2, "warmup_epochs": 1, "batch_size": 2, "precision": "fp32", "accelerator": "cpu"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    outcome = run("train", folder / "config.yaml", "--out", folder / "run")
    assert outcome.code == 0, outcome.err
    return folder


def found(outcome: Outcome) -> list[tuple[float, float, float]]:
    assert outcome.code == 0, outcome.err
    (detections,) = outcome.json.values()
    return [(one["start"], one["end"], one["score"]) for one in detections]


def test_the_model_keeps_what_training_found(place: Path) -> None:
    inputs = yaml.safe_load((place / "run" / "config.yaml").read_text())["inputs"]
    assert inputs["channels"] == [f"{stream}.{channel}" for stream in STREAMS for channel in "xyz"]
    assert inputs["stream_names"] == list(STREAMS)
    assert 95 < inputs["offset"][0] < 105
    assert inputs["scale"][2] == 1  # it is constant
    model = Localizer.load(place / "run")
    assert model.inputs.offset is not None
    assert model.model.config.input_dim == 6 * 25


def test_check_and_evaluate_and_resume(place: Path) -> None:
    outcome = run("check", place / "config.yaml")
    assert outcome.code == 0, outcome.out
    before = (place / "run" / "config.yaml").read_bytes()
    assert run("evaluate", place / "run", "--json").code == 0
    again = run("train", place / "config.yaml", "--out", place / "run", "--resume")
    assert again.code == 0, again.err
    assert (place / "run" / "config.yaml").read_bytes() == before


def test_detect_in_streams(place: Path, tmp_path: Path) -> None:
    new = Video("new", SECONDS, "new", instances=(Instance(3, 6, "shake"),))
    for stream, rate in STREAMS.items():
        columns = samples("new", new.instances, rate)
        write(tmp_path / "plain" / stream / "new.csv", columns)
        turned = {name: columns[name] for name in ("z", "time", "y", "x")} | {"more": columns["x"]}
        write(tmp_path / "turned" / stream / "new.csv", turned)
    plain = found(run("detect", place / "run", tmp_path / "plain", "--json", "--min-score", "0"))
    assert plain
    assert found(run("detect", place / "run", tmp_path / "turned", "--json", "--min-score", "0")) == plain


def test_detect_in_one_table(place: Path, tmp_path: Path) -> None:
    instances = (Instance(3, 6, "shake"),)
    table = {"time_ms": samples("acceleration", instances, 50)["time"] * 1000}
    for stream in STREAMS:
        columns = samples(stream, instances, 50)
        table |= {f"{stream}.{name}": columns[name] for name in "xyz"}
    write(tmp_path / "one" / "new.csv", table)
    write(tmp_path / "turned" / "new.csv", dict(reversed(table.items())))
    plain = found(run("detect", place / "run", tmp_path / "one" / "new.csv", "--json", "--min-score", "0"))
    assert plain
    for path in (tmp_path / "turned" / "new.csv", tmp_path / "turned"):
        assert found(run("detect", place / "run", path, "--json", "--min-score", "0")) == plain
    del table["rotation.y"]
    write(tmp_path / "less.csv", table)
    message = refused("detect", place / "run", tmp_path / "less.csv", code=1)
    assert "less.csv: video 'less': there is no channel 'rotation.y', but 'acceleration.x', " in message


def test_an_array_is_on_the_grid(place: Path, tmp_path: Path) -> None:
    """Of an array, the columns are the channels of the model, in their order and at its rate."""
    signals = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    names = [f"{stream}.{name}" for stream in STREAMS for name in "xyz"]
    write(tmp_path / "a.csv", dict(zip(names, signals.T, strict=True)))
    np.save(tmp_path / "b.npy", signals)
    localizer = Localizer.load(place / "run")
    expected = [(one.start, one.end, one.score) for one in localizer.detect(signals)][:5]
    for path in (tmp_path / "a.csv", tmp_path / "b.npy"):
        assert found(run("detect", place / "run", path, "--json", "--min-score", "0", "--top", "5")) == expected
        assert [(one.start, one.end, one.score) for one in localizer.detect(path)][:5] == expected


def test_what_cannot_be_used(place: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a").mkdir()
    write(tmp_path / "videos" / "a" / "new.csv", samples("new", (), 50))
    message = refused("detect", place / "run", tmp_path / "videos", code=2)
    assert "holds no files; the model is of the streams acceleration, rotation, so a folder for each" in message
    message = refused("train", place / "config.yaml", "--out", tmp_path / "run", "--data.inputs.rate", "null", code=2)
    assert "inputs.rate is not set" in message
    assert "there are about 5" in message
    assert not (tmp_path / "run").exists()
