"""Recordings at an address: stores of fsspec that need no network, and a web server on loopback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data import remote
from untrimmed.data.remote import (
    PREFIX,
    check_protocol,
    is_address,
    local_copy,
    name_at,
    refuse_out,
    shown,
)
from untrimmed.errors import ConfigError, DataError, FeatureError, MissingExtraError

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def memory() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/a.npy", b"features")
    system.pipe("/bucket/features.json", b"{}")
    yield "memory://bucket"
    system.rm("/bucket", recursive=True)


def test_a_path_is_the_file_itself(tmp_path: Path) -> None:
    for path in ("a.mp4", str(tmp_path / "none.mp4")):
        with local_copy(path) as copy:
            assert copy == Path(path)


def test_a_file_of_this_machine_is_not_copied(tmp_path: Path, temporary: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"video")
    for protocol in ("file", "local"):
        with local_copy(f"{protocol}://{tmp_path}/a.mp4") as copy:
            assert copy == tmp_path / "a.mp4"
        with pytest.raises(DataError) as error, local_copy(f"{protocol}://{tmp_path}/a.mp4") as copy:
            raise DataError(f"{copy}: is damaged, and {tmp_path}/b is not")
        assert str(error.value) == f"{protocol}://{tmp_path}/a.mp4: is damaged, and {tmp_path}/b is not"
    assert (tmp_path / "a.mp4").exists()
    assert not list(temporary.iterdir())


def test_an_object_is_a_file_as_long_as_it_is_needed(memory: str, temporary: Path) -> None:
    with local_copy(f"{memory}/a.npy", beside=("features.json", "none.json")) as copy:
        assert copy.read_bytes() == b"features"
        assert copy.suffix == ".npy"
        assert sorted(path.name for path in copy.parent.iterdir()) == ["features.json", copy.name]
        with local_copy(f"{memory}/a.npy") as other:  # which removes nothing that is in use
            assert other.read_bytes() == copy.read_bytes()
    assert not list(temporary.iterdir())


def test_a_copy_is_removed_whatever_happens_and_errors_are_about_the_address(memory: str, temporary: Path) -> None:
    with pytest.raises(FeatureError) as error, local_copy(f"{memory}/a.npy") as copy:
        raise FeatureError(f"{copy}: is damaged; {copy.parent}: features.json: too")
    assert str(error.value) == f"{memory}/a.npy: is damaged; {memory}: features.json: too"
    with pytest.raises(KeyboardInterrupt), local_copy(f"{memory}/a.npy"):
        raise KeyboardInterrupt
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(("path", "message"), [("none.npy", "there is no such file"), ("", "its store says|folder")])
def test_what_is_not_there_is_one_error(memory: str, temporary: Path, path: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error, local_copy(f"{memory}/{path}"):
        pass
    assert str(error.value).startswith(f"{memory}/{path}: ")
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (PermissionError("AccessDenied"), "permission is denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "no room for a copy in .* name another folder by TMPDIR"),
        (ValueError("no bucket\nat http://u:secret@host/?sig=x"), r"ValueError: no bucket$"),
        (RuntimeError("at https://u:secret@host/a?sig=secret !"), r"RuntimeError: at \.\.\.$"),
        (RuntimeError("403, url='https://host/a?sig=a'b&c=secret'"), r"RuntimeError: 403, url=\.\.\.$"),
        (TimeoutError(), "TimeoutError: without a message"),
    ],
)
def test_whatever_a_store_raises_is_one_error_without_secrets(
    memory: str, monkeypatch: pytest.MonkeyPatch, fault: Exception, message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "get_file", fail)
    with pytest.raises(DataError, match=message) as error, local_copy(f"{memory}/a.npy"):
        pass
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_protocols_are_checked_before_anything_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for known in ("memory://a", "file:///a", "zip://a.mp4::memory://b.zip"):
        check_protocol(known)
    with pytest.raises(ConfigError, match=r"nosuch://\*\*\*@x/a: 'nosuch' is no protocol"):
        check_protocol("nosuch://u:p@x/a")
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ConfigError, match=r"gs://b/a\.mp4: addresses with gs:// need a package .*gcsfs"):
        check_protocol("gs://b/a.mp4")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"Reading s3://b/a\.mp4 needs fsspec.*untrimmed\[remote\]"):
        check_protocol("s3://b/a.mp4")


def test_a_file_in_an_archive_in_a_store(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("in/a.mp4", b"video")
    address = f"zip://in/a.mp4::file://{tmp_path}/all.zip"
    check_protocol(address)
    with local_copy(address) as copy:
        assert copy.read_bytes() == b"video"
        assert copy.suffix == ".mp4"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://bucket/a@b:c.mp4", "s3://bucket/a@b:c.mp4"),
        ("a@b:c.mp4", "a@b:c.mp4"),
        ("https://u:p@host:80/a.mp4", "https://***@host:80/a.mp4"),
        ("https://token@host/a.mp4?sig=1?2", "https://***@host/a.mp4?***"),
        ("sftp://u:p@ss@host/a.mp4", "sftp://***@host/a.mp4"),
        ("sftp://u:p/ss@host/a.mp4", "sftp://***@host/a.mp4"),
        ("https://host:8080/a@b.mp4", "https://host:8080/a@b.mp4"),
        ("abfs://container@account.net/a.mp4", "abfs://container@account.net/a.mp4"),
        ("simplecache::https://u:p@h/a::ftp://u:p@h/b", "simplecache::https://***@h/a::ftp://***@h/b"),
    ],
)
def test_what_is_secret_is_not_shown(address: str, expected: str) -> None:
    assert shown(address) == expected
    assert shown(expected) == expected


@given(st.text("ab0%&=. ", max_size=8), st.text(max_size=8))
def test_passwords_of_any_form_are_not_shown(user: str, password: str) -> None:
    secret = f"9876{password}5432"
    assert "9876" not in shown(f"https://{user}:x{secret}@host/a.mp4")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://bucket/d/a.b.mp4", "a.b.mp4"),
        ("https://host/a%20b.mp4?x=1/2.npy#y", "a b.mp4"),
        ("s3://bucket/what?.mp4", "what?.mp4"),
        ("zip://in/a.npy::s3://b/all.zip", "a.npy"),
        ("simplecache::s3://b/c.mp4", "c.mp4"),
        ("https://host", ""),
        ("https://user:secret@host/?f=1", ""),
        ("https://user:secret@host/d/a.mp4?f=1", "a.mp4"),
        ("s3://key:secret@bucket", "bucket"),
        ("zip://in/a.npy::/data/all.zip", "a.npy"),
        ("tar://a.npy::file:///data/all.tar", "a.npy"),
    ],
)
def test_names(address: str, name: str) -> None:
    assert is_address(address)
    assert name_at(address) == name


def test_an_address_is_no_folder_to_write_to() -> None:
    for out in ("s3://u:p@bucket/found", "memory://x"):
        with pytest.raises(ConfigError, match=r"--out \w+://.*: is an address.* With --ray it may be one") as error:
            refuse_out(Path(out))
        assert "u:p" not in str(error.value)
    for path in ("found", "/a/b:/c", "C:/found", "a:b/c"):
        refuse_out(Path(path))


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_what_a_killed_process_has_left_is_removed(memory: str, temporary: Path) -> None:
    code = f"""
