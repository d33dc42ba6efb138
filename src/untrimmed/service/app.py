"""The routes of a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from untrimmed import __version__
from untrimmed.detection.localizer import Localizer
from untrimmed.service.bodies import Body, Facts, read_body
from untrimmed.service.counting import Counting
from untrimmed.service.draining import Draining
from untrimmed.service.guarding import Guard, check_token
from untrimmed.service.limits import Limits
from untrimmed.service.refusals import RefusedError, refusal
from untrimmed.service.schemas import Answer, Health, JobState, Parameters, Refusal, body_schema
from untrimmed.service.work import FAULT, Asked, Work

_WHY = {
    400: "the body is malformed or cut short",
    401: "the token is missing or wrong",
    403: "the service has no token, and the request is one of a web page",
    404: "there is no such job, or none any more",
    405: "this path does not take this method",
    408: "the body came too slowly",
    413: "the body is too large, or the recording too long",
    415: "the body is of a kind that is not taken",
    422: "the model cannot take the recording, or a parameter has no such value",
    503: "too much is held, or the service is being stopped; Retry-After says when to come back",
    504: "the answer was not found in time",
}


def build_app(localizer: Localizer, limits: Limits | None = None, token: str | None = None) -> FastAPI:
    """Make a service of features alone, as an ASGI application; its state has a `Work`, by the name `work`.

    Args:
        localizer: what detects.
        limits: how much is taken on.
        token: where given, every request but `/health` has to have it: `Authorization: Bearer TOKEN`.

    Raises:
        ConfigError: if the token cannot stand in a header.
    """
    return app_of(Work(localizer, limits or Limits()), token)


def app_of(work: Work, token: str | None = None) -> FastAPI:
    """Make an application of what does its work, which ends with it; see `build_app`.

    Raises:
        ConfigError: if the token cannot stand in a header.
    """
    check_token(token)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        work.stop()
        await work.finish()
        await asyncio.to_thread(work.close)

    # No pages of documentation: they would load scripts from elsewhere.
    app = FastAPI(
        title="Untrimmed",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.work = work
    # The last one comes first.
    app.add_middleware(Guard, token=token)
    app.add_middleware(Draining)
    app.add_middleware(Counting, metrics=work.metrics)
    _say_what_is_wrong(app)
    # Only for the schema to say it; `Guard` does it.
    _add_routes(app, work, [] if token is None else [Depends(HTTPBearer(auto_error=False))])
    return app


def _say_what_is_wrong(app: FastAPI) -> None:
    """Let every refusal be JSON with one message."""

    async def problem(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RefusedError)
        return refusal(error)

    async def parameter(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        message = first["msg"]
        if first["type"] == "extra_forbidden":
            message = f"is not known; known are {', '.join(Parameters.model_fields)}"
        return refusal(RefusedError(422, f"{' '.join(str(part) for part in first['loc'])[:100]}: {message}"))

    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)

    async def fault(_: Request, __: Exception) -> JSONResponse:
        return refusal(RefusedError(500, FAULT))

    app.add_exception_handler(RefusedError, problem)
    app.add_exception_handler(RequestValidationError, parameter)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, fault)


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Refusal, "description": _WHY[status]} for status in statuses}


def _add_routes(app: FastAPI, work: Work, guard: list[Any]) -> None:
    inputs, limits = work.localizer.inputs, work.limits
    dimension = work.localizer.model.config.input_dim if inputs.kind == "features" else None

    @app.post(
        "/detect",
        dependencies=guard,
        response_model=Answer,
        responses={202: {"model": JobState}, **_refusals(400, 401, 403, 408, 413, 415, 422, 503, 504)},
        openapi_extra=body_schema(dimension),
    )
    async def detect(request: Request, query: Annotated[Parameters, Query()]) -> Any:
        """Find actions in a recording: features as JSON or as a .npy file, or a video."""
        with ExitStack() as held:
            body = await _received(request, work, held, Facts(id=query.id, rate=query.rate, duration=query.duration))
            asked = Asked(query.min_score, query.top)
            if not query.job:
                return await _while_wanted(request, work.answer(body, asked, limits.timeout, lambda *_: None))
            begun = work.begin(body, asked, held.pop_all())
        return JSONResponse(begun.state.model_dump(), 202, {"Location": f"/jobs/{begun.id}"})

    @app.get("/jobs/{job}", dependencies=guard, responses=_refusals(401, 403, 404, 422))
    async def job_state(job: str) -> JobState:
        """Tell how far a job is; when it is done, with its answer."""
        found = work.jobs.get(job)
        found.fetched = found.ended is not None
        return found.state

    @app.delete("/jobs/{job}", dependencies=guard, status_code=204, responses=_refusals(401, 403, 404, 422))
    async def forget_job(job: str) -> None:
        """Stop a job, and forget it."""
        work.jobs.remove(job)

    @app.get("/health", responses={503: {"model": Health}})
    async def health(response: Response) -> Health:
        """Tell whether the service is ready, and what it takes."""
        response.status_code = 503 if work.stopping else 200
        return Health(
            status="stopping" if work.stopping else "ready",
            version=__version__,
            labels=list(work.localizer.labels),
            kind=inputs.kind,
            dimension=dimension,
            needs_rate=inputs.rate is None,
            videos=work.videos is not None,
            held=work.held,
            waiting=work.waiting,
        )

    @app.get(
        "/metrics",
        dependencies=guard,
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **_refusals(401, 403)},
    )
    async def metrics() -> Response:
        """Tell Prometheus what has been counted."""
        return Response(work.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _received(request: Request, work: Work, held: ExitStack, facts: Facts) -> Body:
    """Let a request in, and receive its body into a folder of its own, which goes when `held` is closed.

    Raises:
        RefusedError: as `Work.admitted` and `read_body`.
    """
    folder = held.enter_context(work.admitted())
    with work.metrics.seconds.labels("body").time():
        body = await read_body(request, work.limits, folder, facts)
    work.metrics.received.inc(body.size)
    return body


async def _while_wanted(request: Request, answering: Coroutine[Any, Any, Answer]) -> Answer:
    """Wait for an answer, as long as the client does; what it has left is not worked on any more.

    Raises:
        RefusedError: of the answer, or because the client has gone, of which nobody hears.
    """
    answer, gone = asyncio.ensure_future(answering), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise RefusedError(400, "the client has gone")
        return answer.result()
    finally:
        for task in (answer, gone):
            task.cancel()
        await asyncio.wait({answer, gone})


async def _left(request: Request) -> None:
    """Wait until the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
