"""The process on the other side of `workers`: it opens an extractor, and does one task after another.

It is told what to do in lines of JSON on stdin, and answers in lines of JSON on what was its stdout.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from untrimmed.data.features.writing import UnwritableError
from untrimmed.errors import UntrimmedError
from untrimmed.model.devices import pick_device
from untrimmed.video.extraction.lanes import Turn, serve_lane
from untrimmed.video.extraction.one_video import Task, carry_out, what_went_wrong
from untrimmed.video.extraction.progress import now_and_then
from untrimmed.video.extractors.opening import open_extractor

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor

Answer = Callable[[str, Any], None]
"""Tells the parent something: of what kind it is, and what it is."""

Request = Callable[[], dict[str, Any]]
"""Waits for what the parent asks for next."""


def serve(lanes: Sequence[int] = ()) -> None:
    """Work until the parent has ended: that closes stdin, whatever it died of.

    Args:
        lanes: file descriptors of connections for `untrimmed.video.extraction.lanes`.
    """
    answer = _answers()
    work(_requests().get, answer, [Connection(lane) for lane in lanes])


def work(request: Request, answer: Answer, lanes: Sequence[Connection] = ()) -> None:
    """Open the extractor that is asked for first, say what it is, and carry out one task after another.

    With lanes, the tasks come through these instead.

    Answers `greeting` or `refused` to the first request; to each other one, any number of `progress`, and then
    `outcome` or `unwritable`.
    """
    choice = request()
    try:
        extractor = open_extractor(**choice)
        greeting = {"description": asdict(extractor.description), "device": pick_device(choice["device"]).type}
    except UntrimmedError as error:
        answer("refused", [type(error).__name__, str(error)])
        return
    except Exception as error:  # the user's own extractor may raise anything
        message = f"extractor {choice['name']!r} cannot be made: {what_went_wrong(error)}"
        answer("refused", ["ConfigError", message])
        return
    turn = Turn()
    for lane in lanes:
        threading.Thread(target=_serve_lane, args=(lane, extractor, turn), daemon=True).start()
    answer("greeting", greeting)
    while True:
        task = Task(**request())
        try:
            outcome = carry_out(task, extractor, now_and_then(lambda *progress: answer("progress", progress)))
        except UnwritableError as error:
            answer("unwritable", str(error))
        else:
            answer("outcome", asdict(outcome))


def _serve_lane(lane: Connection, extractor: Extractor, turn: Turn) -> None:
    try:
        serve_lane(lane, extractor, turn)
    finally:  # whatever it was that ended the thread, nobody may wait for an answer that cannot come
        os._exit(1)


def _answers() -> Answer:
    """Keep stdout for answers; what is printed by code that knows nothing of them goes to stderr."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    error = os.open(os.devnull, os.O_WRONLY) if sys.stderr is None else sys.stderr.fileno()
    os.dup2(error, sys.stdout.fileno())

    def answer(kind: str, content: Any) -> None:
        print(json.dumps([kind, content]), file=out, flush=True)

    return answer


def _requests() -> SimpleQueue[dict[str, Any]]:
    """Read requests in a thread, which ends the process at once when there can be no more."""
    requests: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            requests.put(json.loads(line))
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return requests
