from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from small_models import GRID, LABELS, SMALL, make, moved
from untrimmed.data.detections import Detection, Detections
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.confidence import Confidence
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.streaming.reading import Reader, Reading
from untrimmed.detection.streaming.schedule import Schedule
from untrimmed.detection.streaming.waiting import WaitingRoom
from untrimmed.detection.suppression import Candidates
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.model.chunks import reaches
from untrimmed.model.moments import level_lengths
from untrimmed.time_grid import TimeGrid

pytestmark = pytest.mark.usefixtures("one_thread")

DIM = SMALL["input_dims"]
ALL: dict[str, Any] = {"max_detections": 10**6, "candidates_per_level": 10**6}
SIGNALS = InputConfig(kind="signals", stride=5, window=10, rate=20, scale=(1.0, 2.0, 0.5))


def steady(inputs: InputConfig = GRID, detection: DetectionConfig | None = None, **model: Any) -> Localizer:
    """Make a localizer whose moments look for boundaries no further than they see, as trained ones do."""
    network = moved(SMALL | {"branch_scale": 1.0} | model)
    with torch.no_grad():
        network.classification.output.weight.copy_(0.5 * torch.randn(len(LABELS), 8, 3))
        network.classification.output.bias.zero_()
        network.regression.output.weight.mul_(3)
        network.regression.output.bias.fill_(1.0)
    return Localizer(network, LABELS, inputs, detection or DetectionConfig(**ALL))


def numbers(rows: int, columns: int = DIM, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng([seed, rows]).normal(size=(rows, columns)).astype(np.float32)


def pieces(array: NDArray[np.float32], cuts: Iterable[int]) -> list[NDArray[np.float32]]:
    return np.split(array, sorted(cut for cut in cuts if cut < len(array)))


def one_by_one(localizer: Localizer, array: NDArray[np.float32], **options: Any) -> Iterator[tuple[float, Detection]]:
    """Yield each detection with the second at which it left; infinite at the end."""
    stream = localizer.stream(**options)
    for row in array:
        for detection in stream.add(row):
            yield stream.time, detection
    yield from ((float("inf"), detection) for detection in stream.finish())


def assert_same(found: Sequence[Detection], expected: Detections) -> None:
    """Both have the same detections, to rounding, in any order; those of nearly one score may be any way round."""
    assert len(found) == len(expected)
    best = sorted(found, key=lambda detection: -detection.score)
    scores = np.array([detection.score for detection in best])
    np.testing.assert_allclose(scores, expected.scores, atol=1e-4)
    segments = np.array([(detection.start, detection.end) for detection in best]).reshape(-1, 2)
    near = np.abs(scores[:, None] - expected.scores) < 1e-4
    near &= np.abs(segments[:, None] - expected.segments).max(axis=2) < 1e-3
    near &= np.array([d.label for d in best])[:, None] == np.array([LABELS[label] for label in expected.labels])
    assert near.any(axis=0).all()
    assert near.any(axis=1).all()


# Pieces of any size


@pytest.mark.parametrize("latency", [4.0, 12.0, None])
@pytest.mark.parametrize(
    ("inputs", "columns", "dims"),
    [(GRID, DIM, DIM), (replace(GRID, downsample=3), DIM, DIM), (SIGNALS, 3, 30)],
    ids=["features", "downsampled", "signals"],
)
@given(rows=st.integers(0, 120), cuts=st.lists(st.integers(0, 120), max_size=8))
@settings(max_examples=4)
def test_pieces_do_not_matter(
    inputs: InputConfig, columns: int, dims: int, latency: float | None, rows: int, cuts: list[int]
) -> None:
    localizer = steady(inputs, input_dims=dims)
    array = numbers(rows, columns)
    expected = list(localizer.stream(latency=latency).over([array]))
    assert list(localizer.stream(latency=latency).over(pieces(array, cuts))) == expected
    assert [detection for _, detection in one_by_one(localizer, array, latency=latency)] == expected


# The outputs of moments


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"neck": "top_down"},
        {"encoder": "conv"},
        {"factor": 4},
        {"pyramid": "every_block", "window": 5},
        {"position": "relative", "downsampling": "max"},
        {"stem_blocks": 0, "downsampling_blocks": 0},
    ],
)
@given(clips=st.integers(1, 160), latency=st.one_of(st.none(), st.floats(2, 40)), seed=st.integers(0, 5))
@settings(max_examples=8)
def test_complete_moments_are_those_of_the_whole(
    changes: dict[str, Any], clips: int, latency: float | None, seed: int
) -> None:
    localizer = steady(**changes)
    config, array = localizer.model.config, numbers(clips, seed=seed)
    grid = TimeGrid(4, 16, 10)
    schedule = Schedule.of(config, grid, latency, None)
    whole, whole_lengths = localizer._runner.run([torch.from_numpy(array)])
    reader = Reader(schedule, GRID, DIM, lambda features: localizer._runner.run([features]))
    reader.add(array)
    seen = np.zeros(sum(level_lengths(clips, config.strides)), int)
    readings: list[tuple[int, Reading | None]] = []
    while reader.next_run <= clips:
        readings.append((reader.next_run, reader.read_next()))
    readings.append((10**6, reader.read_rest()))
    firsts = np.cumsum([0, *whole_lengths])
    own = np.cumsum([0, *level_lengths(clips, config.strides)])
    complete = 0
    for arrived, reading in readings:
        if reading is None:
            continue
        levels = np.repeat(np.arange(config.levels), reading.lengths)
        for i, (level, moment) in enumerate(zip(levels, reading.predictions.moments.tolist(), strict=True)):
            position = round(moment[0]) + reading.origin
            place = position // config.strides[level]
            seen[own[level] + place] += 1
            assert moment[1:] == whole.moments[firsts[level] + place, 1:].tolist()
            if position + reaches(config)[level] < arrived:
                complete += 1
                for part, of in (
                    (reading.predictions.logits, whole.logits),
                    (reading.predictions.offsets, whole.offsets),
                ):
                    torch.testing.assert_close(part[0, i], of[0, firsts[level] + place], atol=1e-5, rtol=1e-5)
    assert (seen == 1).all()
    if latency is None:
        assert complete == len(seen)


