from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save_file

from untrimmed.data.features import (
    ConcatenatedFeatures,
    FeatureDescription,
    as_features,
    check_features,
    open_features,
    read_feature_file,
    view_feature_file,
)
from untrimmed.errors import ConfigError, FeatureError, MissingExtraError

Arrays = Mapping[str, np.ndarray]


def write_h5(path: Path, arrays: Arrays) -> None:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def write_pt(path: Path, arrays: Arrays) -> None:
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)


def write_legacy_pt(path: Path, arrays: Arrays) -> None:
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def write_safetensors(path: Path, arrays: Arrays) -> None:
    save_file({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, path)


WRITERS: dict[str, tuple[str, Callable[[Path, Arrays], None]]] = {
    "npz": (".npz", lambda path, arrays: np.savez(path, **arrays)),
    "compressed": (".npz", lambda path, arrays: np.savez_compressed(path, **arrays)),
    "h5": (".h5", write_h5),
    "hdf5": (".hdf5", write_h5),
    "pt": (".pt", write_pt),
    "legacy_pt": (".pt", write_legacy_pt),
    "safetensors": (".safetensors", write_safetensors),
}
several = pytest.mark.parametrize(("suffix", "write"), WRITERS.values(), ids=WRITERS.keys())


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path, array: np.ndarray) -> Path:
    """A folder with the features of videos a and b."""
    folder = tmp_path / "features"
    folder.mkdir()
    np.save(folder / "a.npy", array)
    np.save(folder / "b.npy", array[:7])
    return folder


def problem(call: Callable[[], object]) -> str:
    with pytest.raises(FeatureError) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    return message


# Reading


def test_a_folder_of_npy_files(folder: Path, array: np.ndarray) -> None:
    (folder / "notes.txt").write_text("not features")
    (folder / ".hidden.npy").write_text("not features")
    store = open_features(folder)
    assert store.ids() == ("a", "b")
    assert "a" in store
    assert "c" not in store
    assert store.length("b") == 7
    assert store.shape("a") == (20, 6)
    assert store.dimension == 6
    assert store.dimensions == (6,)
    assert store.name == str(folder)
    np.testing.assert_array_equal(store.read("a"), array)


@several
def test_a_folder_with_one_array_in_each_file(
    tmp_path: Path, array: np.ndarray, suffix: str, write: Callable[[Path, Arrays], None]
) -> None:
    write(tmp_path / f"v_a.1{suffix}", {"feats": array, "other": array[:3]})
    write(tmp_path / f"v_b{suffix}", {"feats": array[:7]})
    store = open_features(tmp_path, prefix="v_", key="feats")
    assert store.ids() == ("a.1", "b")
    assert store.shape("a.1") == (20, 6)
    np.testing.assert_array_equal(store.read("a.1", 3, 8), array[3:8])
    keyless = open_features(tmp_path, prefix="v_")
    np.testing.assert_array_equal(keyless.read("b"), array[:7])
    assert "2 arrays" in problem(lambda: keyless.read("a.1"))
    assert "key" in problem(lambda: keyless.shape("a.1"))
    wrong = open_features(tmp_path, prefix="v_", key="rgb")
    assert "'rgb'" in problem(lambda: wrong.read("b"))
    assert "'feats'" in problem(lambda: wrong.read("b"))


@several
def test_an_archive(tmp_path: Path, array: np.ndarray, suffix: str, write: Callable[[Path, Arrays], None]) -> None:
    path = tmp_path / f"archive{suffix}"
    write(path, {"v_b": array, "v_a": array[:7], "c": array})
    store = open_features(path, prefix="v_")
    assert store.ids() == ("a", "b")
    assert store.name == str(path)
    assert store.description is None
    assert store.shape("a") == (7, 6)
    np.testing.assert_array_equal(store.read("b", 5), array[5:])
    again = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(again.read("b"), array)
    assert "'v_c'" in problem(lambda: store.read("c"))
    assert "v_b" in problem(lambda: store.read("bb"))
    assert "there are no arrays 'w_<video id>'" in problem(lambda: open_features(path, prefix="w_"))


def test_an_archive_is_opened_anew_in_another_process(
    tmp_path: Path, array: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "archive.npz", a=array)
    store = open_features(tmp_path / "archive.npz")
    opened: list[Path] = []
    monkeypatch.setattr("untrimmed.data.features.archive.open_array_file", opened.append)
    store.length("a")
    assert opened == []
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(AttributeError):  # the stand-in has opened nothing
        store.length("a")
    assert opened == [tmp_path / "archive.npz"]


