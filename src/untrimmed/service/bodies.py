"""Reading what a client sends: under limits, into a file whose name is ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from untrimmed.service.limits import Limits
from untrimmed.service.refusals import RefusedError
from untrimmed.service.schemas import Duration, Name, Rate

Kind = Literal["json", "npy", "video"]

NPY = ("application/octet-stream", "application/x-npy", "application/npy")
FORM = "multipart/form-data"
MAGIC = b"\x93NUMPY"
"""First bytes of a `.npy` file."""

_TAKEN = "application/json, application/octet-stream (a .npy file), video/*, or multipart/form-data with a 'file'"
_MOST_OF_FIELD = 4096
_FIELDS: dict[str, TypeAdapter[Any]] = {
    "id": TypeAdapter(Name),
    "rate": TypeAdapter(Rate),
    "duration": TypeAdapter(Duration),
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a client says of a recording beside its content: its name, frames per second, duration in seconds."""

    id: str = ""
    rate: float | None = None
    duration: float | None = None

    def completed(self, other: Facts) -> Facts:
        """Return these facts, with those of another source where these say nothing."""
        return Facts(
            id=self.id or other.id,
            rate=other.rate if self.rate is None else self.rate,
            duration=other.duration if self.duration is None else self.duration,
        )


@dataclass(frozen=True)
class Body:
    """What a client has sent, in a file."""

    kind: Kind
    path: Path
    size: int
    facts: Facts


async def read_body(request: Request, limits: Limits, folder: Path, facts: Facts) -> Body:
    """Read the body of a request into a file in a folder.

    Args:
        request: with its body still to come.
        limits: `max_body`, `max_json` and `timeout` of them.
        folder: for the file.
        facts: from the query; they go before those of a form.

    Raises:
        RefusedError: 400 if it is malformed or cut short, 408 if it comes too slowly, 413 if it is too large, 415 if it
            is of a kind that is not taken, 422 if a field of a form has no such value, 503 if it cannot be stored.
    """
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedError(415, "a body with a Content-Encoding is not taken: send it as it is")
    kind: Kind | None = None
    if media == "application/json":
        kind = "json"
    elif media in NPY:
        kind = "npy"
    elif media.startswith("video/"):
        kind = "video"
    elif media != FORM:
        raise RefusedError(415, f"a body of the type {media[:100]!r} is not taken; send {_TAKEN}")
    most = limits.max_json if kind == "json" else limits.max_body
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    path = folder / "body"
    try:
        async with asyncio.timeout(limits.timeout):
            chunks = _bounded(request, most)
            if kind is None:
                return await _read_form(request, chunks, path, facts)
            size = 0
            with path.open("wb") as file:
                async for chunk in chunks:
                    size += file.write(chunk)
    except TimeoutError:
        raise RefusedError(408, f"the body has not arrived within {limits.timeout:g} s") from None
    except ClientDisconnect:
        raise RefusedError(400, "the body was cut short") from None
    except OSError as error:
        raise RefusedError(503, f"the body cannot be stored ({error.strerror})") from error
    if not size:
        raise RefusedError(400, "the body is empty")
    return Body(kind, path, size, facts)


async def _bounded(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        yield chunk


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, f"the body has more than {most:,} bytes, which is the most that is taken")


async def _read_form(request: Request, chunks: AsyncGenerator[bytes, None], path: Path, facts: Facts) -> Body:
    parser = MultiPartParser(request.headers, chunks, max_files=1, max_fields=3, max_part_size=_MOST_OF_FIELD)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RefusedError(400, f"the form is malformed: {error.message}") from None
    except (ValueError, LookupError) as error:
        raise RefusedError(400, f"the form is malformed: {type(error).__name__}") from None
    try:
        unknown = sorted(set(form) - {"file", *_FIELDS})
        if unknown:
            raise RefusedError(422, f"the form has a field {unknown[0][:100]!r}; known are file, {', '.join(_FIELDS)}")
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RefusedError(422, "the form has no file; send a .npy file or a video as its field 'file'")
        texts = {name: form[name] for name in _FIELDS if name in form}
        if any(isinstance(text, UploadFile) for text in texts.values()):
            raise RefusedError(422, f"the form's fields {', '.join(_FIELDS)} are texts, not files")
        stated = facts.completed(_facts({name: str(text) for name, text in texts.items()}))
        size, head = 0, b""
        with path.open("wb") as out:
            while chunk := await file.read(2**20):
                head = head or chunk[: len(MAGIC)]
                size += out.write(chunk)
    finally:
        await form.close()
    if not size:
        raise RefusedError(400, "the form's file is empty")
    return Body("npy" if head == MAGIC else "video", path, size, stated)


def _facts(texts: dict[str, str]) -> Facts:
    values: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            values[name] = _FIELDS[name].validate_python(text)
        except ValidationError as error:
            raise RefusedError(422, f"the form's field {name!r}: {error.errors()[0]['msg']}") from None
    return Facts(**values)