# Latency


@pytest.mark.parametrize("latency", [0.8, 2.0, 7.3, 15.0])
@pytest.mark.parametrize("kind", ["features", "signals"])
@given(seed=st.integers(0, 100))
@settings(max_examples=2)
def test_no_detection_leaves_late(kind: str, latency: float, seed: int) -> None:
    inputs, columns, dims = (GRID, DIM, DIM) if kind == "features" else (SIGNALS, 3, 30)
    localizer = make(inputs, DetectionConfig(**ALL), input_dims=dims)
    array = numbers(80 if kind == "features" else 400, columns, seed)
    left = list(one_by_one(localizer, array, latency=latency))
    before = [(time, detection) for time, detection in left if time < float("inf")]
    assert before
    assert all(time <= detection.end + latency + 1e-6 for time, detection in before)
    length = localizer.stream(latency=latency)
    length.add(array)
    assert all(detection.end + latency >= length.time - 1e-6 for time, detection in left if time == float("inf"))


def test_time_is_what_has_arrived() -> None:
    stream = make().stream()
    assert stream.time == 0
    stream.add(numbers(3))
    assert stream.time == pytest.approx((2 * 4 + 16) / 10)
    signals = make(SIGNALS, input_dims=30).stream()
    signals.add(numbers(7, 3))
    assert signals.time == pytest.approx(7 / 20)
    sparse = make(replace(GRID, downsample=3)).stream()
    sparse.add(numbers(5))
    assert sparse.time == pytest.approx((4 * 4 + 16) / 10)


def test_contexts_are_in_seconds() -> None:
    stream = make().stream(latency=10.0)
    config = make().model.config
    assert stream.contexts == tuple((reach * 4 + 8) / 10 for reach in reaches(config))
    assert (stream.latency, stream.hop) == (10.0, 2.4)


# What is the same as in the whole recording


KINDS: dict[str, DetectionConfig] = {
    "soft": DetectionConfig(**ALL),
    "narrow": DetectionConfig(**ALL, sigma=0.1, min_score=0.3),
    "over all classes": DetectionConfig(**ALL, per_class=False),
    "hard": DetectionConfig(**ALL, suppression="hard", tiou=0.3),
    "none": DetectionConfig(**ALL, suppression="none", score_threshold=0.5),
    "voting": DetectionConfig(**ALL, per_class=False, voting_tiou=0.7),
    "argmax": DetectionConfig(**ALL, candidates="argmax"),
}


