from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from conftest import Golden
from small_models import moved
from untrimmed import official
from untrimmed.learning.config import TargetConfig
from untrimmed.learning.criterion import Criterion
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer, Predictions

DIM, CLASSES = 6, 3
SMALL: dict[str, Any] = {
    "input_dims": DIM,
    "num_classes": CLASSES,
    "width": 8,
    "attention_heads": 2,
    "window": 5,
    "downsampling_blocks": 2,
    "base_length": 16,
    "drop_path": 0.0,
    # Small scales would hide in rounding what comes through a branch.
    "branch_scale": 1.0,
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "default": {},
    "global": {"window": None},
    "window_per_level": {"window": (3, 7, None)},
    "sinusoid": {"position": "sinusoid"},
    "relative": {"position": "relative"},
    "both_positions": {"position": "both", "window": (5, None, 5)},
    "plain": {"qkv_convolution": False},
    "average": {"downsampling": "average"},
    "max": {"downsampling": "max", "qkv_convolution": False},
    "factor_4": {"factor": 4},
    "factor_4_plain": {"factor": 4, "qkv_convolution": False},
    "every_block": {"pyramid": "every_block"},
    "no_stem": {"stem_blocks": 0},
    "one_level": {"downsampling_blocks": 0},
    "top_down": {"neck": "top_down", "neck_width": 12},
    "top_down_every_block": {"neck": "top_down", "pyramid": "every_block", "neck_norm": False},
    "conv": {"encoder": "conv"},
    "conv_factor_4_top_down": {"encoder": "conv", "factor": 4, "neck": "top_down"},
    "streams": {"input_dims": (4, 2), "stream_widths": (5, 3)},
    "no_norms": {"projection_norm": False, "neck_norm": False, "head_norm": False},
    "no_scale": {"branch_scale": None},
    "one_layer_heads": {"head_layers": 1},
    "wide_heads": {"head_width": 12, "head_kernel": 5, "projection_kernel": 5, "projection_layers": 1},
}
each_architecture = pytest.mark.parametrize("settings_", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())


def _model(settings_: dict[str, Any], seed: int = 0) -> ActionFormer:
    return moved(SMALL | settings_, seed)


def _padded(videos: list[Tensor], extra: int, garbage: float) -> tuple[Tensor, Tensor]:
    """Videos `[T, D]` as a batch, with `garbage` where they are padded: features `[B, T, D]`, valid `[B, T]`."""
    size = max(len(video) for video in videos) + extra
    features = torch.full((len(videos), size, DIM), garbage, dtype=videos[0].dtype)
    for row, video in zip(features, videos, strict=True):
        row[: len(video)] = video
    return features, torch.arange(size) < torch.tensor([len(video) for video in videos])[:, None]


