"""Counting requests by what came of them."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from untrimmed.service.metrics import Metrics

PATHS = ("/detect", "/health", "/metrics", "/openapi.json")
"""Paths that are counted by their name; `/jobs/...` as `/jobs`, and all others together."""
GONE = 499
"""Status of a request whose client went while it was sending; nobody has been answered."""


class Counting:
    """Passes requests on, and counts the statuses of the answers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, gone = 500, False

        async def receiving() -> Message:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            return message

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receiving, sending)
        finally:
            path = "/jobs" if scope["path"].startswith("/jobs/") else scope["path"]
            self._metrics.requests.labels(
                path if path in (*PATHS, "/jobs") else "other", GONE if gone else status
            ).inc()
