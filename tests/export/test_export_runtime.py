from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from small_models import SMALL, make, moved
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.decode import decode as decode_in_torch
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.export import runtime
from untrimmed.export.folder import export_onnx
from untrimmed.export.script import detect_script
from untrimmed.model.moments import level_lengths
from untrimmed.settings import dump

SIGNALS = InputConfig(kind="signals", stride=2, window=3, rate=5, channels=(1, 0), offset=(0.5, -1), scale=(2, 3))


def features(length: int, dimension: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, length]).normal(size=(length, dimension)).astype(np.float32)


def exported(localizer: Localizer, folder: Path) -> runtime.Detector:
    export_onnx(localizer, folder, lengths=(3,))
    return runtime.Detector(folder, threads=1)


CASES: list[tuple[InputConfig, dict[str, Any], dict[str, Any]]] = [
    (InputConfig(stride=4, window=16, rate=10), {}, {}),
    (InputConfig(stride=4, window=16, rate=10, downsample=3), {"candidates": "argmax"}, {"window": None}),
    (InputConfig(stride=4, window=16, resample=30), {"suppression": "hard", "tiou": 0.3}, {}),
    (InputConfig(stride=4, window=16, rate=30), {"per_class": False, "voting_tiou": 0.6}, {"neck": "top_down"}),
    (InputConfig(stride=4, window=16, rate=30), {"suppression": "none", "candidates_per_level": 7}, {}),
    (InputConfig(stride=4, window=16, rate=30), {}, {"padding": "official", "base_length": 20}),
    (SIGNALS, {"score_threshold": 0.3}, {}),
]


@pytest.mark.parametrize(("inputs", "detection", "model"), CASES, ids=range(len(CASES)))
def test_finds_what_a_localizer_finds(
    inputs: InputConfig, detection: dict[str, Any], model: dict[str, Any], tmp_path: Path
) -> None:
    localizer = make(inputs, DetectionConfig(**{"max_detections": 20} | detection), **model)
    detector = exported(localizer, tmp_path / "exported")
    same = Localizer.load(tmp_path / "exported")
    for length in (3, 21, 90):
        array = features(length, dimension=2 if inputs.kind == "signals" else 6)
        rate = None if inputs.rate else 25.0
        expected = localizer.detect(array, rate=rate, duration=30)
        found = detector.detect(array, rate=rate, duration=30)
        assert len(expected)
        for ours in (found, list(same.detect(array, rate=rate, duration=30))):
            assert [each.label for each in ours] == [each.label for each in expected]
            values = [[(each.start, each.end, each.score) for each in some] for some in (ours, expected)]
            np.testing.assert_allclose(*values, rtol=0, atol=1e-3)
    without = [(each.start, each.end) for each in detector.detect(array, rate=rate)]
    np.testing.assert_allclose(without, localizer.detect(array, rate=rate).segments, atol=1e-3)


numbers = st.integers(1, 4)


@given(st.integers(3, 40), numbers, st.one_of(st.none(), st.integers(1, 50)))
def test_features_are_made_as_a_model_makes_them(rows: int, downsample: int, resample: int | None) -> None:
    inputs = InputConfig(stride=4, window=9, rate=25, downsample=downsample, resample=resample)
    array = features(rows).astype(np.float64)
    np.testing.assert_array_equal(runtime.features_of(array, dump(inputs), "it"), inputs.features(array))
    assert runtime.time_grid_of(dump(inputs), rows, None, "it") == inputs.grid(None, rows)


@given(st.integers(5, 40), numbers, st.integers(1, 5), st.sampled_from([None, (0,), (2, 0), ("a", "b", "c")]))
def test_windows_are_cut_as_a_model_cuts_them(rows: int, stride: int, window: int, channels: Any) -> None:
    count = 3 if channels is None else len(channels)
    inputs = InputConfig(
        kind="signals",
        stride=stride,
        window=window,
        rate=9,
        channels=channels,
        offset=(1.5,) * count,
        scale=(3,) * count,
    )
    array = features(rows, 3)
    np.testing.assert_array_equal(runtime.features_of(array, dump(inputs), "it"), inputs.features(array))


@given(
    st.integers(1, 40),
    st.integers(0, 2**20),
    st.sampled_from(["every", "argmax"]),
    st.integers(1, 30),
    st.sampled_from([0.0, 0.3, 0.9]),
)
def test_candidates_are_those_of_the_model(length: int, seed: int, kind: Any, most: int, threshold: float) -> None:
    config = DetectionConfig(candidates=kind, candidates_per_level=most, score_threshold=threshold)
    model = moved(SMALL, seed % 3)
    with torch.inference_mode():
        clips = torch.from_numpy(features(length, seed=seed))[None]
        predictions = model(clips, torch.arange(length)[None] < max(1, length - seed % 4))
        (expected,) = decode_in_torch(predictions, level_lengths(length, model.config.strides), config).to_host()
    logits, offsets, valid = predictions.logits[0], predictions.offsets[0], predictions.valid[0]
    arrays = (each.numpy() for each in (logits, offsets, predictions.moments, valid))
    found = runtime.decode(*arrays, config)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
    np.testing.assert_allclose(found.segments, expected.segments, rtol=1e-6)


