from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.detections import Detections
from untrimmed.data.formats.audacity import audacity
from untrimmed.data.formats.plain_text import NAMELESS


def of(rows: list[tuple[float, float, str]]) -> Detections:
    names = tuple(dict.fromkeys(label for _, _, label in rows))
    numbers = np.array([names.index(label) for _, _, label in rows], dtype=np.int64)
    segments = np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2)
    return Detections("v", segments, np.linspace(1, 0, len(rows)), numbers, names)


def read(text: str) -> list[tuple[float, float, str]]:
    """Read a label track: three fields a line."""
    assert text == "" or text.endswith("\n")
    rows = [line.split("\t") for line in text.split("\n")[:-1]]
    assert all(len(row) == 3 for row in rows)
    return [(float(start), float(end), label) for start, end, label in rows]


def test_a_track() -> None:
    found = of([(360_000.5, 400_000.25, "run"), (1 / 3, 2, "jump")])
    assert audacity(found) == "0.333333\t2.000000\tjump\n360000.500000\t400000.250000\trun\n"
    assert audacity(of([])) == ""


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("a\tb", "a b"),
        ("a\nb\r\nc", "a b c"),
        ("nul\0", "nul"),
        ("\\2000\t3000", "\\2000 3000"),
        ("", NAMELESS),
        ("\u202eabc", "abc"),
        ("größer 🏃", "größer 🏃"),
        ("x" * 5000, "x" * 5000),
    ],
)
def test_hostile_labels(label: str, shown: str) -> None:
    assert read(audacity(of([(0, 1, label), (2, 3, "next")]))) == [(0, 1, shown), (2, 3, "next")]


@given(st.lists(st.tuples(st.floats(-5, 1e6), st.floats(0, 1e4), st.text(max_size=8)), max_size=5))
def test_round_trip(rows: list[tuple[float, float, str]]) -> None:
    found = of([(start, start + length, label) for start, length, label in rows])
    back = read(audacity(found))
    assert [row[0] for row in back] == sorted(row[0] for row in back)
    expected = np.sort(found.segments.clip(0), axis=0)
    np.testing.assert_allclose(np.sort(np.array([row[:2] for row in back]).reshape(-1, 2), axis=0), expected, atol=1e-6)
