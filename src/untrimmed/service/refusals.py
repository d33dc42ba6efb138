"""What a request is refused with: a status and one message."""

from __future__ import annotations

from starlette.responses import JSONResponse

from untrimmed.errors import UntrimmedError

RETRY_AFTER = 2
"""Seconds after which a client that was sent away may come back."""


class RefusedError(Exception):
    """A request cannot be answered; `status` is that of HTTP, and the message is for the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    @property
    def headers(self) -> dict[str, str]:
        """What has to stand in the header of the answer."""
        if self.status == 503:
            return {"Retry-After": str(RETRY_AFTER)}
        return {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}


def refusal(error: RefusedError) -> JSONResponse:
    """Make an answer of an error: JSON with one message."""
    return JSONResponse({"error": error.message}, error.status, error.headers)


def of_input(error: UntrimmedError, status: int, *secrets: object) -> RefusedError:
    """Say what is wrong with what a client has sent; the paths among `secrets` are not for it to see."""
    message = str(error)
    for secret in secrets:
        message = message.replace(str(secret), "the body")
    return RefusedError(status, message)