# What it refuses


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 5), np.float32), "it: has 5 dimensions, but the model takes 6"),
        (np.zeros((0, 6), np.float32), r"it: is \[0, 6\] of float32"),
        (np.zeros(6, np.float32), r"it: is \[6\] of float32"),
        (np.full((4, 6), "a"), "numbers are expected"),
        (np.full((4, 6), np.nan, np.float32), "it: holds numbers that are not finite"),
    ],
)
def test_bad_arrays(array: np.ndarray, reason: str, detector: runtime.Detector) -> None:
    with pytest.raises(FeatureError, match=reason):
        detector.detect(array, name="it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "exported"
    export_onnx(make(), path, lengths=(3,))
    return path


@pytest.fixture(scope="module")
def detector(folder: Path) -> runtime.Detector:
    return runtime.Detector(folder, threads=1)


def test_numbers_that_float32_cannot_hold(detector: runtime.Detector) -> None:
    with pytest.raises(FeatureError, match="too large for float32"):
        detector.detect(np.full((5, 6), 1e60))


def test_bad_signals() -> None:
    inputs = dump(SIGNALS)
    with pytest.raises(FeatureError, match=r"it: is \[2, 2\], but .* at least 3 samples, and the channels 1, 0"):
        runtime.features_of(features(2, 2), inputs, "it")
    with pytest.raises(FeatureError, match=r"it: is \[9, 1\]"):
        runtime.features_of(features(9, 1), inputs, "it")
    with pytest.raises(FeatureError, match="it: has 3 channels, but the model takes 2"):
        runtime.features_of(features(9, 3), inputs | {"channels": None}, "it")


def test_a_grid_that_is_not_known() -> None:
    with pytest.raises(ConfigError, match=r"it: the rate of its frames is not known"):
        runtime.time_grid_of(dump(InputConfig(stride=4, window=16)), 9, None, "it")
    with pytest.raises(ConfigError, match=r"it: the stride and the window of its frames"):
        runtime.time_grid_of(dump(InputConfig(rate=4)), 9, None, "it")


def test_no_exported_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no config\.json; give the folder that"):
        runtime.Detector(tmp_path)


def test_damaged_folders(folder: Path, tmp_path: Path) -> None:
    for name, reason in (("config.json", "is not JSON"), ("model.onnx", "cannot be opened by onnxruntime")):
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / name).write_text("{")
        with pytest.raises(ConfigError, match=reason):
            runtime.Detector(tmp_path / name)


def test_a_bad_duration(detector: runtime.Detector) -> None:
    for duration in (0, -1, float("nan")):
        with pytest.raises(FeatureError, match="it: its duration is"):
            detector.detect(features(9), duration=duration, name="it")


def test_without_onnxruntime(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match="pip install onnxruntime"):
        runtime.Detector(folder)


# The program in the folder

WITHOUT_THE_PACKAGE = """
import sys
class Absent:
    def find_spec(self, name, *_):
        if name.split(".")[0] not in {*sys.stdlib_module_names, "numpy", "onnxruntime", "_numpy"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
sys.argv = sys.argv[1:]
import runpy
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def program(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run it where there is nothing but onnxruntime and numpy."""
    command = [sys.executable, "-c", WITHOUT_THE_PACKAGE, folder / "detect.py", *words, "--threads", "1"]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_the_program_finds_the_same_without_the_package(folder: Path, tmp_path: Path) -> None:
    for i in range(2):
        np.save(tmp_path / f"video {i}.npy", features(40 + i))
    files = sorted(tmp_path.glob("*.npy"))
    expected = {file.stem: list(make().detect(file)) for file in files}
    done = program(folder, *files, "--json", "--min-score", "0")
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert found.keys() == expected.keys()
    for name, actions in expected.items():
        assert [each["label"] for each in found[name]] == [each.label for each in actions]
        for one, other in zip(found[name], actions, strict=True):
            assert one == pytest.approx(asdict(other), abs=1e-3)


def test_the_program_prints_csv_and_one_line_of_error(folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", features(40))
    done = program(folder, tmp_path / "a.npy", "--min-score", "0.9")
    rows = list(csv.DictReader(done.stdout.splitlines()))
    expected = make().detect(features(40)).above(0.9)
    assert [row["label"] for row in rows] == [each.label for each in expected]
    assert float(rows[0]["start"]) == pytest.approx(expected[0].start, abs=1e-3)
    bad = program(folder, tmp_path / "b.npy")
    assert (bad.returncode, bad.stdout) == (1, "")
    assert bad.stderr == f"detect.py: {tmp_path / 'b.npy'}: cannot be read as .npy (No such file or directory)\n"


def test_the_program_tells_recordings_apart(folder: Path, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "x.npy", np.zeros((5, 6), np.float32))
    words = [str(tmp_path / "a" / "x.npy"), str(tmp_path / "b" / "x.npy"), "--model", str(folder)]
    with pytest.raises(SystemExit, match=r"a/x\.npy and .*b/x\.npy are both called 'x' here"):
        runtime.main(words)


def test_the_program_is_of_our_modules() -> None:
    text = detect_script()
    assert "from untrimmed" not in text
    assert "import untrimmed" not in text
    assert "geometry." not in text
    assert text.count("from __future__") == 1
    assert "\nDetectionConfig = Any" in text  # which the modules name
    for line in Path(runtime.__file__).read_text().split("Floats = ", 1)[1].splitlines():
        assert line in text


def test_the_module_is_a_program_too(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "a.npy", features(40))
    runtime.main([str(tmp_path / "a.npy"), "--model", str(folder), "--threads", "1"])
    assert capsys.readouterr().out.startswith("recording,start,end,label,score\na,")
    (tmp_path / "c.npy").write_text("no array")
    with pytest.raises(SystemExit, match=r"c\.npy: cannot be read as \.npy"):
        runtime.main([str(tmp_path / "c.npy"), "--model", str(folder), "--threads", "1"])
