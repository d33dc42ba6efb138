from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_imports_point_one_way() -> None:
    """The contracts are in pyproject.toml."""
    program = shutil.which("lint-imports", path=Path(sys.executable).parent)
    if program is None:
        pytest.skip("import-linter is not installed")
    root = Path(__file__).parents[1]
    done = subprocess.run([program, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout
