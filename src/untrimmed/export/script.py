"""The program in an exported folder: one file, made of the text of modules of ours.

So what a user without this package runs is what is tested here, and there is no second implementation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from importlib import import_module
from inspect import getsource

MODULES = (
    "untrimmed.errors",
    "untrimmed.time_grid",
    "untrimmed.segments",
    "untrimmed.detection.suppression",
    "untrimmed.detection.voting",
    "untrimmed.export.settings",
    "untrimmed.export.runtime",
)
"""In this order; each imports only those before it, the standard library and numpy; settings are annotations alone."""
PREFIX = "geometry."
"""What `untrimmed.segments` is called where it is used."""

SETTINGS = 'DetectionConfig = Any  # "detection" in config.json, as attributes'

HEAD = '''"""Detect actions with an exported model, without the package that exported it.

    pip install onnxruntime numpy
    python detect.py features.npy > found.csv

In a program: `Detector(folder).detect(array)`. This file was made by `untrimmed export`, of these modules:
{modules}.
"""
'''


def detect_script() -> str:
    """Return the program's text."""
    sources = {name: getsource(import_module(name)) for name in MODULES}
    parts = [HEAD.format(modules=",\n".join(MODULES)), *_imports(sources.values()), "", SETTINGS]
    for name, source in sources.items():
        parts += ["", "", f"# --- {name}", "", _body(source).replace(PREFIX, "").strip()]
    return "\n".join(parts) + "\n"


def _imports(sources: Iterable[str]) -> list[str]:
    """What modules import at their top that is not of this package, as lines of one module."""
    plain: set[str] = set()
    names: dict[str, set[str]] = {}
    for source in sources:
        for node in ast.parse(source).body:
            if isinstance(node, ast.Import):
                plain.add(ast.unparse(node))
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] != "untrimmed":
                names.setdefault(node.module, set()).update(alias.name for alias in node.names)
    future = names.pop("__future__")
    lines = sorted(plain) + [f"from {module} import {', '.join(sorted(names[module]))}" for module in sorted(names)]
    outside = [line for line in lines if "numpy" in line]
    inside = [line for line in lines if line not in outside]
    return [f"from __future__ import {', '.join(sorted(future))}", "", *inside, "", *outside]


def _body(source: str) -> str:
    """A module without its docstring and its imports."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        docstring = node.lineno == 1 and isinstance(node, ast.Expr)
        if docstring or isinstance(node, (ast.Import, ast.ImportFrom)):
            assert node.end_lineno is not None
            lines[node.lineno - 1 : node.end_lineno] = [""] * (node.end_lineno - node.lineno + 1)
    return "\n".join(lines)
