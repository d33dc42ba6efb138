from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import refused, run

from small_models import make


@pytest.fixture
def model(tmp_path: Path) -> Path:
    make().save(tmp_path / "model")
    return tmp_path / "model"


def features(length: int) -> np.ndarray:
    return np.random.default_rng(length).normal(size=(length, 6)).astype(np.float32)


def test_export_and_detect(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    outcome = run("export", model, "--onnx", "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{out}: 0.1 MB, fp32; largest differences from {model}\n")
    assert "1000" in outcome.out
    np.save(tmp_path / "a.npy", features(40))
    tables = []
    for folder in (model, out):
        assert run("detect", folder, tmp_path / "a.npy", "--out", tmp_path / "found.csv").code == 0
        tables.append(list(csv.DictReader((tmp_path / "found.csv").read_text().splitlines())))
    assert len(tables[0]) == len(tables[1]) > 5
    for ours, theirs in zip(*tables, strict=True):
        assert ours["label"] == theirs["label"]
        for key in ("start", "end", "score"):
            assert float(ours[key]) == pytest.approx(float(theirs[key]), abs=2e-3)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_json(precision: str, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    outcome = run("export", model, "--onnx", "--precision", precision, "--out", out, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    told = outcome.json
    assert (told["folder"], told["precision"]) == (str(out), precision)
    assert told["bytes"] == (out / "model.onnx").stat().st_size
    assert [each["length"] for each in told["differences"]] == [1, 2, 3, 5, 17, 100, 1000]


def test_evaluate_takes_either(model: Path, tmp_path: Path) -> None:
    assert run("export", model, "--onnx", "--out", tmp_path / "exported").code == 0
    (tmp_path / "features").mkdir()
    np.save(tmp_path / "features" / "a.npy", features(60))
    instances = [{"label": label, "segment": [i, i + 4]} for i, label in enumerate(("jump", "run", "walk"))]
    video = {"duration": 30, "subset": "test", "annotations": instances}
    (tmp_path / "truth.json").write_text(json.dumps({"database": {"a": video}}))
    scores = []
    for folder in (model, tmp_path / "exported"):
        words = ["--annotations", tmp_path / "truth.json", "--features", tmp_path / "features", "--json"]
        outcome = run("evaluate", folder, *words)
        assert (outcome.code, outcome.err) == (0, "")
        scores.append(outcome.json)
    assert {**scores[0], "detections": None} | {"model": 0} == {**scores[1], "detections": None} | {"model": 0}


def test_refusals(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    assert refused("export", model, "--out", out, code=2).startswith("--onnx is missing: ")
    assert refused("export", model, "--onnx", "--out", model, code=2).startswith(f"{model}: holds a model already")
    assert refused("export", tmp_path / "no", "--onnx", "--out", out, code=1).startswith(
        f"{tmp_path / 'no'}: is not there"
    )
    assert not out.exists()
    assert run("export", model, "--onnx", "--out", out).code == 0
    again = refused("export", out, "--onnx", "--out", tmp_path / "again", code=1)
    assert again == "the model is an exported one; export the model folder that it was made of"
    np.save(tmp_path / "a.npy", features(40))
    for words in (["--precision", "bf16"], ["--max-memory", "3GB"]):
        assert "exported model" in refused("detect", out, tmp_path / "a.npy", *words, code=2)
    assert "is not calibrated" in refused("detect", out, tmp_path / "a.npy", "--confident", code=1)


def test_a_file_in_the_way(model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refused("export", model, "--onnx", "--out", tmp_path / "file", code=1).startswith(str(tmp_path / "file"))


def test_an_exported_model_is_not_calibrated(model: Path, tmp_path: Path) -> None:
    assert run("export", model, "--onnx", "--out", tmp_path / "exported").code == 0
    assert "calibrate the model folder that it was made of" in refused("calibrate", tmp_path / "exported", code=1)
