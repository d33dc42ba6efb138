"""How long the program takes to start, in fresh processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from timing.measuring import Table, in_turn, milliseconds
from timing.settings import Settings

ROUNDS = 7


def starting(_: Settings) -> None:
    """Print the time of several commands."""
    program = shutil.which("untrimmed", path=Path(sys.executable).parent) or "untrimmed"
    commands = {
        "`untrimmed --help`": [program, "--help"],
        "`import untrimmed`": [sys.executable, "-c", "import untrimmed"],
        "`from untrimmed import Localizer`, which needs torch": [
            sys.executable,
            "-c",
            "from untrimmed import Localizer",
        ],
        "Python alone": [sys.executable, "-c", "pass"],
    }
    run = partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    measured = in_turn([partial(run, command) for command in commands.values()], ROUNDS)
    table = Table("### Start-up", "", "ms")
    for name, took in zip(commands, measured, strict=True):
        table.row(name, milliseconds(took))
