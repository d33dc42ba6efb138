from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.detections import Detections
from untrimmed.errors import ConfigError
from untrimmed.video.rendering.lettering import Lettering, choose_lettering
from untrimmed.video.rendering.strip import LANES_OF_A_LABEL, PALETTE, Strip, lanes_of

Row = tuple[float, float, str, float]


def of(rows: list[Row]) -> Detections:
    rows = sorted(rows, key=lambda row: -row[3])
    names = tuple(sorted({label for _, _, label, _ in rows}))
    return Detections(
        "v",
        np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2),
        np.array([row[3] for row in rows], dtype=np.float64),
        np.array([names.index(row[2]) for row in rows], dtype=np.int64),
        names,
    )


def strip_of(rows: list[Row], duration: float = 10, width: int = 640, most_height: int = 400) -> Strip:
    found = of(rows)
    return Strip(found, duration, width, most_height, choose_lettering(["".join(found.label_names)]))


tenths = st.integers(0, 100).map(lambda n: n / 10)
any_rows = st.lists(
    st.tuples(tenths, tenths, st.sampled_from("abc"), st.integers(1, 100).map(lambda n: n / 100)).map(
        lambda row: (min(row[:2]), max(row[:2]), *row[2:])
    ),
    max_size=25,
)


@given(any_rows)
def test_lanes(rows: list[Row]) -> None:
    found = of(rows)
    lanes = lanes_of(found)
    assert sorted(row for lane in lanes for row in lane.rows) == list(range(len(found)))
    assert [lane.label for lane in lanes] == sorted(lane.label for lane in lanes)
    counts = Counter(lane.label for lane in lanes)
    assert max(counts.values(), default=0) <= LANES_OF_A_LABEL
    seen: Counter[int] = Counter()
    for lane in lanes:
        seen[lane.label] += 1
        assert lane.rows
        assert (found.labels[lane.rows] == lane.label).all()
        segments = found.segments[lane.rows]
        if seen[lane.label] < LANES_OF_A_LABEL:
            assert (segments[1:, 0] >= segments[:-1, 1]).all()
        if seen[lane.label] > 1:  # a lane is begun only where the ones before are taken
            first, last = segments[0], found.segments[lanes[lanes.index(lane) - 1].rows]
            assert any(a < first[1] or a == first[0] for a, _ in last)


@given(any_rows, st.floats(-1, 11))
def test_what_is_going_on(rows: list[Row], seconds: float) -> None:
    found = of(rows)
    _, on = strip_of(rows).now(seconds)
    best: dict[str, float] = {}
    for each in found:
        if each.start <= seconds < each.end:
            best[each.label] = max(best.get(each.label, 0), each.score)
    assert [found[row].score for row in on] == sorted(best.values(), reverse=True)
    assert {found[row].label: found[row].score for row in on} == best


@given(any_rows, st.sampled_from([16, 64, 480, 1001]), st.sampled_from([1, 40, 300]))
def test_any_size(rows: list[Row], width: int, most_height: int) -> None:
    strip = strip_of(rows, width=width, most_height=most_height)
    assert strip.height % 2 == strip.header % 2 == 0
    assert strip.still.shape == (strip.height, width, 3)
    assert strip.draw_header(*strip.now(5.0)).shape == (strip.header, width, 3)
    columns = [strip.column(seconds) for seconds in np.linspace(-1, 11, 60)]
    assert columns == sorted(columns)
    assert 0 <= columns[0] <= columns[-1] < width


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def test_bars_are_where_and_as_long_as_they_should_be() -> None:
    strip = strip_of([(2, 4, "a", 0.9), (6, 6.5, "a", 0.5), (1, 9, "b", 0.7)])
    picture = strip.still
    for colour, seconds in ((PALETTE[0], [(2, 4), (6, 6.5)]), (PALETTE[1], [(1, 9)])):
        rows, columns = np.nonzero((picture == rgb(colour)).all(axis=2))
        assert rows.min() > strip.header
        found = sorted(set(columns.tolist()))
        expected = [x for start, end in seconds for x in range(strip.column(start), strip.column(end))]
        assert found == expected
    assert strip.column(0) > 0  # the names stand to the left
    assert strip.column(10) < 640


