from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published import State, Writer, network_input, normed, pictures
from torch import Tensor

from untrimmed.errors import ConfigError, FeatureError, ModelError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.i3d import I3D, I3DExtractor, I3DFlowExtractor
from untrimmed.video.view import View

# Names of the published network's blocks, with the widths of table 1 of "Going deeper with convolutions": 1 x 1, the
# reduction and the 3 x 3, the reduction and the second 3 x 3 (5 x 5 there), and the projection behind pooling.
BLOCKS = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}


def published(channels: int) -> State:
    """A file as `rgb_imagenet.pt` or `flow_imagenet.pt`."""
    writer = Writer(seed=channels)

    def unit(name: str, inputs: int, outputs: int, size: int) -> None:
        writer.convolution(f"{name}.conv3d", outputs, inputs, (size,) * 3)
        writer.norm(f"{name}.bn", outputs)

    unit("Conv3d_1a_7x7", channels, 64, 7)
    unit("Conv3d_2b_1x1", 64, 64, 1)
    unit("Conv3d_2c_3x3", 64, 192, 3)
    width = 192
    for block, (one, reduce3, three, reduce5, five, projection) in BLOCKS.items():
        unit(f"Mixed_{block}.b0", width, one, 1)
        unit(f"Mixed_{block}.b1a", width, reduce3, 1)
        unit(f"Mixed_{block}.b1b", reduce3, three, 3)
        unit(f"Mixed_{block}.b2a", width, reduce5, 1)
        unit(f"Mixed_{block}.b2b", reduce5, five, 3)
        unit(f"Mixed_{block}.b3b", width, projection, 1)
        width = one + three + five + projection
    writer.convolution("logits.conv3d", 400, 1024, (1, 1, 1))
    writer.state["logits.conv3d.bias"] = torch.zeros(400)
    return writer.state


def same(x: Tensor, kernel: int | tuple[int, int, int], stride: int | tuple[int, int, int]) -> Tensor:
    """Pad until every output position of a "SAME" window has all its inputs."""
    kernels = (kernel,) * 3 if isinstance(kernel, int) else kernel
    strides = (stride,) * 3 if isinstance(stride, int) else stride
    for axis in range(3):
        size = x.shape[2 + axis]
        needed = (math.ceil(size / strides[axis]) - 1) * strides[axis] + kernels[axis]
        before = max(0, needed - size) // 2
        after = max(0, needed - size) - before
        x = F.pad(x, [0, 0] * (2 - axis) + [before, after])
    return x


def reference(state: State, x: Tensor) -> Tensor:
    """`[B, C, T, H, W]` to `[B, 1024]`."""

    def unit(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{name}.conv3d.weight"]
        x = F.conv3d(same(x, weight.shape[2], stride), weight, stride=stride)
        return F.relu(normed(state, f"{name}.bn", x, epsilon=1e-3))

    def pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
        return F.max_pool3d(same(x, kernel, stride), kernel, stride)

    x = pool(unit("Conv3d_1a_7x7", x, 2), (1, 3, 3), (1, 2, 2))
    x = pool(unit("Conv3d_2c_3x3", unit("Conv3d_2b_1x1", x)), (1, 3, 3), (1, 2, 2))
    for block in BLOCKS:
        if block == "4b":
            x = pool(x, (3, 3, 3), (2, 2, 2))
        if block == "5b":
            x = pool(x, (2, 2, 2), (2, 2, 2))
        name = f"Mixed_{block}"
        branches = [
            unit(f"{name}.b0", x),
            unit(f"{name}.b1b", unit(f"{name}.b1a", x)),
            unit(f"{name}.b2b", unit(f"{name}.b2a", x)),
            unit(f"{name}.b3b", pool(x, (3, 3, 3), (1, 1, 1))),
        ]
        x = torch.cat(branches, dim=1)
    return x.mean(dim=(2, 3, 4))


@pytest.fixture(scope="module")
def state() -> State:
    return published(3)


@pytest.fixture(scope="module")
def folder(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("i3d")
    # In the format of torch before 1.6, as the published files are.
    torch.save(state, folder / "rgb_imagenet.pt", _use_new_zipfile_serialization=False)
    torch.save(published(2), folder / "flow_imagenet.pt", _use_new_zipfile_serialization=False)
    return folder


@pytest.fixture(scope="module")
def extractor(folder: Path) -> I3DExtractor:
    return I3DExtractor(folder / "rgb_imagenet.pt", window=8, stride=4, device="cpu", precision="fp32")


def test_parameters_are_as_many_as_published() -> None:
    with torch.device("meta"):
        counts = [sum(parameter.numel() for parameter in I3D(channels).parameters()) for channels in (3, 2)]
    # With the classifier, 12,697,264 for pictures; flow has one input channel less, of 7 x 7 x 7 x 64 weights.
    assert counts[0] + 1024 * 400 + 400 == 12_697_264
    assert counts[1] == counts[0] - 7**3 * 64


def test_features(extractor: I3DExtractor, state: State) -> None:
    frames = pictures(8, 224)
    found = np.concatenate(list(extractor.features(frames)))
    assert found.shape == (1, 1024)
    with torch.inference_mode():
        expected = reference(state, network_input(frames, [0.5] * 3, [0.5] * 3))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * float(found.max()))


@pytest.mark.parametrize(("frames", "size"), [(16, 32), (9, 45), (1, 33), (5, 64)])
def test_padding_at_all_sizes(extractor: I3DExtractor, state: State, frames: int, size: int) -> None:
    x = torch.randn(1, 3, frames, size, size, generator=torch.Generator().manual_seed(size))
    with torch.inference_mode():
        expected = reference(state, x)
        found = extractor._network(x)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5 * float(expected.max()))


