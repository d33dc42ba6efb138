from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import files, refused, run

from making_videos import make_video
from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.formats.activitynet import write_annotations
from untrimmed.data.formats.detection_files import read_detections, write_track
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.model_folder import ExtractorReference
from untrimmed.experiment.config import load_config
from untrimmed.experiment.training import train
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer
from untrimmed.video.extraction.videos import extract_videos
from untrimmed.video.extractors.opening import open_extractor
from untrimmed.video.reading.reader import probe

LAB = """
import numpy as np
from untrimmed.video.extractors.function import FunctionExtractor


def brightness(clips):
    parts = [part for half in np.split(clips, 2, axis=2) for part in np.split(half, 2, axis=3)]
    return np.stack([part.mean(axis=(1, 2, 3, 4)) for part in parts], axis=1) / 100


def made(stride: int = 2):
    return FunctionExtractor(
        brightness, name="-", dimension=4, frames=4, stride=stride, rate=10, height=16, width=16, fingerprint="1"
    )
"""
NAME = "python:brightness_lab:made"
SMALL = {
    "width": 8,
    "attention_heads": 2,
    "window": 3,
    "stem_blocks": 1,
    "downsampling_blocks": 1,
    "mlp_ratio": 1,
}
LABELS = ("jump", "größer & <b>")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a `model` with random weights, its extractor in a module, and `videos/`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "brightness_lab.py").write_text(LAB)
    network = ActionFormer(ModelConfig(input_dims=4, num_classes=2, **SMALL)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    inputs = InputConfig(stride=2, window=4, rate=10)
    Localizer(network, LABELS, inputs, DetectionConfig(max_detections=20)).save("model")
    (tmp_path / "videos").mkdir()
    make_video(tmp_path / "videos" / "a.mp4", 40, rate=20)
    make_video(tmp_path / "videos" / "b.mkv", 60, rate=20)
    return tmp_path


def localizer(folder: str = "model") -> Localizer:
    return Localizer.load(folder, device="cpu").with_extractor(open_extractor(NAME, trust_python=True))


WORDS = ["detect", "model", "--extractor", NAME]


def test_a_video(place: Path) -> None:
    found = localizer().detect("videos/a.mp4")
    outcome = run(*WORDS, "videos/a.mp4", "--top", "3", "--min-score", "0")
    assert (outcome.code, outcome.err) == (0, "")
    title, _, _, _, *rows, _ = outcome.out.splitlines()
    assert title == f"a: the best 3 of {len(found)} detections, from a score of 0"
    assert [[cell.strip() for cell in row.strip("│").split("│")] for row in rows] == [
        [d.label, f"{d.start:.2f}", f"{d.end:.2f}", f"{d.score:.2f}"] for d in found[:3]
    ]


def test_several_videos_and_folders(place: Path) -> None:
    make_video(place / "c.webm", 30, rate=20)
    outcome = run(*WORDS, "videos", "c.webm", "--json", "--min-score", "0")
    assert (outcome.code, outcome.err) == (0, "")
    assert list(outcome.json) == ["a", "b", "c"]
    for name, path in {"a": "videos/a.mp4", "b": "videos/b.mkv", "c": "c.webm"}.items():
        assert [d["score"] for d in outcome.json[name]] == localizer().detect(path).scores.tolist()


def test_what_is_written_is_told(place: Path) -> None:
    outcome = run(*WORDS, "videos/a.mp4", "--out", "a.vtt", "--render", "seen.mp4", "--min-score", "0")
    assert outcome.out.splitlines()[-2:] == ["Written: a.vtt", "Written: seen.mp4"]
    outcome = run(*WORDS, "videos", "--out", "found.csv", "--min-score", "0")
    assert outcome.out.splitlines()[-1] == "Written: found.csv"
    assert Path("found.csv").exists()


def test_a_bad_video_does_not_stop_the_others(place: Path) -> None:
    (place / "videos" / "aa.mp4").write_bytes((place / "videos" / "a.mp4").read_bytes()[:700])
    (place / "videos" / "notes.mp4").write_text("no video")
    outcome = run(*WORDS, "videos", "--json", "--out", "found.csv", "--render", "seen", "--min-score", "0.5")
    assert outcome.code == 1
    assert list(outcome.json) == ["a", "b"]
    first, second = outcome.err.splitlines()
    assert first.startswith("untrimmed: videos/aa.mp4: ")
    assert second.startswith("untrimmed: videos/notes.mp4: ")
    assert list(read_detections("found.csv", LABELS)) == ["a", "b"]
    assert sorted(path.name for path in Path("seen").iterdir()) == ["a.mp4", "b.mp4"]


def test_none_of_them_can_be_read(place: Path) -> None:
    Path("bad").mkdir()
    for name in ("x.mp4", "y.mp4"):
        (Path("bad") / name).write_text("no video")
    before = files(place)
    outcome = run(*WORDS, "bad", "--out", "found.json", "--json")
    assert (outcome.code, outcome.out) == (1, "")
    assert [line.split(": ")[1] for line in outcome.err.splitlines()] == ["bad/x.mp4", "bad/y.mp4"]
    assert files(place) == before


def test_a_truncated_video(place: Path) -> None:
    whole = make_video(place / "long.mkv", 400, rate=20).read_bytes()
    Path("cut.mkv").write_bytes(whole[: len(whole) // 2])
    assert "--allow-truncated" in refused(*WORDS, "cut.mkv", code=1)
    outcome = run(*WORDS, "cut.mkv", "--allow-truncated", "--json", "--min-score", "0", "--render", "cut.mp4")
    assert outcome.code == 0
    assert 1 < max(d["end"] for d in outcome.json["cut"]) < 19
    assert 1 < (probe("cut.mp4").duration or 0) < 19


@pytest.mark.parametrize("suffix", ["vtt", "ass", "txt"])
def test_subtitles_and_labels(place: Path, suffix: str) -> None:
    found = localizer().detect("videos/a.mp4").above(0.5)
    write_track(found, f"expected.{suffix}")
    assert len(found) > 1
    assert run(*WORDS, "videos/a.mp4", "--out", f"a.{suffix}", "--min-score", "0.5").code == 0
    assert run(*WORDS, "videos", "--out", "all", "--format", suffix, "--min-score", "0.5").code == 0
    assert sorted(path.name for path in Path("all").iterdir()) == [f"a.{suffix}", f"b.{suffix}"]
    for path in (Path(f"a.{suffix}"), Path("all") / f"a.{suffix}"):
        assert path.read_text() == Path(f"expected.{suffix}").read_text()


def test_a_copy_with_a_timeline(place: Path) -> None:
    outcome = run(*WORDS, "videos/a.mp4", "--render", "new/seen.mp4")
    assert (outcome.code, outcome.err) == (0, "")
    seen = probe("new/seen.mp4")
    assert seen.codec == "h264"
    assert seen.duration == pytest.approx(2.0, abs=1e-3)
    assert seen.height > seen.width * 48 / 64
    assert [path.name for path in Path("new").iterdir()] == ["seen.mp4"]
    before = files(place / "videos")
    for words in (["videos/a.mp4", "--render", "videos/a.mp4"], ["videos", "--render", "videos"]):
        line = refused(*WORDS, *words, code=2)
        assert line == "videos/a.mp4: is the video itself, which is never overwritten. Choose another --render"
    Path("link.mp4").symlink_to("videos/a.mp4")
    assert "is the video itself" in refused(*WORDS, "videos/a.mp4", "--render", "link.mp4", code=2)
    assert files(place / "videos") == before


def test_sound_that_mp4_cannot_hold(place: Path) -> None:
    make_video(place / "loud.mpg", 20, rate=25, sound=1.0)
    outcome = run(*WORDS, "loud.mpg", "--render", "loud.mp4")
    assert outcome.code == 0
    assert outcome.err == "untrimmed: warning: loud.mp4: has no sound, because mp4 cannot hold mp2\n"
    assert not probe("loud.mp4").has_audio


def test_labels_that_no_font_can_write(place: Path) -> None:
    text = Path("model/config.yaml").read_text(encoding="utf-8").replace("jump", "jump \U000f0000")
    Path("model/config.yaml").write_text(text, encoding="utf-8")
    outcome = run(*WORDS, "videos/a.mp4", "--render", "a.mp4")
    assert outcome.code == 0
    assert outcome.err.startswith("untrimmed: warning: no font at hand has the characters '\\U000f0000' of the labels.")
    font = ["--font", "model/config.yaml"]
    line = refused(*WORDS, "videos/a.mp4", "--render", "b.mp4", *font, code=2)
    assert line.startswith("model/config.yaml: cannot be read as a font")
    assert not Path("b.mp4").exists()


def test_outside_class_scores(place: Path) -> None:
    scores = {"class": ["x", "y"], "results": {"a": [0.25, 0], "b": [0, 1]}}
    Path("scores.json").write_text(json.dumps(scores))
    words = ["--class-scores", "scores.json", "--top-classes", "1", "--min-score", "0", "--json"]
    outcome = run(*WORDS, "videos", *words)
    assert {d["label"] for d in outcome.json["a"]} == {"x"}
    assert {d["label"] for d in outcome.json["b"]} == {"y"}
    del scores["results"]["b"]  # type: ignore[attr-defined]
    Path("scores.json").write_text(json.dumps(scores))
    assert "no class scores of video 'b'" in refused(*WORDS, "videos", *words, "--render", "seen", code=1)
    assert not Path("seen").exists()


@pytest.mark.parametrize(
    ("words", "code", "messages"),
    [
        (["nowhere.mp4"], 1, ["nowhere.mp4: there is no such file"]),
        (["videos/a.mp4", "none"], 1, ["none: there is no such file"]),
        (["videos", "other/a.avi"], 1, ["other/a.avi", "videos/a.mp4", "would both be video 'a'"]),
        (["other/empty"], 1, ["other/empty: there are no videos in the folder, it is empty"]),
        (["brightness_lab.py"], 1, ["brightness_lab.py: "]),
        (["videos", "--out", "found.vtt"], 2, ["found.vtt: such a file is of one", "--out FOLDER --format vtt"]),
        (["videos", "--out", "found.mp3"], 1, ["found.mp3: detections are written as .json, .json.gz, .csv, .csv.gz,"]),
        (["videos", "--render", "all.mp4"], 2, ["all.mp4: is one file, but there are 2 videos. Name a folder"]),
        (["videos", "--render", "brightness_lab.py"], 2, ["brightness_lab.py: is a file, but no .mp4"]),
        (["videos", "--format", "vtt"], 2, ["--format is for a folder"]),
        (["videos/a.mp4", "--annotations", "a.json"], 2, ["--annotations has an effect on features only"]),
        (["videos/a.mp4", "--font", "a.ttf"], 2, ["--font has an effect with --render only"]),
    ],
)
def test_wrong_words(place: Path, words: list[str], code: int, messages: list[str]) -> None:
    Path("other/empty").mkdir(parents=True)
    shutil.copy("videos/a.mp4", "other/a.avi")
    before = files(place)
    line = refused(*WORDS, *words, code=code)
    assert all(message in line for message in messages), line
    assert {path: content for path, content in files(place).items() if path.suffix != ".pyc"} == before


# The extractor


def with_reference(reference: ExtractorReference | None, folder: str = "other_model") -> None:
    replace(Localizer.load("model", device="cpu"), extractor=reference).save(folder)


@pytest.mark.parametrize(
    ("reference", "words", "code", "messages"),
    [
        (None, [], 1, ["the model does not say which extractor made the features", "--extractor"]),
        (None, ["--extractor", "python:brightness_lab:none"], 2, ["python:brightness_lab:none"]),
        (None, ["--extractor", "defualt"], 2, ["there is no extractor 'defualt'"]),
        ((NAME, "f00d"), [], 1, [f"'{NAME}', a program that is not run because a model names it", "--extractor"]),
        ((NAME, "f00d"), ["--extractor", NAME], 1, ["fingerprint f00d, but here", "Install the version"]),
    ],
)
def test_an_extractor_that_cannot_be_used(
    place: Path, reference: tuple[str, str] | None, words: list[str], code: int, messages: list[str]
) -> None:
    with_reference(None if reference is None else ExtractorReference(name=reference[0], fingerprint=reference[1]))
    line = refused("detect", "other_model", "videos/a.mp4", *words, code=code)
    assert all(message in line for message in messages), line


def test_a_program_that_breaks(place: Path) -> None:
    text = LAB.replace("    parts = [", "    assert len(clips) < 0, 'no clips today'\n    parts = [")
    Path("broken_lab.py").write_text(text)
    outcome = run("detect", "model", "videos", "--extractor", "python:broken_lab:made")
    assert (outcome.code, outcome.out) == (1, "")
    first, second = outcome.err.splitlines()
    assert first.startswith("untrimmed: videos/a.mp4: AssertionError: no clips today (broken_lab.py, line ")
    assert second.startswith("untrimmed: videos/b.mkv: AssertionError")
    Path("wrong_lab.py").write_text(LAB.replace("axis=1) / 100", "axis=0) / 100"))
    assert "wrong_lab" in refused("detect", "model", "videos", "--extractor", "python:wrong_lab:made", code=2)


def test_the_sampling_of_the_model(place: Path) -> None:
    model = Localizer.load("model", device="cpu")
    replace(model, inputs=InputConfig(stride=1, window=4, rate=10)).save("denser")
    found = run("detect", "denser", "videos/a.mp4", "--extractor", NAME, "--json", "--min-score", "0").json["a"]
    denser = open_extractor(NAME, stride=1, trust_python=True)
    expected = Localizer.load("denser", device="cpu").with_extractor(denser).detect("videos/a.mp4")
    assert [d["score"] for d in found] == expected.scores.tolist()
    line = refused("detect", "denser", "videos/a.mp4", "--extractor", "default-motion", code=1)
    assert "extractor 'default-motion' makes features of" in line
    assert "dimensions, but the model takes 4" in line


def test_from_videos_to_a_model_and_back(place: Path) -> None:
    """Training writes down which extractor made the features, and the same one detects in the video."""
    bright, dark = np.full((48, 64, 3), 220, np.uint8), np.full((48, 64, 3), 30, np.uint8)
    (place / "clips").mkdir()
    videos = {}
    for i in range(3):
        on = range(20 + 10 * i, 50 + 10 * i)
        pictures = [bright if frame in on else dark for frame in range(120)]
        make_video(place / "clips" / f"v{i}.mp4", pictures, rate=20)
        videos[f"v{i}"] = Video(f"v{i}", 6.0, "train", instances=(Instance(on[0] / 20, (on[-1] + 1) / 20, "bright"),))
    write_annotations(Annotations(videos, ("bright",)), place / "annotations.json")
    extract_videos(["clips"], "features", open_extractor(NAME, trust_python=True))
    values = {
        "data": {"annotations": "annotations.json", "features": "features", "train": ["train"]},
        "model": SMALL,
        "training": {"epochs": 1, "warmup_epochs": 1, "batch_size": 2, "accelerator": "cpu"},
    }
    (place / "untrimmed.yaml").write_text(json.dumps(values))
    train(load_config("untrimmed.yaml", {}), place / "run")
    reference = Localizer.load("run", device="cpu").extractor
    assert reference is not None
    assert (reference.name, reference.fingerprint) == (NAME, open_extractor(NAME, trust_python=True).fingerprint)
    of_video = run("detect", "run", "clips/v1.mp4", "--extractor", NAME, "--json", "--min-score", "0").json["v1"]
    of_features = run("detect", "run", "features", "v1", "--json", "--min-score", "0").json["v1"]
    assert of_video
    assert [d["score"] for d in of_video] == pytest.approx([d["score"] for d in of_features], abs=1e-5)
    assert max(d["end"] for d in of_video) <= 6
