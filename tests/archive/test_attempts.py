"""Recordings that end their workers are given up, and those beside them are not."""

from __future__ import annotations

from threading import Event, Thread

from untrimmed.archive.attempts import TRIES, Attempts, LocalBook


def test_what_was_begun_and_never_ended_is_given_up() -> None:
    book = LocalBook()
    for _ in range(TRIES):
        assert Attempts(book).trying("a", "b").__enter__()  # as a worker that dies: it does not come to the end
    with Attempts(book).trying("b") as allowed:
        assert not allowed
    with Attempts(book).trying("c", "a") as allowed:
        assert not allowed
    with Attempts(book).trying("c") as allowed:
        assert allowed


def test_what_was_ended_is_forgotten() -> None:
    book = LocalBook()
    attempts = Attempts(book)
    for _ in range(2 * TRIES):
        with attempts.trying("a") as allowed:
            assert allowed
            assert book.begun(["a"]) == 1
    assert book.begun(["a"]) == book.begun([]) == 0


def test_a_suspect_has_nothing_beside_it() -> None:
    book = LocalBook()
    book.begin(["suspect"])
    attempts, inside, over = Attempts(book), Event(), Event()
    order: list[str] = []

    def other() -> None:
        with attempts.trying("other"):
            inside.set()
            over.wait(5)
            order.append("other")

    def suspect() -> None:
        with attempts.trying("suspect"):
            order.append("suspect")

    threads = [Thread(target=other), Thread(target=suspect)]
    threads[0].start()
    assert inside.wait(5)
    threads[1].start()
    threads[1].join(0.2)
    assert order == []
    over.set()
    for thread in threads:
        thread.join()
    assert order == ["other", "suspect"]
