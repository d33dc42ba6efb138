"""`untrimmed serve`, up to the point where it begins to listen to requests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import refused, run

from small_models import make
from untrimmed.service.work import Work


@pytest.fixture
def model(tmp_path: Path) -> Path:
    make().save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Work, Any]]:
    """What has been served, with its token; nothing really is."""
    calls: list[tuple[Work, Any]] = []

    def serve(work: Work, listening: Any, token: str | None, on_ready: Callable[[str], object]) -> None:
        calls.append((work, token))
        host, port = listening.getsockname()[:2]
        on_ready(f"http://{host}:{port}")
        work.close()

    monkeypatch.setattr("untrimmed.service.serving.serve", serve)
    monkeypatch.delenv("UNTRIMMED_TOKEN", raising=False)
    return calls


def test_what_is_served(model: Path, served: list[tuple[Work, Any]]) -> None:
    outcome = run("serve", model, "--port", 0, "--queue", 5, "--batch", 2, "--max-body", "3MB", "--timeout", 7)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"Serving {model} on http://127.0.0.1:" in outcome.out
    ((work, token),) = served
    limits = work.limits
    assert (limits.queue, limits.batch, limits.max_body, limits.max_json, limits.timeout) == (5, 2, 3e6, 3e6, 7)
    assert (token, work.videos, "does not say which extractor" in work.no_videos) == (None, None, True)


def test_tokens(model: Path, served: list[tuple[Work, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    file = model.parent / "token"
    file.write_text("from-a-file\n")
    assert run("serve", model, "--port", 0, "--token-file", file).code == 0
    monkeypatch.setenv("UNTRIMMED_TOKEN", "from-the-environment")
    assert run("serve", model, "--port", 0).code == 0
    assert [token for _, token in served] == ["from-a-file", "from-the-environment"]
    file.write_text(" \n")
    assert "is empty" in refused("serve", model, "--port", 0, "--token-file", file, code=2)
    file.write_bytes(b"\xff")
    assert "no ASCII" in refused("serve", model, "--port", 0, "--token-file", file, code=2)
    file.write_text("two words")
    assert "without spaces" in refused("serve", model, "--port", 0, "--token-file", file, code=2)
    assert "No such file" in refused("serve", model, "--port", 0, "--token-file", model / "none", code=2)


def test_open_to_everybody_is_warned_of(model: Path, served: list[tuple[Work, Any]]) -> None:
    open_to_all = run("serve", model, "--port", 0, "--host", "0.0.0.0")
    assert "untrimmed: warning: everybody who can reach --host 0.0.0.0" in open_to_all.err
    file = model.parent / "token"
    file.write_text("x")
    assert run("serve", model, "--port", 0, "--host", "0.0.0.0", "--token-file", file).err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--queue", 0], "queue is 0"),
        (["--timeout", "nan"], "timeout is nan"),
        (["--videos", -1], "--videos is -1"),
        (["--max-body", "much"], "--max-body"),
        (["--port", 70000], "--port is 70000"),
        (["--device", "abacus"], "abacus"),
    ],
)
def test_wrong_options(model: Path, words: list[object], message: str) -> None:
    assert message in refused("serve", model, *words, code=2)


def test_no_model(tmp_path: Path) -> None:
    assert str(tmp_path / "none") in refused("serve", tmp_path / "none", code=1)


def test_missing_packages(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'untrimmed[serve]'" in refused("serve", model, code=1)
