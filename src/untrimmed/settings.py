"""Typed settings and plain mappings, made into each other, with errors that a person can act on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from untrimmed.errors import ConfigError

Settings = TypeVar("Settings")


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


def explain(error: ValidationError, kind: type[Any], where: str) -> list[str]:
    """Say what is wrong, one line a key: place, key, what was found and what was expected."""
    lines: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        path = [str(part) for part in problem["loc"] if _is_key(str(part))]
        key = ".".join(path)
        found = problem["input"]
        if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            line = f"unknown key {key!r}{_suggest(kind, path)}"
        elif problem["type"] == "missing":
            line = f"{key} is missing"
        elif problem["type"] == "value_error":
            line = f"{key}: {problem['ctx']['error']}" if key else str(problem["ctx"]["error"])
        else:
            line = f"{key} is {found!r}, but {problem['msg'][0].lower()}{problem['msg'][1:]}"
        # Of a union's alternatives, the last one is the most general; one line a key is enough.
        lines[key] = f"{where}: {line}"
    return list(lines.values())


def _is_key(part: str) -> bool:
    """Whether a part of an error's path is a key or an index; pydantic mixes in the names of a union's alternatives."""
    return (part.isidentifier() and part not in {"int", "float", "str", "bool", "none"}) or part.isdigit()


def _suggest(kind: type[Any], path: list[str]) -> str:
    known = [field.name for field in fields(_section(kind, path[:-1]))]
    near = difflib.get_close_matches(path[-1], known, n=1)
    return f"; did you mean {'.'.join([*path[:-1], near[0]])!r}?" if near else f"; known are {', '.join(known)}"


def _section(kind: type[Any], path: list[str]) -> type[Any]:
    """Return the class of the nested settings at a path."""
    for name in path:
        declared = get_type_hints(kind).get(name)
        kind = next((c for c in (declared, *get_args(declared)) if isinstance(c, type) and is_dataclass(c)), kind)
    return kind
