"""Running an iterable in a thread, a bounded number of items ahead of whoever takes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Yield the items of an iterable that a thread works through, at most `depth` of them ahead.

    An exception of the iterable is raised here, after the items that came before it. The thread starts with the first
    item that is asked for. It ends with the iterable, or when this generator is closed or thrown away, and it has ended
    before `close` returns; if the iterable is a generator, it has then been closed as well, by the thread that ran it.

    Args:
        items: what is iterated over, all of it in the one thread.
        depth: the most items that are made and not yet taken, at least 1.
    """
    assert depth >= 1
    shelf = _Shelf[T](depth)
    thread = Thread(target=shelf.fill, args=(items,), name="ahead", daemon=True)
    thread.start()
    try:
        yield from shelf.taken()
    finally:
        shelf.give_up()
        thread.join()


class _Shelf(Generic[T]):
    """What lies between the two threads: items that were made and not yet taken."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._finished = False  # nothing more will be made
        self._unwanted = False  # nothing more will be taken
        self._changed = Condition()

    def fill(self, items: Iterable[T]) -> None:
        """Make the items; never more than there is room for."""
        try:
            iterator = iter(items)
            try:
                while self._wait_for_room():
                    item = next(iterator)
                    with self._changed:
                        self._items.append(item)
                        self._changed.notify_all()
                    del item  # the taker may want its memory back while the next one is made
            except StopIteration:
                pass
            finally:
                if isinstance(iterator, Generator):
                    iterator.close()
        except BaseException as error:  # whatever it is, it belongs to the other thread
            self._error = error
        finally:
            with self._changed:
                self._finished = True
                self._changed.notify_all()

    def taken(self) -> Iterator[T]:
        """Take the items as they come."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._finished)
                if not self._items:
                    break
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
            del item
        if self._error is not None:
            raise self._error

    def give_up(self) -> None:
        """Let the maker stop."""
        with self._changed:
            self._unwanted = True
            self._items.clear()
            self._changed.notify_all()

    def _wait_for_room(self) -> bool:
        """Wait until one more may be made; whether it is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._unwanted or len(self._items) < self._depth)
            return not self._unwanted
