"""Colours of the page, light and dark.

The ten class colours were searched for: any two differ clearly also for people who do not see red, green or blue, and
stand out from the page (a test holds both). With more than ten classes they repeat.
"""

from __future__ import annotations

from collections.abc import Mapping

CLASS_COLOURS = 10

LIGHT: Mapping[str, str] = {
    "page": "#f6f6f4",
    "surface": "#ffffff",
    "sunken": "#efefec",
    "line": "#dcdcd7",
    "ink": "#1a1c20",
    "muted": "#595f6a",
    "accent": "#2859c4",
    "accent-ink": "#ffffff",
    "good": "#0c6e50",
    "bad": "#a3291a",
    "playhead": "#d01f3c",
}
DARK: Mapping[str, str] = {
    "page": "#0e1013",
    "surface": "#16181d",
    "sunken": "#20242b",
    "line": "#30353e",
    "ink": "#e9eaed",
    "muted": "#a0a6b1",
    "accent": "#7aa5ff",
    "accent-ink": "#0b1020",
    "good": "#5fd0a4",
    "bad": "#ff8f7d",
    "playhead": "#ff5c73",
}
CLASSES_LIGHT = (
    "#2859c4",
    "#a65717",
    "#178e73",
    "#d25eae",
    "#4a2f80",
    "#948b0b",
    "#8c2418",
    "#379ae0",
    "#2f5c70",
    "#8766d0",
)
CLASSES_DARK = (
    "#5a8ff5",
    "#f0a53c",
    "#49d0a9",
    "#dc6e91",
    "#8b62c8",
    "#e8df62",
    "#d3503c",
    "#a6e3fb",
    "#91a2c1",
    "#d1b5fb",
)


def stylesheet() -> str:
    """Return the colours as CSS variables: light, and dark where the system or the page's button asks for it."""
    light, dark = _variables(dark=False), _variables(dark=True)
    return (
        f":root {{ color-scheme: light; {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{\n"
        f'  :root:not([data-theme="light"]) {{ color-scheme: dark; {dark} }}\n}}\n'
        f'@media screen {{\n  :root[data-theme="dark"] {{ color-scheme: dark; {dark} }}\n}}\n'
        + "\n".join(
            f".class-{i} {{ --colour: var(--class-{i}); --on: var(--on-class-{i}); }}" for i in range(CLASS_COLOURS)
        )
        + "\n"
    )


def colours(*, dark: bool) -> dict[str, str]:
    """Return all colours by name, also `class-0` and so on, and `on-class-0`, black or white for text upon it."""
    values = dict(DARK if dark else LIGHT)
    for i, colour in enumerate(CLASSES_DARK if dark else CLASSES_LIGHT):
        values[f"class-{i}"] = colour
        black_is_better = contrast("#000000", colour) > contrast("#ffffff", colour)
        values[f"on-class-{i}"] = "#000000" if black_is_better else "#ffffff"
    return values


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, in [0, 1], as WCAG 2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    """Contrast of two colours, from 1 to 21, as WCAG 2 defines it."""
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _variables(*, dark: bool) -> str:
    return " ".join(f"--{name}: {value};" for name, value in colours(dark=dark).items())