def test_hdf5_groups(tmp_path: Path, array: np.ndarray) -> None:
    write_h5(tmp_path / "c3d.h5", {"v_a/c3d_features": array, "v_b": array, "v_c/x": array, "v_c/y": array})
    store = open_features(tmp_path / "c3d.h5", prefix="v_", key="c3d_features")
    np.testing.assert_array_equal(store.read("a", 1, 3), array[1:3])
    assert "'v_b' is an array itself" in problem(lambda: store.read("b"))
    assert "'v_c' holds 2 arrays: 'x', 'y'" in problem(lambda: store.read("c"))
    keyless = open_features(tmp_path / "c3d.h5", prefix="v_")
    assert "'v_a' is a group that holds 1 array: 'c3d_features'" in problem(lambda: keyless.read("a"))


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".safetensors"])
def test_a_key_has_no_effect_on_other_archives(tmp_path: Path, array: np.ndarray, suffix: str) -> None:
    write = next(write for its_suffix, write in WRITERS.values() if its_suffix == suffix)
    write(tmp_path / f"x{suffix}", {"a": array})
    with pytest.raises(ConfigError, match="key is 'feats', which has no effect"):
        open_features(tmp_path / f"x{suffix}", key="feats")


@pytest.mark.parametrize("bare", [".npy", ".pt"])
def test_nameless_arrays(tmp_path: Path, array: np.ndarray, bare: str) -> None:
    if bare == ".npy":
        np.save(tmp_path / "a.npy", array)
    else:
        torch.save(torch.from_numpy(array).requires_grad_(), tmp_path / "a.pt")
    np.testing.assert_array_equal(open_features(tmp_path).read("a"), array)
    assert "one array without a name" in problem(lambda: open_features(tmp_path, key="feats").read("a"))
    message = problem(lambda: open_features(tmp_path / f"a{bare}"))
    assert "folder" in message


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "uint8", ">f4", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_numbers_of_any_type_become_float32(
    tmp_path: Path, array: np.ndarray, dtype: str, order: Any, suffix: str
) -> None:
    stored = np.asarray(np.abs(array) * 10, dtype=dtype, order=order)
    if suffix == ".npy":
        np.save(tmp_path / "a.npy", stored)
    else:
        np.savez(tmp_path / "a.npz", stored)
    read = open_features(tmp_path).read("a", 2, 9)
    assert read.dtype == np.float32
    assert read.flags.c_contiguous
    assert read.flags.writeable
    assert type(read) is np.ndarray
    np.testing.assert_array_equal(read, stored[2:9].astype(np.float32))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_bfloat16(tmp_path: Path, array: np.ndarray, suffix: str) -> None:
    tensor = torch.from_numpy(array).bfloat16()
    if suffix == ".pt":
        torch.save(tensor, tmp_path / "a.pt")
    else:
        save_file({"x": tensor}, tmp_path / "a.safetensors")
    read = open_features(tmp_path).read("a", 2, 9)
    np.testing.assert_array_equal(read, tensor[2:9].float().numpy())


@given(
    array=hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(-9, 9, width=32)
    ),
    start=st.integers(0, 10),
    length=st.none() | st.integers(-1, 10),
    name=st.sampled_from([*WRITERS, "npy"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_range_is_a_slice(tmp_path: Path, array: np.ndarray, start: int, length: int | None, name: str) -> None:
    stop = None if length is None else start + length
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    if name == "npy":
        np.save(folder / "a.npy", array)
    else:
        suffix, write = WRITERS[name]
        write(folder / f"a{suffix}", {"x": array})
    expected = array[start:stop]
    store = open_features(folder)
    if len(expected):
        np.testing.assert_array_equal(store.read("a", start, stop), expected)
    else:
        assert f"it has rows 0 to {len(array)}" in problem(lambda: store.read("a", start, stop))


def test_npy_is_memory_mapped(tmp_path: Path) -> None:
    """A file that is far larger than any memory is read in part; it is sparse, so it takes no room."""
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (2**33, 2**7)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + 2**42)
    store = open_features(tmp_path)
    assert store.length("a") == 2**33
    assert store.read("a", 2**32, 2**32 + 2).shape == (2, 128)


@several
def test_a_file_by_itself(
    tmp_path: Path, array: np.ndarray, suffix: str, write: Callable[[Path, Arrays], None]
) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, {"rgb": array, "flow": array[:4]})
    np.testing.assert_array_equal(read_feature_file(path, key="flow"), array[:4])
    assert "2 arrays" in problem(lambda: read_feature_file(path))
    path.rename(tmp_path / "a.csv")
    assert "no such file" in problem(lambda: read_feature_file(path))
    assert ".csv is no format of features" in problem(lambda: read_feature_file(tmp_path / "a.csv"))


