"""What commands do when they are asked to stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Context in which SIGTERM does what Ctrl-C does, as far as it can be: Python allows that in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stopped(kept: str) -> NoReturn:
    """Say that work was stopped, and what of it is `kept`; exits with 130, as programs do that Ctrl-C ends."""
    print(f"\nuntrimmed: stopped{kept}. To go on, run the same command again", file=sys.stderr)
    sys.exit(130)
