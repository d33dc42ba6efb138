from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from making_videos import make_video
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.localizer import LOOK_AHEAD, Localizer
from untrimmed.detection.model_folder import ExtractorReference
from untrimmed.detection.recording import Recording
from untrimmed.errors import ConfigError, ModelError, VideoError
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer
from untrimmed.video.extraction.videos import extract_features
from untrimmed.video.extractors.function import FunctionExtractor
from untrimmed.video.extractors.opening import open_extractor
from untrimmed.video.reading.reader import probe


def brightness(clips: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means over the four quarters of the picture."""
    parts = [part.mean(axis=(1, 2, 3, 4)) for half in np.split(clips, 2, axis=2) for part in np.split(half, 2, axis=3)]
    return np.stack(parts, axis=1).astype(np.float32) / 100


def extractor(version: str = "1", stride: int = 2, dimension: int = 4) -> FunctionExtractor:
    function = brightness if dimension == 4 else lambda clips: np.zeros((len(clips), dimension))
    return FunctionExtractor(
        function,
        name="python:lab:brightness",
        dimension=dimension,
        frames=4,
        stride=stride,
        rate=10,
        height=16,
        width=16,
        fingerprint=version,
    )


def make(
    dimension: int = 4, reference: ExtractorReference | None = None, inputs: InputConfig | None = None
) -> Localizer:
    """Make a localizer whose random weights see a lot in everything."""
    network = ActionFormer(
        ModelConfig(
            input_dims=dimension,
            num_classes=2,
            width=8,
            attention_heads=2,
            window=3,
            stem_blocks=1,
            downsampling_blocks=1,
            mlp_ratio=1,
        )
    ).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)
    grid = inputs or InputConfig(stride=2, window=4, rate=10)
    return Localizer(network, ("jump", "run"), grid, DetectionConfig(max_detections=20), reference)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "holiday.2.mp4", 60, rate=20)


# A user's own extractor


def test_a_video(video: Path) -> None:
    localizer = make().with_extractor(extractor())
    found = localizer.detect(video)
    assert found.video_id == "holiday.2"
    assert len(found) == 20
    assert found.segments.min() >= 0
    assert found.segments.max() <= 3.0
    made = extract_features(video, extractor())
    assert made.duration == pytest.approx(3.0)
    assert localizer.detect(str(video)) == found
    assert localizer.detect(Recording(made.features, id="holiday.2", duration=made.duration)) == found
    assert make().detect(Recording(made.features, id="holiday.2", duration=made.duration)) == found


def test_the_end_of_the_video_is_the_end_of_detections(video: Path) -> None:
    found = make().with_extractor(extractor()).detect(video, duration=1.25)
    assert found.segments.max() == 1.25


def test_scores_of_moments_of_a_video(video: Path) -> None:
    levels = make().with_extractor(extractor()).level_scores(video)
    rows = len(extract_features(video, extractor()).features)
    assert [len(level.seconds) for level in levels] == [rows, -(-rows // 2)]
    np.testing.assert_allclose(levels[0].seconds, (np.arange(rows) * 2 + 2) / 10)


def test_videos_come_one_by_one(tmp_path: Path, video: Path) -> None:
    read = 0

    def recordings() -> Iterator[Path | NDArray[np.float32]]:
        nonlocal read
        for kind in "vvfffv":
            read += 1
            yield video if kind == "v" else np.full((5, 4), read, np.float32)

    localizer = make().with_extractor(extractor())
    found = localizer.detect_many(recordings(), batch_size=2)
    seen = [(one.video_id, read) for one in found]
    assert LOOK_AHEAD > 3
    assert seen == [("holiday.2", 1), ("holiday.2", 2), ("", 6), ("", 6), ("", 6), ("holiday.2", 6)]


def test_what_the_model_leaves_open_is_taken_from_the_extractor(video: Path) -> None:
    plain = make().with_extractor(extractor())
    for inputs in (InputConfig(), InputConfig(stride=2, window=4), InputConfig(rate=10)):
        localizer = make(inputs=inputs).with_extractor(extractor())
        assert localizer.inputs == plain.inputs
        assert localizer.detect(video) == plain.detect(video)


def test_features_that_are_thinned_out(video: Path) -> None:
    inputs = InputConfig(stride=2, window=4, rate=10, downsample=2)
    localizer = make(inputs=inputs).with_extractor(extractor())
    features = extract_features(video, extractor()).features
    by_hand = make(inputs=InputConfig(stride=4, window=4, rate=10)).detect(Recording(features[::2], duration=3.0))
    np.testing.assert_allclose(localizer.detect(video).segments, by_hand.segments, atol=1e-6)


def test_settings_keep_the_extractor(video: Path) -> None:
    localizer = make().with_extractor(extractor())
    few = localizer.with_settings(max_detections=3)
    assert few.own_extractor is localizer.own_extractor
    assert few.detect(video) == localizer.detect(video)[:3]


@pytest.mark.parametrize(
    ("inputs", "other", "error", "message"),
    [
        (None, extractor(stride=1), ConfigError, r"^extractor 'python:lab:brightness': stride is 2 .*, but 1 there"),
        (None, extractor(dimension=3), ModelError, r"makes features of 3 dimensions, but the model takes 4"),
        (
            InputConfig(kind="signals", stride=1, window=1),
            extractor(),
            ModelError,
            r"^the model was trained on signals, not on video",
        ),
    ],
)
def test_an_extractor_that_does_not_fit(
    inputs: InputConfig | None, other: FunctionExtractor, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make(inputs=inputs).with_extractor(other)


def test_another_version_of_the_extractor(video: Path) -> None:
    trained_on = extractor("1").fingerprint
    localizer = make(reference=ExtractorReference(name="python:lab:brightness", fingerprint=trained_on))
    other = extractor("2").fingerprint
    assert other != trained_on
    with pytest.raises(ModelError, match=rf"fingerprint {trained_on}, but here 'python:lab:brightness' has {other}"):
        localizer.with_extractor(extractor("2"))
    assert len(localizer.with_extractor(extractor("1")).detect(video))


# The extractor that the model names


def test_a_model_that_names_none(video: Path) -> None:
    with pytest.raises(ModelError, match=r"^the model does not say which extractor made the features"):
        make().detect(video)
    with pytest.raises(ModelError, match=r"^the model was trained on signals, not on video"):
        make(inputs=InputConfig(kind="signals", stride=1, window=1)).detect(video)


def test_a_program_is_not_run_because_a_model_names_it(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil_lab.py").write_text("import pathlib; pathlib.Path('trace').touch()\nmade = None\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    localizer = make(reference=ExtractorReference(name="python:evil_lab:made", fingerprint="f00d"))
    with pytest.raises(ModelError, match=r"'python:evil_lab:made', a program that is not run because a model names it"):
        localizer.detect(video)
    assert not (tmp_path / "trace").exists()


def test_an_extractor_that_there_is_not(video: Path) -> None:
    with pytest.raises(ConfigError, match="there is no extractor 'defualt'"):
        make(reference=ExtractorReference(name="defualt", fingerprint="f00d")).detect(video)


def test_a_packaged_extractor(tmp_path: Path, video: Path, one_thread: None) -> None:
    packaged = open_extractor("default-motion", precision="auto", device="cpu")
    grid = packaged.grid
    localizer = make(
        packaged.dimension,
        ExtractorReference(name="default-motion", fingerprint=packaged.fingerprint),
        InputConfig(stride=grid.stride, window=grid.window, rate=grid.rate),
    )
    localizer.save(tmp_path / "model")
    loaded = Localizer.load(tmp_path / "model", device="cpu")
    found = loaded.detect(video)
    assert loaded.video_extractor is loaded.video_extractor  # made once
    expected = make(packaged.dimension, inputs=localizer.inputs).with_extractor(packaged).detect(video)
    assert found == expected
    assert len(found)

    other = replace(localizer, extractor=ExtractorReference(name="default-motion", fingerprint="0" * 16))
    with pytest.raises(
        ModelError, match=f"fingerprint {'0' * 16}, but here 'default-motion' has {packaged.fingerprint}"
    ):
        other.detect(video)
    thinner = replace(localizer, model=make(4).model)
    with pytest.raises(ModelError, match=f"makes features of {packaged.dimension} dimensions, but the model takes 4"):
        thinner.detect(video)


# Paths


def test_what_is_no_video(tmp_path: Path, video: Path) -> None:
    localizer = make().with_extractor(extractor())
    (tmp_path / "notes.txt").write_text("no video")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[:1000])
    for path in (tmp_path / "none.mp4", tmp_path / "notes.txt", cut, tmp_path):
        with pytest.raises(VideoError, match=f"^{path}"):
            localizer.detect(path)


def test_a_real_clip(shared: Path) -> None:
    path = shared / "data" / "videos" / "kth" / "person01_boxing_d2_uncomp.mp4"
    localizer = make().with_extractor(extractor())
    found = localizer.detect(path)
    assert found.segments.min() >= 0
    assert found.segments.max() <= (probe(path).duration or 0) + 0.05
