from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from untrimmed.video.extractors.folding import BATCH_NORM_EPSILON, FoldedConvolution, fold


def random_norm(channels: int, generator: torch.Generator) -> dict[str, Tensor]:
    """A batch normalisation with some variances so small that epsilon matters."""
    draw = torch.rand(4, channels, generator=generator)
    return {
        "norm.weight": 0.5 + draw[0],
        "norm.bias": draw[1] - 0.5,
        "norm.running_mean": draw[2] - 0.5,
        "norm.running_var": draw[3] ** 8,
    }


def same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad as TensorFlow defines "SAME": for `ceil(size / stride)` outputs, the odd one below and to the right."""
    for dimension in (2, 3):
        size = x.shape[dimension]
        missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        pair = [missing // 2, missing - missing // 2]
        x = F.pad(x, [0, 0, *pair] if dimension == 2 else pair)
    return x


def slow(weight: Tensor, norm: dict[str, Tensor], x: Tensor, stride: int, groups: int, *, relu6: bool) -> Tensor:
    out = F.conv2d(same(x, weight.shape[-1], stride), weight, stride=stride, groups=groups)
    mean, variance = norm["norm.running_mean"].double(), norm["norm.running_var"].double()
    gain, bias = norm["norm.weight"].double(), norm["norm.bias"].double()
    out = F.batch_norm(out, mean, variance, gain, bias, training=False, eps=BATCH_NORM_EPSILON)
    return F.relu6(out) if relu6 else out


@given(
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    depthwise=st.booleans(),
    relu6=st.booleans(),
    channels_last=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_folded_convolution_is_the_convolution_and_its_norm(
    kernel: int,
    stride: int,
    height: int,
    width: int,
    depthwise: bool,
    relu6: bool,
    channels_last: bool,
    seed: int,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    inputs, outputs = (6, 6) if depthwise else (3, 5)
    groups = 6 if depthwise else 1
    weight = torch.randn(outputs, inputs // groups, kernel, kernel, generator=generator)
    norm = random_norm(outputs, generator)
    x = torch.randn(2, inputs, 2 * height, 2 * width, generator=generator)

    fast = FoldedConvolution(*fold(weight, norm, "norm"), stride=stride, groups=groups, relu6=relu6)
    ours = fast(x.contiguous(memory_format=torch.channels_last) if channels_last else x)

    expected = slow(weight.double(), norm, x.double(), stride, groups, relu6=relu6)
    assert ours.shape == expected.shape
    torch.testing.assert_close(ours.double(), expected, rtol=1e-5, atol=1e-4)


def test_folding_leaves_the_weights_as_they_are() -> None:
    weight, norm = torch.ones(2, 1, 1, 1), random_norm(2, torch.Generator().manual_seed(0))
    before = {name: tensor.clone() for name, tensor in norm.items()}
    fold(weight, norm, "norm")
    assert torch.equal(weight, torch.ones(2, 1, 1, 1))
    assert all(torch.equal(norm[name], before[name]) for name in norm)


@pytest.mark.parametrize("shape", [(5, 4), (4, 5)])
def test_a_stride_of_two_is_for_even_sizes(shape: tuple[int, int]) -> None:
    convolution = FoldedConvolution(torch.ones(1, 1, 3, 3), torch.zeros(1), stride=2)
    with pytest.raises(AssertionError):
        convolution(torch.ones(1, 1, *shape))
