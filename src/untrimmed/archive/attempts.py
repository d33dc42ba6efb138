"""Which recordings were in work when workers died, so that one that ends its worker is not given to all of them.

Ray gives what a lost worker had in work to another one, for ever: it cannot know whose fault the loss was. So it is
written down, in an actor of its own, what is begun and ended. What was begun before and never ended is worked on with
nothing beside it the next time, and given up when it has been begun `TRIES` times.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Condition
from typing import Any

TRIES = 3
"""How often a recording is begun: a machine may also be lost by chance, with all that it has in work."""
DIED = f"the worker died each time that it was begun, {TRIES} times"


class Book(ABC):
    """Where it is written down."""

    @abstractmethod
    def begun(self, names: Sequence[str]) -> int:
        """Return how often the one of some recordings was begun that was begun most often, and not ended."""

    @abstractmethod
    def begin(self, names: Sequence[str]) -> None:
        """Write down that recordings are begun."""

    @abstractmethod
    def end(self, names: Sequence[str]) -> None:
        """Write down that they have been ended, whatever came of them."""


class LocalBook(Book):
    """In this process; in a cluster, in that of an actor."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begun(self, names: Sequence[str]) -> int:
        """See `Book`."""
        return max((self._begun[name] for name in names), default=0)

    def begin(self, names: Sequence[str]) -> None:
        """See `Book`."""
        self._begun.update(names)

    def end(self, names: Sequence[str]) -> None:
        """See `Book`."""
        for name in names:
            self._begun.pop(name, None)


class ClusterBook(Book):
    """In an actor of Ray, which takes no core. While it is lost itself, nothing is known to have been begun."""

    def __init__(self) -> None:
        """Start the actor."""
        import ray  # noqa: PLC0415  an extra

        self._actor: Any = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=1)(LocalBook).remote()

    def begun(self, names: Sequence[str]) -> int:
        """See `Book`."""
        return self._asked("begun", names) or 0

    def begin(self, names: Sequence[str]) -> None:
        """See `Book`."""
        self._asked("begin", names)

    def end(self, names: Sequence[str]) -> None:
        """See `Book`."""
        self._asked("end", names)

    def close(self) -> None:
        """End the actor."""
        import ray  # noqa: PLC0415  an extra

        with suppress(Exception):  # it, or the whole cluster, may be gone
            ray.kill(self._actor)

    def _asked(self, method: str, names: Sequence[str]) -> Any:
        import ray  # noqa: PLC0415  an extra
        from ray.exceptions import RayError  # noqa: PLC0415

        try:
            return ray.get(getattr(self._actor, method).remote(list(names)))
        except RayError:
            return None


class Gate:
    """Threads pass it together, or one of them alone; who waits to pass alone goes before the others."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside, self._waiting = 0, 0  # -1 inside is one that is alone

    @contextmanager
    def with_others(self) -> Iterator[None]:
        """Context that others may be in, too."""
        with self._changed:
            self._changed.wait_for(lambda: self._inside >= 0 and not self._waiting)
            self._inside += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Context that nobody else is in."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._inside == 0)
            self._waiting -= 1
            self._inside = -1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._inside = max(0, self._inside - 1)
            self._changed.notify_all()


class Attempts:
    """What a worker, which may have several threads, does around its work on recordings."""

    def __init__(self, book: Book) -> None:
        """Say where it is written down."""
        self._book, self._gate = book, Gate()

    @contextmanager
    def trying(self, *names: str) -> Iterator[bool]:
        """Context in which recordings are worked on together; `False` if they are not to be tried any more."""
        before = self._book.begun(names)
        if before >= TRIES:
            yield False
            return
        with self._gate.alone() if before else self._gate.with_others():
            self._book.begin(names)
            yield True
            self._book.end(names)
