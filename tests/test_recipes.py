"""The recipes that ship with the package: they parse, build, and are what they say they are."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import pytest
import torch
import yaml

from untrimmed.evaluation.protocols import PROTOCOLS
from untrimmed.experiment.config import load_config, recipe_names, recipe_text
from untrimmed.experiment.data import annotated, open_data
from untrimmed.learning.config import OptimiserConfig, TargetConfig
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer

# What the data decide where a recipe leaves it open: dimensions and classes.
OF_DATA = {"sbhar": (150, 12), "timed_up_and_go": (150, 4), "multithumos": (2048, 65)}
CLASSES = {"multithumos": 65, "charades": 157}
"""Classes that occur."""


def model_of(name: str) -> ModelConfig:
    model = load_config(name).model
    return model.for_data(*OF_DATA[name]) if name in OF_DATA else model


def head_comment(name: str) -> str:
    """What a recipe says before its first setting, on one line."""
    lines = takewhile(lambda line: line.startswith("#"), recipe_text(name).splitlines())
    return " ".join(line.removeprefix("#").strip() for line in lines)


def parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in ActionFormer(config).parameters())


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_builds(name: str) -> None:
    config = load_config(name)
    assert config.description
    assert config.data.train
    assert config.data.validate
    assert not set(config.data.train) & set(config.data.validate)
    assert parameters(model_of(name)) > 1e5
    assert len(model_of(name).ranges) == model_of(name).levels


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_says_how_it_is_used(name: str) -> None:
    text = recipe_text(name)
    assert text.startswith("# ")
    config = load_config(name)
    command = re.search(rf"untrimmed train {name} ((?:.*\\\n)*.*)", text)
    if config.data.annotations is None:
        assert command is not None
        assert "--data.annotations" in command[1]
        assert "--data.features" in command[1]
    assert set(yaml.safe_load(text)) <= {"description", "data", "model", "training", "detection", "evaluation"}


@pytest.mark.parametrize("name", [name for name in recipe_names() if load_config(name).data.annotations is None])
def test_a_recipe_says_where_its_data_come_from(name: str) -> None:
    text = head_comment(name).lower()
    if load_config(name).data.inputs.kind == "signals":
        assert "fetch" in text
    else:
        assert "features: " in text
        assert "annotations: " in text
        assert re.search(r"<(video|clip) id>\.np[yz]", text) or "<video id>.pt" in text
    assert "published" in text


@pytest.mark.parametrize("name", [name for name in recipe_names() if name != "timed_up_and_go"])
def test_recipes_are_scored_as_their_benchmark_is(name: str) -> None:
    config, protocol = load_config(name), PROTOCOLS[name.partition("_")[0]]
    assert config.evaluation.tious == pytest.approx(protocol.tious)
    if protocol.tested:
        assert (config.data.train, config.data.validate) == (protocol.trained, protocol.tested)


@pytest.mark.parametrize(("name", "millions"), [("thumos14_i3d", 29.25), ("sbhar", 1.715), ("timed_up_and_go", 1.712)])
def test_parameters(name: str, millions: float) -> None:
    assert parameters(model_of(name)) / 1e6 == pytest.approx(millions, abs=0.005 if millions > 10 else 0.0005)


def test_parameters_as_published(shared: Path) -> None:
    text = (shared / "reference" / "recipes.md").read_text()
    names = ["thumos14_i3d", "activitynet_i3d", "activitynet_tsp", "epic_verb_slowfast", "epic_noun_slowfast"]
    row = next(line for line in text.splitlines() if line.startswith("| parameters |"))
    published = dict(zip(names, row.split(" | ")[1:], strict=False))
    for line in text.splitlines():
        if match := re.fullmatch(r"\| ([a-z+]+) \| .* \| ([\d.]+ M) \|", line):
            published["ego4d_" + match[1].replace("+", "_")] = match[2]
    assert len(published) == 11
    assert published == {name: f"{parameters(model_of(name)) / 1e6:.2f} M" for name in published}


def test_thumos14_i3d_has_the_official_settings() -> None:
    """Key by key, the defaults of the official code and what its thumos_i3d.yaml changes; see there for its names."""
    config = load_config("thumos14_i3d")

    data = config.data
    assert (data.train, data.validate) == (("validation",), ("test",))
    assert (data.prefix, data.key) == ("", None)
    assert (data.inputs.kind, data.inputs.stride, data.inputs.window) == ("features", 4, 16)
    assert data.inputs.rate is None  # of each video, from the annotations
    assert (data.inputs.downsample, data.inputs.resample) == (1, None)

    model = config.model
    assert (model.input_dims, model.num_classes) == (2048, 20)
    assert (model.projection_layers, model.projection_kernel, model.projection_norm) == (2, 3, True)
    assert (model.width, model.neck_width, model.head_width) == (512, None, None)  # all 512
    assert model.position == "none"
    assert (model.encoder, model.stem_blocks, model.downsampling_blocks, model.factor) == ("transformer", 2, 5, 2)
    assert (model.pyramid, model.downsampling, model.qkv_convolution) == ("stem", "convolution", True)
    assert model.strides == (1, 2, 4, 8, 16, 32)
    assert (model.attention_heads, model.mlp_ratio) == (4, 4)
    assert model.windows == (19,) * 6
    assert model.branch_scale == 1e-4
    assert (model.drop_path, model.dropout) == (0.1, 0.0)
    assert (model.neck, model.neck_norm) == ("identity", True)
    assert (model.head_layers, model.head_kernel, model.head_norm) == (3, 3, True)
    assert (model.prior, model.empty_classes) == (0.01, ())
    assert model.ranges == ((0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000))

    training = config.training
    assert (training.epochs, training.warmup_epochs) == (30, 5)
    assert (training.batch_size, training.accumulate) == (2, 1)
    assert (training.crop.max_length, training.crop.ratio, training.crop.min_visible) == (2304, (0.9, 1.0), 0.5)
    assert training.target == TargetConfig(
        center_radius=1.5,
        regression_loss="diou",
        regression_weight=1.0,
        label_smoothing=0.0,
        focal_alpha=0.25,
        focal_gamma=2.0,
        initial_normaliser=100,
        normaliser_momentum=0.9,
    )
    assert training.optimiser == OptimiserConfig(
        kind="adamw",
        learning_rate=1e-4,
        weight_decay=0.05,
        schedule="cosine",
        clip_norm=1.0,
        ema_decay=0.999,
        ema_warmup=True,  # ours: see what differs from the official code
    )

    detection = config.detection
    assert (detection.candidates, detection.score_threshold) == ("every", 0.001)
    assert (detection.candidates_per_level, detection.min_duration) == (2000, 0.05)
    assert (detection.suppression, detection.per_class, detection.sigma) == ("soft", True, 0.5)
    assert (detection.min_score, detection.max_detections) == (0.001, 200)
    assert detection.voting_tiou is None
    assert config.evaluation.tious == (0.3, 0.4, 0.5, 0.6, 0.7)


@pytest.mark.parametrize("name", ["sbhar", "timed_up_and_go"])
def test_recordings_of_a_phone_have_the_published_settings(name: str) -> None:
    """What Bock et al. (IMWUT 2024) set for sensors, as far as a recipe does not say that it differs."""
    config = load_config(name)
    assert config.data.inputs.rate == 50
    assert config.model.window == 9
    assert config.model.ranges == ((0, 4), (2, 8), (4, 16), (8, 32), (16, 64), (32, 10000))
    assert (config.training.crop.ratio, config.training.crop.min_visible) == ((0.9, 1.0), 0.3)
    assert config.training.target.label_smoothing == 0.1
    assert config.training.target.initial_normaliser == 250
    assert config.training.optimiser.weight_decay == 0.05
    assert config.detection.sigma == 0.4


def test_the_embedded_data_are_what_the_recipe_says() -> None:
    data = open_data(load_config("timed_up_and_go").data)
    assert data.validate is not None
    assert len(data.train) + len(data.validate) == 223
    assert not {video.id for video in data.train} & {video.id for video in data.validate}
    assert (data.inputs.dimension, len(data.labels)) == OF_DATA["timed_up_and_go"]


# Recipes that the official code has no settings for


@pytest.mark.parametrize(
    ("name", "dimension", "classes", "stride", "window", "rate", "epochs"),
    [
        ("thumos14_videomaev2", 1408, 20, 4, 16, None, 45),
        ("thumos14_internvideo2", 3200, 20, 4, 16, None, 45),
        ("multithumos", 2048, None, 4, 16, None, 60),
        ("charades", 1024, 157, 8, 8, 24, 10),
    ],
)
def test_further_recipes(
    name: str, dimension: int, classes: int | None, stride: int, window: int, rate: float | None, epochs: int
) -> None:
    config = load_config(name)
    assert (config.model.input_dims, config.model.num_classes) == (dimension, classes)
    inputs = config.data.inputs
    assert (inputs.kind, inputs.stride, inputs.window, inputs.rate) == ("features", stride, window, rate)
    assert (config.training.epochs, config.training.warmup_epochs) == (epochs, 5)
    assert (config.model.width, config.model.windows) == (512, (19,) * 6)
    assert config.model.ranges == ((0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000))


@pytest.mark.parametrize("name", ["thumos14_videomaev2", "thumos14_internvideo2"])
def test_other_features_of_thumos14_change_nothing_else(name: str) -> None:
    official, other = load_config("thumos14_i3d"), load_config(name)
    assert replace(other.model, input_dims=2048) == official.model
    assert replace(other.training, epochs=official.training.epochs) == official.training
    assert (other.data, other.detection, other.evaluation) == (official.data, official.detection, official.evaluation)


def test_multithumos_begins_its_pyramid_with_the_projection() -> None:
    model = model_of("multithumos")
    assert (model.projection_layers, model.stem_blocks) == (3, 0)
    assert model.strides == (1, 2, 4, 8, 16, 32)
    predictions = ActionFormer(replace(model, input_dims=8, width=16))(torch.zeros(1, 64, 8), torch.ones(1, 64).bool())
    assert predictions.logits.shape == (1, 126, 65)


@pytest.mark.parametrize(
    ("name", "videos", "tested", "trained_instances", "tested_instances"),
    [("multithumos", 200, 213, 18474, 20208), ("charades", 7985, 1863, 49802, 16691)],
)
def test_published_annotations_are_read(
    shared: Path, name: str, videos: int, tested: int, trained_instances: int, tested_instances: int
) -> None:
    """With the subsets and the way with unusable instances that the recipe has."""
    config = load_config(name, {"data.annotations": str(shared / "data" / "other_annotations" / f"{name}.json")})
    annotations = annotated(config.data)
    train, validate = (annotations.of_subsets(names) for names in (config.data.train, config.data.validate))
    assert (len(train), len(validate)) == (videos, tested)
    inside = [i for video in train for i in video.instances if i.start < video.duration]
    assert (len(inside), sum(len(video.instances) for video in validate)) == (trained_instances, tested_instances)
    occurring = {instance.label for video in annotations for instance in video.instances}
    assert len(occurring) == CLASSES[name]
    # MultiTHUMOS numbers its classes from 1.
    assert len(annotations.labels) - len(occurring) == (1 if name == "multithumos" else 0)


# The benchmarks, beside the table of the official settings


def rows_of_settings(shared: Path) -> dict[str, list[str]]:
    text = (shared / "reference" / "recipes.md").read_text()
    table = text[text.index("## What differs") : text.index("R1 = ")]
    return {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ")[1:] for line in table.splitlines()}


@pytest.mark.parametrize(
    ("column", "name"),
    [
        (0, "thumos14_i3d"),
        (1, "activitynet_i3d"),
        (2, "activitynet_tsp"),
        (3, "epic_verb_slowfast"),
        (4, "epic_noun_slowfast"),
        *((5, name) for name in recipe_names() if name.startswith("ego4d_")),
    ],
)
def test_benchmarks_have_the_official_settings(shared: Path, column: int, name: str) -> None:
    def official(key: str) -> str:
        row = rows_of_settings(shared)[key]
        stated = row[column]
        return row[column - 1] if stated == "same" else stated

    config = load_config(name)
    data, model, training, detection = config.data, config.model, config.training, config.detection
    assert data.inputs.stride == float(official("feat_stride"))
    if name == "ego4d_egovlp":
        assert data.inputs.window == 16
    else:
        assert data.inputs.window == float(official("num_frames").split()[0])
    rate = official("fps")
    assert data.inputs.rate == (None if rate == "annotations" else float(rate))
    length = int(official("max_seq_len"))
    assert training.crop.max_length == length
    assert data.inputs.resample == (length if official("resample every video to max_seq_len") == "yes" else None)
    assert training.crop.min_visible == float(official("trunc_thresh"))
    assert training.crop.ratio == tuple(map(float, official("crop_ratio").split("-")))
    positional = official("absolute position") == "yes"
    assert model.position == ("sinusoid" if positional else "none")
    assert not positional or model.base_length == length
    window = official("window")
    assert model.windows == ((7,) * 5 + (None,) if "last global" in window else (int(window),) * model.levels)
    if not name.startswith("ego4d_"):
        assert model.num_classes == int(official("num_classes"))
        assert model.input_dims == int(official("input_dim"))
        assert model.width == int(official("width (projection, neck, heads)"))
    assert training.optimiser.learning_rate == float(official("lr"))
    assert training.optimiser.weight_decay == float(official("weight decay"))
    assert training.optimiser.clip_norm == float(official("clip"))
    assert (training.epochs, training.warmup_epochs) == (int(official("epochs (+5 warm-up)")), 5)
    assert training.batch_size == int(official("batch"))
    assert training.target.initial_normaliser == float(official("init_loss_norm"))
    assert training.target.label_smoothing == float(official("label smoothing"))
    assert training.target.regression_weight == float(official("loss_weight"))
    assert model.dropout == float(official("dropout"))
    assert detection.candidates_per_level == int(official("top before NMS"))
    assert detection.max_detections == int(official("detections kept"))
    assert detection.min_score == float(official("min_score"))
    assert detection.sigma == float(official("sigma"))
    suppression = official("NMS")
    assert detection.per_class == (suppression == "per class")
    assert detection.voting_tiou == (None if detection.per_class else 0.9)
    assert detection.min_duration == float(official("shortest detection (grid)"))
    assert (data.class_agnostic, config.evaluation.top_classes) == (official("outside class scores") != "no", 2)
    assert (list(data.train), list(data.validate)) == tuple(
        [each] for each in official("split trained / tested").split(" / ")
    )
    assert data.prefix == ("v_" if official("file names").startswith("`v_") else "")
    assert data.key == ("feats" if "feats" in official("file names") or ".npz" in official("file names") else None)
