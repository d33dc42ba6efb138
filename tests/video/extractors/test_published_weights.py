from __future__ import annotations

import argparse
import contextlib
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pickle_bomb import Bomb
from untrimmed.errors import ModelError
from untrimmed.video.extractors.weights import load_published, read_weights, recognised

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "b.bias": torch.ones(2)}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize(
    "content",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model_state": STATE, "cfg": "TRAIN:", "optimizer_state": {"lr": 0.1}},
        {"model": STATE, "args": argparse.Namespace(lr=0.1)},
        {f"module.{name}": tensor for name, tensor in STATE.items()},
        {**STATE, "epoch": 3},
    ],
)
def test_reading(tmp_path: Path, content: dict[str, Any], new: bool) -> None:
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=new)
    assert equal(read_weights(tmp_path / "x.pth"), STATE)


def test_reading_safetensors(tmp_path: Path) -> None:
    safetensors.torch.save_file(STATE, tmp_path / "x.safetensors")
    assert equal(read_weights(tmp_path / "x.safetensors"), STATE)


def torch_saved(content: object, *, new: bool = True) -> Any:
    def write(path: Path) -> None:
        torch.save(content, path, _use_new_zipfile_serialization=new)

    return write


def pickled(content: object, protocol: int) -> Any:
    return lambda path: path.write_bytes(pickle.dumps(content, protocol=protocol))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "there is no such file of weights. Correct the path, or download it there"),
        (lambda path: path.mkdir(), r"cannot be opened \(Is a directory\)"),
        (lambda path: path.write_bytes(b""), "is damaged, or is no file of weights"),
        (lambda path: path.write_text("<html>404</html>"), "is damaged, or is no file of weights"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)), "is damaged, or is no file of weights"),
        (pickled({"blobs": {}}, 2), r"is a pickle \(such as Caffe2 writes\), which is never opened"),
        (pickled({"blobs": {}}, 4), "is a pickle"),
        (pickled({"blobs": {}}, 0), "is damaged, or"),
        (torch_saved([1, 2]), "holds no tensors by name, but nothing"),
        (torch_saved({"epoch": 3, "lr": 0.1}), "holds no tensors by name, but 'epoch', 'lr'"),
        (torch_saved({1: torch.ones(1)}), "holds no tensors by name, but 1"),
        (torch_saved(nn.Linear(2, 3)), "holds more than tensors and plain values, which is never opened"),
    ],
)
def test_wrong_files(tmp_path: Path, write: Any, message: str) -> None:
    write(tmp_path / "x.pth")
    with pytest.raises(ModelError, match=message) as caught:
        read_weights(tmp_path / "x.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'x.pth'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [torch_saved, lambda bomb: torch_saved(bomb, new=False), lambda b: pickled(b, 2)])
@pytest.mark.parametrize("inside", [False, True])
def test_nothing_is_unpickled_into_code(tmp_path: Path, write: Any, inside: bool) -> None:
    bomb: Any = Bomb(tmp_path / "trace")
    write({"model": STATE, "args": argparse.Namespace(bomb=bomb)} if inside else {"x": bomb})(tmp_path / "x.pth")
    with pytest.raises(ModelError, match="can run any code"):
        read_weights(tmp_path / "x.pth")
    assert not (tmp_path / "trace").exists()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "x.pth"


@given(st.data(), st.booleans())
def test_damaged_files(file: Path, data: st.DataObject, new: bool) -> None:
    """Whatever is done to a file, there are tensors or one line."""
    torch.save(STATE, file, _use_new_zipfile_serialization=new)
    content = bytearray(file.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    for _ in range(data.draw(st.integers(0, 4)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.unlink()  # the one before may be mapped
    file.write_bytes(content)
    with contextlib.suppress(ModelError):
        assert all(isinstance(tensor, Tensor) for tensor in read_weights(file).values())


class Two(nn.Module):
    """A network with a layer, and a batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)


RENAMING = [(r"^fc\..*", ""), (r"^first\.", "layer."), (r"^bn\.", "norm.")]


def published() -> dict[str, Tensor]:
    state = {name.replace("layer", "first").replace("norm", "bn"): t.clone() for name, t in Two().state_dict().items()}
    return {**state, "fc.weight": torch.zeros(5, 2)}


def load(state: dict[str, Tensor]) -> tuple[Two, dict[str, Tensor]]:
    with torch.device("meta"):
        network = Two()
    return network, load_published(network, state, RENAMING, Path("x.pth"), "i3d")


@pytest.mark.parametrize("counter", [True, False])
def test_loading(counter: bool) -> None:
    state = published()
    if not counter:  # files of torch before 0.4.1 have none
        del state["bn.num_batches_tracked"]
    network, ours = load(state)
    assert torch.equal(network.layer.weight, state["first.weight"])
    assert set(ours) == {
        "layer.weight",
        "layer.bias",
        *(f"norm.{n}" for n in ("weight", "bias", "running_mean", "running_var")),
    }
    state["first.weight"] += 1
    assert not torch.equal(network.layer.weight, state["first.weight"])  # it has its own


def test_half_precision_is_widened() -> None:
    network, _ = load({name: tensor.half() for name, tensor in published().items()})
    assert network.layer.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first.weight": None}, "x.pth: lacks what becomes 'layer.weight' in i3d. It is no file that we know; its f"),
        ({"first.weight": None, "bn.bias": None}, "lacks what becomes 'layer.weight' and 1 more in i3d"),
        ({"extra.weight": torch.ones(1)}, "holds 'extra.weight', which i3d has no place for"),
        ({"first.bias": torch.ones(3)}, r"'first.bias' has the shape \[3\], but \[2\] is expected. It is no file"),
        ({"bn.weight": torch.tensor([1, torch.nan])}, "'bn.weight' has values that are NaN or infinite"),
        ({"first.weight": None, "Conv3d_1a_7x7.conv3d.weight": torch.ones(1, 3)}, "seems to be a variant of i3d that"),
        ({"first.weight": None, "Conv3d_1a_7x7.conv3d.weight": torch.ones(1, 2)}, "for i3d-flow: say i3d-flow:PATH"),
        (
            {"first.weight": None, "layer1.0.conv1.0.0.weight": torch.ones(1)},
            "seems to be for r2plus1d: say r2plus1d:P",
        ),
        ({"first.weight": None, "s1.pathway0_stem.conv.weight": torch.ones(1)}, "seems to be for slowfast"),
    ],
)
def test_what_does_not_fit(change: dict[str, Tensor | None], message: str) -> None:
    state = {name: tensor for name, tensor in {**published(), **change}.items() if tensor is not None}
    with pytest.raises(ModelError, match=message) as caught:
        load(state)
    assert "\n" not in str(caught.value)


def test_recognition_of_nothing() -> None:
    assert recognised({"a": torch.ones(1)}) is None
