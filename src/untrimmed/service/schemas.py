"""What goes over the wire, as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field

from untrimmed.data.detections import Detections
from untrimmed.service.refusals import RefusedError

Status = Literal["waiting", "decoding", "detecting", "done", "failed"]
Rate = Annotated[float, Field(ge=1e-3, le=1e6, allow_inf_nan=False)]
Duration = Annotated[float, Field(ge=1e-3, le=1e9, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=200)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

LARGEST = 3.4e38
"""Larger numbers are not finite as float32."""

# The first fault is enough: a list of all of them may take more memory than the body.
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Row = Annotated[list[Number], Field(min_length=1), FailFast()]
Rows = Annotated[list[Row], Field(min_length=1), FailFast()]


class Parameters(BaseModel):
    """What stands in the address of `POST /detect`."""

    model_config = ConfigDict(extra="forbid")

    min_score: Score = Field(0.0, description="lowest score that is answered")
    top: int | None = Field(None, ge=1, le=1_000_000, description="most detections that are answered")
    job: bool = Field(False, description="answer at once with a job, whose result is fetched later")
    id: Name = Field("", description="name of the recording, which the answer repeats")
    rate: Rate | None = Field(None, description="frames per second, of features")
    duration: Duration | None = Field(None, description="in seconds, of features")


class FeaturesBody(BaseModel):
    """Features as JSON: a list of rows, and what is known of the recording."""

    model_config = ConfigDict(extra="forbid", strict=True)

    features: Rows
    id: Name = ""
    rate: Rate | None = None
    duration: Duration | None = None


class FoundAction(BaseModel):
    """A detection: an action of one class from `start` to `end`, in seconds."""

    label: str
    start: float
    end: float
    score: float


class Answer(BaseModel):
    """What was found in a recording, best first; its duration is in seconds."""

    id: str
    duration: float
    detections: list[FoundAction]


class JobState(BaseModel):
    """How far a job is; `progress` is a share of the video where that is known, `error_status` as of HTTP."""

    job: str
    status: Status
    progress: float | None = None
    seconds_read: float | None = None
    answer: Answer | None = None
    error: str | None = None
    error_status: int | None = None


class Health(BaseModel):
    """Whether a service is ready, and what it takes; `dimension` is the number of columns that features have."""

    status: Literal["ready", "stopping"]
    version: str
    labels: list[str]
    kind: Literal["features", "signals"]
    dimension: int | None
    needs_rate: bool
    videos: bool
    held: int
    waiting: int


class Refusal(BaseModel):
    """Why a request was not answered."""

    error: str


def answer_of(found: Detections, duration: float, min_score: float, top: int | None) -> Answer:
    """Make an answer of detections.

    Raises:
        RefusedError: (422) if the model's numbers have run over.
    """
    shown = found.above(min_score)[:top]
    actions = [FoundAction(label=d.label, start=d.start, end=d.end, score=d.score) for d in shown]
    numbers = [number for each in actions for number in (each.start, each.end, each.score)]
    if not all(abs(number) < float("inf") for number in [duration, *numbers]):
        raise RefusedError(422, "what the model makes of these features is not finite: they are too large")
    return Answer(id=found.video_id, duration=duration, detections=actions)


def body_schema(dimension: int | None) -> dict[str, Any]:
    """Return what OpenAPI says of the body of `POST /detect`; `dimension` is the number of columns, where known."""
    document = FeaturesBody.model_json_schema()
    if dimension is not None:
        document["properties"]["features"]["items"] |= {"minItems": dimension, "maxItems": dimension}
    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {
        "type": "object",
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "a .npy file, or a video"},
            "id": {"type": "string", "maxLength": 200},
            "rate": {"type": "number"},
            "duration": {"type": "number"},
        },
        "required": ["file"],
        "additionalProperties": False,
    }
    content = {
        "application/json": {"schema": document},
        "application/octet-stream": binary,
        "video/mp4": binary,
        "multipart/form-data": {"schema": form},
    }
    return {"requestBody": {"required": True, "content": content}}
