from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from small_models import moved
from untrimmed.errors import ConfigError
from untrimmed.model.chunks import Chunk, chunks, margin, predict_in_chunks, usual_chunk
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer, Predictions

DIM = 6
SMALL: dict[str, Any] = {
    "input_dims": DIM,
    "num_classes": 3,
    "width": 8,
    "attention_heads": 2,
    "window": 5,
    "downsampling_blocks": 2,
    "mlp_ratio": 1,
    # Small scales would hide in rounding what comes through a branch.
    "branch_scale": 1.0,
}


def _model(settings_: dict[str, Any], seed: int = 0) -> ActionFormer:
    """In double precision, so that nothing hides in rounding."""
    return moved(SMALL | settings_, seed).double()


def _video(length: int, batch: int = 1) -> Tensor:
    return torch.randn(batch, length, DIM, dtype=torch.float64)


def _assert_same(found: Predictions, expected: Predictions) -> None:
    assert torch.equal(found.moments, expected.moments)
    assert torch.equal(found.valid, expected.valid)
    torch.testing.assert_close(found.logits, expected.logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.offsets, expected.offsets, atol=1e-5, rtol=0)


STEPS = [(0, 2), (1, 2), (2, 2), (3, 2), (1, 4), (2, 4)]


@st.composite
def architectures(draw: st.DrawFn) -> dict[str, Any]:
    """Every switch that decides how far a moment sees, in any combination that has a bound."""
    conv = draw(st.booleans())
    pyramid = draw(st.sampled_from(["stem", "every_block"]))
    drawn: dict[str, Any] = {
        "encoder": "conv" if conv else "transformer",
        "pyramid": pyramid,
        "stem_blocks": draw(st.integers(1 if pyramid == "every_block" else 0, 2)),
        **draw(st.sampled_from([{"downsampling_blocks": n, "factor": f} for n, f in STEPS])),
        "projection_layers": draw(st.integers(1, 2)),
        "projection_kernel": draw(st.sampled_from([1, 3, 5])),
        "neck": draw(st.sampled_from(["identity", "top_down"])),
        "head_layers": draw(st.integers(1, 3)),
        "head_kernel": draw(st.sampled_from([1, 3, 5])),
    }
    if not conv:
        levels = drawn["downsampling_blocks"] + (drawn["stem_blocks"] if pyramid == "every_block" else 1)
        window = st.sampled_from([3, 5, 9])
        drawn |= {
            "window": draw(st.one_of(window, st.tuples(*[window] * levels))),
            "position": draw(st.sampled_from(["none", "relative"])),
            "qkv_convolution": draw(st.booleans()),
            "downsampling": draw(st.sampled_from(["convolution", "average", "max"])),
        }
    return drawn


EACH_KIND: dict[str, dict[str, Any]] = {
    "default": {},
    "window_per_level": {"window": (3, 9, 5)},
    "no_window_where_no_block_is": {"stem_blocks": 0, "window": (None, 5, 5)},
    "relative": {"position": "relative"},
    "plain": {"qkv_convolution": False},
    "average": {"downsampling": "average"},
    "max": {"downsampling": "max", "qkv_convolution": False},
    "factor_4": {"factor": 4},
    "factor_4_plain": {"factor": 4, "qkv_convolution": False},
    "every_block": {"pyramid": "every_block"},
    "one_level": {"downsampling_blocks": 0},
    "top_down": {"neck": "top_down", "neck_width": 12},
    "top_down_every_block": {"neck": "top_down", "pyramid": "every_block"},
    "conv": {"encoder": "conv", "window": None},
    "conv_factor_4_top_down": {"encoder": "conv", "factor": 4, "neck": "top_down"},
    "streams": {"input_dims": (4, 2), "stream_widths": (5, 3)},
    "wide_kernels": {"head_kernel": 5, "head_layers": 2, "projection_kernel": 7, "projection_layers": 1},
}
each_kind = pytest.mark.parametrize("settings_", EACH_KIND.values(), ids=EACH_KIND.keys())


# How far a moment sees


