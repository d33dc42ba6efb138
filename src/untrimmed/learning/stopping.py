"""Stopping a run between two steps, so that nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Remembers that the process has been asked to stop, by Ctrl-C or SIGTERM; the second time, it stops at once."""

    def __init__(self) -> None:
        self.made = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Context in which the two signals are waited for; outside of the main thread, Python does not allow that.

        Raises:
            KeyboardInterrupt: inside the context, at the second signal.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, frame: FrameType | None) -> None:
            if self.made:
                raise KeyboardInterrupt
            self.made = True

        self.made = False
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
