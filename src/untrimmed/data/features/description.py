"""`features.json`: what made the features of a folder."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from untrimmed.data.files import write_atomically
from untrimmed.errors import ConfigError, FeatureError

FILE_NAME = "features.json"

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=True))
class FeatureDescription:
    """The contents of `features.json`. Only the dimension has to be known.

    Raises:
        pydantic.ValidationError: (a `ValueError`) if a value is of the wrong type or out of range.
    """

    dimension: Annotated[int, Field(gt=0)]
    """D of the `[T, D]` arrays."""
    extractor: str | None = None
    """Name of the extractor."""
    fingerprint: str | None = None
    """What tells apart two extractors of one name: of their weights and sampling."""
    stride: _Positive | None = None
    """Frames from one clip to the next."""
    window: _Positive | None = None
    """Frames that a clip covers."""
    rate: _Positive | None = None
    """Frames per second, where every video was sampled at the same rate."""

    @classmethod
    def of_folder(cls, folder: Path) -> Self | None:
        """Read the `features.json` of a folder; `None` if it has none.

        Raises:
            FeatureError: if the file cannot be read, is not JSON, or has an unknown key or a wrong value.
        """
        path = folder / FILE_NAME
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FeatureError(f"{path}: cannot be read ({error.strerror})") from error
        except ValidationError as error:
            raise FeatureError(f"{path}: {_first_problem(error)}") from error

    def write(self, folder: Path) -> None:
        """Write `features.json` into a folder, which is made if it is not there; never half written."""
        known = {key: value for key, value in asdict(self).items() if value is not None}
        write_atomically(folder / FILE_NAME, json.dumps(known, indent=2) + "\n")

    def refuse_contradiction(self, place: str, **stated: float | str | None) -> None:
        """Compare this description, read from `place`, with what a configuration states under the same keys.

        What either of them leaves open (`None`) contradicts nothing. Numbers may differ by 1e-4 of themselves: a rate
        of 29.97 is 30000/1001.

        Raises:
            ConfigError: if they differ, showing both values of every key that does.
        """
        differences = []
        for key, value in stated.items():
            described = getattr(self, key)
            if value is not None and described is not None and not _same(value, described):
                differences.append(f"{key} is {_shown(value)} in the configuration, but {_shown(described)} there")
        if differences:
            raise ConfigError(
                f"{place}: {'; '.join(differences)}. Correct the configuration, or use features that were made so"
            )


def _same(a: float | str, b: float | str) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    return math.isclose(a, b, rel_tol=1e-4)


def _shown(value: float | str) -> str:
    return repr(value) if isinstance(value, str) else f"{value:.10g}"


def _first_problem(error: ValidationError) -> str:
    """Say in one line what is wrong with the file."""
    problem = error.errors()[0]
    key = ".".join(map(str, problem["loc"]))
    if problem["type"] == "unexpected_keyword_argument":
        known = ", ".join(field.name for field in fields(FeatureDescription))
        return f"unknown key {key!r}; the keys are {known}. Correct or remove it"
    if problem["type"] == "missing":
        return f"the key {key!r} is missing. Add it, or remove the file"
    if not key:
        return f"{problem['msg']}. Mend or remove the file"
    return f"{key} is {problem['input']!r}: {problem['msg']}. Correct or remove it"
