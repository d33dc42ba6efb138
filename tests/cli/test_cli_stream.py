from __future__ import annotations

import io
import json
import os
import signal
import subprocess
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from command_line import PROGRAM, refused, run

from making_videos import make_video
from serving_bytes import served
from small_models import LABELS, make
from untrimmed.data.detections import Detection
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.streaming.once import Once

LAB = """
import numpy as np
from untrimmed.video.extractors.function import FunctionExtractor


def brightness(clips):
    parts = [part for half in np.split(clips, 2, axis=2) for part in np.split(half, 2, axis=3)]
    means = [part.mean(axis=(1, 2, 3, 4)) for part in parts] + [clips.mean(axis=(1, 2, 3, 4))] * 2
    return np.stack(means, axis=1) / 100


def made(stride: int = 2):
    return FunctionExtractor(
        brightness, name="-", dimension=6, frames=4, stride=stride, rate=10, height=16, width=16, fingerprint="1"
    )
"""
NAME = "python:brightness_stream_lab:made"
EVERY = DetectionConfig(max_detections=10**6)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models of features, of signals and of video, and a short video."""
    folder = tmp_path_factory.mktemp("stream")
    (folder / "brightness_stream_lab.py").write_text(LAB)
    make(detection=EVERY).save(folder / "features")
    make(InputConfig(kind="signals", stride=5, window=10, rate=20), EVERY, input_dims=30).save(folder / "signals")
    make(InputConfig(stride=2, window=4, rate=10), EVERY).save(folder / "video")
    make(window=None).save(folder / "whole")
    make_video(folder / "seen.ts", 150, rate=20)
    np.save(folder / "array.npy", numbers(10, 6))
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def place(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same as the working directory."""
    monkeypatch.chdir(prepared)
    return prepared


def numbers(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, columns)).astype(np.float32)


