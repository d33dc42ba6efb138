from __future__ import annotations

import math
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from report_pages import HOSTILE, LABELS, TIOUS, annotations, detections, example, page

from untrimmed.evaluation.diagnosis import CUTS, Diagnosis, Kind, Sensitivity, diagnose
from untrimmed.evaluation.diagnosis.sensitivity import Bucket
from untrimmed.report.diagnosis import at_tious, finding, kind_rows, ranges
from untrimmed.report.diagnosis_charts import KIND_COLOURS, charts
from untrimmed.report.diagnosis_page import build_diagnosis_page, diagnosis_section, write_figures
from untrimmed.report.headline import DASH
from untrimmed.report.page import build_report
from untrimmed.report.palette import colours
from untrimmed.report.results import assess
from untrimmed.report.svg import Chart, bar, element, text

SVG = "{http://www.w3.org/2000/svg}"

spans = st.builds(lambda start, length: (float(start), float(start + length)), st.integers(0, 8), st.integers(1, 6))
instance_rows = st.builds(lambda span, label: (*span, label), spans, st.sampled_from(LABELS))
detection_rows = st.builds(
    lambda span, label, score: (*span, label, score / 8), spans, st.sampled_from(LABELS), st.integers(0, 8)
)
some_diagnoses = st.builds(
    lambda truth, found, tious: diagnose(annotations(truth), detections(found), tious),
    st.dictionaries(st.sampled_from("vw"), st.lists(instance_rows, min_size=1, max_size=6), min_size=1),
    st.dictionaries(st.sampled_from("vw"), st.lists(detection_rows, max_size=12)),
    st.sampled_from([(0.5,), (0.3, 0.7)]),
)


def every_kind(parts: int = 10) -> Diagnosis:
    """A class with one instance and a detection of each kind, and a perfect one."""
    truth = annotations({"v": [(0, 4, "run"), (10, 14, "jump")]})
    spans = [(0, 4), (0, 4), (10, 14), (3, 7), (13, 17), (18, 20)]
    rows = [(*span, "run", 0.9 - i / 10) for i, span in enumerate(spans)]
    return diagnose(truth, detections({"v": [*rows, (10, 14, "jump", 1)]}), (0.5,), parts=parts)


def nothing_found() -> Diagnosis:
    return diagnose(annotations({"v": [(0, 4, "run")]}), {}, (0.5,))


def sensitivity(name: str, ends: Sequence[float]) -> Sensitivity:
    return Sensitivity(name, tuple(Bucket("M", end, 1, 0.5, 0.5) for end in [*ends, math.inf]), 0.5)


def chart(diagnosis: Diagnosis, name: str) -> Chart:
    (found,) = [each for each in charts(diagnosis) if each.name == name]
    return found


