"""Writing the page: one HTML file with everything in it.

Names of videos, classes, files and runs may be anything. They come into the page in two ways: through the template,
which escapes them, and in a block of JSON, whose every `<`, `>` and `&` is written as an escape, so that no text in it
can end the block; the script puts them into the page as text only. Besides, the page's own policy lets the browser run
and apply nothing but the one script and the one stylesheet that are in it, which it knows by their hashes.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from untrimmed.data.files import write_atomically
from untrimmed.report.contents import Contents
from untrimmed.report.diagnosis_page import diagnosis_section
from untrimmed.report.headline import headline
from untrimmed.report.media import Embedded
from untrimmed.report.page_data import class_numbers, class_rows, page_data
from untrimmed.report.palette import CLASS_COLOURS
from untrimmed.report.rendering import render, template_file

MOST_ROWS = 2000
"""Rows of the table of all videos."""

_SCRIPTS = ("dom", "state", "charts", "heat_map", "timeline", "player", "video_view", "classes", "controls", "main")
_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def build_report(contents: Contents) -> str:
    """Return the page as HTML."""
    results = contents.results
    numbers = class_numbers(contents)
    media = {
        i: base64.b64encode(media.content).decode()
        for i, id_ in enumerate(contents.shown)
        if isinstance(media := contents.media.get(id_), Embedded)
    }
    return render(
        "page.html.jinja",
        script=_script(),
        contents=contents,
        results=results,
        headline=headline(contents),
        labels=list(numbers),
        colours=CLASS_COLOURS,
        class_rows=class_rows(results, numbers),
        videos=[(video, results.tally(video)) for video in list(results.truth)[:MOST_ROWS]],
        places={id_: i for i, id_ in enumerate(contents.shown)},
        diagnosis=None if results.diagnosis is None else diagnosis_section(results.diagnosis),
        data=Markup(to_json(page_data(contents))),  # cannot end its block
        media=media,
    )


def write_report(contents: Contents, path: str | Path) -> None:
    """Write the page; whoever looks finds the old file or the whole new one.

    Raises:
        OSError: if it cannot be written.
    """
    write_atomically(path, build_report(contents))


def to_json(values: Any) -> str:
    """Write values as JSON that can stand in a `<script>` block."""
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def _script() -> str:
    """Join the parts of the script, which see each other but are not seen from outside."""
    parts = "\n".join(template_file(f"{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'
