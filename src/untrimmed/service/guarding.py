"""Who may use a service."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from untrimmed.errors import ConfigError
from untrimmed.service.refusals import RefusedError, refusal

OPEN = "/health"
"""The path that everybody may ask for: what looks after a service need not know its token."""


def check_token(token: str | None) -> None:
    """Make sure that a token can stand in a header.

    Raises:
        ConfigError: if it cannot.
    """
    if token is not None and not (token.isascii() and token.isprintable() and token.split() == [token]):
        raise ConfigError("the token has to be of printable ASCII characters, without spaces")


class Guard:
    """Lets only those pass who know the token; where there is none, nobody who comes from a web page.

    Any page that is open in a browser can let it send a form to an address of its own machine, and so a video to the
    decoder. Browsers say so in `Origin`; programs do not send that.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request of ASGI."""
        if scope["type"] == "http" and scope["path"] != OPEN and (error := self._refusal(dict(scope["headers"]))):
            await refusal(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, headers: dict[bytes, bytes]) -> RefusedError | None:
        if self._expected is None:
            if b"origin" in headers:
                return RefusedError(403, "requests of web pages are taken by a service with a token only")
        elif not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            return RefusedError(401, "the token is missing or wrong; send 'Authorization: Bearer TOKEN'")
        return None
