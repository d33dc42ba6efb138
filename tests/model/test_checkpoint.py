from __future__ import annotations

import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pickle_bomb import Bomb
from untrimmed.errors import ModelError
from untrimmed.model.checkpoint import checkpoint_before, load_checkpoint, load_last_checkpoint, save_checkpoint

STATE = {
    "model": {"weight": torch.arange(6.0).reshape(2, 3), "counts": torch.tensor([1, 2])},
    "history": [{"epoch": 1.0, "name": "first"}, {"epoch": 2.0, "name": None}],
    "step": 7,
    "done": False,
}


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "checkpoint.pt"
    save_checkpoint(path, STATE)
    loaded = load_checkpoint(path)
    for name, tensor in STATE["model"].items():
        assert torch.equal(loaded["model"][name], tensor)
    assert {key: value for key, value in loaded.items() if key != "model"} == {
        key: value for key, value in STATE.items() if key != "model"
    }
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.pt: there is no such file$"):
        load_checkpoint(tmp_path / "none.pt")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be opened \(Is a directory\)"):
        load_checkpoint(tmp_path)


def test_something_else_than_a_dictionary(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ModelError, match=r"list\.pt: expected a dictionary of tensors, but found list"):
        load_checkpoint(tmp_path / "list.pt")


def write_zip(path: Path, content: object) -> None:
    torch.save(content, path)


def write_legacy(path: Path, content: object) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def write_pickle(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content))


@pytest.mark.parametrize("write", [write_zip, write_legacy, write_pickle])
@pytest.mark.parametrize("name", ["bomb.pt", "bomb.pth.tar"])
def test_pickle_bomb_is_refused_and_does_not_go_off(
    tmp_path: Path, write: Callable[[Path, object], None], name: str
) -> None:
    trace, path = tmp_path / "trace", tmp_path / name
    write(path, {"state_dict": {"weight": torch.ones(2)}, "extra": Bomb(trace)})
    with pytest.raises(ModelError) as error:
        load_checkpoint(path)
    assert not trace.exists()
    assert str(error.value).startswith(f"{path}: is damaged, or holds more than tensors and plain values.")
    assert str(error.value).endswith("save its state_dict alone, with torch.save, and give that")
    assert "weights_only" not in str(error.value)  # torch's advice would set it off
    pickle.loads(pickle.dumps(Bomb(trace)))
    assert trace.exists()  # it was no dud


def test_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "weights.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "test.py")
    for content in (path.read_bytes(), b"", b"no checkpoint " * 100, b"PK\x03\x04 nor this"):
        path.write_bytes(content)
        with pytest.raises(ModelError, match=r"weights\.tar: is damaged, or .*save its state_dict"):
            load_checkpoint(path)


@given(share=st.floats(0, 1, exclude_max=True), legacy=st.booleans())
def test_file_that_is_cut_short(tmp_path_factory: pytest.TempPathFactory, share: float, legacy: bool) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.pt"
    (write_legacy if legacy else write_zip)(path, STATE)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelError, match=r"cut\.pt: is damaged, or "):
        load_checkpoint(path)


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    for step in range(3):
        save_checkpoint(path, {"step": step})
    assert load_checkpoint(path) == {"step": 2}
    assert load_checkpoint(checkpoint_before(path)) == {"step": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-before.pt", "checkpoint.pt"]


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_one_is_named_and_the_one_before_it_used(tmp_path: Path, damage: str) -> None:
    path, said = tmp_path / "checkpoint.pt", []
    for step in range(2):
        save_checkpoint(path, {"step": step, "weights": torch.zeros(100)})
    content = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    assert load_last_checkpoint(path, told=said.append)["step"] == 0
    (line,) = said
    assert str(path) in line
    assert "The one before it, checkpoint-before.pt, is taken" in line
    checkpoint_before(path).write_bytes(b"x")
    with pytest.raises(ModelError):
        load_last_checkpoint(path)


@given(st.data())
def test_no_damaged_byte_goes_unnoticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damaged") / "checkpoint.pt"
    save_checkpoint(path, STATE)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1) | st.integers(len(content) - 80, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        load_checkpoint(path, hashed=True)


def test_one_whose_hash_is_damaged_as_well_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})
    save_checkpoint(path, {"step": 2})
    content = bytearray(path.read_bytes())
    content[-70] ^= 1
    path.write_bytes(content)
    told: list[str] = []
    assert load_last_checkpoint(path, told=told.append) == {"step": 1}
    assert "there is no hash at its end" in told[0]
    assert load_checkpoint(path) == {"step": 2}  # as a file of somebody else


def test_torch_reads_it_as_any_other(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", STATE)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 7