@several
def test_a_view_is_what_the_file_holds(
    tmp_path: Path, array: np.ndarray, suffix: str, write: Callable[[Path, Arrays], None]
) -> None:
    half, broken = array.astype(np.float16), array.copy()
    broken[4, 1] = np.inf
    path = tmp_path / f"all{suffix}"
    write(path, {"a": half, "b": broken})
    for stored in (open_features(path).view("a"), view_feature_file(path, key="a")):
        assert stored.dtype in (np.float16, np.float32)
        np.testing.assert_array_equal(stored, half)
    for view in (lambda: open_features(path).view("b"), lambda: view_feature_file(path, key="b")):
        assert "1 of 120 values are NaN or infinite, in 1 rows, the first of which is row 4" in problem(view)
    assert "video 'b'" in problem(lambda: open_features(path).view("b"))


def test_a_view_of_a_npy_file_is_memory_mapped(folder: Path, array: np.ndarray) -> None:
    np.save(folder / "a.npy", array.astype(np.float16))
    for stored in (open_features(folder).view("a"), view_feature_file(folder / "a.npy")):
        assert isinstance(stored, np.memmap)
        assert (stored.dtype, stored.shape) == (np.float16, (20, 6))


def test_a_view_of_several_streams_joins_them(folder: Path, array: np.ndarray) -> None:
    joined = ConcatenatedFeatures([open_features(folder), open_features(folder)])
    np.testing.assert_array_equal(joined.view("a"), np.concatenate([array, array], axis=1))


def test_a_long_npy_header(tmp_path: Path, array: np.ndarray) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, array, version=(2, 0))
    np.testing.assert_array_equal(open_features(tmp_path).read("a"), array)
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (-3, -2)})
    assert "the header is damaged, it names the shape [-3, -2]" in problem(lambda: open_features(tmp_path).read("a"))


def test_a_shape_of_something_else_than_numbers(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        file.write(b"\x93NUMPY\x01\x00v\x00")
        file.write(b"{'descr': '<f4', 'fortran_order': False, 'shape': (True, 6), }".ljust(117) + b"\n" + bytes(24))
    assert "the header is damaged, it names the shape [True, 6]" in problem(lambda: open_features(tmp_path).read("a"))


# What is not features


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros(5), "1 axes, [5]"),
        (np.zeros((1, 5, 3)), "3 axes, [1, 5, 3]"),
        (np.zeros((0, 3)), "empty, [0, 3]"),
        (np.zeros((3, 0)), "empty, [3, 0]"),
        (np.array(3.0), "0 axes"),
        (np.zeros((3, 2), dtype=complex), "complex128"),
        (np.array([["a", "b"]]), "<U1"),
        (np.zeros((2, 2), dtype=[("x", "f4")]), "('x', '<f4')"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_that_are_not_features(tmp_path: Path, array: np.ndarray, expected: str, suffix: str) -> None:
    (np.save if suffix == ".npy" else np.savez)(tmp_path / f"a{suffix}", array)
    message = problem(lambda: open_features(tmp_path).read("a"))
    assert expected in message
    assert f"a{suffix}: video 'a'" in message
    assert expected in problem(lambda: as_features(array))
    assert expected in problem(lambda: check_features(array))


def test_not_finite(folder: Path, array: np.ndarray) -> None:
    array[4, 1] = np.nan
    array[9, :2] = np.inf
    np.save(folder / "a.npy", array)
    store = open_features(folder)
    message = problem(lambda: store.read("a"))
    assert "video 'a': 3 of 120 values are NaN or infinite, in 2 rows, the first of which is row 4" in message
    assert "first of which is row 9" in problem(lambda: store.read("a", 5))
    assert store.read("a", 0, 4).shape == (4, 6)


def test_too_large_for_float32() -> None:
    array = np.array([[1.0, 1e300]])
    for check in (as_features, check_features):
        assert "1 of 2 values are NaN or infinite" in problem(lambda check=check: check(array))


@given(
    bad=st.sets(st.integers(0, 99)), block=st.integers(1, 100), dtype=st.sampled_from(["f2", "f4", "f8", ">f4", "i8"])
)
def test_what_is_not_finite_is_counted_over_all_blocks(bad: set[int], block: int, dtype: str) -> None:
    array = np.arange(100.0).reshape(25, 4)
    if dtype != "i8":
        array.flat[list(bad)] = np.nan
    wrong = ~np.isfinite(array)
    array = array.astype(dtype)
    with patch("untrimmed.data.features.validation.BLOCK", block):
        for check in (as_features, check_features):
            if not wrong.any():
                check(array)
                continue
            message = problem(lambda check=check: check(array))
            rows = np.flatnonzero(wrong.any(axis=1))
            assert f"{wrong.sum()} of 100 values are NaN or infinite, in {len(rows)} rows, the first" in message
            assert f"is row {rows[0]}. " in message


# Damage


@several
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.97])
def test_a_file_that_is_cut_short(
    tmp_path: Path, suffix: str, write: Callable[[Path, Arrays], None], kept: float
) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, {"feats": np.ones((200, 60), dtype=np.float32)})
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    message = problem(lambda: open_features(tmp_path).read("a"))
    assert str(path) in message
    assert "damaged" in message


