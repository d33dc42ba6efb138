from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from untrimmed.model.layers import (
    ConvolutionStack,
    MaskedConvolution,
    ResidualBranch,
    Scale,
    average_pool,
    every,
    mask,
    max_pool,
)


def test_mask_clears_padded_positions() -> None:
    x = torch.ones(2, 3, 2)
    valid = torch.tensor([[True, True, False], [True, False, False]])
    assert mask(x, valid).sum(-1).tolist() == [[2, 2, 0], [2, 0, 0]]
    assert mask(x, None) is x


def test_every_takes_the_positions_that_a_coarser_level_sits_at() -> None:
    valid = torch.arange(7)[None] < 5
    out = every(valid, 2)
    assert out is not None
    assert out.tolist() == [[True, True, True, False]]
    assert every(valid, 1) is valid
    assert every(None, 2) is None


@pytest.mark.parametrize(("depthwise", "bias"), [(False, True), (False, False), (True, True), (True, False)])
@pytest.mark.parametrize("stride", [1, 2])
def test_masked_convolution_convolves_the_video_alone(depthwise: bool, bias: bool, stride: int) -> None:
    torch.manual_seed(0)
    layer = MaskedConvolution(4, 4, 3, stride=stride, depthwise=depthwise, bias=bias)
    if layer.bias is not None:
        nn.init.normal_(layer.bias)
    x, length = torch.randn(1, 9, 4), 6
    out = layer(x, torch.arange(9)[None] < length)
    alone = F.conv1d(
        x[:, :length].mT, layer.weight, layer.bias, stride=stride, padding=1, groups=4 if depthwise else 1
    ).mT
    torch.testing.assert_close(out[:, : alone.shape[1]], alone)
    torch.testing.assert_close(layer(x[:, :length], None), alone)


def test_masked_convolution_as_the_official_code_has_it() -> None:
    torch.manual_seed(0)
    layer = MaskedConvolution(4, 6, 3, stride=2, padding="official")
    nn.init.normal_(layer.bias)
    x, valid = torch.randn(1, 9, 4), torch.arange(9)[None] < 5
    out = layer(x, valid)
    whole = F.conv1d(x.mT, layer.weight, layer.bias, stride=2, padding=1).mT
    torch.testing.assert_close(out[:, :3], whole[:, :3])
    assert not out[:, 3:].any()


def test_biases_start_at_zero() -> None:
    layer = MaskedConvolution(4, 6, 3)
    assert layer.bias is not None
    assert not layer.bias.any()
    assert MaskedConvolution(4, 6, 3, bias=False).bias is None


@pytest.mark.parametrize("norm", [False, True])
def test_convolution_stack(norm: bool) -> None:
    torch.manual_seed(0)
    stack = ConvolutionStack(3, 5, 3, 2, norm=norm)
    x, valid = torch.randn(1, 8, 3), torch.arange(8)[None] < 6
    expected = x[:, :6]
    for convolution, layer_norm in zip(stack.convolutions, stack.norms, strict=True):
        assert isinstance(convolution, MaskedConvolution)
        assert (convolution.bias is None) == norm
        expected = F.conv1d(expected.mT, convolution.weight, convolution.bias, padding=1).mT
        expected = F.relu(F.layer_norm(expected, (5,)) if norm else expected)
        assert isinstance(layer_norm, nn.LayerNorm) == norm
    out = stack(mask(x, valid), valid)
    torch.testing.assert_close(out[:, :6], expected)
    assert not out[:, 6:].any()


def test_convolution_stack_of_no_layers_does_nothing() -> None:
    x = torch.randn(1, 8, 5)
    assert ConvolutionStack(5, 5, 3, 0, norm=True)(x, None) is x


