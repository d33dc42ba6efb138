from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published import State, Writer, network_input, normed, pictures
from torch import Tensor

from untrimmed.errors import ModelError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.r2plus1d import R2Plus1D, R2Plus1DExtractor
from untrimmed.video.view import View

BLOCKS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3]}
MEAN, DEVIATION = (0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)

# Width between the convolution in space and that in time, for a pair of so many inputs and outputs.
MIDDLE = {
    (64, 64): 144,
    (64, 128): 230,
    (128, 128): 288,
    (128, 256): 460,
    (256, 256): 576,
    (256, 512): 921,
    (512, 512): 1152,
}


def published(layers: int, *, empty: bool = False) -> State:
    """A file as torchvision's `r2plus1d_18-91a641e6.pth`, or the weights inside one of TSP's."""
    writer = Writer(layers, empty=empty)
    writer.convolution("stem.0", 45, 3, (1, 7, 7))
    writer.norm("stem.1", 45)
    writer.convolution("stem.3", 64, 45, (3, 1, 1))
    writer.norm("stem.4", 64)
    width = 64
    for stage, count in enumerate(BLOCKS[layers], start=1):
        outputs = 64 * 2 ** (stage - 1)
        for block in range(count):
            name = f"layer{stage}.{block}"
            for i, inputs in (("1", width), ("2", outputs)):
                # torchvision gives both pairs of a block the width that the first one has.
                middle = MIDDLE[width if layers == 18 else inputs, outputs]
                writer.convolution(f"{name}.conv{i}.0.0", middle, inputs, (1, 3, 3))
                writer.norm(f"{name}.conv{i}.0.1", middle)
                writer.convolution(f"{name}.conv{i}.0.3", outputs, middle, (3, 1, 1))
                writer.norm(f"{name}.conv{i}.1", outputs)
            if width != outputs:
                writer.convolution(f"{name}.downsample.0", outputs, width, (1, 1, 1))
                writer.norm(f"{name}.downsample.1", outputs)
            width = outputs
    writer.linear("fc", 400, 512)
    return writer.state


def reference(state: State, x: Tensor, layers: int) -> Tensor:
    """`[B, 3, T, H, W]` to `[B, 512]`."""
    epsilon = {18: 1e-5, 34: 1e-3}[layers]

    def space(name: str, x: Tensor, stride: int) -> Tensor:
        weight = state[f"{name}.0.weight"]
        x = F.conv3d(x, weight, stride=(1, stride, stride), padding=(0, weight.shape[3] // 2, weight.shape[4] // 2))
        return F.relu(normed(state, f"{name}.1", x, epsilon))

    def time(name: str, norm: str, x: Tensor, stride: int) -> Tensor:
        x = F.conv3d(x, state[f"{name}.3.weight"], stride=(stride, 1, 1), padding=(1, 0, 0))
        return normed(state, norm, x, epsilon)

    x = F.relu(time("stem", "stem.4", space("stem", x, 2), 1))
    for stage, count in enumerate(BLOCKS[layers], start=1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = F.relu(time(f"{name}.conv1.0", f"{name}.conv1.1", space(f"{name}.conv1.0", x, stride), stride))
            y = time(f"{name}.conv2.0", f"{name}.conv2.1", space(f"{name}.conv2.0", y, 1), 1)
            if stride == 2:
                x = F.conv3d(x, state[f"{name}.downsample.0.weight"], stride=2)
                x = normed(state, f"{name}.downsample.1", x, epsilon)
            x = F.relu(x + y)
    return x.mean(dim=(2, 3, 4))


@pytest.fixture(scope="module")
def states() -> dict[int, State]:
    return {layers: published(layers) for layers in (18, 34)}


@pytest.fixture(scope="module")
def folder(states: dict[int, State], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("r2plus1d")
    torch.save(states[18], folder / "r2plus1d_18.pth", _use_new_zipfile_serialization=False)
    backbone = {f"features.{name}": tensor for name, tensor in states[34].items() if not name.startswith("fc.")}
    heads = {f"fc{i}.weight": torch.zeros(2, 512) for i in (1, 2)}
    # As the training of TSP writes it, with its options beside the weights.
    checkpoint = {"model": {**backbone, **heads}, "epoch": 5, "args": argparse.Namespace(lr=0.1)}
    torch.save(checkpoint, folder / "r2plus1d_34-tsp.pth")
    return folder


def test_parameters_are_as_many_as_published() -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in R2Plus1D(18).parameters())
    assert count + 512 * 400 + 400 == 31_505_325


@pytest.mark.parametrize(("layers", "file", "window"), [(18, "r2plus1d_18.pth", 4), (34, "r2plus1d_34-tsp.pth", 1)])
def test_features(folder: Path, states: dict[int, State], layers: int, file: str, window: int) -> None:
    extractor = R2Plus1DExtractor(folder / file, window=window, device="cpu", precision="fp32")
    frames = pictures(window, 112)
    (found,) = extractor.features(frames)
    state = states[layers]
    with torch.inference_mode():
        expected = reference(state, network_input(frames, MEAN, DEVIATION), layers)
    assert found.shape == (1, 512)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * float(expected.max()))
    x = torch.randn(1, 3, 5, 37, 30, generator=torch.Generator().manual_seed(0))  # of uneven sides
    with torch.inference_mode():
        expected = reference(state, x, layers)
        torch.testing.assert_close(extractor._network(x), expected, rtol=1e-3, atol=1e-5 * float(expected.max()))


def test_facts(folder: Path) -> None:
    extractor = R2Plus1DExtractor(folder / "r2plus1d_18.pth")
    assert extractor.name == f"r2plus1d:{folder / 'r2plus1d_18.pth'}"
    assert extractor.grid == TimeGrid(16, 16, 15)
    assert extractor.views == (View(112, 112, 128),)
    assert extractor.dimension == 512


def test_the_other_width_of_the_same_depth(tmp_path: Path) -> None:
    """A file with 18 blocks' names but the widths of 34 layers is of neither."""
    state = published(18, empty=True)
    state["layer2.0.conv2.0.0.weight"] = torch.zeros(288, 128, 1, 3, 3)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(
        ModelError,
        match=r"'layer2.0.conv2.0.0.weight' has the shape \[288, .* but \[230, .*seems to be a variant of r2pl",
    ):
        R2Plus1DExtractor(tmp_path / "x.pth")