def test_npy_that_is_cut_short(folder: Path, array: np.ndarray) -> None:
    content = (folder / "a.npy").read_bytes()
    (folder / "a.npy").write_bytes(content[:-1])
    message = problem(lambda: open_features(folder).length("a"))
    assert message.startswith(str(folder / "a.npy"))
    assert "480 bytes for [20, 6], and 479 are there" in message


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("name", [*WRITERS, "npy"])
def test_damage_is_one_clear_error_or_numbers(tmp_path: Path, name: str, data: st.DataObject) -> None:
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    suffix, write = WRITERS.get(name, (".npy", lambda path, arrays: np.save(path, arrays["x"])))
    path = tmp_path / f"a{suffix}"
    write(path, {"x": array})
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    read, message = np.zeros(0), str(path)
    try:
        read = open_features(tmp_path).read("a")
    except FeatureError as error:
        message = str(error)
    assert np.isfinite(read).all()
    assert str(path) in message


def test_a_file_vanishes(folder: Path) -> None:
    store = open_features(folder)
    (folder / "a.npy").unlink()
    assert "No such file" in problem(lambda: store.read("a"))


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("kind", ["npy", "npz", "pickle as npy", "pt", "legacy pt", "pickle as pt"])
def test_pickles_are_never_loaded(tmp_path: Path, kind: str) -> None:
    boom = tmp_path / "boom"
    path = tmp_path / "features" / f"a.{kind.rsplit(maxsplit=1)[-1]}"
    path.parent.mkdir()
    if kind == "npy":
        np.save(path, np.array([[Bomb(boom)]], dtype=object))
    elif kind == "npz":
        np.savez(path, np.array([[Bomb(boom)]], dtype=object))
    elif kind.startswith("pickle"):
        path.write_bytes(pickle.dumps(Bomb(boom)))
    else:
        torch.save({"x": Bomb(boom)}, path, _use_new_zipfile_serialization=kind == "pt")
    message = problem(lambda: open_features(path.parent).read("a"))
    assert str(path) in message
    assert not boom.exists()
    if kind != "pickle as npy":  # which is not told apart from damage
        assert "Python objects" in message
        assert "never loaded" in message


def test_pt_with_other_things(tmp_path: Path, array: np.ndarray) -> None:
    torch.save({"x": torch.from_numpy(array), "rate": 25, 3: torch.zeros(2)}, tmp_path / "a.pt")
    torch.save([1, 2], tmp_path / "b.pt")
    torch.save({"rate": 25}, tmp_path / "c.pt")
    torch.save(torch.zeros(3, 2, dtype=torch.complex64), tmp_path / "d.pt")
    store = open_features(tmp_path)
    np.testing.assert_array_equal(store.read("a"), array)
    assert "holds a list" in problem(lambda: store.read("b"))
    assert "holds no arrays" in problem(lambda: store.read("c"))
    assert "complex64" in problem(lambda: store.read("d"))


# Names


def test_missing_video(folder: Path) -> None:
    np.save(folder / "video_test_0000004.npy", np.zeros((2, 3)))
    message = problem(lambda: open_features(folder).read("video_test_000004"))
    assert f"{folder}: no features of video 'video_test_000004'" in message
    assert "'video_test_000004.npy'" in message
    assert "nearest name is 'video_test_0000004.npy'" in message
    assert "prefix" in message


