"""Running a service until it is told to stop."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from untrimmed.errors import ConfigError
from untrimmed.service.app import app_of
from untrimmed.service.work import Work

BACKLOG = 2048
TICKS = 10
"""Tenths of a second between two looks at connections that do not ask for anything."""


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine can reach a host name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket; port 0 is any that is free.

    Raises:
        ConfigError: if it cannot be bound.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port is {port}, but has to be from 0 to 65535")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) and not isinstance(error, socket.gaierror) else None
        reason = os.strerror(number) if number else getattr(error, "strerror", None) or "it is no address"
        raise ConfigError(f"cannot listen on --host {host} --port {port}: {reason}. Choose others") from None


class _Server(uvicorn.Server):
    """Stops in two steps: first it refuses what is new and finishes what it holds, then it stops listening.

    It also closes connections that do not ask for anything, for which the library would wait for ever.
    """

    def __init__(self, config: uvicorn.Config, work: Work) -> None:
        super().__init__(config)
        self._work = work
        self._idle: dict[Any, tuple[Any, float]] = {}

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; at a second signal, end the process: the model cannot be interrupted by anything less."""
        if self._work.stopping:
            self._work.abandon()
            os._exit(128 + sig)
        self._work.stop()

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to end."""
        if counter % TICKS == 0:
            self._close_idle()
        self.should_exit = self.should_exit or self._work.quiet
        return await super().on_tick(counter)

    def _close_idle(self) -> None:
        """Close connections on which the head of the next request has not arrived in time."""
        now, before = time.monotonic(), self._idle
        self._idle = {}
        for connection in tuple[Any, ...](self.server_state.connections):
            cycle = connection.cycle  # of the last request; `None` before the first one
            if cycle is not None and not cycle.response_complete:
                continue
            last, since = before.get(connection, (None, now))
            self._idle[connection] = cycle, (since if last is cycle else now)
            if now - self._idle[connection][1] > self._work.limits.timeout:
                connection.shutdown()


def serve(work: Work, listening: socket.socket, token: str | None, on_ready: Callable[[str], object]) -> None:
    """Answer requests until SIGTERM or SIGINT; what is held is finished then. A second signal ends the process.

    Args:
        work: what is served, and closed in the end.
        listening: where.
        token: see `build_app`.
        on_ready: is told the address, before the first request is answered.

    Raises:
        ConfigError: if the token cannot stand in a header.
    """
    app = app_of(work, token)
    # It would write a line for every malformed form; whoever sends one is told.
    logging.getLogger("python_multipart").addHandler(logging.NullHandler())
    host, port = listening.getsockname()[:2]
    on_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="on",
        log_level="error",  # what is wrong with requests is counted
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,  # for the last answers to get to their clients
    )
    _Server(config, work).run(sockets=[listening])
