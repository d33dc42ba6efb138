from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import files, refused, run

from pickle_bomb import Bomb
from synthetic import experiment
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.detection_files import read_detections, write_track
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Recording
from untrimmed.experiment.training import train


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a trained `model`."""
    folder = tmp_path_factory.mktemp("detect")
    train(experiment(folder / "data", {"training.epochs": 6, "data.validate": []}), folder / "model")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder, which may be spoilt."""
    return Path(shutil.copytree(made, tmp_path / "place"))


def video_ids(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "data" / "features").glob("*.npy"))


def test_one_file(made: Path) -> None:
    outcome = run("detect", made / "model", made / "data" / "features" / "test0.npy", "--min-score", "0", "--top", "3")
    assert (outcome.code, outcome.err) == (0, "")
    title, _, columns, _, *rows, _ = outcome.out.splitlines()
    assert title.startswith("test0: the best 3 of ")
    assert title.endswith(" detections, from a score of 0")
    assert [cell.strip() for cell in columns.strip("┃").split("┃")] == ["label", "start, s", "end, s", "score"]
    found = Localizer.load(made / "model").detect(made / "data" / "features" / "test0.npy")
    assert [[cell.strip() for cell in row.strip("│").split("│")] for row in rows] == [
        [d.label, f"{d.start:.2f}", f"{d.end:.2f}", f"{d.score:.2f}"] for d in found[:3]
    ]


def test_outside_class_scores_replace_the_labels(made: Path, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(json.dumps({"class": ["x", "y"], "results": {"test0": [0.25, 0]}}))
    file = made / "data" / "features" / "test0.npy"
    own = run("detect", made / "model", file, "--min-score", "0", "--json").json["test0"]
    options = ["--class-scores", tmp_path / "scores.json", "--top-classes", "1", "--min-score", "0", "--json"]
    fused = run("detect", made / "model", file, *options).json["test0"]
    assert {each["label"] for each in fused} == {"x"}
    np.testing.assert_allclose([f["score"] for f in fused], [0.5 * o["score"] ** 0.5 for o in own])
    assert [f["start"] for f in fused] == [o["start"] for o in own]


def test_a_folder(made: Path) -> None:
    outcome = run("detect", made / "model", made / "data" / "features", "--min-score", "0", "--top", "1", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert list(outcome.json) == video_ids(made)
    localizer = Localizer.load(made / "model")
    for name, detections in outcome.json.items():
        (best,) = detections
        assert best.keys() == {"start", "end", "label", "score"}
        expected = localizer.detect(made / "data" / "features" / f"{name}.npy")[0]
        assert best["label"] == expected.label
        assert best["score"] == pytest.approx(expected.score, abs=1e-5)
        assert best["start"] == pytest.approx(expected.start, abs=1e-3)


def test_with_little_memory_the_same_is_found(made: Path) -> None:
    words = ["detect", made / "model", made / "data" / "features" / "test0.npy", "--min-score", "0", "--json"]
    expected, found = (run(*words, *more).json["test0"] for more in ([], ["--max-memory", "0.5 GB"]))
    assert [one["label"] for one in found] == [one["label"] for one in expected]
    np.testing.assert_allclose([one["start"] for one in found], [one["start"] for one in expected], atol=1e-3)
    message = refused(*words, "--max-memory", "1MB", code=2)
    assert message.startswith("max_memory is 1,000,000 bytes, but this model needs ")
    message = refused(*words, "--max-memory", "little", code=2)
    assert message.startswith("--max-memory is 'little', but has to be a size such as 1.5GB, ")


def test_some_of_a_folder(made: Path) -> None:
    words = ["--json", "--min-score", "0.1"]
    outcome = run("detect", made / "model", made / "data" / "features", "test1", "train0", "test1", *words)
    assert list(outcome.json) == ["test1", "train0"]
    assert all(d["score"] >= 0.1 for detections in outcome.json.values() for d in detections)


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".pt", ".safetensors"])
def test_an_archive(made: Path, tmp_path: Path, suffix: str) -> None:
    arrays = {name: np.load(made / "data" / "features" / f"{name}.npy") for name in ("test0", "test1")}
    path = tmp_path / f"all{suffix}"
    if suffix == ".npz":
        np.savez(path, **arrays)
    elif suffix == ".h5":
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    elif suffix == ".pt":
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    else:
        from safetensors.numpy import save_file

        save_file(arrays, path)
    outcome = run("detect", made / "model", path, "--json", "--min-score", "0")
    expected = run("detect", made / "model", made / "data" / "features", "test0", "test1", "--json", "--min-score", "0")
    assert outcome.json == expected.json
    assert list(run("detect", made / "model", path, "test1", "--json").json) == ["test1"]