def test_reduced_precision(folder: Path, extractor: I3DExtractor) -> None:
    coarse = I3DExtractor(folder / "rgb_imagenet.pt", window=8, stride=4, device="cpu", precision="bf16")
    frames = pictures(8, 224)
    (a,), (b,) = (np.concatenate(list(one.features(frames))) for one in (extractor, coarse))
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999
    assert not np.array_equal(a, b)
    assert coarse.fingerprint == extractor.fingerprint  # the same network, computed more coarsely


def test_facts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    extractor = I3DExtractor(Path("rgb_imagenet.pt"))
    assert extractor.name == f"i3d:{folder / 'rgb_imagenet.pt'}"
    assert extractor.dimension == 1024
    assert extractor.grid == TimeGrid(4, 16, 30)
    assert extractor.views == (View(224, 224, 256),)
    assert extractor.fingerprint != I3DExtractor(Path("rgb_imagenet.pt"), stride=8).fingerprint


@pytest.mark.parametrize("change", ["weights", "kept"])
def test_fingerprint_is_of_the_weights(folder: Path, state: State, tmp_path: Path, change: str) -> None:
    state = dict(state)
    if change == "weights":
        state["Mixed_5c.b0.bn.bias"] = state["Mixed_5c.b0.bn.bias"] + 1
    else:  # neither the classifier nor the way they are stored makes other features
        del state["logits.conv3d.weight"]
        state = {f"module.{name}": tensor for name, tensor in state.items() if "tracked" not in name}
    torch.save({"state_dict": state}, tmp_path / "x.pt")
    same = I3DExtractor(folder / "rgb_imagenet.pt").fingerprint == I3DExtractor(tmp_path / "x.pt").fingerprint
    assert same == (change == "kept")


def test_wrong_options(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"i3d: stride is 2.5, but has to be a whole number"):
        I3DExtractor(folder / "rgb_imagenet.pt", stride=2.5)
    with pytest.raises(ConfigError, match="rate is 0"):
        I3DFlowExtractor(folder / "flow_imagenet.pt", rate=0)
    with pytest.raises(ConfigError, match="there is no device 'gpu'"):
        I3DExtractor(folder / "rgb_imagenet.pt", device="gpu")


def test_weights_of_the_other_stream(folder: Path) -> None:
    with pytest.raises(
        ModelError, match=r"Conv3d_1a_7x7.conv3d.weight' has the shape \[64, 2, .*for i3d-flow: say i3d-f"
    ):
        I3DExtractor(folder / "flow_imagenet.pt")
    with pytest.raises(
        ModelError, match=r"\[64, 3, 7, 7, 7\], but \[64, 2, 7, 7, 7\] is expected. .* for i3d: say i3d:"
    ):
        I3DFlowExtractor(folder / "rgb_imagenet.pt")


# Optical flow


def flow(steps: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(steps).normal(0, 15, (steps, height, width, 2)).astype(np.float16)


def test_flow(folder: Path, tmp_path: Path) -> None:
    extractor = I3DFlowExtractor(folder / "flow_imagenet.pt", window=8, stride=4, device="cpu", precision="fp32")
    assert extractor.dimension == 1024
    array = flow(8, 256, 341)
    np.save(tmp_path / "v.npy", array)
    (found,) = extractor.features(extractor.frames_of(tmp_path / "v.npy"))
    middle = torch.from_numpy(array[:, 16:240, 58:282].astype(np.float32)).clip(-20, 20) / 20
    assert middle.abs().max() == 1  # some of it is cut off
    x = middle.permute(3, 0, 1, 2)[None]
    with torch.inference_mode():
        expected = reference(published(2), x)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * float(expected.max()))


def integers(steps: int, height: int, width: int) -> np.ndarray:
    return flow(steps, height, width).astype(np.int16)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (flow(3, 224, 300)[..., 0], r"v.npy: is \[3, 224, 300\], but flow \[F, H, W, 2\] is expected"),
        (np.zeros((3, 2, 224, 224), np.float32), r"is \[3, 2, 224, 224\], but flow"),
        (np.zeros((0, 224, 224, 2), np.float32), r"is \[0, 224, 224, 2\], but flow"),
        (flow(3, 223, 300), "the flow is 223 x 300, but 224 x 224 are cut out of it"),
        (integers(3, 224, 224), "flow has to be finite floats, in pixels, but step 0 is int16"),
        (flow(3, 224, 224) * np.nan, "but step 0 is float16 or has NaN or infinite values"),
        (np.array([None]), "pickled"),
    ],
)
def test_wrong_flow(folder: Path, tmp_path: Path, array: Any, message: str) -> None:
    np.save(tmp_path / "v.npy", array, allow_pickle=True)
    extractor = I3DFlowExtractor(folder / "flow_imagenet.pt")
    with pytest.raises(FeatureError, match=message):
        list(extractor.frames_of(tmp_path / "v.npy"))


def test_pictures_are_no_flow(folder: Path) -> None:
    extractor = I3DFlowExtractor(folder / "flow_imagenet.pt", window=8)
    with pytest.raises(ConfigError, match=r"takes optical flow, .npy files \[F, H, W, 2\], and no pictures"):
        list(extractor.features(pictures(8, 224)))
