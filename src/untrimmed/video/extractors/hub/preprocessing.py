"""What a preprocessor configuration says of pictures: their size, and what is made of their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from untrimmed.errors import ModelError
from untrimmed.video.view import View

_COLOURS = 3


@dataclass(frozen=True)
class Preprocessing:
    """How pictures are prepared.

    Attributes:
        view: their size.
        scale: what the values, 0 to 255, are multiplied with, for each colour ...
        shift: ... and what is added then.
    """

    view: View
    scale: tuple[float, ...]
    shift: tuple[float, ...]


def parse_preprocessing(record: Mapping[str, Any], model_type: str, place: str) -> Preprocessing:
    """Read a preprocessor configuration.

    Args:
        record: the contents of the file.
        model_type: of the model; ViViT centres its values before it normalises them.
        place: name of the file, for messages.

    Raises:
        ModelError: if it says nothing of the size or the normalisation, or something that cannot be followed.
    """
    try:
        view = _view(record, place)
        factor = float(record.get("rescale_factor", 1 / 255)) if record.get("do_rescale", True) else 1.0
        offset = 1.0 if record.get("offset", model_type == "vivit") and record.get("do_rescale", True) else 0.0
        mean, deviation = [0.0] * _COLOURS, [1.0] * _COLOURS
        if record.get("do_normalize", True):
            mean, deviation = _colours(record, "image_mean", place), _colours(record, "image_std", place)
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{place}: cannot be understood ({error}). Is it the file that came with the model?"
        ) from error
    if min(deviation) <= 0:
        raise ModelError(f"{place}: image_std is {deviation}, but has to be positive")
    scale = tuple(factor / d for d in deviation)
    shift = tuple((-offset - m) / d for m, d in zip(mean, deviation, strict=True))
    return Preprocessing(view, scale, shift)


def _view(record: Mapping[str, Any], place: str) -> View:
    """Return the size: the picture is scaled by its shorter side or to a size, and its middle may be cut out."""
    size = record.get("size") if record.get("do_resize", True) else None
    crop = record.get("crop_size") if record.get("do_center_crop", "crop_size" in record) else None
    if size is None:
        raise ModelError(f"{place}: 'size' is not there, but the size of the pictures has to be known")
    if isinstance(size, Mapping) and "height" in size:
        height, width = _sides(size, place)
        if crop is None:
            return View(height, width)
        if height != width:
            raise ModelError(f"{place}: size is {dict(size)} with a crop, but only a square one can be cut")
        short = height
    else:
        short = int(size["shortest_edge"] if isinstance(size, Mapping) and "shortest_edge" in size else size)
    height, width = (short, short) if crop is None else _sides(crop, place)
    if min(height, width, short) < 1 or max(height, width) > short:
        raise ModelError(f"{place}: crop_size {height} x {width} cannot be cut out of pictures of size {short}")
    return View(height, width, short)


def _sides(size: Any, place: str) -> tuple[int, int]:
    """Return height and width."""
    if isinstance(size, Mapping):
        if not {"height", "width"} <= size.keys():
            raise ModelError(f"{place}: {dict(size)} is no size; expected are height and width")
        height, width = int(size["height"]), int(size["width"])
    else:
        height = width = int(size)
    if min(height, width) < 1:
        raise ModelError(f"{place}: the size is {height} x {width}, but has to be positive")
    return height, width


def _colours(record: Mapping[str, Any], key: str, place: str) -> list[float]:
    """Return a number for each colour."""
    value = record.get(key)
    numbers = [float(v) for v in value] if isinstance(value, Sequence) else [float(value or 0)] * _COLOURS
    if value is None or len(numbers) != _COLOURS:
        raise ModelError(f"{place}: {key} is {value}, but three numbers are expected, one for each colour")
    return numbers
