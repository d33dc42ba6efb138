"""What a malicious file can hold."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


class Bomb:
    """Runs code when it is unpickled: it makes the file `trace`."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.trace,)
