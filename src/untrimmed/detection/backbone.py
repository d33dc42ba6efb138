"""The extractor that a model was trained on, made again for new videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from untrimmed.data.inputs import InputConfig
from untrimmed.detection.model_folder import ExtractorReference
from untrimmed.errors import ModelError

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor

USERS_OWN = "python:"
"""What the name of an extractor begins with that is a program of the user's."""


def open_backbone(reference: ExtractorReference | None, inputs: InputConfig, dimension: int, device: str) -> Extractor:
    """Make the extractor that a model was trained on.

    A program of somebody's (`python:...`) is never run because a model folder names it.

    Args:
        reference: what the model says of it.
        inputs: of the model, with the sampling.
        dimension: D of the features that the model takes.
        device: where it runs.

    Raises:
        ModelError: if the model does not say which extractor it was, or that extractor is another one here.
        ConfigError: if there is no such extractor.
        MissingExtraError: if it needs a package that is not installed.
    """
    from untrimmed.video.extractors.opening import open_extractor  # noqa: PLC0415  features need no backbone

    if inputs.kind == "signals":
        raise ModelError("the model was trained on signals, not on video; give it files of such signals")
    if reference is None:
        raise ModelError(
            "the model does not say which extractor made the features that it was trained on, so it cannot take "
            "videos. Give it feature files; or name that extractor, by --extractor or Localizer.with_extractor"
        )
    if reference.name.startswith(USERS_OWN):
        raise ModelError(
            f"the model was trained on features of {reference.name!r}, a program that is not run because a model names "
            "it. If you trust it, name it yourself, by --extractor or Localizer.with_extractor"
        )
    extractor = open_extractor(
        reference.name,
        stride=inputs.stride,
        window=inputs.window,
        rate=inputs.rate,
        device=device,
    )
    inputs_of(extractor, reference, inputs, dimension)
    return extractor


def open_users_choice(name: str, inputs: InputConfig, device: str) -> Extractor:
    """Make an extractor that the user has named for a model, with the model's sampling; it may be a program of his.

    `Localizer.with_extractor` finds out whether the model was trained on it.

    Raises:
        ConfigError: if there is no such extractor, or it cannot sample so.
        ModelError: if its weights cannot be used.
        MissingExtraError: if it needs a package that is not installed.
    """
    from untrimmed.video.extractors.opening import open_extractor  # noqa: PLC0415

    stride, window, rate = inputs.stride, inputs.window, inputs.rate
    if name.startswith(USERS_OWN):  # it may take no sampling: it is told only what is not as it would be by itself
        made = open_extractor(name, device=device, trust_python=True)
        stride, window, rate = (
            None if asked == own else asked
            for asked, own in ((stride, made.grid.stride), (window, made.grid.window), (rate, made.grid.rate))
        )
        if stride is None and window is None and rate is None:
            return made
    return open_extractor(name, stride=stride, window=window, rate=rate, device=device, trust_python=True)


def inputs_of(
    extractor: Extractor, reference: ExtractorReference | None, inputs: InputConfig, dimension: int
) -> InputConfig:
    """Return the inputs of a model completed from an extractor, if the model can take its features.

    Raises:
        ModelError: if the model was trained on features of another extractor, or of another dimension.
        ConfigError: if the model was trained with another sampling.
    """
    if inputs.kind == "signals":
        raise ModelError("the model was trained on signals, not on video; give it files of such signals")
    completed = inputs.completed(extractor.description, f"extractor {extractor.name!r}")
    if reference is not None and extractor.fingerprint != reference.fingerprint:
        raise ModelError(
            f"the model was trained on features of {reference.name!r} with the fingerprint {reference.fingerprint}, "
            f"but here {extractor.name!r} has {extractor.fingerprint}: other weights or another preprocessing. Install "
            "the version that made the features, or extract features and train with this one"
        )
    if extractor.dimension != dimension:
        raise ModelError(
            f"extractor {extractor.name!r} makes features of {extractor.dimension} dimensions, but the model takes "
            f"{dimension}. Name the extractor that the model was trained on"
        )
    return completed