def test_the_shortest_detection_is_seen() -> None:
    strip = strip_of([(5000, 5000.01, "a", 0.9)], duration=7200)
    assert (strip.still == rgb(PALETTE[0])).all(axis=2).any()


def test_the_header_tells_the_time_and_what_is_going_on() -> None:
    strip = strip_of([(2, 4, "a", 0.9), (3, 5, "b", 0.95)])
    assert strip.now(1.96) == ("0:01.9", ())
    assert strip.now(2) == ("0:02.0", (1,))
    assert strip.now(3.999)[1] == (0, 1)
    assert strip.now(4)[1] == (0,)
    quiet, one, both = (strip.draw_header(*strip.now(t)) for t in (1, 2.5, 3.5))
    for picture, first, second in ((quiet, False, False), (one, True, False), (both, True, True)):
        assert (picture == rgb(PALETTE[0])).all(axis=2).any() == first
        assert (picture == rgb(PALETTE[1])).all(axis=2).any() == second


@pytest.mark.parametrize(
    ("duration", "seconds", "clock"),
    [(10, 0, "0:00.0"), (90, 61.25, "1:01.2"), (7200, 61, "0:01:01.0"), (400_000, 363_599.99, "100:59:59.9")],
)
def test_clock(duration: float, seconds: float, clock: str) -> None:
    assert strip_of([], duration).now(seconds)[0] == clock


def test_lanes_that_there_is_no_room_for() -> None:
    rows = [(0.0, 5.0, f"label {i:02d}", i / 100) for i in range(80)]
    strip = strip_of(rows, most_height=200)
    assert strip.height <= 202
    assert 0 < strip.left_out < 80
    assert strip_of(rows, most_height=4000).left_out == 0


def test_detections_beyond_the_duration_are_seen() -> None:
    strip = strip_of([(0, 20, "a", 0.5)], duration=10)
    assert strip.column(20) > strip.column(10)


@pytest.mark.parametrize("label", ["", "a\nb", "x" * 5000, "\u202eevil", "שלום", "跳🏃", "nul\0", "<b>&", "\ud800"])
def test_hostile_labels(label: str) -> None:
    strip = strip_of([(1, 2, label, 0.5)])
    assert strip.still.shape[1] == 640
    assert strip.draw_header(*strip.now(1.5)).shape == (strip.header, 640, 3)


@given(st.text(st.characters(), max_size=12))
def test_any_label(label: str) -> None:
    strip = strip_of([(1, 2, label, 0.5)])
    assert strip.still.shape[1] == strip.draw_header(*strip.now(1.5)).shape[1] == 640


# Fonts


def test_plain_text_needs_no_font_of_the_system() -> None:
    assert choose_lettering(["jump, run 0.93 {}<>|"]) == Lettering(None, "")


def test_a_font_that_lacks_characters() -> None:
    lettering = choose_lettering(["a\U000f0000b\U000f0001"])
    assert lettering.missing == "\U000f0000\U000f0001"
    assert lettering.font(12).getlength("ab") > 0


def test_joiners_and_spaces_are_never_missing() -> None:
    assert choose_lettering(["a \u200d\u200c\u200f\u00a0b"]).missing == ""


def test_a_font_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "no.ttf"
    for content in (b"", b"no font"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"no\.ttf: cannot be read as a font .* Name a \.ttf"):
            choose_lettering(["a"], path)
    with pytest.raises(ConfigError, match=r"none\.ttf: cannot be read"):
        choose_lettering(["a"], tmp_path / "none.ttf")
    other = choose_lettering(["ä"])
    if other.file is not None and not other.missing:  # a machine without fonts has nothing to try with
        file = Path(str(other.font(10).path))
        assert choose_lettering(["ä"], file) == Lettering(str(file), "")
