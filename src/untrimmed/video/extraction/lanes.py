"""Lanes: several videos side by side in one process, with one extractor, whose pictures come from elsewhere.

Each lane is a connection and a thread at its end. The extractor works for one of them at a time, and for another one
while pictures have to be waited for: so one backbone is fed by several decoders, each video's features are those that
it would have alone, and there is one backbone in memory.

The process asks, so that nothing is ever underway that nobody waits for: for `open`, what to read and in which sizes,
it gets the first message of a video (see `apart`), for `more` the next one. The header `HERE` tells it to decode the
video itself, `LOST` that the decoder has died.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from untrimmed.data.features.writing import UnwritableError
from untrimmed.errors import VideoError
from untrimmed.video.extraction.apart import NO_PIXELS, Message, unpacked
from untrimmed.video.extraction.feature_stream import READ_AHEAD, OpenVideo, ReadVideo, reading_file
from untrimmed.video.extraction.one_video import Outcome, Task, carry_out
from untrimmed.video.reading.ahead import ahead
from untrimmed.video.view import Pictures, View

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor

HERE: Message = ({"here": True}, NO_PIXELS)
LOST: Message = ({"lost": True}, NO_PIXELS)


class Decoding(Protocol):
    """One video that is decoded somewhere."""

    def open(self, rate: float, views: Sequence[View]) -> Message:
        """Begin, and return the first message."""

    def more(self) -> Message:
        """Return the next message."""


class Lane:
    """The end of a lane that has videos to be worked on."""

    def __init__(self, connection: Connection) -> None:
        """Take the connection to the process."""
        self._connection = connection

    def carry_out(self, task: Task, decoding: Decoding) -> Outcome:
        """Let something be done with a video, and feed it with its pictures.

        Raises:
            UnwritableError: if a file cannot be written.
            EOFError: if the process has ended.
        """
        try:
            _send(self._connection, asdict(task))
            while True:
                kind, content = json.loads(self._connection.recv_bytes())
                if kind == "outcome":
                    return Outcome(**content)
                if kind == "unwritable":
                    raise UnwritableError(content)
                header, pixels = decoding.open(*_request(content)) if kind == "open" else decoding.more()
                _send(self._connection, header)
                if pixels.size:
                    self._connection.send_bytes(pixels.data)
        except OSError as error:
            raise EOFError from error


class Turn:
    """What the lanes of a process take in turn: the extractor."""

    def __init__(self) -> None:
        self._lock = Lock()

    def taken(self) -> AbstractContextManager[object]:
        """Context in which the extractor is one's own, but for the times of `waiting`."""
        return self._lock

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Context in which others may have it."""
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()


def serve_lane(connection: Connection, extractor: Extractor, turn: Turn) -> None:
    """Work on one video after another until the other end is closed; runs in a thread."""
    while True:
        try:
            task = Task(**json.loads(connection.recv_bytes()))
        except (EOFError, OSError):
            return
        answer: tuple[str, Any]
        with turn.taken():
            try:
                answer = "outcome", asdict(carry_out(task, extractor, read=_reading_lane(connection, turn, task)))
            except UnwritableError as error:
                answer = "unwritable", str(error)
        _send(connection, answer)


def _reading_lane(connection: Connection, turn: Turn, task: Task) -> ReadVideo:
    """Return what reads the pictures that come through a lane."""

    @contextmanager
    def read(rate: float, views: Sequence[View]) -> Iterator[OpenVideo]:
        with turn.waiting():
            _send(connection, ("open", {"rate": rate, "views": [asdict(view) for view in views]}))
            header, _ = _received(connection)
        if "here" in header:
            with ExitStack() as stack:
                with turn.waiting():  # to open it may mean to copy it from far away
                    video = stack.enter_context(
                        reading_file(task.path, allow_truncated=task.allow_truncated)(rate, views)
                    )
                yield OpenVideo(video.declared, _in_turn(video.pictures, turn), video.ending)
            return
        last: dict[str, Any] = {}

        def frames() -> Iterator[Pictures]:
            while True:
                _send(connection, ("more", None))
                message = _received(connection)
                if "end" in message[0]:
                    last.update(message[0])
                    return
                yield from unpacked(message)

        with closing(ahead(frames(), READ_AHEAD)) as pictures:
            yield OpenVideo(header["declared"], _in_turn(pictures, turn), lambda: (last["end"], last["damaged"]))

    return read


def _in_turn(pictures: Iterator[Pictures], turn: Turn) -> Iterator[Pictures]:
    while True:
        with turn.waiting():
            frame = next(pictures, None)
        if frame is None:
            return
        yield frame


def _received(connection: Connection) -> Message:
    """Wait for a message.

    Raises:
        VideoError: if it says what is wrong with the video, or that its decoder is lost.
    """
    header = json.loads(connection.recv_bytes())
    if "lost" in header:
        raise VideoError("its decoder is lost")
    if "error" in header:
        raise VideoError(header["error"])
    pixels = NO_PIXELS
    if header.get("shapes"):
        pixels = np.empty(sum(int(np.prod(shape)) for shape in header["shapes"]), np.uint8)
        if pixels.size:
            connection.recv_bytes_into(pixels.data)
    return header, pixels


def _request(content: dict[str, Any]) -> tuple[float, tuple[View, ...]]:
    return content["rate"], tuple(View(**view) for view in content["views"])


def _send(connection: Connection, content: object) -> None:
    connection.send_bytes(json.dumps(content).encode())