@pytest.mark.parametrize("suffix", ["", ".npz"])
@pytest.mark.parametrize("kind", ["..", "absolute", "backslash", "nul", "empty", "hidden"])
def test_no_id_leads_out_of_the_store(tmp_path: Path, array: np.ndarray, suffix: str, kind: str) -> None:
    np.save(tmp_path / "secret.npy", array)
    inside = tmp_path / "inside"
    inside.mkdir()
    np.save(inside / "a.npy", array)
    np.save(inside / ".npy", array)
    np.savez(tmp_path / "inside.npz", a=array)
    secret = tmp_path / "secret"
    ids = {
        "..": "../secret",
        "absolute": str(secret),
        "backslash": "..\\secret",
        "nul": "a\0",
        "empty": "",
        "hidden": ".",
    }
    store = open_features(tmp_path / f"inside{suffix}")
    assert ids[kind] not in store
    assert repr(ids[kind]) in problem(lambda: store.read(ids[kind]))
    assert repr(ids[kind]) in problem(lambda: store.length(ids[kind]))


def test_a_slash_cannot_be_in_a_file_name(folder: Path) -> None:
    assert "an id with a slash cannot be a file name" in problem(lambda: open_features(folder).read("P01/P01_01"))


def test_two_files_of_one_video(folder: Path, array: np.ndarray) -> None:
    np.savez(folder / "a.npz", array)
    message = problem(lambda: open_features(folder))
    assert "'a.npy' and 'a.npz' are both of video 'a'" in message


def test_paths_that_are_no_store(folder: Path, tmp_path: Path, array: np.ndarray) -> None:
    assert "Did you mean 'features'?" in problem(lambda: open_features(tmp_path / "feature"))
    assert "no such folder" in problem(lambda: open_features(tmp_path / "x" / "y"))
    assert "prefix 'v_'; one is 'a.npy'" in problem(lambda: open_features(folder, prefix="v_"))
    (tmp_path / "empty").mkdir()
    assert "it is empty" in problem(lambda: open_features(tmp_path / "empty"))
    (tmp_path / "empty" / "a.csv").touch()
    assert "its files are like 'a.csv'" in problem(lambda: open_features(tmp_path / "empty"))
    assert ".csv is no format of features" in problem(lambda: open_features(tmp_path / "empty" / "a.csv"))
    np.savez(tmp_path / "none.npz")
    assert "no arrays '<video id>' in it" in problem(lambda: open_features(tmp_path / "none.npz"))


def test_without_h5py(tmp_path: Path, array: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    write_h5(tmp_path / "x.h5", {"a": array})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"needs h5py.*untrimmed\[hdf5\]"):
        open_features(tmp_path / "x.h5")


