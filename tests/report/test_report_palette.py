"""Colours that everybody can tell apart and read, in both themes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from untrimmed.report.palette import (
    CLASS_COLOURS,
    CLASSES_DARK,
    CLASSES_LIGHT,
    DARK,
    LIGHT,
    contrast,
    stylesheet,
)

# Linear RGB as it appears to who lacks one kind of cone (Machado, Oliveira, Fernandes 2009, severity 1).
EYES = {
    "usual": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# Linear RGB to Oklab (Ottosson 2020).
CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
OKLAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


def linear(colour: str) -> NDArray[np.float64]:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def seen(colour: str, eye: str) -> NDArray[np.float64]:
    light = np.clip(np.array(EYES[eye]) @ linear(colour), 0, 1)
    return np.array(OKLAB) @ np.cbrt(np.array(CONES) @ light)


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("classes", [CLASSES_LIGHT, CLASSES_DARK])
def test_any_two_classes_can_be_told_apart(classes: tuple[str, ...], eye: str) -> None:
    assert len(classes) == CLASS_COLOURS
    distances = {(a, b): np.linalg.norm(seen(a, eye) - seen(b, eye)) for a, b in itertools.combinations(classes, 2)}
    closest = min(distances, key=distances.__getitem__)
    assert distances[closest] > 0.06, closest
    assert min(np.linalg.norm(seen(a, eye) - seen(b, eye)) for a, b in itertools.combinations(classes[:6], 2)) > 0.08


@pytest.mark.parametrize(("theme", "classes"), [(LIGHT, CLASSES_LIGHT), (DARK, CLASSES_DARK)])
def test_contrast(theme: Mapping[str, str], classes: tuple[str, ...]) -> None:
    """WCAG AA: 4.5 for text, 3 for what has to be seen but not read."""
    for ground in ("page", "surface", "sunken"):
        for text in ("ink", "muted", "good", "bad", "accent"):
            assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
    assert contrast(theme["playhead"], theme["surface"]) >= 3
    for colour in classes:
        assert contrast(colour, theme["surface"]) >= 3, colour
        assert max(contrast(colour, "#000000"), contrast(colour, "#ffffff")) >= 4.5, colour


def test_both_themes_have_the_same_names() -> None:
    assert LIGHT.keys() == DARK.keys()
    style = stylesheet()
    for name in (*LIGHT, "class-9", "on-class-9"):
        assert style.count(f"--{name}: #") == 3  # light, dark by the system, dark by the button


def test_known_contrasts() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#123456", "#123456") == 1
