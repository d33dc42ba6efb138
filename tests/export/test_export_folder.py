from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from small_models import LABELS, make
from untrimmed.data.detections import Detections
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.onnx_network import OnnxNetwork
from untrimmed.detection.recording import Recording
from untrimmed.errors import ConfigError, MissingExtraError, ModelError, UntrimmedError
from untrimmed.export import folder as folders
from untrimmed.export.checking import Difference, differences
from untrimmed.export.folder import export_onnx, onnx_file
from untrimmed.export.network import to_onnx
from untrimmed.export.script import detect_script


def random_features(length: int) -> np.ndarray:
    return np.random.default_rng(length).normal(size=(length, 6)).astype(np.float32)


def assert_close(found: Detections, expected: Detections) -> None:
    assert found.video_id == expected.video_id
    assert found.label_names == expected.label_names
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_allclose(found.segments, expected.segments, atol=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "exported"
    export_onnx(make(), path, lengths=(3,))
    return path


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copied"))


# Writing


def test_what_is_written(folder: Path, tmp_path: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "config.json", "detect.py"}
    assert (folder / "detect.py").read_text() == detect_script()
    assert Localizer.load(folder).config == make().config
    written = export_onnx(make(), tmp_path / "again", lengths=(1, 40))
    assert written.size == (tmp_path / "again" / "model.onnx").stat().st_size
    assert [each.length for each in written.differences] == [1, 40]
    assert max(each.relative for each in written.differences) < 1e-5
    for path in folder.iterdir():  # the same every time
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


@pytest.mark.parametrize("name", ["config.yaml", "model.safetensors", "model.onnx", "config.json"])
def test_a_model_is_not_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match=rf"holds a model already \({name}\); choose another --out"):
        export_onnx(make(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_form_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in (2e-4, float("inf")):
        made = [Difference(length, wrong, 0, wrong if length == 7 else 0) for length in (1, 7, 9)]
        monkeypatch.setattr(folders, "differences", lambda *_, made=made: made)
        with pytest.raises(ModelError, match=r"differs from the model by (2\.0e-04|inf) at a length of 7, .* 0\.0001"):
            export_onnx(make(), tmp_path / "exported")
        assert not (tmp_path / "exported").exists()
        export_onnx(make(), tmp_path / f"{wrong}", precision="fp16")  # which is known to differ


def test_differences_are_found() -> None:
    model, other = make().model, make().model
    with torch.no_grad():
        assert other.regression.output.bias is not None
        other.regression.output.bias += 0.25
        assert other.classification.output.bias is not None
        other.classification.output.bias[1] -= 0.5
    exported = OnnxNetwork(other.config, onnx_file(other))
    for found in differences(exported, model, (1, 30)):
        assert found.logits == pytest.approx(0.5, abs=1e-4)
        assert found.offsets > 0.05
        assert 0.1 < found.relative <= 0.501


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    localizer = make()
    with torch.no_grad():
        localizer.model.classification.output.weight[0, 0, 0] = float("nan")
    with pytest.raises(ModelError, match="Are the model's weights finite"):
        export_onnx(localizer, tmp_path / "exported")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_without_the_extra(package: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "onnx.helper", raising=False)
    with pytest.raises(MissingExtraError, match=rf"needs {package}, .* pip install 'untrimmed\[onnx\]'"):
        export_onnx(make(), tmp_path / "exported")
    assert not (tmp_path / "exported").exists()
    if package == "onnxruntime":
        with pytest.raises(MissingExtraError, match="an exported model needs onnxruntime"):
            Localizer.load(folder)


# Running


def test_a_localizer_runs_on_either(folder: Path, tmp_path: Path) -> None:
    ours, theirs = make(), Localizer.load(folder)
    np.save(tmp_path / "a file.npy", random_features(25))
    recordings = [
        random_features(40),
        str(tmp_path / "a file.npy"),
        Recording(random_features(38), id="with facts", duration=9.0),
        *(random_features(length) for length in (1, 2, 39, 41, 200)),
    ]
    expected = list(ours.detect_many(recordings))
    for found, wanted in zip(theirs.detect_many(recordings), expected, strict=True):
        assert_close(found, wanted)
    few = theirs.with_settings(max_detections=3).detect(random_features(40))
    assert_close(few, ours.with_settings(max_detections=3).detect(random_features(40)))
    for one, other in zip(theirs.level_scores(recordings[0]), ours.level_scores(recordings[0]), strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_array_equal(one.seconds, other.seconds)


def test_exports_are_told_apart(folder: Path, tmp_path: Path) -> None:
    assert Localizer.load(folder).fingerprint == Localizer.load(folder).fingerprint
    other = make()
    with torch.no_grad():
        other.model.classification.output.bias += 1
    export_onnx(other, tmp_path / "other", lengths=(3,))
    assert Localizer.load(tmp_path / "other").config == Localizer.load(folder).config
    assert Localizer.load(tmp_path / "other").fingerprint != Localizer.load(folder).fingerprint
    assert other.fingerprint != make().fingerprint == make().fingerprint


def test_a_long_recording_is_looked_at_in_parts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = make().detect(random_features(700))
    monkeypatch.setattr("untrimmed.detection.running.usual_chunk", lambda _: 256)
    lengths = []
    forward = OnnxNetwork.forward

    def watched(self: OnnxNetwork, features: torch.Tensor, valid: torch.Tensor | None = None) -> object:
        lengths.append(features.shape[1])
        return forward(self, features, valid)

    monkeypatch.setattr(OnnxNetwork, "forward", watched)
    assert_close(Localizer.load(folder).detect(random_features(700)), expected)
    assert len(lengths) > 2
    assert max(lengths) == 256


def test_auto_precision_is_that_of_the_file(folder: Path) -> None:
    localizer = Localizer.load(folder, device="cpu", precision="auto")
    assert_close(localizer.detect(random_features(40)), make().detect(random_features(40)))


def test_what_only_a_model_folder_can_do(folder: Path, tmp_path: Path) -> None:
    for settings, reason in (
        ({"precision": "bf16"}, "whose precision is that of the export"),
        ({"max_memory": 2**33}, "max_memory is for model folders"),
        ({"confident": True}, "which is not calibrated"),
        ({"device": "meta"}, "which runs on the CPU here, not on 'meta'"),
    ):
        with pytest.raises(UntrimmedError, match=reason):
            Localizer.load(folder, **settings)
    with pytest.raises(ConfigError, match="max_memory is for model folders"):
        replace(Localizer.load(folder), max_memory=2**33)
    with pytest.raises(ModelError, match="has no weights to save"):
        Localizer.load(folder).save(tmp_path / "saved")
    with pytest.raises(ModelError, match="is an exported one; export the model folder that it was made of"):
        export_onnx(Localizer.load(folder), tmp_path / "again")
    assert not list(tmp_path.iterdir())


# Damaged folders


def test_a_damaged_graph(copied: Path) -> None:
    content = (copied / "model.onnx").read_bytes()
    for damaged in (b"", b"no graph", content[: len(content) // 2]):
        (copied / "model.onnx").write_bytes(damaged)
        with pytest.raises(ModelError, match=r"model\.onnx: .*\. Export the model again") as caught:
            Localizer.load(copied)
        assert len(str(caught.value).splitlines()) == 1


def test_a_graph_of_something_else(copied: Path) -> None:
    graph = to_onnx(make().model)
    graph.graph.output[0].name = "scores"
    graph.graph.node[-4].output[0] = "scores"
    (copied / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match=r"model\.onnx: is not of a model that `untrimmed export` wrote"):
        Localizer.load(copied)


def test_files_of_different_exports(copied: Path) -> None:
    (copied / "model.onnx").write_bytes(onnx_file(make(input_dims=7).model))
    with pytest.raises(ModelError, match=r"takes 7 dimensions and knows 3 classes, but config\.json .* says 6 and 3"):
        Localizer.load(copied)


def test_bad_settings(copied: Path) -> None:
    path = copied / "config.json"
    config = json.loads(path.read_text())
    for text, reason in (
        ("{", "is not JSON"),
        ("[]", "it is \\[\\], but has to be a section"),
        (json.dumps(config | {"lables": 1}), "unknown key 'lables'; did you mean 'labels'"),
        (json.dumps(config | {"labels": [*LABELS, "more"]}), "labels names 4 classes, but model.num_classes is 3"),
    ):
        path.write_text(text)
        with pytest.raises(ModelError, match=reason):
            Localizer.load(copied)
    path.unlink()
    with pytest.raises(ModelError, match=r"has no config\.json beside model\.onnx"):
        Localizer.load(copied)
