from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_pages import HOSTILE, LABELS, TIOUS, annotations, detections, example, hostile, levels, page

from untrimmed.evaluation.precision_recall import Curve
from untrimmed.report.contents import Contents
from untrimmed.report.headline import headline, percent
from untrimmed.report.history import History
from untrimmed.report.media import Absent, Embedded, Linked
from untrimmed.report.page import build_report, to_json, write_report
from untrimmed.report.page_data import MOST_DETECTIONS, page_data, thinned
from untrimmed.report.results import assess


class Page(HTMLParser):
    """What a browser makes of a page, as far as the standard library knows."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.blocks: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside.append(tag)
            self.blocks.append((dict(attrs) | {"tag": tag}, ""))

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside:
            attributes, text = self.blocks[-1]
            self.blocks[-1] = (attributes, text + data)
        else:
            self.text += data

    def block(self, **wanted: str) -> str:
        (text,) = [text for attributes, text in self.blocks if wanted.items() <= attributes.items()]
        return text

    @property
    def data(self) -> Any:
        return json.loads(self.block(id="data"))

    @property
    def policy(self) -> dict[str, list[str]]:
        (content,) = [a["content"] for tag, a in self.tags if a.get("http-equiv") == "Content-Security-Policy"]
        assert content is not None
        return {name: values for name, *values in (part.split() for part in content.split(";"))}


def read(contents: Contents) -> Page:
    return Page(build_report(contents))


def test_a_page() -> None:
    made = read(
        page(
            media={"one": Linked("a%20b.mp4"), "two": Absent("Because.")}, levels={"one": levels()}, level_labels=LABELS
        )
    )
    data = made.data
    assert data["labels"] == list(LABELS)
    assert data["tious"] == list(TIOUS)
    assert [video["name"] for video in data["videos"]] == ["one", "two"]
    one, two = data["videos"]
    assert one["truth"]["start"] == [2, 10]
    assert one["found"]["score"] == [0.9, 0.85, 0.1]
    assert one["found"]["match"] == [[0, -1, -1]] * 3
    assert one["media"] == {"kind": "link", "address": "a%20b.mp4"}
    assert two["media"] == {"kind": "none", "reason": "Because."}
    assert one["heat"]["columns"] == [20, 10, 5]
    assert two["heat"] is None
    assert "my run" in made.text


def test_nothing_comes_from_outside() -> None:
    html = build_report(page())
    made = Page(html)
    for tag, attributes in made.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert attributes.get(name, "data:,") in ("data:,", "#videos"), (tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
    for address in re.findall(r"https?://[^\s\"')]+", html):
        assert address == "http://www.w3.org/2000/svg"  # a name, not an address
    assert "@import" not in html
    assert "url(" not in html


def test_the_policy_knows_the_script_and_the_style() -> None:
    made = read(page())

    def digest(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"

    policy = made.policy
    (script,) = [text for attributes, text in made.blocks if attributes == {"tag": "script"}]
    assert policy["script-src"] == [digest(script)]
    assert policy["style-src"] == [digest(made.block(tag="style"))]
    assert policy["default-src"] == ["'none'"]
    assert not any("unsafe" in value or value == "*" for values in policy.values() for value in values)
    assert "\r" not in script  # which a browser would change before it takes the hash


def test_hostile_names_are_text() -> None:
    made = read(hostile())
    assert sum(tag == "script" for tag, _ in made.tags) == sum(tag == "script" for tag, _ in read(page()).tags)
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in made.tags)
    without_surrogates = [name.replace("\ud800", "\ufffd") for name in HOSTILE]
    assert made.data["labels"] == without_surrogates
    text = made.text.replace("\ufffd", "\x00")  # what a parser makes of NUL
    for name in without_surrogates:
        assert name.replace("\ufffd", "\x00") in text


@given(st.text())
def test_json_never_ends_its_block(text: str) -> None:
    written = to_json({"a": [text]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"a": [text]}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_numbers_that_are_none(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(value)


def test_written_at_once_and_readable_as_utf8(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write_report(hostile(), path)
    assert path.read_text(encoding="utf-8") == build_report(hostile())
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


def test_the_same_contents_are_the_same_page() -> None:
    assert build_report(hostile()) == build_report(hostile())


def test_embedded_files() -> None:
    content = bytes(range(256)) * 5
    made = read(page(media={"two": Embedded(content, "video/webm")}))
    assert made.data["videos"][1]["media"] == {"kind": "embed", "type": "video/webm"}
    assert base64.b64decode(made.block(id="media-1")) == content
    assert "media-0" not in build_report(page())


# What may be missing


def test_no_videos() -> None:
    made = read(page(assess(annotations({}), {}, TIOUS)))
    assert made.data["videos"] == []
    assert "There are no videos." in made.text


def test_no_truth() -> None:
    made = read(page(assess(annotations({"v": []}), detections({"v": [(1, 2, "run", 0.5)]}), TIOUS)))
    assert made.data["meanAP"] is None
    assert made.data["classes"] == []
    assert "so there is no mAP" in made.text
    assert "nan" not in made.text.lower()


def test_no_detections() -> None:
    made = read(page(assess(annotations({"v": [(1, 2, "run")]}), {}, TIOUS)))
    assert made.data["meanAP"] == [0, 0, 0]
    (row,) = made.data["classes"]
    assert row["best"] == [None] * 3


def test_videos_that_are_not_shown() -> None:
    made = read(page(shown=["two"]))
    assert [video["name"] for video in made.data["videos"]] == ["two"]
    assert "1 of 2: those with the most mistakes first." in made.text
    assert read(page(shown=[])).data["videos"] == []


def test_history() -> None:
    history = History((1, 2), {"loss": (1.0, None), "mAP": (None, None)})
    made = read(page(history=history))
    assert made.data["history"] == {"epochs": [1, 2], "columns": {"loss": [1, None], "mAP": [None, None]}}
    ids = [attributes.get("id") for _, attributes in made.tags]
    assert "loss" in ids
    assert "map" not in ids  # there is no figure
    assert "loss" not in [attributes.get("id") for _, attributes in read(page()).tags]


def test_instances_outside_of_their_video() -> None:
    truth = annotations({"v": [(-5, 3, "run"), (25, 30, "jump"), (4, 4, "run")]})
    (video,) = page_data(page(assess(truth, {}, TIOUS)))["videos"]
    assert video["end"] == 30
    assert video["duration"] == 20


# Numbers


def test_headline() -> None:
    figures = {
        figure.caption: figure.value for figure in headline(page(history=History((1, 7)), parameters=29_212_345))
    }
    assert figures == {
        "average mAP, %, over tIoU 0.3 to 0.7": "62.5",
        "mAP, %, at tIoU 0.5": "62.5",
        "videos": "2",
        "instances": "3",
        "classes": "2",
        "seconds in all": "40.0",
        "epochs": "7",
        "million parameters": "29.2",
    }


@pytest.mark.parametrize(
    ("seconds", "value"),
    [(0, "0.0 seconds"), (119, "119.0 seconds"), (120, "2.0 minutes"), (7200, "2.0 hours"), (2_000_000, "555.6 hours")],
)
def test_durations(seconds: float, value: str) -> None:
    results = assess(annotations({"v": []}, duration=seconds), {}, TIOUS)
    figures = [f"{figure.value} {figure.caption}" for figure in headline(page(results))]
    assert f"{value} in all" in figures


@pytest.mark.parametrize(
    ("value", "text"), [(None, "\u2013"), (float("nan"), "\u2013"), (0.1234, "12.3"), (1, "100.0")]
)
def test_percent(value: float | None, text: str) -> None:
    assert percent(value) == text


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(1e-4, 1))
def test_rounding_moves_no_score_across_a_step(scores: list[float], factor: float) -> None:
    scores = sorted((score * factor for score in scores), reverse=True)
    results = assess(annotations({"v": []}), detections({"v": [(1, 2, "run", score) for score in scores]}), TIOUS)
    data = page_data(page(results))
    (video,) = data["videos"]
    for step, kept in enumerate(data["totals"]["kept"]):
        assert sum(last >= step for last in video["found"]["step"]) == kept


def test_totals_are_those_of_all_videos() -> None:
    results = example()
    data = page_data(page(results, shown=["two"]))
    totals, step = data["totals"], data["threshold"]
    tallies = [results.tally(video) for video in results.truth]
    assert totals["kept"][step] == sum(t.right + t.wrong for t in tallies)
    assert totals["right"][data["tiou"]][step] == sum(t.right for t in tallies)
    assert totals["instances"] == 3
    assert totals["detections"] == 4


def test_only_the_best_detections_of_a_video_are_there() -> None:
    rows = [(float(i), i + 0.5, "run", 1 - i / 5000) for i in range(MOST_DETECTIONS + 10)]
    (video,) = page_data(page(assess(annotations({"v": []}, duration=5000), detections({"v": rows}), TIOUS)))["videos"]
    assert len(video["found"]["score"]) == MOST_DETECTIONS
    assert min(video["found"]["score"]) > 1 - MOST_DETECTIONS / 5000
    assert video["detections"] == MOST_DETECTIONS + 10


@given(st.integers(1, 400), st.integers(3, 50))
def test_thinned_curves(n: int, most: int) -> None:
    random = np.random.default_rng(n)
    right = (random.uniform(size=n) < 0.6).cumsum()
    curve = Curve(np.linspace(1, 0, n), np.arange(1, n + 1), right, n)
    chosen = thinned(curve, most)
    assert len(chosen) <= most
    assert chosen[0] == 0
    assert chosen[-1] == n - 1
    assert (np.diff(chosen) > 0).all()
    if n <= most:
        assert len(chosen) == n


def test_classes_of_detections_that_the_truth_does_not_have() -> None:
    truth = annotations({"v": [(1, 5, "run")]}, ["run"])
    found = detections({"v": [(1, 5, "swim", 0.9), (1, 5, "run", 0.8)]}, ["swim", "run"])
    data = page_data(page(assess(truth, found, TIOUS), levels={"v": levels()}, level_labels=["swim", "run"]))
    assert data["labels"] == ["run", "swim"]
    (video,) = data["videos"]
    assert video["found"]["label"] == [1, 0]
    assert video["heat"]["classes"] == [1, 0]


def test_the_page_stays_small() -> None:
    """200 videos of ten minutes, each with 200 detections and the scores of 20 classes."""
    labels = [f"class {k}" for k in range(20)]
    random = np.random.default_rng(0)
    names = [f"video {i}" for i in range(20)]
    rows = {
        name: [
            (s, s + 3, labels[k], score)
            for s, k, score in zip(
                random.uniform(0, 590, 200), random.integers(0, 20, 200), random.uniform(size=200), strict=True
            )
        ]
        for name in names
    }
    truth = annotations({name: [row[:3] for row in rows[name][:15]] for name in names}, labels, duration=600)
    contents = page(
        assess(truth, detections(rows, labels), TIOUS),
        levels={n: levels(2304, 20, 6) for n in names},
        level_labels=labels,
    )
    assert len(build_report(contents)) < 2_000_000  # noise in all scores: the worst case