def drawing(each: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(each.as_file())


def bars(each: Chart, of: str) -> list[tuple[float, float]]:
    """Return width and height of the bars of data, those that have a tip, whose class has a name."""
    found = [rect for rect in drawing(each).iter(f"{SVG}rect") if rect.find(f"{SVG}title") is not None]
    return [(float(r.attrib["width"]), float(r.attrib["height"])) for r in found if r.attrib["class"] == of]


# Words and rows


@given(some_diagnoses)
def test_shares_add_up(diagnosis: Diagnosis) -> None:
    rows = kind_rows(diagnosis)
    assert [row.kind for row in rows] == list(Kind)
    columns = np.array([[*row.within, row.of_all] for row in rows])
    if diagnosis.detections:
        np.testing.assert_allclose(columns.sum(axis=0), 1)
    else:
        assert np.isnan(columns).all()
    assert [row.gain is None for row in rows] == [True] + [False] * 5


@given(some_diagnoses)
def test_buckets_have_all_instances(diagnosis: Diagnosis) -> None:
    for each in diagnosis.sensitivities:
        assert sum(bucket.instances for bucket in each.buckets) == diagnosis.instances
        for bucket, values in zip(each.buckets, ranges(each), strict=True):
            assert values != DASH or not bucket.instances


def test_ranges_of_benchmarks() -> None:
    cuts = CUTS["thumos14"]
    length = ("up to 3 s", "3 to 6 s", "6 to 12 s", "12 to 18 s", "over 18 s")
    assert ranges(sensitivity("length", cuts.length)) == length
    assert ranges(sensitivity("coverage", cuts.coverage))[1:3] == ("2 to 4 %", "4 to 6 %")
    assert ranges(sensitivity("instances", cuts.instances)) == ("1", "2 to 40", "41 to 80", "81 or more")


@pytest.mark.parametrize(
    ("name", "ends", "expected"),
    [
        ("length", (2, 2, 4, 4), ("up to 2 s", DASH, "2 to 4 s", DASH, "over 4 s")),
        ("length", (1.23456, 1.2349, 900, 123456), ("up to 1.2346 s", "1.2346 to 1.2349 s", "1.2349 to 900 s")),
        ("instances", (1, 1, 1), ("1", DASH, DASH, "2 or more")),
        ("instances", (1.5, 2.5, 2.75), ("1", "2", DASH, "3 or more")),
    ],
)
def test_ranges(name: str, ends: Sequence[float], expected: tuple[str, ...]) -> None:
    assert ranges(sensitivity(name, ends))[: len(expected)] == expected


def test_findings() -> None:
    assert finding(nothing_found()) == "Nothing was detected, so all instances are missed."
    perfect = diagnose(annotations({"v": [(0, 4, "run")]}), detections({"v": [(0, 4, "run", 1)]}), (0.5,))
    assert finding(perfect) == "No kind of false positive costs a hundredth of a point of mAP."
    off = [(3.0, 7.0, "run", 0.9), (0.0, 4.0, "run", 0.8)]
    found = diagnose(annotations({"v": [(0, 4, "run")]}), detections({"v": off}), (0.5,))
    assert finding(found) == "Bad localisation costs most: without it, mAP would be 100.00 %, not 50.00 %."


def test_thresholds_in_words() -> None:
    assert at_tious((0.5,)) == "at tIoU 0.5"
    assert at_tious((0.7, 0.3)) == "mean over tIoU 0.3 to 0.7"


# Figures


@given(some_diagnoses)
def test_files_are_svg_of_their_own(diagnosis: Diagnosis) -> None:
    for each in charts(diagnosis):
        root = drawing(each)
        assert (root.tag, root.attrib["role"]) == (f"{SVG}svg", "img")
        title, description = list(root)[:2]
        assert (title.text, title.attrib["id"]) == (each.title, root.attrib["aria-labelledby"])
        assert (description.text, description.attrib["id"]) == (each.description, root.attrib["aria-describedby"])
        assert "nan" not in each.as_file()
        assert "var(" not in each.as_file()  # many programs do not know it
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for rect in root.iter(f"{SVG}rect"):
            x, y, w, h = (float(rect.attrib[key]) for key in ("x", "y", "width", "height"))
            assert min(w, h) >= 0
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height


def test_files_are_light_and_dark() -> None:
    for each in charts(every_kind()):
        light, dark = each.as_file().split("@media screen and (prefers-color-scheme: dark)")
        assert f".ground {{ fill: {colours(dark=False)['surface']}" in light
        assert f".ground {{ fill: {colours(dark=True)['surface']}" in dark.split("</style>")[0]


def test_kinds_by_rank() -> None:
    # The detections of run, one by one: all kinds in their order. The one of jump is a true positive, too.
    each = chart(every_kind(), "kinds")
    for kind in Kind:
        heights = [height for _, height in bars(each, f"colour-{KIND_COLOURS[kind]}")]
        assert heights == [199]  # of 200, with a gap to the next
    assert "1G: true positive 100.0 %, double detection 0.0 %" in each.description
    assert each.description.endswith("7G: none. 8G: none. 9G: none. 10G: none.")


@given(some_diagnoses)
def test_stacks_are_as_high_as_the_shares(diagnosis: Diagnosis) -> None:
    each = chart(diagnosis, "kinds")
    profile = diagnosis.false_positives.profile
    for kind in Kind:
        expected = [200 * share - min(1, 100 * share) for share in profile[:, kind] if share]
        found = [height for _, height in bars(each, f"colour-{KIND_COLOURS[kind]}")]
        np.testing.assert_allclose(found, expected, atol=0.01)


def test_a_long_profile_has_fewer_numbers() -> None:
    names = [each.text for each in drawing(chart(every_kind(parts=40), "kinds")).iter(f"{SVG}text")]
    assert sum(bool(re.fullmatch(r"\d+G", name or "")) for name in names) == 14


def test_gains() -> None:
    diagnosis = every_kind()
    each = chart(diagnosis, "gains")
    gains = [row.gain for row in kind_rows(diagnosis) if row.gain is not None]
    widths = [bars(each, f"colour-{KIND_COLOURS[kind]}")[0][0] for kind in list(Kind)[1:]]
    np.testing.assert_allclose(np.array(widths) * max(gains), np.array(gains) * max(widths), atol=0.02)
    assert each.description.startswith("double detection +")


def test_buckets() -> None:
    diagnosis = diagnose(
        annotations({"v": [(0, 1, "run"), (4, 6, "run"), (10, 19, "run")]}),
        detections({"v": [(0, 1, "run", 0.9), (10, 19, "run", 0.8)]}),
        (0.5,),
        cuts=CUTS["thumos14"],
    )
    each = chart(diagnosis, "length")
    scores, missed = bars(each, "colour-0"), bars(each, "colour-1")
    assert [width for width, _ in scores] == [39, 0, 78, 0, 0]  # of 100 %
    assert [width for width, _ in missed] == [78, 0, 0, 0, 0]  # of 50 %
    assert each.description.replace(DASH, "none") == (
        "XS, up to 3 s: 2 instances, mAP_N 50.0 %, missed 50.0 %. "
        "S, 3 to 6 s: 0 instances, mAP_N none %, missed none %. "
        "M, 6 to 12 s: 1 instance, mAP_N 100.0 %, missed 0.0 %. "
        "L, 12 to 18 s: 0 instances, mAP_N none %, missed none %. "
        "XL, over 18 s: 0 instances, mAP_N none %, missed none %. All instances: mAP_N 66.7 %, missed 33.3 %."
    )


def test_kinds_have_the_colours_that_differ_most() -> None:
    assert sorted(KIND_COLOURS.values()) == list(range(6))  # which test_report_palette measures


def test_figures_are_written(tmp_path: Path) -> None:
    paths = write_figures(every_kind(), tmp_path / "new")
    assert [path.name for path in paths] == ["kinds.svg", "gains.svg", "length.svg", "coverage.svg", "instances.svg"]
    assert [path.read_text() for path in paths] == [each.as_file() for each in charts(every_kind())]


# Drawing


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_texts_are_escaped(content: str) -> None:
    for made in (text(content, 1, 2), element("g", element("title", content)), element("g", class_=content)):
        root = ElementTree.fromstring(made)
        inside = "".join(root.itertext())
        assert content in (inside, root.attrib.get("class"))
    assert ElementTree.fromstring(bar(0, 0, 1, 1, class_="a", tip=content)).findtext("title", "") == content


def test_elements() -> None:
    made = element("text", Markup("<a></a>"), "<", font_size=1.5, viewBox="0", class_="b", x=2.0, y=None)
    assert made == '<text font-size="1.5" viewBox="0" class="b" x="2"><a></a>&lt;</text>'


# Pages


class Parts(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def ids(self) -> list[str | None]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]


def test_the_report_has_the_section() -> None:
    parts = Parts(build_report(page()))
    assert sum(tag == "figure" for tag, _ in parts.tags) == 5
    assert "All detections, at tIoU 0.5. Detections in the background cost most" in parts.text
    assert len(parts.ids) == len(set(parts.ids))
    for title in ("Kinds of detections by rank", "What false positives cost", "What the kinds mean", "Coverage"):
        assert title in parts.text


def test_the_report_is_diagnosed_at_the_tiou_that_is_shown() -> None:
    results = example()
    assert results.diagnosis is not None
    assert results.score is not None
    assert results.diagnosis.tious == (0.5,)
    assert results.diagnosis.map == results.score.by_tiou[1]


@pytest.mark.parametrize("videos", [{}, {"v": []}])
def test_no_section_without_instances(videos: dict[str, list[tuple[float, float, str]]]) -> None:
    results = assess(annotations(videos), {}, TIOUS)
    assert results.diagnosis is None
    assert "diagnosis" not in Parts(build_report(page(results))).ids


def test_table_of_the_profile() -> None:
    section = diagnosis_section(every_kind())
    assert section.profile["double detection"] == [0, 1, *[0] * 8]
    rows = np.array(list(section.profile.values())).sum(axis=0)
    assert rows.tolist() == [1] * 6 + [0] * 4


@pytest.mark.parametrize("title", HOSTILE)
def test_titles_are_text(title: str) -> None:
    html = build_diagnosis_page(every_kind(), title)
    parts = Parts(html)
    assert not any(tag in ("script", "img") or "onerror" in attributes for tag, attributes in parts.tags)
    assert (title.replace("\ud800", "\ufffd") or "(no name)") in parts.text
    (policy,) = [a["content"] for _, a in parts.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert "script-src 'none'" in (policy or "")
    html.encode()  # is possible


def test_a_page_where_nothing_was_found() -> None:
    parts = Parts(build_diagnosis_page(nothing_found(), "nothing"))
    assert "Nothing was detected, so all instances are missed." in parts.text
    assert "nan" not in parts.text