import os, signal, tempfile
tempfile.tempdir = {str(temporary)!r}
import fsspec
from untrimmed.data.remote import local_copy
fsspec.filesystem("memory").pipe("/x.mp4", b"video")
with local_copy("memory://x.mp4"):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert len(list(temporary.glob(f"{PREFIX}*/recording.mp4"))) == 1
    (temporary / f"{PREFIX}link").symlink_to(temporary.parent)
    with local_copy(f"{memory}/a.npy") as copy:
        assert set(temporary.iterdir()) == {copy.parent, temporary / f"{PREFIX}link"}


class _Server(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith(("/private", "/features.json")):
            self.send_error(403)
        elif self.path.startswith("/short"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"too few")
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "a b.mp4").write_bytes(b"video" * 1000)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Server, directory=str(tmp_path / "web"))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_web_server(web: str, temporary: Path) -> None:
    with local_copy(f"http://u:secret@{web}/a%20b.mp4?sig=secret", beside=("features.json",)) as copy:
        assert copy.read_bytes() == b"video" * 1000
        assert copy.suffix == ".mp4"
    for path, reason in (("none.mp4", "there is no such file"), ("private", "403"), ("short.mp4", "its store says")):
        address = f"http://u:secret@{web}/{path}?sig=secret"
        with pytest.raises(DataError, match=reason) as error, local_copy(address):
            pass
        assert str(error.value).startswith(f"http://***@{web}/{path}?***: ")
        assert "secret" not in str(error.value)
    assert not list(temporary.iterdir())
    assert remote.SILENT > 0