def begins_in_view(localizer: Localizer, array: NDArray[np.float32]) -> bool:
    """Whether no candidate begins before what its moment sees."""
    predictions, lengths = localizer._runner.run([torch.from_numpy(array)])
    onsets = (predictions.offsets[0, :, 0] * predictions.moments[:, 3]).split(lengths)
    return all(
        float(onset.max()) <= reach for onset, reach in zip(onsets, reaches(localizer.model.config), strict=True)
    )


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS.keys())
@given(clips=st.integers(1, 200), seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 200), max_size=4))
@settings(max_examples=8)
def test_without_a_latency_it_is_what_detect_finds(
    config: DetectionConfig, clips: int, seed: int, cuts: list[int]
) -> None:
    localizer, array = steady(detection=config), numbers(clips, seed=seed)
    assume(begins_in_view(localizer, array))
    expected = localizer.detect(array)
    assert_same(list(localizer.stream(latency=None).over(pieces(array, cuts))), expected)


def test_without_a_latency_much_leaves_before_the_end() -> None:
    localizer = steady(detection=KINDS["narrow"])
    array = numbers(600)
    assert begins_in_view(localizer, array)
    stream = localizer.stream(latency=None)
    left = stream.add(array)
    assert len(left) > len(stream.finish())


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS.keys())
@given(clips=st.integers(1, 100), cuts=st.lists(st.integers(0, 100), max_size=4))
@settings(max_examples=5)
def test_a_recording_shorter_than_the_latency(config: DetectionConfig, clips: int, cuts: list[int]) -> None:
    localizer, array = make(detection=config), numbers(clips)
    stream = localizer.stream(latency=1000.0)
    if config.suppression != "none":
        assert [stream.add(piece) for piece in pieces(array, cuts)] == [[]] * len(pieces(array, cuts))
        found = stream.finish()
        assert [d.score for d in found] == sorted((d.score for d in found), reverse=True)
    else:
        found = list(stream.over(pieces(array, cuts)))
    assert_same(found, localizer.detect(array))


def test_a_long_latency_finds_nearly_the_same() -> None:
    """Every moment is complete, and hardly any detection leaves before a better one is read."""
    localizer, array = steady(detection=KINDS["narrow"]), numbers(800)
    expected = {(round(d.start, 2), round(d.end, 2), d.label): d.score for d in localizer.detect(array)}
    latency = 2 * max(localizer.stream().contexts)
    found = list(localizer.stream(latency=latency, hop=2.0).over([array]))
    same = [d for d in found if abs(expected.get((round(d.start, 2), round(d.end, 2), d.label), 0) - d.score) < 1e-4]
    assert len(same) > 0.9 * len(expected)


def test_duration_clips_the_last() -> None:
    localizer, array = make(), numbers(40)
    stream = localizer.stream(latency=1000.0)
    stream.add(array)
    found = stream.finish(duration=9.0)
    assert max(d.end for d in found) == 9.0
    assert_same(found, localizer.with_settings(**ALL).detect(array, duration=9.0))


def test_only_what_counts_leaves_a_confident_one() -> None:
    confidence = Confidence(tiou=0.5, thresholds={"run": 0.5}, scores=(0.0, 1.0), probabilities=(0.0, 0.5), weights="")
    localizer = make()
    every = list(localizer.stream().over([numbers(80)]))
    found = list(replace(localizer, confidence=confidence).stream().over([numbers(80)]))
    assert [(d.start, d.score) for d in found] == [
        (d.start, pytest.approx(d.score / 2)) for d in every if d.label == "run" and d.score >= 0.5
    ]
    assert found


