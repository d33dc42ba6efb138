"""Configurations with a comment at each setting, for people to read and change."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from untrimmed.experiment.planning import Choice

WIDTH = 100
"""Columns of a comment."""

_INDENT = "  "


def commented_yaml(heading: str, choices: Sequence[Choice]) -> str:
    """Write settings as YAML, each below what is to be said of it; sections come in the order of their first setting.

    Args:
        heading: what stands above all, in lines; those that begin with a blank, such as commands, are not wrapped.
        choices: the settings; a reason may be empty.
    """
    tree: dict[str, Any] = {}
    for choice in choices:
        *sections, name = choice.key.split(".")
        section = tree
        for each in sections:
            section = section.setdefault(each, {})
        section[name] = choice
    lines = [line for paragraph in heading.splitlines() for line in _comment(paragraph, "")]
    for name, content in tree.items():
        lines += ["", *_lines(name, content, "")]
    return "\n".join(lines) + "\n"


def _lines(name: str, content: Choice | Mapping[str, Any], indent: str) -> Iterator[str]:
    if isinstance(content, Choice):
        yield from _comment(content.reason, indent)
        yield f"{indent}{name}: {_value(content.value)}"
        return
    yield f"{indent}{name}:"
    for inner, below in content.items():
        yield from _lines(inner, below, indent + _INDENT)


def _comment(text: str, indent: str) -> list[str]:
    """Wrap a comment; what YAML would take for a new line or refuse, such as in a folder's name, becomes a blank."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    start = f"{indent}# "
    if text.startswith(" "):
        return [start + plain]
    return textwrap.wrap(
        plain, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )


def _value(value: Any) -> str:
    """Write a value on one line; text with characters that YAML has a meaning for is escaped."""
    plain = not isinstance(value, str) or value.isprintable()
    style = None if plain else '"'
    text = yaml.safe_dump(value, default_flow_style=True, default_style=style, allow_unicode=plain, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")
