from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published import State, Writer, network_input, normed, pictures
from torch import Tensor

from untrimmed.errors import ConfigError, ModelError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.slowfast import SlowFastExtractor, _load
from untrimmed.video.view import View


class Network(NamedTuple):
    """One of the published networks, with its millions of parameters as PyTorchVideo's list has them."""

    stages: tuple[int, int, int, int]
    fusion: int
    ratio: int
    millions: float


R50 = Network((3, 4, 6, 3), 7, 4, 34.57)
R101 = Network((3, 4, 23, 3), 5, 4, 62.83)
R50_4X16 = Network((3, 4, 6, 3), 5, 8, 34.48)

Names = Callable[[str], str]


def pytorchvideo(name: str) -> str:
    """`fuse 2 bn` and the like as PyTorchVideo names it; stages count from 1, of which the first is the stem."""
    match name.split():
        case ["stem", pathway, part]:
            return f"blocks.0.multipathway_blocks.{pathway}.{ {'conv': 'conv', 'bn': 'norm'}[part] }"
        case ["fuse", stage, part]:
            names = {"conv": "conv_fast_to_slow", "bn": "norm"}
            return f"blocks.{int(stage) - 1}.multipathway_fusion.{names[part]}"
        case ["skip", stage, pathway, block, part]:
            start = f"blocks.{int(stage) - 1}.multipathway_blocks.{pathway}.res_blocks.{block}"
            return f"{start}.branch1_{ {'conv': 'conv', 'bn': 'norm'}[part] }"
        case [letter, stage, pathway, block, part]:
            start = f"blocks.{int(stage) - 1}.multipathway_blocks.{pathway}.res_blocks.{block}"
            return f"{start}.branch2.{ {'conv': 'conv', 'bn': 'norm'}[part] }_{letter}"
        case _:
            return "blocks.6.proj"


def pyslowfast(name: str) -> str:
    """The same as PySlowFast names it."""
    match name.split():
        case ["stem", pathway, part]:
            return f"s1.pathway{pathway}_stem.{part}"
        case ["fuse", stage, part]:
            return f"s{stage}_fuse.{ {'conv': 'conv_f2s', 'bn': 'bn'}[part] }"
        case ["skip", stage, pathway, block, part]:
            return f"s{stage}.pathway{pathway}_res{block}.branch1{ {'conv': '', 'bn': '_bn'}[part] }"
        case [letter, stage, pathway, block, part]:
            return f"s{stage}.pathway{pathway}_res{block}.branch2.{letter}{ {'conv': '', 'bn': '_bn'}[part] }"
        case _:
            return "head.projection"