def test_scale() -> None:
    assert Scale(2.5)(torch.tensor([2.0, -4.0])).tolist() == [5.0, -10.0]
    assert Scale().scale.item() == 1


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("drop", [0.0, 0.4])
@pytest.mark.parametrize("scale", [None, 0.5])
def test_residual_branch_keeps_or_leaves_out_whole_samples(training: bool, drop: float, scale: float | None) -> None:
    torch.manual_seed(0)
    layer = ResidualBranch(3, scale, drop).train(training)
    if layer.scale is not None:
        layer.scale.data = torch.tensor([0.5, -1.0, 2.0])
    skip, branch = torch.randn(1000, 2, 3), torch.randn(1000, 2, 3)
    whole = branch if layer.scale is None else branch * layer.scale
    out = layer(skip, branch)
    if not training or not drop:
        torch.testing.assert_close(out, skip + whole)
        return
    kept = (out != skip).any(-1).any(-1)
    torch.testing.assert_close(out[kept], skip[kept] + whole[kept] / (1 - drop))
    assert torch.equal(out[~kept], skip[~kept])
    assert kept.float().mean().item() == pytest.approx(1 - drop, abs=0.05)  # 3 standard deviations


def test_residual_branch_keeps_its_mean() -> None:
    torch.manual_seed(0)
    layer = ResidualBranch(1, 0.5, 0.25).train()
    out = layer(torch.ones(100_000, 1, 1), torch.full((100_000, 1, 1), 3.0))
    assert out.mean().item() == pytest.approx(1 + 0.5 * 3, abs=0.01)


@pytest.mark.parametrize("training", [False, True])
def test_residual_branch_starts_with_its_scale(training: bool) -> None:
    layer = ResidualBranch(4, 1e-4, 0.0).train(training)
    out = layer(torch.zeros(1, 1, 4), torch.ones(1, 1, 4))
    torch.testing.assert_close(out, torch.full((1, 1, 4), 1e-4))


def _slow_pool(x: Tensor, valid: Tensor, stride: int, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """`reduce` over the valid moments of `stride + 1` around every `stride`-th one; zero where that is padding."""
    batch, length, width = x.shape
    out = torch.zeros(batch, math.ceil(length / stride), width, dtype=x.dtype)
    for b in range(batch):
        for i in range(out.shape[1]):
            center, half = i * stride, stride // 2
            window = [t for t in range(max(0, center - half), min(length, center + half + 1)) if valid[b, t]]
            if valid[b, center]:
                out[b, i] = reduce(x[b, window])
    return out


@given(
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=3),
    extra=st.integers(0, 6),
    stride=st.sampled_from([2, 4]),
    masked=st.booleans(),
    positive=st.booleans(),
)
def test_pooling_by_its_definition(lengths: list[int], extra: int, stride: int, masked: bool, positive: bool) -> None:
    torch.manual_seed(0)
    size = max(lengths) + extra or 1
    x = torch.randn(len(lengths), size, 3, dtype=torch.float64)
    x = x.abs() if positive else -x.abs()  # a padded zero would win over negative numbers
    real = torch.arange(size) < torch.tensor(lengths)[:, None] if masked else torch.ones(x.shape[:2], dtype=torch.bool)
    valid = real if masked else None
    x[~real] = 1e6
    there = real[:, ::stride]
    maximum = max_pool(x, valid, stride)
    torch.testing.assert_close(maximum, _slow_pool(x, real, stride, lambda w: w.amax(0)))
    mean = average_pool(x, valid, stride)
    torch.testing.assert_close(mean[there], _slow_pool(x, real, stride, lambda w: w.mean(0))[there])
    assert bool(torch.isfinite(mean).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_pooling_of_a_padded_row_has_finite_gradients(dtype: torch.dtype) -> None:
    x = torch.randn(2, 9, 3, dtype=dtype, requires_grad=True)
    valid = torch.arange(9) < torch.tensor([[0], [4]])
    (max_pool(x, valid, 2) + average_pool(x, valid, 2)).sum().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
    assert not x.grad[0].any()


def test_official_max_pool_counts_padded_moments_as_they_are() -> None:
    x, valid = torch.full((1, 4, 1), -2.0), torch.tensor([[True, True, True, False]])
    x[0, 3] = 0.0
    assert max_pool(x, valid, 2, "official").flatten().tolist() == [-2, 0]
    assert max_pool(x, valid, 2).flatten().tolist() == [-2, -2]