def _seen(model: ActionFormer, to: int) -> int:
    """How many clips to either side the moments of one period of the pyramid see, by their gradients."""
    period = model.config.strides[-1]
    start = -(-to // period) * period
    features = _video(2 * start + period).requires_grad_()
    out = model(features)
    outputs = torch.cat([out.logits[0], out.offsets[0]], dim=1)
    furthest = 0
    for moment in range(len(outputs)):
        at = int(out.moments[moment, 0])
        if start <= at < start + period:
            (gradient,) = torch.autograd.grad(outputs[moment].sum(), features, retain_graph=True)
            there = gradient[0].any(dim=1).nonzero()[:, 0]
            furthest = max(furthest, at - int(there.min()), int(there.max()) - at)
    return furthest


@each_kind
def test_margin_is_how_far_moments_see(settings_: dict[str, Any]) -> None:
    model = _model(settings_)
    around = margin(model.config)
    period = model.config.strides[-1]
    assert around % period == 0
    assert around - period < _seen(model, around + 2 * period) <= around


def test_margin_of_the_default_architecture() -> None:
    # Projection 2; stem 2 (1 + 9); blocks 1 + 18, 2 + 36, ..., 16 + 288; heads 3 * 32: 707, in whole strides of 32.
    assert margin(ModelConfig()) == 736


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"window": None}, "model.window is null"),
        ({"window": (3, None, 5)}, r"model.window is \[3, null, 5\]"),
        ({"position": "sinusoid"}, "model.position is 'sinusoid'"),
        ({"position": "both"}, "model.position is 'both'"),
        ({"padding": "official"}, "model.padding is 'official'"),
    ],
)
def test_no_margin(settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        margin(ModelConfig(**(SMALL | settings_)))


# The plan


@given(
    length=st.integers(1, 2000),
    core=st.integers(1, 40),
    margins=st.integers(0, 20),
    multiple=st.sampled_from([1, 2, 8, 32]),
)
def test_plan_keeps_every_clip_once_and_a_margin_from_every_cut(
    length: int, core: int, margins: int, multiple: int
) -> None:
    clips, around = (core + 2 * margins) * multiple, margins * multiple
    plan = list(chunks(length, clips, around, multiple))
    assert plan[0].first == 0
    assert plan[-1].last == length
    assert all(before.last == after.first for before, after in pairwise(plan))
    for chunk in plan:
        assert 0 <= chunk.start <= chunk.first < chunk.last <= chunk.stop <= length
        assert chunk.start % multiple == chunk.first % multiple == 0
        assert chunk.start == 0 or chunk.first - chunk.start == around
        assert chunk.stop == length or chunk.stop - chunk.last == around
    assert all(chunk.stop - chunk.start == clips for chunk in plan[:-1])
    assert plan[-1].stop - plan[-1].start <= clips


def test_plan_by_hand() -> None:
    assert list(chunks(20, 12, 4, 2)) == [
        Chunk(0, 12, first=0, last=8),
        Chunk(4, 16, first=8, last=12),
        Chunk(8, 20, first=12, last=20),
    ]
    assert list(chunks(12, 12, 4, 2)) == [Chunk(0, 12, first=0, last=12)]


# The predictions


@given(
    settings_=architectures(),
    core=st.integers(1, 8),
    steps=st.integers(0, 3),
    rest=st.integers(1, 200),
    batch=st.integers(1, 2),
    seed=st.integers(0, 2**31),
)
@example(settings_={}, core=1, steps=9, rest=3, batch=1, seed=0)
@example(settings_={"neck": "top_down", "factor": 4}, core=1, steps=3, rest=11, batch=2, seed=0)
@example(settings_={"downsampling": "average", "pyramid": "every_block"}, core=2, steps=4, rest=1, batch=1, seed=0)
def test_chunks_give_what_the_whole_gives(
    settings_: dict[str, Any], core: int, steps: int, rest: int, batch: int, seed: int
) -> None:
    model = _model(settings_, seed)
    around, period = margin(model.config), model.config.strides[-1]
    clips = 2 * around + core * period
    length = rest if not steps else clips + (steps - 1) * core * period + rest
    features = _video(length, batch)
    read: list[int] = []

    def of(start: int, stop: int) -> Tensor:
        read.append(stop - start)
        return features[:, start:stop]

    with torch.inference_mode():
        found = predict_in_chunks(model, of, length, clips=clips)
        _assert_same(found, model(features))
    assert max(read) <= clips
    assert len(read) == len(list(chunks(length, clips, around, period)))


def test_less_margin_would_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model({})
    features = _video(300)
    around = margin(model.config)
    monkeypatch.setattr("untrimmed.model.chunks.margin", lambda _: around - 2 * model.config.strides[-1])
    with torch.inference_mode():
        found, whole = predict_in_chunks(model, lambda a, b: features[:, a:b], 300, clips=2 * around), model(features)
    assert float((found.logits - whole.logits).abs().max()) > 1e-5


def test_single_precision_and_default_scales() -> None:
    model = _model({"branch_scale": 1e-4, "width": 32, "attention_heads": 4, "window": 19}).float()
    features = torch.randn(1, 2000, DIM)
    with torch.inference_mode():
        found = predict_in_chunks(model, lambda a, b: features[:, a:b], 2000, clips=512)
        _assert_same(found, model(features))


def test_a_model_that_needs_the_whole_video_is_refused() -> None:
    model = _model({"window": None})
    with pytest.raises(ConfigError, match=r"model\.window is null"):
        predict_in_chunks(model, lambda a, b: _video(b - a), 100, clips=64)


def test_usual_chunk() -> None:
    assert usual_chunk(ModelConfig()) == 2**14
    wide = ModelConfig(window=65)
    assert usual_chunk(wide) == 16 * margin(wide)
    assert usual_chunk(ModelConfig(factor=6, downsampling_blocks=2, window=3)) == 2**14 // 36 * 36
    assert usual_chunk(ModelConfig(window=None)) is None