def published(network: Network, named: Names, *, empty: bool = False) -> State:
    """A file as `SLOWFAST_8x8_R50.pyth`, without what is around the weights."""
    writer = Writer(sum(network.stages), empty=empty)

    def unit(name: str, outputs: int, inputs: int, kernel: tuple[int, int, int]) -> None:
        writer.convolution(named(f"{name} conv"), outputs, inputs, kernel)
        writer.norm(named(f"{name} bn"), outputs)

    unit("stem 0", 64, 3, (1, 7, 7))
    unit("stem 1", 8, 3, (5, 7, 7))
    widths = [64, 8]
    for stage, count in enumerate(network.stages, start=2):
        unit(f"fuse {stage - 1}", 2 * widths[1], widths[1], (network.fusion, 1, 1))
        inputs = [widths[0] + 2 * widths[1], widths[1]]
        widths = [256 * 2 ** (stage - 2), 32 * 2 ** (stage - 2)]
        for pathway in (0, 1):
            taps = 3 if pathway == 1 or stage > 3 else 1
            outputs = widths[pathway]
            for block in range(count):
                place = f"{stage} {pathway} {block}"
                width = inputs[pathway] if block == 0 else outputs
                unit(f"a {place}", outputs // 4, width, (taps, 1, 1))
                unit(f"b {place}", outputs // 4, outputs // 4, (1, 3, 3))
                unit(f"c {place}", outputs, outputs // 4, (1, 1, 1))
                if block == 0:
                    unit(f"skip {place}", outputs, width, (1, 1, 1))
    writer.linear(named("head"), 400, 2304)
    return writer.state


def reference(state: State, named: Names, x: Tensor, network: Network) -> Tensor:
    """`[B, 3, T, H, W]` to `[B, 2304]`."""

    def unit(name: str, x: Tensor, stride: tuple[int, int, int] = (1, 1, 1)) -> Tensor:
        weight = state[f"{named(f'{name} conv')}.weight"]
        x = F.conv3d(x, weight, stride=stride, padding=[size // 2 for size in weight.shape[2:]])
        return normed(state, named(f"{name} bn"), x, epsilon=1e-5)

    frames = x.shape[2]
    chosen = np.linspace(0, frames - 1, frames // network.ratio).astype(int)
    ways = [x[:, :, chosen], x]
    for pathway in (0, 1):
        y = F.relu(unit(f"stem {pathway}", ways[pathway], (1, 2, 2)))
        ways[pathway] = F.max_pool3d(y, (1, 3, 3), (1, 2, 2), (0, 1, 1))
    for stage, count in enumerate(network.stages, start=2):
        fused = F.relu(unit(f"fuse {stage - 1}", ways[1], (network.ratio, 1, 1)))
        ways[0] = torch.cat([ways[0], fused], dim=1)
        for pathway in (0, 1):
            for block in range(count):
                place = f"{stage} {pathway} {block}"
                stride = (1, 2, 2) if stage > 2 and block == 0 else (1, 1, 1)
                x = ways[pathway]
                y = F.relu(unit(f"a {place}", x))
                y = F.relu(unit(f"b {place}", y, stride))
                y = unit(f"c {place}", y)
                ways[pathway] = F.relu(y + (unit(f"skip {place}", x, stride) if block == 0 else x))
    return torch.cat([way.mean(dim=(2, 3, 4)) for way in ways], dim=1)


@pytest.fixture(scope="module")
def state() -> State:
    return published(R50, pytorchvideo)


@pytest.fixture(scope="module")
def file(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slowfast") / "SLOWFAST_8x8_R50.pyth"
    torch.save({"model_state": state}, path)
    return path


def test_features(file: Path, state: State) -> None:
    extractor = SlowFastExtractor(file, window=4, device="cpu", precision="fp32")
    frames = pictures(4, 256)
    (found,) = extractor.features(frames)
    assert found.shape == (1, 2304)
    x = network_input(frames, [0.45] * 3, [0.225] * 3)
    with torch.inference_mode():
        expected = reference(state, pytorchvideo, x, R50)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * float(expected.max()))
    x = torch.randn(
        1, 3, 16, 39, 34, generator=torch.Generator().manual_seed(0)
    )  # several frames of the slow pathway, uneven sides
    with torch.inference_mode():
        expected = reference(state, pytorchvideo, x, R50)
        torch.testing.assert_close(extractor._network(x), expected, rtol=1e-3, atol=1e-5 * float(expected.max()))


def test_facts(file: Path) -> None:
    extractor = SlowFastExtractor(file)
    assert extractor.name == f"slowfast:{file}"
    assert extractor.grid == TimeGrid(8, 32, 15)
    assert extractor.views == (View(256, 256, 256),)
    assert extractor.dimension == 2304


def test_both_names_of_the_same_weights(tmp_path: Path) -> None:
    found = []
    for named in (pytorchvideo, pyslowfast):
        torch.save(published(R50, named, empty=True), tmp_path / "x.pyth")
        _, weights = _load(tmp_path / "x.pyth")
        found.append({name: tensor.flatten()[0] for name, tensor in weights.items()})
    assert found[0] == found[1]
    assert len({float(value) for name, value in found[0].items() if "conv" in name}) > 100  # so they can be told apart


@pytest.mark.parametrize("named", [pytorchvideo, pyslowfast])
@pytest.mark.parametrize("network", [R50, R101, R50_4X16])
def test_the_weights_tell_the_network(tmp_path: Path, network: Network, named: Names) -> None:
    torch.save(published(network, named, empty=True), tmp_path / "x.pyth")
    ours, weights = _load(tmp_path / "x.pyth")
    assert ours.ratio == network.ratio
    parameters = sum(t.numel() for name, t in weights.items() if "running" not in name)
    assert round((parameters + 2304 * 400 + 400) / 1e6, 2) == network.millions


def test_windows_that_do_not_fit(tmp_path: Path) -> None:
    torch.save(published(R50_4X16, pytorchvideo, empty=True), tmp_path / "x.pyth")
    with pytest.raises(ConfigError, match="window is 12, but has to be a multiple of 8"):
        SlowFastExtractor(tmp_path / "x.pyth", window=12)


def test_a_network_that_is_none_of_these(tmp_path: Path) -> None:
    """The last blocks of the fourth stage see single frames in 16x8 R101."""
    state = published(R101, pytorchvideo, empty=True)
    name = "blocks.3.multipathway_blocks.0.res_blocks.22.branch2.conv_a.weight"
    state[name] = state[name][:, :, :1]
    torch.save(state, tmp_path / "x.pyth")
    with pytest.raises(
        ModelError, match=f"{name}' has the shape .* seems to be a variant of slowfast that is not supp"
    ):
        SlowFastExtractor(tmp_path / "x.pyth")
