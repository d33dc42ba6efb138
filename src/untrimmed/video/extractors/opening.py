"""From the name of an extractor to the extractor."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from pathlib import Path
from typing import Any

from untrimmed.errors import ConfigError, UntrimmedError
from untrimmed.model.devices import Precision
from untrimmed.video.extractors.extractor import Extractor

EXTRACTORS = {
    "default": "appearance and motion, works offline",
    "default-appearance": "its appearance alone",
    "default-motion": "its motion alone",
    "hf:NAME-OR-FOLDER": "a video or image model of the Hugging Face hub, or a folder with one",
    "i3d:WEIGHTS": "I3D on pictures",
    "i3d-flow:WEIGHTS": "I3D on optical flow",
    "slowfast:WEIGHTS": "SlowFast",
    "r2plus1d:WEIGHTS": "R(2+1)D",
    "python:MODULE:ATTRIBUTE": "your own extractor, or a function that makes one",
}
"""How extractors are named, and what they are."""


def open_extractor(
    name: str,
    *,
    stride: float | None = None,
    window: float | None = None,
    rate: float | None = None,
    device: str = "auto",
    precision: Precision = "auto",
    trust_python: bool = False,
) -> Extractor:
    """Make the extractor of a name, such as `default`, `hf:MCG-NJU/videomae-base` or `i3d:rgb_imagenet.pt`.

    The extractor's own name has the absolute path of its weights, so that it can be made again from any folder; where
    the weights have moved, give the new path: the fingerprint tells whether they are the same.

    Args:
        name: one of `EXTRACTORS`.
        stride: sampled frames from one row of the features to the next. Left out: the extractor's own.
        window: sampled frames that a row covers. Left out: the extractor's own.
        rate: sampled frames per second. Left out: the extractor's own.
        device: `auto` is the first of cuda, mps and cpu that is there.
        precision: `auto` is bf16 where the processor computes in it.
        trust_python: whether `python:` may be followed, which runs the code of the module. Only for a name that the
            user has typed, never for one that was read from a file.

    Raises:
        ConfigError: if there is no such extractor, device or sampling, or the user's module cannot be used.
        ModelError: if the weights cannot be used.
        MissingExtraError: if it needs a package that is not installed.
    """
    kind, _, what = name.partition(":")
    sampling = {"stride": stride, "window": window, "rate": rate}
    options: dict[str, Any] = {**sampling, "device": device, "precision": precision}
    match kind:
        case "default" | "default-appearance" | "default-motion" if kind == name:
            from untrimmed.video.extractors.default import DefaultExtractor  # noqa: PLC0415  each only where asked for

            parts: Any = "both" if kind == "default" else kind.removeprefix("default-")
            return DefaultExtractor(**options, parts=parts)
        case "hf" if what:
            from untrimmed.video.extractors.hub import open_hub_extractor  # noqa: PLC0415

            return open_hub_extractor(what, **options)
        case "i3d" | "i3d-flow" | "slowfast" | "r2plus1d" if what:
            weights = Path(os.path.expanduser(what))  # noqa: PTH111  Path's own raises where there is no such user
            return _published(kind, weights, options)
        case "python":
            if not trust_python:
                raise ConfigError(
                    f"extractor {name!r} runs code of yours, which is not done on the word of a file. "
                    f"If you trust it, say so: --extractor {name}"
                )
            return _user_extractor(name, sampling, {"device": device, "precision": precision})
    raise _unknown(name)


def _published(kind: str, weights: Path, options: dict[str, Any]) -> Extractor:
    """Make an extractor of a weights file that its authors publish."""
    match kind:
        case "i3d":
            from untrimmed.video.extractors.i3d import I3DExtractor  # noqa: PLC0415

            return I3DExtractor(weights, **options)
        case "i3d-flow":
            from untrimmed.video.extractors.i3d import I3DFlowExtractor  # noqa: PLC0415

            return I3DFlowExtractor(weights, **options)
        case "slowfast":
            from untrimmed.video.extractors.slowfast import SlowFastExtractor  # noqa: PLC0415

            return SlowFastExtractor(weights, **options)
        case _:
            from untrimmed.video.extractors.r2plus1d import R2Plus1DExtractor  # noqa: PLC0415

            return R2Plus1DExtractor(weights, **options)


def _unknown(name: str) -> ConfigError:
    """Return the error over a name that is none: the nearest one, and all of them."""
    kinds = {form.partition(":")[0]: form for form in EXTRACTORS}
    kind = name.partition(":")[0]
    near = difflib.get_close_matches(kind, kinds, n=1)
    if kind in kinds:
        hint = f"it is written {kinds[kind]}."
    elif name and Path(name).is_dir():
        hint = f"a folder with a model is written hf:{name}."
    elif Path(name).is_file():
        hint = f"a file of weights is written i3d:{name}, or with another kind."
    else:
        hint = f"did you mean {kinds[near[0]]}?" if near else "see docs/extractors.md."
    return ConfigError(f"there is no extractor {name!r}; {hint} There are {', '.join(EXTRACTORS)}")


def _user_extractor(name: str, sampling: dict[str, float | None], optional: dict[str, str]) -> Extractor:
    """Take an extractor, or what a function without positional arguments returns, from a module of the user's.

    The function gets what was asked for of `stride`, `window` and `rate`, and, where it has parameters of these names,
    `device` and `precision`.
    """
    _, module_name, attribute = [*name.split(":"), "", ""][:3]
    if not module_name or not attribute or name.count(":") != 2:
        raise ConfigError(f"extractor {name!r}: expected {list(EXTRACTORS)[-1]}, such as python:my_module:my_extractor")
    made = getattr(_imported(name, module_name), attribute, None)
    if made is None:
        raise ConfigError(f"extractor {name!r}: {module_name} has no {attribute!r}. Correct either")
    asked = {key: value for key, value in sampling.items() if value is not None}
    if not isinstance(made, Extractor) and callable(made):
        made = _called(name, made, asked, optional)
        asked = {}
    if not isinstance(made, Extractor):
        raise ConfigError(
            f"extractor {name!r}: expected an Extractor, or a function that returns one, but it is a "
            f"{type(made).__name__}. See docs/extractors.md"
        )
    if asked:
        raise ConfigError(
            f"extractor {name!r}: {', '.join(asked)} cannot be set, because it is made already. Leave it out, or name "
            "a function that takes it and returns the extractor"
        )
    try:
        made.name = name  # so that the name says how to make it again
    except AttributeError as error:
        raise _failed(name, "giving it this name", error) from error
    return made


def _imported(name: str, module: str) -> Any:
    """Import a module, also from the working directory, as Python does for a script."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"extractor {name!r}: there is no module {error.name!r}, neither in {here} nor installed"
            ) from error
        raise _failed(name, f"importing {module}", error) from error
    except Exception as error:
        raise _failed(name, f"importing {module}", error) from error


def _called(name: str, function: Any, asked: dict[str, float], optional: dict[str, str]) -> Any:
    """Call the user's function with what it takes of the options."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # some functions of C have none
        parameters = inspect.signature(lambda: None).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    refused = [key for key in asked if key not in parameters and not takes_any]
    if refused:
        raise ConfigError(f"extractor {name!r}: the function takes no {' and no '.join(refused)}. Leave it out")
    given = {key: value for key, value in optional.items() if key in parameters or takes_any}
    try:
        return function(**asked, **given)
    except UntrimmedError:
        raise
    except Exception as error:
        raise _failed(name, "calling it", error) from error


def _failed(name: str, doing: str, error: Exception) -> ConfigError:
    reason = (str(error).strip() or "without a message").splitlines()[0]
    return ConfigError(f"extractor {name!r}: {doing} raised {type(error).__name__}: {reason}")
