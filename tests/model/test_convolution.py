from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from untrimmed.model.convolution import LARGE, Pointwise, convolve, weight_gradient


@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 20),
    groups=st.integers(1, 3),
    in_group=st.integers(1, 3),
    out_group=st.integers(1, 3),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2, 3, 4]),
    biased=st.booleans(),
)
def test_convolve_is_a_convolution_over_time(
    batch: int, length: int, groups: int, in_group: int, out_group: int, kernel: int, stride: int, biased: bool
) -> None:
    torch.manual_seed(0)
    x = torch.randn(batch, length, groups * in_group, dtype=torch.float64)
    weight = torch.randn(groups * out_group, in_group, kernel, dtype=torch.float64)
    bias = torch.randn(groups * out_group, dtype=torch.float64) if biased else None
    expected = F.conv1d(x.transpose(1, 2), weight, bias, stride, kernel // 2, groups=groups).transpose(1, 2)
    out = convolve(x, weight, bias, stride)
    assert out.shape[1] == math.ceil(length / stride)
    torch.testing.assert_close(out, expected)


def test_pointwise_is_a_linear_map() -> None:
    layer = Pointwise(5, 3)
    x = torch.randn(2, 7, 5)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight.squeeze(-1), layer.bias))
    assert not layer.bias.any()


def _reference(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return F.conv1d(x.mT, weight, bias, padding=weight.shape[2] // 2).mT


@given(
    batch=st.integers(1, 4),
    length=st.integers(1, 9),
    width=st.integers(1, 4),
    out_width=st.integers(1, 4),
    kernel=st.sampled_from([1, 3, 5, 7]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16]),
)
def test_weight_gradient_by_taps_is_that_of_a_convolution(
    batch: int, length: int, width: int, out_width: int, kernel: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    # Small whole numbers, so that all sums are exact and no tolerance has to be found.
    x = torch.randint(-3, 4, (batch, length, width)).to(dtype)
    grad = torch.randint(-3, 4, (batch, length, out_width)).to(dtype)
    weight = torch.zeros(out_width, width, kernel, dtype=torch.float64, requires_grad=True)
    _reference(x.double(), weight, None).backward(grad.double())
    assert weight.grad is not None
    if dtype == torch.float32:
        torch.testing.assert_close(weight_gradient(x, grad, kernel).double(), weight.grad)
    else:  # which keeps 8 bits of each sum
        largest = weight.grad.abs().max() * 2**-7 + 2.0 * batch
        assert (weight_gradient(x, grad, kernel).double() - weight.grad).abs().max() <= largest


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("width", "length"), [(8, 20), (64, LARGE // 64)])
def test_gradients_of_a_convolution(width: int, length: int, batch: int, biased: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(batch, length, width, requires_grad=True)
    weight = torch.randn(5, width, 3, requires_grad=True)
    bias = torch.randn(5, requires_grad=True) if biased else None
    leaves = [leaf for leaf in (x, weight, bias) if leaf is not None]
    target = torch.randn(batch, length, 5)
    found = torch.autograd.grad(F.mse_loss(convolve(x, weight, bias), target), leaves)
    expected = torch.autograd.grad(F.mse_loss(_reference(x, weight, bias), target), leaves)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_only_the_gradients_that_are_wanted_are_computed() -> None:
    x, weight = torch.randn(1, LARGE // 8, 8), torch.randn(2, 8, 3, requires_grad=True)
    convolve(x, weight).sum().backward()
    assert x.grad is None
    assert weight.grad is not None
    frozen, moved = weight.detach(), x.clone().requires_grad_()
    convolve(moved, frozen).sum().backward()
    assert frozen.grad is None
    assert moved.grad is not None


def test_gradients_in_bf16_stay_in_fp32_where_the_weights_are() -> None:
    torch.manual_seed(0)
    layer = Pointwise(16, 4)
    x = torch.randn(2, 30, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.bfloat16
    out.float().square().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    exact = Pointwise(16, 4)
    exact.load_state_dict(layer.state_dict())
    exact(x).square().sum().backward()
    assert exact.weight.grad is not None
    error = (layer.weight.grad - exact.weight.grad).norm() / exact.weight.grad.norm()
    assert error < 0.02


@given(
    length=st.integers(1, 12),
    batch=st.integers(1, 3),
    stride=st.sampled_from([2, 4]),
    kernel=st.sampled_from([1, 3, 5]),
    depthwise=st.booleans(),
    biased=st.booleans(),
)
def test_gradients_of_a_strided_convolution_in_bf16(
    length: int, batch: int, stride: int, kernel: int, depthwise: bool, biased: bool
) -> None:
    torch.manual_seed(0)
    shapes = [(batch, length, 6), (6, 1 if depthwise else 6, kernel), *([(6,)] if biased else [])]
    exact = [torch.randint(-2, 3, shape).double().requires_grad_() for shape in shapes]  # sums that bf16 holds
    rounded = [leaf.detach().bfloat16().requires_grad_() for leaf in exact]
    grads = []
    for leaves in (exact, rounded):
        x, weight, *bias = leaves
        out = convolve(x, weight, bias[0] if bias else None, stride)
        grads.append(torch.autograd.grad(out, leaves, torch.ones_like(out)))
    for theirs, ours in zip(*grads, strict=True):
        torch.testing.assert_close(ours.double(), theirs)
