"""Drawing figures as SVG: in a page, whose style they take, or as a file of their own.

What is drawn has classes and no colours of its own: texts are `ink`, `strong`, `small` or nothing, lines `rule` or
`mean`, and areas `colour-i`, a class colour of the palette, with text that is `on-i`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from untrimmed.report.palette import CLASS_COLOURS, colours

_NAMESPACE = "http://www.w3.org/2000/svg"
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
_MARGIN = 16
_HEAD, _HEAD_LINE = 30, 16  # above a figure in a file: its title, and each line of what it is about
_SCALE = 1.5


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure.

    Attributes:
        name: a word of letters, other than those of other figures.
        title: what it shows.
        about: the same in more detail, in lines of at most some 60 letters.
        description: what one sees on it, with the numbers, for those who do not.
        width: of the drawing, in units that a text of size 11 is readable in.
        height: the same.
        body: the drawing.
    """

    name: str
    title: str
    about: tuple[str, ...]
    description: str
    width: float
    height: float
    body: Markup

    def in_page(self) -> Markup:
        """Return the element to put into a page, which brings the style (see `untrimmed.report.rendering`)."""
        return self._svg(self.body, self.width, self.height)

    def as_file(self) -> str:
        """Return the content of a file, with a ground of its own; light, or dark where the system is."""
        head = _HEAD + _HEAD_LINE * len(self.about)
        width, height = self.width + 2 * _MARGIN, self.height + 2 * _MARGIN + head
        light, dark = (style(colours(dark=dark), ".figure ") for dark in (False, True))
        body = Markup().join(
            [
                element("style", Markup(f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}")),
                element("rect", class_="ground", x=0.5, y=0.5, width=width - 1, height=height - 1, rx=8),
                text(self.title, _MARGIN, _MARGIN + 13, class_="head"),
                *(text(about, _MARGIN, _MARGIN + 31 + _HEAD_LINE * i) for i, about in enumerate(self.about)),
                element("g", self.body, transform=f"translate({_MARGIN} {_MARGIN + head})"),
            ]
        )
        size = {"xmlns": _NAMESPACE, "width": _SCALE * width, "height": _SCALE * height, "font_family": _FONT}
        return f"{self._svg(body, width, height, size)}\n"

    def _svg(self, body: Markup, width: float, height: float, more: Mapping[str, object] | None = None) -> Markup:
        title, description = f"figure-{self.name}-title", f"figure-{self.name}-text"
        return element(
            "svg",
            element("title", self.title, id=title),
            element("desc", self.description, id=description),
            body,
            **(more or {}),
            class_="figure",
            viewBox=f"0 0 {_number(width)} {_number(height)}",
            role="img",
            aria_labelledby=title,
            aria_describedby=description,
        )


def element(name: str, *children: object, **attributes: object) -> Markup:
    """Return an element; children that are no markup are text.

    In names of attributes, `_` stands for `-`, and one at the end for nothing. An attribute that is `None` is left out.
    """
    given = Markup().join(
        Markup(' {}="{}"').format(
            key if key == "viewBox" else key.rstrip("_").replace("_", "-"),
            _number(value) if isinstance(value, float) else value,
        )
        for key, value in attributes.items()
        if value is not None
    )
    inside = Markup().join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), given, inside)


def text(content: object, x: float, y: float, *, anchor: str = "start", class_: str | None = None) -> Markup:
    """Return a line of text whose base line is at `y`; `anchor` says which part of it is at `x`."""
    return element(
        "text", content, x=float(x), y=float(y), text_anchor=None if anchor == "start" else anchor, class_=class_
    )


def bar(x: float, y: float, width: float, height: float, *, class_: str, tip: str = "") -> Markup:
    """Return a rectangle; the tip is shown where one points at it."""
    tips = [element("title", tip)] if tip else []
    values = {"x": x, "y": y, "width": max(0.0, width), "height": max(0.0, height)}
    return element("rect", *tips, class_=class_, **{key: float(value) for key, value in values.items()})


def line(x1: float, y1: float, x2: float, y2: float, *, class_: str) -> Markup:
    """Return a line."""
    return element("line", class_=class_, x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2))


def style(values: Mapping[str, str], prefix: str) -> str:
    """Return the rules for everything that is drawn.

    Args:
        values: colours by their names in the palette, `class-0` and `on-class-0` among them.
        prefix: stands before each selector.
    """
    rules = {
        "text": f"fill: {values['muted']}; font-size: 11px",
        ".small": "font-size: 10px",
        ".head": f"fill: {values['ink']}; font-size: 15px; font-weight: 600",
        ".ink": f"fill: {values['ink']}",
        ".strong": f"fill: {values['ink']}; font-weight: 600",
        ".ground": f"fill: {values['surface']}; stroke: {values['line']}",
        ".rule": f"stroke: {values['line']}; stroke-width: 1",
        ".mean": f"stroke: {values['ink']}; stroke-width: 1.5; stroke-dasharray: 4 3",
        **{f".colour-{i}": f"fill: {values[f'class-{i}']}" for i in range(CLASS_COLOURS)},
        **{f".on-{i}": f"fill: {values[f'on-class-{i}']}; pointer-events: none" for i in range(CLASS_COLOURS)},
    }
    return "\n".join(f"{prefix}{selector} {{ {declarations} }}" for selector, declarations in rules.items())


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
