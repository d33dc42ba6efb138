"""Refusing a body in such a way that its sender hears of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_SECONDS = 5.0
"""After which a sender that does not stop is cut off."""


class Draining:
    """Reads what is left of a body that is refused, before the answer goes out, and throws it away.

    A connection that is closed while something unread lies in it is reset, and its sender may lose the answer. Who
    waits with a body until he is asked for it (`Expect: 100-continue`, as curl with large ones) is answered at once.
    Where something has not been read, the connection is closed: nothing else would bound how long it goes on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        more, expects = True, any(name == b"expect" for name, _ in scope["headers"])

        async def receiving() -> Message:
            nonlocal more
            message = await receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                # 408 goes to those who were waited for long enough.
                if not expects and message["status"] != 408:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(MOST_SECONDS):
                            while more:
                                await receiving()
                if more:
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        await self._app(scope, receiving, sending)