@pytest.mark.parametrize("name", ["found.csv", "new/found.json", "found.csv.gz", "found.json.gz"])
def test_all_detections_in_a_file(made: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    words = ["detect", made / "model", made / "data" / "features", "test0", "test1"]
    assert run(*words, "--out", path, "--top", "1").code == 0
    found = read_detections(path, ["jump", "run"])
    assert list(found) == ["test0", "test1"]
    assert min(len(each) for each in found.values()) > 1
    everything = run(*words, "--json", "--min-score", "0", "--top", "100000").json
    assert {name: len(each) for name, each in found.items()} == {name: len(each) for name, each in everything.items()}


@pytest.mark.parametrize("suffix", ["vtt", "ass", "txt"])
def test_tracks_have_what_is_shown(made: Path, tmp_path: Path, suffix: str) -> None:
    everything = Localizer.load(made / "model").detect(made / "data" / "features" / "test0.npy")
    score = round(float(np.median(everything.scores)), 4)
    words = ["detect", made / "model", made / "data" / "features", "--min-score", score]
    assert run(*words, "test0", "test1", "--out", tmp_path / "t", "--format", suffix).code == 0
    assert run(*words, "test0", "--out", tmp_path / f"one.{suffix}").code == 0
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == [f"test0.{suffix}", f"test1.{suffix}"]
    write_track(everything.above(score), tmp_path / f"expected.{suffix}")
    expected = (tmp_path / f"expected.{suffix}").read_text()
    assert (tmp_path / f"one.{suffix}").read_text() == expected
    assert len(everything) > len(everything.above(score)) > 1
    lines = len((tmp_path / "t" / f"test0.{suffix}").read_text().splitlines())
    assert lines == len(expected.splitlines())  # among others it may be rounded otherwise


def test_a_recording_whose_name_is_no_file_name(made: Path, tmp_path: Path) -> None:
    features = np.load(made / "data" / "features" / "test0.npy")
    np.savez(tmp_path / "all.npz", **{"../up": features, "other": features})
    words = ["detect", made / "model", tmp_path / "all.npz"]
    line = refused(*words, "--out", tmp_path / "out", "--format", "vtt", code=2)
    assert "recording '../up' cannot have a file of this name. Write all to one, by --out FILE.json" in line
    assert run(*words, "--out", tmp_path / "found.json").code == 0


def test_features_of_another_extractor(place: Path) -> None:
    path = place / "model" / "config.yaml"
    path.write_text(path.read_text().replace("extractor: null", "extractor: {name: lab, fingerprint: f00d}"))
    words = ["detect", place / "model", place / "data" / "features"]
    assert run(*words).code == 0
    in_description(extractor="lab", fingerprint="beef")(place)
    assert "fingerprint is 'f00d' in the configuration, but 'beef' there" in refused(*words, code=2)


def test_columns_of_a_table(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    run("detect", made / "model", made / "data" / "features" / "test0.npy", "--out", path)
    with path.open() as file:
        assert next(csv.reader(file)) == ["video", "start", "end", "label", "score"]


def test_durations_of_annotations(place: Path) -> None:
    path = place / "data" / "annotations.json"
    content = json.loads(path.read_text())
    content["database"]["test0"]["duration"] = 7.5
    path.write_text(json.dumps(content))
    words = ["detect", place / "model", place / "data" / "features", "test0", "--min-score", "0", "--json"]
    assert max(d["end"] for d in run(*words).json["test0"]) > 7.5
    assert max(d["end"] for d in run(*words, "--annotations", path).json["test0"]) == 7.5


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_precision(made: Path, precision: str) -> None:
    words = ["detect", made / "model", made / "data" / "features" / "test0.npy", "--precision", precision]
    assert run(*words).code == 0


def test_nothing_scores_enough(made: Path) -> None:
    path = made / "data" / "features" / "test0.npy"
    outcome = run("detect", made / "model", path, "--min-score", "0.9999")
    count = len(Localizer.load(made / "model").detect(path))
    assert outcome.out == f"test0: none of {count} detections scores 0.9999 or more; see --min-score\n"
    assert run("detect", made / "model", path, "--min-score", "0.9999", "--json").json == {"test0": []}


# Bad input


def replaced(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    """Change the features of one recording."""

    def spoil(place: Path) -> None:
        path = place / "data" / "features" / "test1.npy"
        np.save(path, change(np.load(path)))

    return spoil


def in_description(**changes: Any) -> Callable[[Path], object]:
    def spoil(place: Path) -> None:
        path = place / "data" / "features" / "features.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def bomb(place: Path) -> None:
    array = np.array([Bomb(place / "trace")], dtype=object)
    np.save(place / "data" / "features" / "test1.npy", array, allow_pickle=True)


@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize(
    ("spoil", "code", "messages"),
    [
        (replaced(lambda x: x[:, :5]), 1, ["test1", "5 dimensions, but 8 are expected. Use features of the same"]),
        (replaced(lambda x: x.T), 1, ["test1", "8 are expected. They look stored as [D, T]: transpose them"]),
        (replaced(lambda x: x[:0]), 1, ["test1", "the array is empty, [0, 8]"]),
        (replaced(lambda x: x[0]), 1, ["test1", "the array has 1 axes, [8]"]),
        (bomb, 1, ["test1.npy", "holds pickled Python objects, which are never loaded"]),
        (in_description(stride=8), 2, ["features.json: stride is 4 in the configuration, but 8 there"]),
        (lambda place: (place / "model" / "config.yaml").unlink(), 1, ["model: has no config.yaml", "untrimmed train"]),
        (
            lambda place: (place / "model" / "model.safetensors").write_bytes(b"abc"),
            1,
            ["model.safetensors: cannot be read as safetensors", "Train or copy it again"],
        ),
    ],
)
def test_bad_input(place: Path, spoil: Callable[[Path], object], code: int, messages: list[str], whole: bool) -> None:
    spoil(place)
    before = files(place)
    path = place / "data" / "features"
    words = ["detect", place / "model", path if whole else path / "test1.npy", "--out", place / "found.csv"]
    line = refused(*words, code=code)
    assert all(message in line for message in messages), line
    assert files(place) == before  # neither detections nor the trace of a bomb


def test_a_recording_that_cannot_be_read_does_not_stop_the_others(place: Path) -> None:
    replaced(lambda x: x * np.nan)(place)
    features, ids = place / "data" / "features", video_ids(place)
    alone = refused("detect", place / "model", features / "test1.npy", code=1)
    assert "test1.npy" in alone
    assert "values are NaN or infinite" in alone
    (place / "all.csv").write_text("path\n" + "".join(f"data/features/{name}.npy\n" for name in [*ids, "none"]))
    for path, failures in ((features, 1), (place / "all.csv", 2)):
        outcome = run("detect", place / "model", path, "--out", place / path.stem, "--format", "json")
        assert outcome.code == 1
        errors = outcome.err.splitlines()
        assert len(errors) == failures
        assert "values are NaN or infinite" in errors[0]
        assert all(line.startswith("untrimmed: ") for line in errors)
        assert "there is no such" in errors[-1] or failures == 1
        assert sorted(file.stem for file in (place / path.stem).iterdir()) == [name for name in ids if name != "test1"]


@pytest.mark.parametrize(
    ("words", "code", "messages"),
    [
        (["nowhere.npy"], 1, ["nowhere.npy: there is no such folder or file"]),
        (["data/features", "test9"], 1, ["no features of video 'test9'", "the nearest name is 'test"]),
        (["data/features/test0.npy", "test1"], 1, ["test0.npy: a .npy file is of one video; name the folder"]),
        (["data"], 1, ["data: there are no videos in the folder, its files are like 'annotations.json'"]),
        (["data/annotations.json"], 1, ["annotations.json: "]),
        (["data/features", "--out", "found.pkl"], 1, ["found.pkl: detections are written as .json, .json.gz, .csv,"]),
        (["data/features", "--out", "found.vtt"], 2, ["found.vtt: such a file is of one", "--out FOLDER --format vtt"]),
        (["data/features", "--out", "other.json", "--format", "ass"], 2, ["other.json: is a file, but with --format"]),
        (["data/features", "--format", "ass"], 2, ["--format is for a folder", "--out FOLDER"]),
        (["data/features", "--render", "a.mp4"], 2, ["--render has an effect on videos only, but data/features holds"]),
        (["data/features", "--extractor", "default"], 2, ["--extractor has an effect on videos only"]),
        (["data/features", "--allow-truncated"], 2, ["--allow-truncated has an effect on videos only"]),
        (
            ["data/annotations.json", "--key", "a"],
            2,
            ["--key has an effect on features only, but data/annotations.json"],
        ),
        (["data/features", "--device", "gpu"], 2, ["there is no device 'gpu'; use auto, cpu, cuda or mps"]),
        (["data/features", "--annotations", "none.json"], 1, ["none.json: there is no such file"]),
        (
            ["data/features", "--annotations", "other.json"],
            1,
            ["other.json: has none of the recordings, such as 'test"],
        ),
        (["data/features", "--key", "feats"], 1, ["feats", "Correct the key"]),
    ],
)
def test_wrong_words(
    place: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, messages: list[str]
) -> None:
    monkeypatch.chdir(place)
    Path("other.json").write_text('{"database": {"another": {"duration": 3, "annotations": []}}}')
    before = files(place)
    line = refused("detect", "model", *words, code=code)
    assert all(message in line for message in messages), line
    assert files(place) == before


def test_out_where_nothing_can_be_written(place: Path) -> None:
    (place / "file").write_text("")
    words = [
        "detect",
        place / "model",
        place / "data" / "features" / "test0.npy",
        "--out",
        place / "file" / "found.csv",
    ]
    line = refused(*words, code=1)
    assert line.startswith(f"{place / 'file'}")


def test_model_that_needs_a_rate(place: Path) -> None:
    path = place / "model" / "config.yaml"
    path.write_text(path.read_text().replace("  rate: 4.0\n", "  rate: null\n"))
    (place / "data" / "features" / "features.json").unlink()
    line = refused("detect", place / "model", place / "data" / "features", code=2)
    assert "'test0': the frame rate is not known. Set inputs.rate" in line
    content = json.loads((place / "data" / "annotations.json").read_text())
    for video in content["database"].values():
        video["fps"] = 4
    (place / "data" / "annotations.json").write_text(json.dumps(content))
    words = ["--annotations", place / "data" / "annotations.json", "--json"]
    outcome = run("detect", place / "model", place / "data" / "features", *words)
    assert outcome.code == 0
    known = read_annotations(place / "data" / "annotations.json")
    recording = Recording(np.load(place / "data/features/test0.npy"), rate=4, duration=known["test0"].duration)
    found = Localizer.load(place / "model").detect(recording)
    assert len(outcome.json["test0"]) == min(20, len(found.above(0.2)))