def test_needs_neither_torch_nor_h5py_for_npy(folder: Path) -> None:
    program = (
        "import sys, pathlib; from untrimmed.data.features import open_features;"
        f"open_features(pathlib.Path({str(folder)!r})).read('a');"
        "assert not {'torch', 'h5py'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# Streams


@pytest.fixture
def streams(tmp_path: Path) -> Callable[..., ConcatenatedFeatures]:
    def make(
        *shapes: tuple[int, int], descriptions: tuple[FeatureDescription | None, ...] = ()
    ) -> ConcatenatedFeatures:
        for i, shape in enumerate(shapes):
            (tmp_path / f"s{i}").mkdir(exist_ok=True)
            np.save(tmp_path / f"s{i}" / "a.npy", np.full(shape, i, dtype=np.float32))
        for i, description in enumerate(descriptions):
            if description is not None:
                description.write(tmp_path / f"s{i}")
        return ConcatenatedFeatures([open_features(tmp_path / f"s{i}") for i in range(len(shapes))])

    return make


def test_streams_are_joined_and_cut_to_the_shortest(streams: Callable[..., ConcatenatedFeatures]) -> None:
    store = streams((12, 3), (10, 2), (11, 1))
    assert store.ids() == ("a",)
    assert "a" in store
    assert "b" not in store
    assert store.shape("a") == (10, 6)
    assert store.dimensions == (3, 2, 1)
    assert store.dimension == 6
    np.testing.assert_array_equal(store.read("a"), np.tile([0, 0, 0, 1, 1, 2], (10, 1)))
    assert store.read("a", 8, 20).shape == (2, 6)
    assert "rows 10 to None" in problem(lambda: store.read("a", 10))
    assert " + " in store.name
    assert store.description is None


@pytest.mark.parametrize(
    ("lengths", "fits"), [((300, 297), True), ((301, 297), False), ((10, 7), False), ((3, 1), True)]
)
def test_streams_of_different_lengths(
    streams: Callable[..., ConcatenatedFeatures], lengths: tuple[int, int], fits: bool
) -> None:
    store = streams(*((length, 2) for length in lengths))
    if fits:
        assert len(store.read("a")) == min(lengths)
        return
    message = problem(lambda: store.read("a"))
    assert f"{lengths[0]} in " in message
    assert f"{lengths[1]} in " in message
    assert "video 'a'" in message


def test_streams_of_different_videos(tmp_path: Path, array: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", a=array, b=array)
    np.savez(tmp_path / "y.npz", b=array)
    np.savez(tmp_path / "z.npz", c=array)
    x, y, z = (open_features(tmp_path / f"{name}.npz") for name in "xyz")
    assert ConcatenatedFeatures([x, y]).ids() == ("b",)
    message = problem(lambda: ConcatenatedFeatures([x, z]))
    assert "x.npz has 'a'" in message
    assert "z.npz has 'c'" in message


def test_descriptions_of_streams(streams: Callable[..., ConcatenatedFeatures]) -> None:
    one = FeatureDescription(dimension=3, stride=16, window=32, rate=30, extractor="x")
    other = FeatureDescription(dimension=2, stride=16, window=16)
    joined = streams((5, 3), (5, 2), (5, 1), descriptions=(one, other, None)).description
    assert joined == FeatureDescription(dimension=6, stride=16, window=None, rate=30)
    other = FeatureDescription(dimension=2, stride=8)
    message = problem(lambda: streams((5, 3), (5, 2), descriptions=(one, other)))
    assert "same stride" in message
    assert "16 in " in message
    assert "8 in " in message


# Descriptions


def test_a_description_is_written_and_read(folder: Path) -> None:
    description = FeatureDescription(dimension=6, extractor="i3d", fingerprint="1f", stride=4, window=16.5, rate=29.97)
    assert open_features(folder).description is None
    description.write(folder)
    assert open_features(folder).description == description
    assert open_features(folder).ids() == ("a", "b")
    assert {path.name for path in folder.iterdir()} == {"a.npy", "b.npy", "features.json"}
    FeatureDescription(dimension=6).write(folder / "new")
    assert json.loads((folder / "new" / "features.json").read_text()) == {"dimension": 6}


def test_a_description_is_never_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FeatureDescription(dimension=6).write(folder)

    def fail(*_: object) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="gone"):
        FeatureDescription(dimension=7).write(folder)
    assert FeatureDescription.of_folder(folder) == FeatureDescription(dimension=6)
    assert {path.name for path in folder.iterdir()} == {"a.npy", "b.npy", "features.json"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"dimension": 6, "strid": 4}', "unknown key 'strid'; the keys are dimension, extractor"),
        ('{"stride": 4}', "the key 'dimension' is missing"),
        ('{"dimension": "6"}', "dimension is '6'"),
        ('{"dimension": 0}', "dimension is 0"),
        ('{"dimension": 6, "rate": -1}', "rate is -1"),
        ('{"dimension": 6, "rate": NaN}', "rate is nan"),
        ('{"dimension": 6,', "Invalid JSON"),
        ("[]", "object"),
    ],
)
def test_a_wrong_description(folder: Path, text: str, expected: str) -> None:
    (folder / "features.json").write_text(text)
    message = problem(lambda: open_features(folder))
    assert message.startswith(f"{folder / 'features.json'}: ")
    assert expected in message


def test_contradictions() -> None:
    description = FeatureDescription(dimension=6, stride=4, rate=30000 / 1001, extractor="i3d")
    description.refuse_contradiction("x", dimension=6, stride=None, window=16, rate=29.97, extractor="i3d")
    with pytest.raises(ConfigError) as error:
        description.refuse_contradiction("x.json", dimension=2048, stride=4, rate=30, extractor="tsp")
    message = str(error.value)
    assert message.startswith("x.json: ")
    assert "dimension is 2048 in the configuration, but 6 there" in message
    assert "rate is 30 in the configuration, but 29.97002997 there" in message
    assert "extractor is 'tsp' in the configuration, but 'i3d' there" in message
    assert "stride" not in message


# Real data


def test_shared_signals(shared: Path) -> None:
    path = shared / "data" / "sbhar" / "signals.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    store = open_features(path)
    assert len(store.ids()) == 30
    assert store.dimension == 6
    with np.load(path) as arrays:
        np.testing.assert_array_equal(store.read("sbj_0", 100, 200), arrays["sbj_0"][100:200])
