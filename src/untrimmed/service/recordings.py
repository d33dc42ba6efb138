"""From bodies to recordings that the model can take, or to what is wrong with them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from untrimmed.data.features.numpy_file import NpyFile
from untrimmed.data.features.validation import NUMBERS, checked_shape
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.recording import Prepared, Recording, prepare
from untrimmed.errors import FeatureError, UntrimmedError
from untrimmed.service.bodies import MAGIC, Body, Facts
from untrimmed.service.refusals import RefusedError, of_input
from untrimmed.service.schemas import FeaturesBody

MOST_VALUES = 2_000_000
"""Of JSON, each of which takes some hundred bytes of memory while it is read; it may be as short as two of text."""

_LONGEST_HEADER = 10_000  # as much as numpy parses


def open_body(body: Body, localizer: Localizer, max_clips: int) -> tuple[Recording, float]:
    """Make a recording of features that were sent; returns it with its duration in seconds.

    Numbers in a `.npy` file stay there: the file has to live as long as the recording.

    Raises:
        RefusedError: 400 if the body is malformed, 413 if there are too many clips, 422 if the model cannot take them.
    """
    array, facts = _from_json(body) if body.kind == "json" else (_from_npy(body.path), body.facts)
    return checked(array, facts, localizer, max_clips, body.path)


def open_extracted(path: Path, facts: Facts, localizer: Localizer, max_clips: int) -> tuple[Recording, float]:
    """Make a recording of features that we have made of a video.

    Raises:
        RefusedError: as `open_body`.
    """
    return checked(_from_npy(path), facts, localizer, max_clips, path)


def checked(
    array: NDArray[np.generic], facts: Facts, localizer: Localizer, max_clips: int, path: Path
) -> tuple[Recording, float]:
    """Look through an array before it waits for the model; returns it as a recording, with its duration.

    Raises:
        RefusedError: 413 if there are too many clips, 422 if the model cannot take them.
    """
    if localizer.inputs.rate is None and facts.rate is None:
        raise RefusedError(422, "the model needs to know the frames per second of each recording: send them as 'rate'")
    recording = Recording(array, id=facts.id, duration=facts.duration, rate=facts.rate, source="the body")
    try:
        checked_shape(array.shape, "the body")
        clips = localizer.inputs.clips(len(array), "the body")
        if clips > max_clips:
            raise RefusedError(413, f"the recording has {clips:,} clips, but {max_clips:,} is the most that is taken")
        prepared: Prepared = prepare(recording, localizer.inputs, localizer.model.config.input_dim)
    except UntrimmedError as error:
        raise of_input(error, 422, path) from None
    return recording, prepared.duration


def _from_json(body: Body) -> tuple[NDArray[np.float32], Facts]:
    text = body.path.read_bytes()
    # Each value but the first of its list comes after a comma, each list and object with a bracket.
    if sum(text.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise RefusedError(413, f"the JSON has more than {MOST_VALUES:,} values: send features as a .npy file")
    try:
        sent = FeaturesBody.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise RefusedError(400, f"the body is no JSON that can be read: {first['msg']}") from None
        place = "".join(f"[{part}]" if isinstance(part, int) else f"{part}"[:100] for part in first["loc"])
        raise RefusedError(422, f"the body: {place or 'what it holds'}: {first['msg']}") from None
    widths = {len(row) for row in sent.features}
    if len(widths) > 1:
        raise RefusedError(
            422, f"the rows of the features have from {min(widths)} to {max(widths)} numbers; expected: equal"
        )
    array = np.array(sent.features, dtype=np.float32)
    return array, body.facts.completed(Facts(id=sent.id, rate=sent.rate, duration=sent.duration))


def _from_npy(path: Path) -> NDArray[np.generic]:
    """View the array in a `.npy` file: its header is looked at before any memory is asked for."""
    with path.open("rb") as file:
        head = file.read(12)
    if not head.startswith(MAGIC):
        raise RefusedError(400, "the body is no .npy file: save the features by np.save(path, array)")
    if len(head) == 12 and head[6] >= 2 and struct.unpack("<I", head[8:12])[0] > _LONGEST_HEADER:
        raise RefusedError(400, "the header of the .npy file is damaged: it is longer than any that describes numbers")
    try:
        file_of_one = NpyFile(path)
        length, _ = checked_shape(file_of_one.shape(""), "the body")
        array = file_of_one.rows("", 0, length)
    except FeatureError as error:
        shaped = str(error).startswith("the body: the array")
        raise of_input(error, 422 if shaped else 400, path) from None
    if array.dtype.kind not in NUMBERS:
        raise RefusedError(422, f"the .npy file holds {array.dtype}, but features are numbers, float32 or float16")
    return array
