from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from untrimmed.errors import ConfigError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.convolutions import Convolution, ConvolutionalExtractor, fold_all, padded_same
from untrimmed.video.view import View


def randomised(module: Convolution) -> Convolution:
    norm = module.norm
    assert isinstance(norm, nn.BatchNorm3d)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        assert tensor is not None
        nn.init.normal_(tensor)
    assert norm.running_var is not None
    nn.init.uniform_(norm.running_var, 0.2, 2)
    return module.eval()


@pytest.mark.parametrize("kernel", [(1, 1, 1), (3, 1, 1), (5, 1, 1), (1, 3, 3), (3, 3, 3), (5, 7, 7)])
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 2, 2)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@torch.inference_mode()
def test_convolution(kernel: tuple[int, int, int], stride: tuple[int, int, int], layout: torch.memory_format) -> None:
    """The roads that are faster lead to the same place as the plain one, folded or not."""
    torch.manual_seed(0)
    module = randomised(Convolution(3, 5, kernel, stride, epsilon=1e-3))
    x = torch.randn(2, 3, 5, 7, 6)
    padding = [size // 2 for size in kernel]
    expected = F.relu(module.norm(F.conv3d(x, module.conv.weight, None, stride, padding)))
    torch.testing.assert_close(module(x.to(memory_format=layout)), expected)
    module.fold()
    assert isinstance(module.norm, nn.Identity)
    torch.testing.assert_close(module(x.to(memory_format=layout)), expected, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_without_relu() -> None:
    module = randomised(Convolution(3, 5, (1, 1, 1), relu=False))
    assert module(torch.randn(2, 3, 4, 4, 4)).min() < 0


@torch.inference_mode()
def test_the_input_is_left_alone() -> None:
    module = randomised(Convolution(3, 3, (1, 1, 1)))
    x = torch.randn(1, 3, 2, 2, 2)
    before = x.clone()
    module(x)
    assert torch.equal(x, before)


@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(1, 4)] * 3), st.tuples(*[st.integers(1, 3)] * 3))
def test_same_padding(sizes: tuple[int, int, int], kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
    """As TensorFlow defines it: ceil(size / stride) outputs, and of an odd padding the larger part at the end."""
    padded = padded_same(torch.ones(1, 1, *sizes), kernel, stride)
    for axis in range(3):
        size, taps, step = sizes[axis], kernel[axis], stride[axis]
        count = math.ceil(size / step)
        if taps >= step:  # else the windows leave some of the input out, and nothing is padded
            assert (padded.shape[2 + axis] - taps) // step + 1 == count
        inside = padded.amax(dim=[other for other in range(5) if other != 2 + axis])
        before, after = int(inside.argmax()), padded.shape[2 + axis] - size - int(inside.argmax())
        assert before <= after <= before + 1
        assert before + after == max(0, (count - 1) * step + taps - size)


class Mean(nn.Module):
    """A network whose features are the means of the colours."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = randomised(Convolution(3, 3, (1, 1, 1), relu=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.unit(x).mean(dim=(2, 3, 4))


def extractor(**options: object) -> ConvolutionalExtractor:
    usual: dict[str, object] = {
        "dimension": 3,
        "grid": TimeGrid(2, 4, 10.0),
        "view": View(6, 8),
        "mean": (0.1, 0.2, 0.3),
        "deviation": (0.4, 0.5, 0.6),
        "device": "cpu",
        "precision": "fp32",
    }
    torch.manual_seed(0)
    network = Mean()
    state = dict(network.state_dict())
    return ConvolutionalExtractor("mean", network, state, **{**usual, **options})  # type: ignore[arg-type]


def test_normalisation_and_folding() -> None:
    torch.manual_seed(0)
    network = Mean()
    clips = torch.randint(0, 256, (3, 4, 6, 8, 3), dtype=torch.uint8)
    x = (clips / 255 - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor([0.4, 0.5, 0.6])
    with torch.inference_mode():
        expected = network(x.permute(0, 4, 1, 2, 3))
    torch.testing.assert_close(torch.from_numpy(extractor().encode(clips.numpy())), expected, rtol=1e-4, atol=1e-5)


def test_fingerprint() -> None:
    changes: list[dict[str, object]] = [
        {},
        {"grid": TimeGrid(4, 4, 10.0)},
        {"view": View(6, 8, 9)},
        {"mean": (0.0, 0.0, 0.0)},
        {"deviation": (1.0, 1.0, 1.0)},
    ]
    assert len({extractor(**change).fingerprint for change in changes}) == len(changes)
    assert extractor(precision="bf16").fingerprint == extractor().fingerprint


def test_wrong_device() -> None:
    with pytest.raises(ConfigError, match="there is no device 'gpu'"):
        extractor(device="gpu")


def test_folding_reaches_every_convolution() -> None:
    network = nn.Sequential(Convolution(3, 3, (1, 1, 1)), nn.ModuleDict({"x": Convolution(3, 3, (1, 1, 1))}))
    fold_all(network)
    assert not any(isinstance(module, nn.BatchNorm3d) for module in network.modules())
