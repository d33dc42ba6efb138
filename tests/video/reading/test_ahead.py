from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator

import pytest

from untrimmed.video.reading.ahead import ahead


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ahead"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    assert threads() == []
    yield
    gc.collect()
    assert threads() == []


def wait_for(condition: object) -> None:
    """Wait until another thread has brought about what is asked for."""
    assert callable(condition)
    until = time.monotonic() + 10
    while not condition() and time.monotonic() < until:
        time.sleep(0.001)
    assert condition()


@pytest.mark.parametrize("depth", [1, 2, 100])
@pytest.mark.parametrize("count", [0, 1, 50])
def test_the_items_come_in_their_order(depth: int, count: int) -> None:
    assert list(ahead(iter(range(count)), depth)) == list(range(count))
    assert list(ahead(range(count), depth)) == list(range(count))


def test_items_may_be_anything() -> None:
    odd = [None, StopIteration(), ValueError("an item"), ..., False]
    assert list(ahead(odd, 2)) == odd


@pytest.mark.parametrize("depth", [1, 3])
def test_it_runs_so_many_items_ahead_and_no_further(depth: int) -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    taken = ahead(items(), depth)
    assert made == []  # nothing begins before it is asked for
    for i in range(5):
        assert next(taken) == i
        wait_for(lambda i=i: len(made) == i + 1 + depth)
        time.sleep(0.01)
        assert len(made) == i + 1 + depth
    taken.close()


def test_one_thread_makes_all_items() -> None:
    def items() -> Iterator[int]:
        for _ in range(20):
            yield threading.get_ident()

    idents = set(ahead(items(), 3))
    assert len(idents) == 1
    assert idents != {threading.get_ident()}


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, RuntimeError])
def test_an_exception_comes_after_the_items_before_it(kind: type[BaseException]) -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise kind("broken")

    taken = ahead(items(), 5)
    assert [next(taken), next(taken)] == [1, 2]
    with pytest.raises(kind, match="broken") as caught:
        next(taken)
    assert "items" in [entry.name for entry in caught.traceback]  # where it was raised can be seen


def test_what_cannot_be_iterated_over_is_refused() -> None:
    with pytest.raises(TypeError):
        list(ahead(3, 2))  # type: ignore[arg-type]


def test_closing_stops_the_thread_and_closes_the_generator_in_it() -> None:
    closed_in: list[int] = []
    made_in: list[int] = []

    def items() -> Iterator[int]:
        try:
            for i in range(10**9):
                made_in.append(threading.get_ident())
                yield i
        finally:
            closed_in.append(threading.get_ident())

    taken = ahead(items(), 4)
    assert next(taken) == 0
    taken.close()
    assert threads() == []
    assert closed_in == [made_in[0]]


def test_leaving_a_loop_stops_the_thread() -> None:
    for item in ahead(iter(range(10**9)), 2):
        if item == 10:
            break
    gc.collect()
    assert threads() == []


def test_an_exception_of_the_taker_stops_the_thread() -> None:
    def take() -> None:
        for item in ahead(iter(range(10**9)), 2):
            if item == 3:
                raise LookupError

    with pytest.raises(LookupError):
        take()


def test_never_beginning_starts_no_thread() -> None:
    taken = ahead(iter(range(3)), 2)
    assert threads() == []
    taken.close()
    assert list(taken) == []


def test_many_at_once() -> None:
    several = [ahead(iter(range(i, i + 20)), 3) for i in range(10)]
    assert [list(row) for row in zip(*several, strict=True)] == [[k + i for i in range(10)] for k in range(20)]


def test_one_inside_another() -> None:
    assert list(ahead(ahead(iter(range(30)), 2), 3)) == list(range(30))
