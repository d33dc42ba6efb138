"""What fits into a format comes back from it exactly, and what does not fit is named: for every document."""

from __future__ import annotations

import string
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from untrimmed.data.formats.exchange.conversion import convert
from untrimmed.data.formats.exchange.formats import FORMATS
from untrimmed.data.formats.exchange.holding import fitted
from untrimmed.data.formats.exchange.opening import read
from untrimmed.data.formats.exchange.source import Media, Options, Source
from untrimmed.data.formats.exchange.timeline import Document, Mark, Timeline

WRITABLE = [format_ for format_ in FORMATS.values() if format_.writes is not None]
OPTIONS = Options()

# A plain name that no format has to change, and any text at all.
PLAIN = st.text(string.ascii_letters + "äß走", min_size=1, max_size=6)
WILD = st.text(min_size=1, max_size=8).filter(lambda name: name.strip() and _is_utf8(name))
TIMES = st.one_of(st.integers(0, 2000).map(lambda n: n / 8), st.floats(-5, 1e5), st.sampled_from([0.0, -0.0]))
SCORES = st.one_of(st.integers(0, 4).map(lambda n: n / 4), st.floats(-2, 2))
LENGTHS = st.one_of(st.just(0.0), st.integers(1, 80).map(lambda n: n / 8), st.floats(0, 50))
SUBSETS = st.sampled_from(["", "train", "val", "odd  one\n"])


def _is_utf8(text: str) -> bool:
    return not any(0xD800 <= ord(character) < 0xE000 for character in text)


@st.composite
def documents(draw: st.DrawFn, scored: bool | None = None) -> Document:
    """Draw any document; each recording has a duration and a frame rate, which some formats cannot do without."""
    labels = draw(st.lists(st.one_of(PLAIN, WILD, st.just("x 0.50")), min_size=1, max_size=4, unique=True))
    ids = draw(st.lists(st.one_of(PLAIN, WILD, st.just("a.mp4")), min_size=1, max_size=3, unique=True))
    with_scores = draw(st.booleans()) if scored is None else scored
    timelines = []
    for id_ in ids:
        marks = []
        for _ in range(draw(st.integers(0, 5))):
            start = draw(TIMES)
            score = draw(SCORES) if with_scores else None
            marks.append(Mark(start, start + draw(LENGTHS), draw(st.sampled_from(labels)), score))
        duration, rate = draw(st.sampled_from([2e5, 200_000.5])), draw(st.sampled_from([8.0, 24.0, 29.97]))
        timelines.append(Timeline(id_, tuple(marks), duration, rate, draw(SUBSETS)))
    listed = draw(st.lists(st.sampled_from(labels), unique=True))
    return Document(tuple(timelines), tuple(listed))


def ordered(document: Document) -> tuple[Timeline, ...]:
    """Return the timelines in an order that does not depend on the file."""
    marks = lambda t: tuple(sorted(t.marks, key=lambda m: (m.start, m.end, m.label, m.score or 0.0)))  # noqa: E731
    return tuple(sorted((replace(t, marks=marks(t)) for t in document.timelines), key=lambda t: t.video))


def written_and_read(document: Document, name: str, folder: Path) -> Document:
    """Write a document that fits a format, and read it again."""
    format_ = FORMATS[name]
    assert format_.writes is not None
    if not format_.one_video:
        path = folder / f"all{format_.suffixes[0]}"
        format_.writes(document, path, OPTIONS)
        return read(Source(path), format_, OPTIONS)
    found = []
    for number, timeline in enumerate(document.timelines):
        path = folder / f"v{number}{format_.suffixes[0]}"
        format_.writes(replace(document, timelines=(timeline,)), path, OPTIONS)
        (back,) = read(Source(path), format_, OPTIONS).timelines
        found.append(replace(back, video=timeline.video) if format_.named_by_file else back)
    return Document(tuple(found))


@pytest.mark.parametrize("name", [format_.name for format_ in WRITABLE])
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_fits_comes_back_exactly(name: str, data: st.DataObject) -> None:
    holds = FORMATS[name].holds
    document = data.draw(documents(scored=True if holds.scores == "required" else None))
    names = [holds.video(timeline.video) for timeline in document.timelines]
    if len(set(names)) < len(names):
        document = replace(document, timelines=document.timelines[:1])
    fits, losses = fitted(document, holds, OPTIONS, "target")
    with tempfile.TemporaryDirectory() as folder:
        back = written_and_read(fits, name, Path(folder))
    assert ordered(back) == ordered(fits)
    assert back.labels == fits.labels
    # Losses are named if and only if there are any.
    listed = list(document.all_labels()) if document.labels else []
    classes_kept = holds.classes or (set(listed) <= used(document) and listed == sorted(listed))
    same = ordered(fits) == ordered(document) and classes_kept
    assert same or losses
    if ordered(fits) == ordered(document) and (holds.classes or set(document.labels) <= used(document)):
        assert all("order of the classes" in loss or "label" in loss for loss in losses)


def used(document: Document) -> set[str]:
    return {mark.label for timeline in document.timelines for mark in timeline.marks}


@pytest.mark.parametrize("name", [format_.name for format_ in WRITABLE])
@given(document=documents(scored=True))
@settings(max_examples=20)
def test_what_fits_fits_again_without_loss(name: str, document: Document) -> None:
    holds = FORMATS[name].holds
    names = [holds.video(timeline.video) for timeline in document.timelines]
    if len(set(names)) < len(names):
        document = replace(document, timelines=document.timelines[:1])
    fits, _ = fitted(document, holds, OPTIONS, "target")
    if holds.needs_durations or holds.frames:
        assert all(timeline.duration for timeline in fits.timelines)
    again, losses = fitted(fits, holds, OPTIONS, "target")
    assert (again, losses) == (fits, [])


EASY = Document(
    (
        Timeline(
            "monday", (Mark(1.0, 2.5, "jump"), Mark(1.5, 3.0, "jump"), Mark(2.5, 4.0, "run")), 10.0, 10.0, "train"
        ),
        Timeline("tuesday", (Mark(0.5, 1.0, "run"),), 20.0, 10.0, "val"),
    ),
    ("jump", "run"),
)


@pytest.mark.parametrize("first", [format_.name for format_ in WRITABLE if format_.name != "detections"])
@pytest.mark.parametrize("second", ["activitynet", "elan", "label-studio", "boris", "via3", "srt", "table"])
def test_every_format_to_every_other_one(first: str, second: str, tmp_path: Path) -> None:
    """Marks on whole frames and centiseconds survive all formats; files are found out to be what they are."""
    start = tmp_path / "start.json"
    activitynet = FORMATS["activitynet"]
    assert activitynet.writes is not None
    activitynet.writes(EASY, start, OPTIONS)
    known = {timeline.video: timeline for timeline in EASY.timelines}

    options = Options(
        file=lambda video: f"{video}.mp4", media=lambda video: Media(known[video].duration, known[video].rate)
    )
    places = [start]
    for number, name in enumerate((first, second)):
        format_ = FORMATS[name]
        places.append(tmp_path / (str(number) if format_.one_video else f"{number}{format_.suffixes[0]}"))
        convert(places[-2], places[-1], to=name, options=options)
    back = read(Source(places[-1]), FORMATS[second], options)
    assert {t.video: sorted((m.start, m.end, m.label) for m in t.marks) for t in back.timelines} == {
        t.video: sorted((m.start, m.end, m.label) for m in t.marks) for t in EASY.timelines
    }
