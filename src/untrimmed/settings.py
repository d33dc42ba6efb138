"""Typed settings and plain mappings, made into each other, with errors that a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from untrimmed.errors import ConfigError

Settings = TypeVar("Settings")

_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    NoneType: "null",
}
_BOUNDS = {
    "gt": "above {}",
    "ge": "not below {}",
    "lt": "below {}",
    "le": "not above {}",
    "multiple_of": "a multiple of {}",
    "allow_inf_nan": "finite",
}
_LONGEST_VALUE = 80  # characters


def parse(kind: type[Settings], values: Mapping[str, Any], where: str) -> Settings:
    """Make a settings object (a frozen pydantic dataclass) of a mapping, as it was read from YAML.

    Args:
        kind: the class.
        values: what it is made of; nested settings are nested mappings.
        where: the file or the option that the values come from, for the message.

    Raises:
        ConfigError: one line for each key that is unknown (with the nearest known one), missing, or has a wrong value.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, kind, where))) from error


def dump(settings: Any) -> dict[str, Any]:
    """Make a mapping of a settings object, of plain values that YAML and JSON can hold."""
    values: dict[str, Any] = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    return values


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that has to be a mapping.

    Raises:
        ConfigError: if it cannot be read, is no YAML, or is something else.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that there is not
        raise ConfigError(f"{path}: is not YAML: {yaml_fault(error)}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys with values, but found {_shown(values)}")
    return values


def yaml_fault(error: yaml.YAMLError | ValueError) -> str:
    """Say in one line why a text is not YAML."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return " ".join(str(error).split())
    return f"{getattr(error, 'problem', None)} in line {mark.line + 1}, column {mark.column + 1}"


def explain(error: ValidationError, kind: type[Any], where: str) -> list[str]:
    """Say what is wrong with the values of a settings class, one line a key.

    A line names the place and the dotted key, what was found, and what was expected.
    """
    lines: dict[str, str] = {}
    # Of a union every alternative complains; the complaint that is least deep is about the value as a whole.
    for problem in sorted(error.errors(include_url=False), key=lambda problem: len(problem["loc"])):
        location, found = problem["loc"], problem["input"]
        too_short = problem["type"] == "missing" and isinstance(found, (list, tuple))
        path, declared = _place(kind, location[:-1] if too_short else location)
        key = ".".join(path)
        if declared is None:
            line = f"unknown key {key!r}{_suggestion(kind, path)}"
        elif problem["type"] == "missing" and not too_short:
            line = f"{key} is missing; it has to be {describe(declared)}"
        elif problem["type"] == "value_error":
            line = _with_key(str(problem["ctx"]["error"]), key, declared)
        else:
            line = f"{key or 'it'} is {_shown(found)}, but has to be {describe(declared)}"
        lines.setdefault(key, f"{where}: {line}")
    return list(lines.values())


def describe(declared: Any) -> str:
    """Say in words what a type admits: `a whole number above 0, or a list, each text, or null`."""
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is Annotated:
        bounds = [
            phrase.format(getattr(constraint, name))
            for constraint in getattr(arguments[1], "metadata", ())
            for name, phrase in _BOUNDS.items()
            if hasattr(constraint, name)
        ]
        return " ".join([describe(arguments[0]), " and ".join(bounds)]).strip()
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in (Union, UnionType):
        return ", or ".join(map(describe, arguments))
    if origin in (tuple, Mapping):
        return _describe_many(origin, arguments)
    if is_dataclass(declared):
        return f"a section with keys such as {', '.join(field.name for field in fields(declared)[:3])}"
    return _TYPES[declared]


def _describe_many(origin: Any, arguments: tuple[Any, ...]) -> str:
    if origin is Mapping:
        return f"a section, each value {describe(arguments[1])}"
    length = "" if arguments[-1] is Ellipsis else f" of {len(arguments)}"
    return f"a list{length}, each {describe(arguments[0])}"


def _place(kind: type[Any], location: Sequence[str | int]) -> tuple[list[str], Any]:
    """Return the keys that lead to the value a problem is about, and its type; `None` for an unknown key.

    Behind a union pydantic goes on with names of the alternatives: there the union is the place.
    """
    path: list[str] = []
    declared: Any = kind
    for part in location:
        only = _only_alternative(declared)
        if is_dataclass(only):
            declared = get_type_hints(only, include_extras=True).get(str(part))
        elif get_origin(only) is tuple:
            declared = get_args(only)[0]
        elif get_origin(only) is Mapping:
            declared = get_args(only)[1]
        else:
            break
        path.append(str(part))
    return path, declared


def _only_alternative(declared: Any) -> Any:
    """Return the type of a value that is there, if the declared type leaves no choice."""
    if get_origin(declared) not in (Union, UnionType):
        return declared
    options = [option for option in get_args(declared) if option is not NoneType]
    return options[0] if len(options) == 1 else None


def _with_key(message: str, key: str, declared: Any) -> str:
    """Put the key of a section in front of what the section itself complains of."""
    if not key:
        return message
    names = [field.name for field in fields(_only_alternative(declared))]
    return f"{key}.{message}" if message.split(maxsplit=1)[0] in names else f"{key}: {message}"


def _suggestion(kind: type[Any], path: list[str]) -> str:
    """Name the key that was probably meant: one like it in the same section, or its namesake in another."""
    *sections, name = path
    _, section = _place(kind, sections)
    there = [field.name for field in fields(_only_alternative(section))]
    near = difflib.get_close_matches(name, there, n=1)
    meant = [".".join([*sections, each]) for each in near]
    meant += [key for key in _keys(kind) if key.rpartition(".")[2] == name]
    return f"; did you mean {meant[0]!r}?" if meant else f"; the keys there are {', '.join(there)}"


def _keys(kind: type[Any], prefix: str = "") -> Iterator[str]:
    """Yield all dotted keys of a settings class."""
    for name, declared in get_type_hints(kind).items():
        yield f"{prefix}{name}"
        inner = _only_alternative(declared)
        if isinstance(inner, type) and is_dataclass(inner):
            yield from _keys(inner, f"{prefix}{name}.")


def _shown(value: object) -> str:
    """Return a value as YAML would have it, shortened."""
    text = {"None": "null", "True": "true", "False": "false"}.get(repr(value), repr(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