def _assert_same(batch: Predictions, row: int, alone: Predictions) -> None:
    """The outputs of a row of a batch at its valid moments are those of the same video alone."""
    there = batch.valid[row]
    assert bool(alone.valid.all())
    assert torch.equal(batch.moments[there], alone.moments)
    torch.testing.assert_close(batch.logits[row][there], alone.logits[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(batch.offsets[row][there], alone.offsets[0], atol=1e-5, rtol=0)


@st.composite
def architectures(draw: st.DrawFn) -> dict[str, Any]:
    """Every switch of the architecture that decides what a moment sees of its neighbours, in any combination."""
    conv = draw(st.booleans())
    pyramid = draw(st.sampled_from(["stem", "every_block"]))
    drawn: dict[str, Any] = {
        "encoder": "conv" if conv else "transformer",
        "pyramid": pyramid,
        "stem_blocks": draw(st.integers(1 if pyramid == "every_block" else 0, 2)),
        "downsampling_blocks": draw(st.integers(0, 3)),
        "factor": draw(st.sampled_from([2, 4])),
        "neck": draw(st.sampled_from(["identity", "top_down"])),
        "projection_norm": draw(st.booleans()),
        "neck_norm": draw(st.booleans()),
        "head_norm": draw(st.booleans()),
        "head_layers": draw(st.integers(1, 3)),
    }
    if draw(st.booleans()):
        drawn |= {"input_dims": (4, 2), "stream_widths": (5, 3)}
    if not conv:
        levels = drawn["downsampling_blocks"] + (drawn["stem_blocks"] if pyramid == "every_block" else 1)
        window = st.sampled_from([3, 5, 19, None])
        windows = draw(st.one_of(window, st.tuples(*[window] * levels)))
        has_window = any(windows) if isinstance(windows, tuple) else windows is not None
        drawn |= {
            "window": windows,
            "position": draw(st.sampled_from(["none", "sinusoid", *(["relative", "both"] if has_window else [])])),
            "qkv_convolution": draw(st.booleans()),
            "downsampling": draw(st.sampled_from(["convolution", "average", "max"])),
            "branch_scale": draw(st.sampled_from([1.0, None])),
        }
    return drawn


# More examples than elsewhere: there are many combinations, and each is fast.
@settings(max_examples=3 * settings.default.max_examples)
@given(
    settings_=architectures(),
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    extra=st.integers(0, 40),
    garbage=st.sampled_from([0.0, 1.0, -3e38, 1e30, math.inf, math.nan]),
    seed=st.integers(0, 2**31),
)
@example(settings_={}, lengths=[1, 40], extra=25, garbage=math.nan, seed=0)
@example(settings_={"position": "both"}, lengths=[15, 16, 33], extra=7, garbage=1e30, seed=0)
@example(settings_={"encoder": "conv", "neck": "top_down"}, lengths=[1], extra=1, garbage=math.inf, seed=0)
def test_padding_and_batch_mates_do_not_reach_valid_moments(
    settings_: dict[str, Any], lengths: list[int], extra: int, garbage: float, seed: int
) -> None:
    model = _model(settings_, seed).double()  # so that a small leak is not taken for rounding, nor the other way round
    videos = [torch.randn(length, DIM, dtype=torch.float64) for length in lengths]
    with torch.inference_mode():
        batch = model(*_padded(videos, extra, garbage))
        assert bool(torch.isfinite(batch.logits).all())
        assert bool(torch.isfinite(batch.offsets).all())
        for row, video in enumerate(videos):
            _assert_same(batch, row, model(video[None]))


@each_architecture
@pytest.mark.parametrize("garbage", [1e30, math.nan])
def test_padding_does_not_reach_valid_moments(settings_: dict[str, Any], garbage: float) -> None:
    model = _model(settings_)
    for length in (1, 2, 13, 16, 17, 37):
        video = torch.randn(length, DIM)
        with torch.inference_mode():
            alone = model(video[None])
            for extra in (0, 1, 30):
                _assert_same(model(*_padded([video], extra, garbage)), 0, alone)


def test_padding_does_not_reach_valid_moments_of_an_official_model(golden: Golden) -> None:
    """The same weights, with our padding instead of theirs."""
    config = official.model_config(golden.config)
    theirs = official.build(golden.config, golden.state())
    exact = ActionFormer(ModelConfig(**{**vars(config), "padding": "exact"})).eval()
    exact.load_state_dict(theirs.state_dict())
    features, valid, _, _ = golden.batch()
    with torch.inference_mode():
        batch = exact(features, valid)
        for row, video in enumerate(golden.videos):
            _assert_same(batch, row, exact(video.features[None]))


def _leak(settings_: dict[str, Any], extra: int) -> float:
    """Largest difference at valid moments between a padded video and the same one unpadded."""
    model = _model({"padding": "official"} | settings_)
    video = torch.randn(29, DIM)
    with torch.inference_mode():
        alone, padded = model(video[None]), model(*_padded([video], extra, 0.0))
    there = padded.valid[0]
    return float((padded.logits[0][there] - alone.logits[0]).abs().max())


@pytest.mark.parametrize("encoder", ["transformer", "conv"])
def test_official_padding_leaks(encoder: str) -> None:
    assert _leak({"encoder": encoder}, extra=0) < 1e-5
    assert _leak({"encoder": encoder}, extra=19) > 1e-3
    assert _leak({"encoder": encoder, "padding": "exact"}, extra=19) < 1e-5


@each_architecture
def test_without_padding_both_kinds_of_it_are_the_same(settings_: dict[str, Any]) -> None:
    exact, theirs = _model(settings_), _model(settings_ | {"padding": "official"})
    theirs.load_state_dict(exact.state_dict())
    features = torch.randn(2, 32, DIM)
    with torch.inference_mode():
        a, b = exact(features), theirs(features, torch.ones(2, 32, dtype=torch.bool))
    torch.testing.assert_close(a.logits, b.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(a.offsets, b.offsets, atol=1e-5, rtol=0)


@each_architecture
@pytest.mark.parametrize("length", [1, 16, 23])
def test_predictions(settings_: dict[str, Any], length: int) -> None:
    model = _model(settings_)
    features, valid = torch.randn(2, length, DIM), torch.arange(length) < torch.tensor([[length], [1]])
    with torch.inference_mode():
        out = model(features, valid)
    strides = model.config.strides
    count = sum(math.ceil(length / stride) for stride in strides)
    assert out.logits.shape == (2, count, CLASSES)
    assert out.offsets.shape == (2, count, 2)
    assert out.moments.shape == (count, 4)
    assert out.valid.sum(1).tolist() == [count, len(strides)]
    assert bool((out.offsets >= 0).all())
    assert torch.equal(out.valid, out.moments[:, 0] < torch.tensor([[length], [1]]))


def test_order_of_the_batch_does_not_matter() -> None:
    model = _model({})
    features, valid = _padded([torch.randn(n, DIM) for n in (5, 30, 17)], 3, 0.0)
    order = torch.tensor([2, 0, 1])
    with torch.inference_mode():
        a, b = model(features, valid), model(features[order], valid[order])
    torch.testing.assert_close(a.logits[order], b.logits)


def test_input_is_left_as_it_was() -> None:
    model = _model({})
    features, valid = _padded([torch.randn(n, DIM) for n in (5, 9)], 3, 7.0)
    before = features.clone()
    with torch.inference_mode():
        model(features, valid)
    assert torch.equal(features, before)


@pytest.mark.parametrize("missing", ["input_dims", "num_classes"])
def test_size_of_the_data_is_needed(missing: str) -> None:
    with pytest.raises(ValueError, match=r"needs input_dims and num_classes; ModelConfig\.for_data"):
        ActionFormer(ModelConfig(**(SMALL | {missing: None})))


def test_features_of_another_dimension() -> None:
    with pytest.raises(ValueError, match="the features have 7 dimensions, but the model takes 6"):
        _model({})(torch.zeros(1, 5, 7))


def _training_step(model: ActionFormer, features: Tensor, valid: Tensor, per_video: list[Tensor]) -> Tensor:
    criterion = Criterion(TargetConfig())
    labels = [torch.arange(len(segments)) % CLASSES for segments in per_video]
    total: Tensor = criterion(model.train()(features, valid), per_video, labels).total
    total.backward()
    return total


@each_architecture
def test_every_parameter_is_trained(settings_: dict[str, Any]) -> None:
    model = _model(settings_ | {"drop_path": 0.1, "dropout": 0.1})
    with torch.no_grad():
        model.regression.output.bias.add_(1.0)  # alive at every level
    features, valid = _padded([torch.randn(n, DIM) for n in (96, 81, 96, 96)], 0, 0.0)
    # Instances of every length, so that every level has positives.
    segments = torch.tensor([[2.2, 7.3], [11.4, 24.2], [30.3, 61.1], [14.1, 93.2]])
    _training_step(model, features, valid, [segments] * 4)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        # A constant that is added to all keys does not change what is attended to.
        if ".projections.1.bias" not in name:
            assert bool(parameter.grad.any()), name


@each_architecture
@pytest.mark.parametrize("padding", ["exact", "official"])
def test_gradients_with_videos_of_nothing_but_padding_are_finite(settings_: dict[str, Any], padding: str) -> None:
    model = _model(settings_ | {"padding": padding})
    features = torch.randn(3, 32, DIM)
    valid = torch.arange(32) < torch.tensor([[0], [32], [1]])
    segments = [torch.zeros(0, 2), torch.tensor([[2.2, 7.3]]), torch.zeros(0, 2)]
    total = _training_step(model, features, valid, segments)
    assert bool(torch.isfinite(total))
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or bool(torch.isfinite(parameter.grad).all()), name


def test_padded_video_does_not_change_the_gradients_of_others() -> None:
    gradients = []
    features, valid = _padded([torch.randn(32, DIM), torch.randn(9, DIM)], 0, 0.0)
    segments = [torch.tensor([[2.2, 7.3]]), torch.tensor([[1.1, 5.2]])]
    for extra in (0, 11):
        model = _model({"position": "both"})
        more = torch.cat([features, torch.full((2, extra, DIM), 1e9)], 1)
        _training_step(model, more, torch.nn.functional.pad(valid, (0, extra)), segments)
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@each_architecture
def test_half_precision_gives_full_precision_outputs(settings_: dict[str, Any]) -> None:
    model = _model(settings_)
    features, valid = _padded([torch.randn(n, DIM) for n in (20, 9)], 0, 0.0)
    with torch.inference_mode():
        full = model(features, valid)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(features, valid)
        half = model.bfloat16()(features.bfloat16(), valid)
    for out in (mixed, half):
        assert out.logits.dtype == out.offsets.dtype == torch.float32
        difference = (out.logits - full.logits)[full.valid].abs()
        assert float(difference.mean()) < 0.1


def test_same_seed_gives_the_same_model() -> None:
    states = [_model({}, seed=3).state_dict() for _ in range(2)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