def test_an_exported_model(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from untrimmed.export.folder import export_onnx

    localizer, array = make(detection=DetectionConfig(**ALL)), numbers(100)
    export_onnx(localizer, tmp_path / "exported", lengths=(1, 50))
    exported = Localizer.load(tmp_path / "exported")
    expected = [d.score for d in localizer.stream(latency=3.0).over([array])]
    found = [d.score for d in exported.stream(latency=3.0).over([array])]
    np.testing.assert_allclose(sorted(found), sorted(expected), atol=1e-5)


# A stream without end


@pytest.mark.parametrize("detection", [DetectionConfig(), KINDS["voting"], KINDS["hard"], KINDS["none"]])
@pytest.mark.parametrize(("latency", "hop"), [(4.0, 3.2), (20.0, 12.0)])
def test_memory_does_not_grow(detection: DetectionConfig, latency: float, hop: float) -> None:
    """Also with a model that sees onsets and offsets anywhere."""
    localizer = make(detection=detection)
    with torch.no_grad():
        for name, parameter in localizer.model.named_parameters():
            if name.startswith("regression") and "weight" in name:
                parameter.mul_(2)
    stream, random = localizer.stream(latency=latency, hop=hop), np.random.default_rng(0)
    held, left = [], 0
    for _ in range(20):
        left += len(stream.add(random.normal(size=(60, DIM)).astype(np.float32)))
        held.append(stream.held)
    assert left > 100
    assert max(held[8:]) <= 1.25 * max(held[:8])


def test_positions_are_exact_after_a_year() -> None:
    """In float32 a boundary would be four clips off."""
    year, segments = 2**26, np.array([[3.25, 9.125], [24.0, 31.5]], np.float32)
    room = WaitingRoom(DetectionConfig())
    room.add(Candidates(segments, np.array([0.9, 0.8], np.float32), np.array([0, 0])), year, year, year + 100)
    left = room.leave(float("inf"), float("inf"))
    assert (left.segments - year).tolist() == segments.tolist()


# What is refused


@pytest.mark.parametrize(
    ("localizer", "message"),
    [
        (make(window=None), "this model cannot take a stream, because model.window is null"),
        (make(padding="official"), "this model cannot take a stream, because model.padding is 'official'"),
        (make(position="sinusoid"), "this model cannot take a stream, because model.position is 'sinusoid'"),
        (make(replace(GRID, resample=64)), "this model cannot take a stream, because inputs.resample"),
        (make(replace(GRID, rate=None)), "the stream: the frame rate is not known"),
    ],
)
def test_models_that_cannot(localizer: Localizer, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        localizer.stream()
    assert "\n" not in str(refusal.value)


def test_a_rate_of_its_own() -> None:
    stream = make(replace(GRID, rate=None)).stream(rate=20.0)
    stream.add(numbers(3))
    assert stream.time == pytest.approx((2 * 4 + 16) / 20)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((3, 5), np.float32), "the stream: .*5 dimensions, but 6 are expected"),
        (np.full((3, DIM), np.nan, np.float32), "the stream: 18 of 18 values are NaN or infinite"),
        (np.zeros((1, 2, DIM), np.float32), "the stream: the array has 3 axes"),
        (np.array([["a"] * DIM]), "the stream: the array holds <U1"),
        (np.array(3.0), "the stream: the array has 0 axes"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_rows_that_are_none(rows: NDArray[Any], message: str, begun: bool) -> None:
    localizer, array = make(), numbers(25)
    stream = localizer.stream(latency=8.0)
    found = stream.add(array) if begun else []
    with pytest.raises(FeatureError, match=message):
        stream.add(rows)
    found += stream.add(array) if not begun else []
    assert [*found, *stream.finish()] == list(localizer.stream(latency=8.0).over([array]))


def test_signals_of_too_few_channels() -> None:
    stream = make(replace(SIGNALS, channels=(0, 1, 5)), input_dims=30).stream()
    with pytest.raises(FeatureError, match="asks for 5"):
        stream.add(numbers(5, 3))


def test_a_stream_ends_once() -> None:
    stream = make().stream()
    assert stream.finish() == []
    for again in (lambda: stream.add(numbers(1)), stream.finish):
        with pytest.raises(ConfigError, match="this stream has finished"):
            again()
    with make().stream() as left:
        left.add(numbers(5))
    with pytest.raises(ConfigError, match="this stream has finished"):
        left.add(numbers(1))


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan"), float("inf")])
def test_a_duration_that_is_none(duration: float) -> None:
    stream = make().stream()
    stream.add(numbers(20))
    with pytest.raises(ConfigError, match=f"duration is {duration}, but has to be a positive number"):
        stream.finish(duration=duration)
    assert stream.finish()


def test_signals_shorter_than_a_window() -> None:
    stream = make(SIGNALS, input_dims=30).stream()
    assert stream.add(numbers(9, 3)) == []
    assert stream.finish() == []


def test_what_was_given_may_be_changed_afterwards() -> None:
    localizer, array = make(), numbers(100)
    stream = localizer.stream()
    found: list[Detection] = []
    for row in array.copy():
        found += stream.add(row)
        row[:] = np.nan
    assert [*found, *stream.finish()] == list(localizer.stream().over([array]))
