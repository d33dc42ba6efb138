"""Folders to write to: one of this machine and one at an address do the same."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from untrimmed.data.features.writing import UnwritableError
from untrimmed.data.out_folder import LocalFolder, OutFolder, RemoteFolder, absolute, out_folder
from untrimmed.errors import ConfigError, DataError, FeatureError, MissingExtraError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(params=["folder", "address", "file"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OutFolder]:
    if request.param == "address":
        yield RemoteFolder("memory://bucket/out/")
        fsspec.filesystem("memory").store.clear()
    else:
        yield out_folder(tmp_path / "out" if request.param == "folder" else f"file://{tmp_path}/out")


def put(folder: OutFolder, name: str, content: bytes) -> None:
    with folder.made(name) as path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_what_was_made_is_there(folder: OutFolder, temporary: Path) -> None:
    assert folder.names() == []
    assert not folder.has("b.npy")
    assert folder.head("b.npy", 4) is None
    put(folder, "b.npy", b"12345678")
    put(folder, "a.npy", b"")
    put(folder, ".hidden", b"x")
    put(folder, "shots/a.csv", b"seconds\n")
    assert folder.names() == ["a.npy", "b.npy"]
    assert [folder.has(name) for name in ("a.npy", "b.npy", ".hidden", "shots/a.csv", "c")] == [True] * 4 + [False]
    assert folder.head("a.npy", 4) == b""
    assert folder.head("b.npy", 4) == b"1234"
    assert folder.head("b.npy", 100) == b"12345678"
    with folder.brought("shots/a.csv") as path:
        assert (path.name, path.read_bytes()) == ("a.csv", b"seconds\n")
    put(folder, "b.npy", b"new")
    assert folder.head("b.npy", 100) == b"new"
    assert not list(temporary.iterdir())


def test_nothing_is_left_of_what_failed(folder: OutFolder, temporary: Path) -> None:
    with pytest.raises(KeyboardInterrupt), folder.made("a.npy") as path:
        raise KeyboardInterrupt
    with folder.made("b.npy"):
        pass  # not made at all
    assert folder.names() == []
    with pytest.raises(UnwritableError) as error, folder.made("a.npy") as path:
        raise OSError(errno.EDQUOT, "Quota exceeded")
    assert str(error.value).startswith(f"{folder}/a.npy: cannot be written (Quota exceeded)")
    with pytest.raises(FeatureError) as wrong, folder.made("a.npy") as path:
        raise FeatureError(f"{path}: is wrong, as {path.parent} is")
    assert str(wrong.value) == f"{folder}/a.npy: is wrong, as {folder} is"
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (PermissionError("AccessDenied"), "permission is denied; credentials are looked for"),
        (
            RuntimeError("at https://u:secret@host/a?sig=x\nmore"),
            r"its store says RuntimeError: at \.\.\.",
        ),
    ],
)
def test_a_store_that_does_not_work_is_one_error(
    monkeypatch: pytest.MonkeyPatch, temporary: Path, fault: Exception, reason: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    folder = RemoteFolder("memory://bucket/out")
    for method in ("put_file", "info", "get_file", "ls"):
        monkeypatch.setattr(type(fsspec.filesystem("memory")), method, fail)
    with pytest.raises(UnwritableError, match=rf"^memory://bucket/out/a.npy: cannot be written \({reason}") as error:
        put(folder, "a.npy", b"x")
    assert "what is finished is kept" in str(error.value)
    assert "secret" not in str(error.value)
    for ask in (lambda: folder.has("a.npy"), folder.names, lambda: folder.brought("a.npy").__enter__()):
        with pytest.raises(DataError, match=reason):
            ask()
    assert not list(temporary.iterdir())


def test_a_folder_where_a_file_should_be_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "a.npy").mkdir()
    with pytest.raises(UnwritableError, match=r"a\.npy: cannot be opened \(Is a directory\)\. Move it away"):
        LocalFolder(tmp_path).has("a.npy")


def test_which_addresses_can_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(out_folder(f"file://{tmp_path}"), LocalFolder)
    for address in ("http://u:secret@127.0.0.1/out", "simplecache::s3://b", "s3://b/out?v=secret", "memory://x"):
        with pytest.raises(ConfigError, match=r"has to be a folder, or in an object store such as s3://") as error:
            out_folder(address)
        assert "secret" not in str(error.value)
    with pytest.raises(ConfigError, match="'nosuch' is no protocol"):
        out_folder("nosuch://x")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"untrimmed\[remote\]"):
        out_folder("s3://bucket/out")


def test_paths_are_absolute_and_addresses_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute("out") == absolute(Path("out")) == str(tmp_path / "out")
    assert absolute("s3://bucket/a//b") == "s3://bucket/a//b"
