from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from untrimmed.model.config import ModelConfig
from untrimmed.model.convolution import Convolution, Pointwise
from untrimmed.model.network import ActionFormer
from untrimmed.model.packed import Packed, PackedKernel, can_pack, pack

CPU = torch.device("cpu")
needs_packing = pytest.mark.skipif(not can_pack(CPU, torch.float32), reason="this torch has no packed operators")
needs_bf16 = pytest.mark.skipif(not can_pack(CPU, torch.bfloat16), reason="this processor packs no bf16")


def _model(**settings: Any) -> ActionFormer:
    torch.manual_seed(0)
    small = {"input_dims": 12, "num_classes": 3, "width": 16, "downsampling_blocks": 2, "window": 5, "branch_scale": 1}
    model = ActionFormer(ModelConfig(**(small | settings))).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


@needs_packing
@given(
    length=st.integers(1, 40),
    in_width=st.integers(1, 20),
    out_width=st.integers(1, 20),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2, 4]),
    batch=st.integers(1, 3),
    biased=st.booleans(),
    gelu=st.booleans(),
)
def test_a_packed_kernel_is_the_convolution(
    length: int, in_width: int, out_width: int, kernel: int, stride: int, batch: int, biased: bool, gelu: bool
) -> None:
    torch.manual_seed(0)
    layer = Convolution(in_width, out_width, kernel, stride=stride, bias=biased)
    x = torch.randn(batch, length, in_width)
    packed = PackedKernel(layer.weight, layer.bias, stride, torch.float32, "gelu" if gelu else "none")
    with torch.no_grad():
        expected = layer.convolve(x)
        expected = nn.functional.gelu(expected) if gelu else expected
        torch.testing.assert_close(packed(x), expected, rtol=1e-5, atol=1e-5)


@needs_packing
@given(
    length=st.integers(1, 40),
    width=st.integers(1, 40),
    kernel=st.sampled_from([3, 5]),
    stride=st.sampled_from([1, 2, 4]),
    batch=st.integers(1, 3),
    biased=st.booleans(),
)
def test_a_packed_kernel_is_the_depthwise_convolution(
    length: int, width: int, kernel: int, stride: int, batch: int, biased: bool
) -> None:
    torch.manual_seed(0)
    layer = Convolution(width, width, kernel, stride=stride, depthwise=True, bias=biased)
    x = torch.randn(batch, length, width)
    with torch.no_grad():
        packed = PackedKernel(layer.weight, layer.bias, stride, torch.float32, groups=width)
        torch.testing.assert_close(packed(x), layer.convolve(x), rtol=1e-5, atol=1e-5)


@needs_packing
@pytest.mark.parametrize("length", [1, 2, 31])
def test_a_wide_packed_model_says_the_same(length: int) -> None:
    torch.manual_seed(0)
    wide = {"input_dims": 600, "num_classes": 3, "width": 512, "downsampling_blocks": 1, "window": 5, "stem_blocks": 1}
    model = ActionFormer(ModelConfig(**wide)).eval()
    x = torch.randn(2, length, 600)
    with torch.inference_mode():
        packed = pack(model, torch.float32)
        ours, theirs = packed(x), model(x)
    stack = packed.encoder.projection.stack
    assert not isinstance(stack.convolutions[0].packed, PackedKernel)  # by Winograd's products
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours.offsets, theirs.offsets, rtol=1e-4, atol=1e-5)


@needs_packing
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encoder": "conv"},
        {"neck": "top_down", "neck_width": 8},
        {"input_dims": (4, 8), "stream_widths": (6, 10)},
        {"padding": "official", "base_length": 32},
        {"qkv_convolution": False, "downsampling": "max", "position": "relative"},
        {"window": None, "position": "sinusoid"},
        {"head_norm": False, "head_kernel": 5, "projection_norm": False},
    ],
)
@pytest.mark.parametrize("length", [1, 7, 33])
def test_a_packed_model_says_the_same(settings: dict[str, Any], length: int) -> None:
    model = _model(**settings)
    x = torch.randn(2, length, 12)
    valid = torch.arange(length)[None] < torch.tensor([[length], [max(1, length - 2)]])
    with torch.inference_mode():
        ours, theirs = pack(model, torch.float32)(x, valid), model(x, valid)
    there = ours.valid
    torch.testing.assert_close(ours.logits[there], theirs.logits[there], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.offsets[there], theirs.offsets[there], rtol=1e-4, atol=1e-4)


@needs_packing
def test_every_convolution_is_packed_and_the_model_left_as_it_was() -> None:
    model = _model()
    packed = pack(model, torch.float32)
    for name, module in packed.named_modules():
        if isinstance(module, Convolution):
            assert module.packed is not None, name
    assert not any(isinstance(module, nn.GELU) for module in packed.modules())
    assert all(module.packed is None for module in model.modules() if isinstance(module, Convolution))
    assert any(isinstance(module, nn.GELU) for module in model.modules())
    assert [id(p) for p in packed.parameters()] == [id(p) for p in model.parameters()]


@needs_bf16
def test_a_packed_model_computes_in_bf16() -> None:
    model = _model()
    x = torch.randn(1, 30, 12)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        ours, theirs = pack(model, torch.bfloat16)(x), model(x)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=0.05, atol=0.05)


@needs_packing
def test_a_model_is_packed_once_and_again_when_its_weights_change() -> None:
    model = _model()
    x = torch.randn(1, 9, 12)
    source = Packed(model, torch.float32)
    first = source.current()
    assert first is not model
    assert source.current() is first
    with torch.inference_mode():
        model.load_state_dict({name: tensor * 0.5 for name, tensor in model.state_dict().items()})
        torch.testing.assert_close(source.current()(x).logits, model(x).logits, rtol=1e-4, atol=1e-5)
    assert source.current() is not first
    model.classification.output.weight.data = torch.zeros_like(model.classification.output.weight)
    with torch.inference_mode():
        torch.testing.assert_close(source.current()(x).logits, model(x).logits, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_packed_stays_as_it_is() -> None:
    assert not can_pack(torch.device("meta"), torch.float32)
    assert not can_pack(CPU, torch.float16)
    model = _model()
    assert Packed(model, torch.float16).current() is model
    assert Packed(model.double(), torch.float32).current() is model


@needs_packing
def test_a_linear_map_is_packed_for_all_lengths() -> None:
    layer = Pointwise(6, 4)
    packed = PackedKernel(layer.weight, layer.bias, 1, torch.float32)
    assert packed.linear
    for length in (1, 3, 1000):
        x = torch.randn(1, length, 6)
        torch.testing.assert_close(packed(x), layer(x).detach(), rtol=1e-5, atol=1e-5)
