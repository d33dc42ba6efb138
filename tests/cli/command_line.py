"""The command `untrimmed` as a user types it, in this process."""

from __future__ import annotations

import io
import json
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from untrimmed.cli import main

PROGRAM = shutil.which("untrimmed", path=Path(sys.executable).parent) or "untrimmed"
"""The command as it was installed beside this interpreter."""


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What stdout holds, which has to be JSON and nothing else."""
        return json.loads(self.out)


def run(*words: object) -> Outcome:
    """Run a command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert isinstance(end.value.code, int)
    assert "Traceback" not in err.getvalue()
    return Outcome(end.value.code, out.getvalue(), err.getvalue())


def refused(*words: object, code: int) -> str:
    """Run a command that has to fail with one error, on one line of stderr; returns it."""
    outcome = run(*words)
    assert (outcome.code, outcome.out) == (code, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith("untrimmed: ")
    return line.removeprefix("untrimmed: ")


def files(folder: Path) -> dict[Path, bytes]:
    """Return the content of every file below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
