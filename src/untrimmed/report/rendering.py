"""From templates to HTML: what all pages share."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

import untrimmed
from untrimmed.report.headline import percent
from untrimmed.report.palette import colours, stylesheet
from untrimmed.report.svg import style as style_of_figures

_SURROGATES = re.compile("[\ud800-\udfff]")


def template_file(name: str) -> str:
    """Read a file of `template/`."""
    return resources.files("untrimmed.report").joinpath("template", name).read_text(encoding="utf-8")


def render(template: str, *, script: str | None = None, **values: Any) -> str:
    """Fill a template; every text in it that is not `Markup` is escaped.

    It is given `style` and `policy`, and `script` where there is one.
    """
    style = page_style()
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        loader=jinja2.FunctionLoader(template_file),
    )
    environment.filters["percent"] = percent
    environment.filters["sentence"] = _sentence
    html = environment.get_template(template).render(
        policy=_policy(style, script),
        style=Markup(style),  # ours
        script=None if script is None else Markup(script),  # ours
        version=untrimmed.__version__,
        **values,
    )
    return _SURROGATES.sub("\ufffd", html)


def page_style() -> str:
    """Return the one stylesheet: colours, layout and figures."""
    variables = {name: f"var(--{name})" for name in colours(dark=False)}
    return stylesheet() + template_file("page.css") + style_of_figures(variables, ".figure ") + "\n"


def _sentence(words: str) -> str:
    """Begin with a capital letter; the filter `capitalize` would make the others small."""
    return words[:1].upper() + words[1:]


def _policy(style: str, script: str | None) -> str:
    def digest(text: str | None) -> str:
        if text is None:
            return "'none'"
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {digest(script)}",
            f"style-src {digest(style)}",
            "media-src 'self' file: blob:",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        ]
    )