def give(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def lines_of(array: np.ndarray, separator: str = ",") -> str:
    return "".join(separator.join(str(float(value)) for value in row) + "\n" for row in array)


# Rows


@pytest.mark.parametrize("form", ["csv", "heading", "semicolons", "json"])
def test_rows(place: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    array = numbers(100, 3)
    text = {
        "csv": lines_of(array),
        "heading": "x,y,z\n\n" + lines_of(array),
        "semicolons": lines_of(array, ";"),
        "json": "".join(json.dumps(row.tolist()) + "\n" for row in array),
    }[form]
    give(monkeypatch, text)
    found = run("stream", "signals", "-", "--latency", 2, "--json", "--min-score", 0)
    assert (found.code, found.err) == (0, "")
    rows = [json.loads(line) for line in found.out.splitlines()]
    expected = list(Localizer.load("signals").stream(latency=2.0).over([array]))
    assert [(row["start"], row["end"], row["label"], row["score"]) for row in rows] == [
        (d.start, d.end, d.label, d.score) for d in expected
    ]
    ats = [row["at"] for row in rows]
    assert ats == sorted(ats)
    assert all(row["at"] <= row["end"] + 2.001 for row in rows)
    assert ats[0] < ats[-1] == 5.0


def test_lines_for_people(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, lines_of(numbers(60, 6)))
    found = run("stream", "features", "-", "--min-score", 0.6)
    assert found.code == 0
    assert found.out
    for line in found.out.splitlines():
        *_, score, label = line.split()
        assert float(score) >= 0.6
        assert label in LABELS


def test_an_action_is_printed_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["stream", "signals", "-", "--latency", 2, "--json", "--min-score", 0.5]
    give(monkeypatch, lines_of(numbers(400, 3)))
    rows = [json.loads(line) for line in run(*words).out.splitlines()]
    every = [Detection(row["start"], row["end"], row["label"], row["score"]) for row in rows]
    give(monkeypatch, lines_of(numbers(400, 3)))
    first = [json.loads(line) for line in run(*words, "--once").out.splitlines()]
    expected = Once().of(every)
    assert 0 < len(expected) < len(every)
    assert [(row["start"], row["end"], row["label"]) for row in first] == [(d.start, d.end, d.label) for d in expected]


def test_a_rate_that_is_not_the_models(place: Path) -> None:
    message = refused("stream", "signals", "-", "--rate", 7, code=2)
    assert message.startswith("--rate is 7, but the model was trained on 20 a second: leave it out")


def test_no_standard_input(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert "standard input is closed" in refused("stream", "signals", "-", code=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3\n4,x,6\n", "standard input: line 2 is '4,x,6', expected are numbers between commas, or a JSON array"),
        ("1,2,x\n4,5,6\n", "standard input: line 1 is '1,2,x', expected are numbers between commas, or a JSON array"),
        ("1,2,\n4,5,6\n", "standard input: line 1 is '1,2,', expected are numbers"),
        (f"[1{'0' * 400},2,3]\n", "standard input: line 1 is '[1000"),
        ("1,2,3\n4,5\n", "standard input: line 2 has 2 numbers, the first has 3"),
        ("[1,2,3]\n[[1],[2],[3]]\n", "standard input: line 2 is '[[1],[2],[3]]', expected"),
        ("[1,2,3]\n[1,2,3\n", "standard input: line 2 is '[1,2,3', expected"),
        ("1,2,3\n1,nan,3\n", "the stream: 1 of 3 values are NaN or infinite"),
        ("1,2,3,4,5\n", "the stream: the features are [1, 50], which is 50 dimensions, but 30 are expected"),
    ],
)
def test_rows_that_are_none(place: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    give(monkeypatch, text)
    assert refused("stream", "signals", "-", code=1).startswith(message)


def test_what_came_before_a_bad_row_is_printed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = numbers(60, 6)
    give(monkeypatch, lines_of(array) + "oh\n")
    found = run("stream", "features", "-", "--min-score", 0)
    assert found.code == 1
    assert "line 61 is 'oh'" in found.err
    assert len(found.out.splitlines()) == len(list(make(detection=EVERY).stream().over([array])))


def test_no_rows(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, "")
    found = run("stream", "features", "-")
    assert (found.code, found.out, found.err) == (0, "", "")


# Pictures


def test_a_file_an_address_and_a_pipe(place: Path) -> None:
    """A file is what `detect` finds in it; the others are the same."""
    words = ["--extractor", NAME, "--latency", 100, "--min-score", 0, "--json"]
    file = run("stream", "video", "seen.ts", *words)
    assert file.code == 0
    rows = [json.loads(line) for line in file.out.splitlines()]
    detected = run("detect", "video", "seen.ts", "--extractor", NAME, "--min-score", 0, "--top", 10**6, "--json")
    expected = detected.json["seen"]
    assert len(rows) == len(expected) > 20
    np.testing.assert_allclose([row["score"] for row in rows], [row["score"] for row in expected], atol=1e-5)
    with served(place / "seen.ts") as address:
        assert run("stream", "video", address, *words).out == file.out
    writer = Thread(target=lambda: (place / "pipe").write_bytes((place / "seen.ts").read_bytes()))
    writer.start()
    assert run("stream", "video", "pipe", *words).out == file.out
    writer.join()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["video", "http://127.0.0.1:9/x"], 1, "http://127.0.0.1:9/x: cannot be opened (Connection refused)"),
        (["video", "gopher://127.0.0.1/x"], 1, "gopher://127.0.0.1/x: gopher:// cannot be opened; expected is one of"),
        (["video", "not_there.mp4"], 1, "not_there.mp4: there is no such file"),
        (["video", "brightness_stream_lab.py"], 1, "brightness_stream_lab.py: is not a video that FFmpeg can read"),
        (["video", "seen.ts", "--rate", 10], 2, "--rate has an effect on rows on standard input only"),
        (["video", "seen.ts", "--latency", 0.1], 2, "latency is 0.1 s, but has to be at least 0.2 s"),
        (["video", "--latenci"], 2, "Unknown option: --latenci"),
        (["video", "-"], 2, "--extractor has an effect on pictures only"),
        (["video", "array.npy"], 2, "array.npy: holds features or samples, which are not live"),
    ],
)
def test_refusals(place: Path, words: list[object], code: int, message: str) -> None:
    assert refused("stream", *words, "--extractor", NAME, code=code).startswith(message)


def test_a_model_of_signals_takes_no_pictures(place: Path) -> None:
    message = refused("stream", "signals", "seen.ts", code=1)
    assert message.startswith("the model was trained on signals, not on video")


def test_a_model_that_needs_the_whole(place: Path) -> None:
    message = refused("stream", "whole", "-", code=2)
    assert message.startswith("this model cannot take a stream, because model.window is null")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_recording(place: Path, number: signal.Signals) -> None:
    array = numbers(60, 6)
    command = [PROGRAM, "stream", "features", "-", "--min-score", "0", "--json", "--latency", "3"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(lines_of(array))
        process.stdin.flush()
        first = process.stdout.readline()  # it is at work
        process.send_signal(number)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    rows = [json.loads(line) for line in (first + rest).splitlines()]
    assert len(rows) > 5
    assert rows[0]["at"] <= rows[-1]["at"]
