"""ELAN's `.eaf`, as the schema of the ELAN Annotation Format 3.0 has it; versions from 2.0 on are read.

::

    <TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1250"/>...</TIME_ORDER>
    <TIER LINGUISTIC_TYPE_REF="action" TIER_ID="actions">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
            <ANNOTATION_VALUE>jump</ANNOTATION_VALUE>

The value of an annotation is the label, or where it is empty, the name of its tier. Annotations that refer to another
one have its times; those that follow each other in one share them evenly. Slots of time without a value lie evenly
between their neighbours. So does ELAN show them.

Annotations of a tier may not overlap in ELAN, so what overlaps is written to further tiers, `actions 2` and so on.
Scores are annotations in a tier `score` that refer to those that they are of, so that labels stay labels in ELAN. The
recording's id, duration, frame rate and subset are properties in the header, which ELAN keeps.

A file with a document type or entities is refused: no tool writes them, and they are how XML is made into a bomb.
Samples in the tests are ours, in the shape of files of ELAN 5 and 6 that lie in public repositories.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from untrimmed.data.check.report import count
from untrimmed.data.formats.exchange.elan_writing import PROPERTY, SCORE
from untrimmed.data.formats.exchange.naming import video_id
from untrimmed.data.formats.exchange.source import FaultError, Options, Source, as_number
from untrimmed.data.formats.exchange.timeline import Document, Mark, Timeline
from untrimmed.data.formats.plain_text import NAMELESS, one_line
from untrimmed.data.formats.reading import shown

LARGEST = 32 * 2**20
"""Characters; a tree of XML takes many times its text, and an hour of annotations has less than one million."""

_DEEPEST = 50
_UNITS = {"milliseconds": 1000.0, "PAL-frames": 25.0, "NTSC-frames": 30000 / 1001}
_WHOLE = re.compile(r"\d{1,12}", re.ASCII)
_DECIMAL = re.compile(r"-?\d{1,30}(\.\d{1,330})?(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


def read_elan(source: Source, _: Options) -> Document:
    """Read an ELAN file.

    Raises:
        FaultError: if it cannot be understood.
    """
    root = _parsed(source.text)
    header = root.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units not in _UNITS:
        raise FaultError(f"TIME_UNITS is {shown(units)}, expected one of {', '.join(_UNITS)}")
    tiers = [_tier(tier) for tier in root.findall("TIER")]
    notes: list[str] = []
    times = _times(root, tiers, _UNITS[units])
    marks = _marks(tiers, times, notes)
    media = _media(header)
    shift = as_number(float(_matched(_DECIMAL, media.get("TIME_ORIGIN") or "0", "TIME_ORIGIN")), "TIME_ORIGIN") / 1000
    if shift:
        notes.append(f"all times moved by {shift:g} s, by which ELAN shows the video earlier (TIME_ORIGIN)")
        marks = [Mark(mark.start + shift, mark.end + shift, mark.label, mark.score) for mark in marks]
    names = [tier.name for tier in tiers if tier.items and not _is_ours(tier)]
    if len(names) > 1:
        notes.append(f"{len(names)} tiers put together, whose names are not kept: {', '.join(map(repr, names[:5]))}")
    facts = _properties(header)
    name = facts.get("video") or video_id(media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or source.stem)
    timeline = Timeline(
        name or source.stem,
        tuple(marks),
        _fact(facts, "duration"),
        _fact(facts, "rate"),
        facts.get("subset", ""),
    )
    return Document((timeline,), notes=tuple(notes))


def recognises_elan(source: Source) -> bool:
    """Whether a file is called `.eaf`."""
    return source.suffix == ".eaf"


@dataclass(frozen=True, slots=True)
class _Item:
    """An annotation: either two slots of time, or the one that it refers to, and the one before it that does so."""

    id: str
    slots: tuple[str, str] | None
    parent: str
    value: str
    previous: str = ""


@dataclass(frozen=True, slots=True)
class _Tier:
    name: str
    type: str
    items: tuple[_Item, ...]


class _ShallowTree(ET.TreeBuilder):
    """Builds a tree, but none that is deeper than any ELAN file."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FaultError(f"its elements are nested more than {_DEEPEST} deep, as in no ELAN file")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ET.Element:
        self._depth -= 1
        return super().end(tag)


def _parsed(text: str) -> ET.Element:
    if len(text) > LARGEST:
        raise FaultError(f"larger than {LARGEST >> 20} MB, which no ELAN file should be")
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise FaultError("has a document type or entities, which no ELAN file has; save it anew with ELAN")
    parser = ET.XMLParser(target=_ShallowTree())
    try:
        parser.feed(text)
        root = parser.close()
    except (ET.ParseError, ValueError, AssertionError) as error:
        if isinstance(error, FaultError):
            raise
        raise FaultError(f"not usable as XML: {error}") from None
    if not isinstance(root, ET.Element) or root.tag != "ANNOTATION_DOCUMENT":
        raise FaultError("is XML, but no ANNOTATION_DOCUMENT, as an ELAN file is")
    return root


def _tier(element: ET.Element) -> _Tier:
    name = element.get("TIER_ID", "")
    items = []
    for annotation in element.findall("ANNOTATION"):
        for item in annotation:
            value = item.findtext("ANNOTATION_VALUE") or ""
            id_ = item.get("ANNOTATION_ID", "")
            if item.tag == "ALIGNABLE_ANNOTATION":
                slots = item.get("TIME_SLOT_REF1"), item.get("TIME_SLOT_REF2")
                if slots[0] is None or slots[1] is None:
                    raise FaultError(f"tier {shown(name)}, annotation {shown(id_)}: TIME_SLOT_REF1 or 2 is missing")
                items.append(_Item(id_, (slots[0], slots[1]), "", value))
            elif item.tag == "REF_ANNOTATION":
                previous = item.get("PREVIOUS_ANNOTATION", "")
                items.append(_Item(id_, None, item.get("ANNOTATION_REF", ""), value, previous))
    return _Tier(name, element.get("LINGUISTIC_TYPE_REF", ""), tuple(items))


def _times(root: ET.Element, tiers: Sequence[_Tier], units: float) -> dict[str, float | None]:
    """Return the time of each slot in seconds; of those without one, what lies evenly between their neighbours."""
    ids: list[str] = []
    times: list[float | None] = []
    for slot in root.iterfind("TIME_ORDER/TIME_SLOT"):
        value = slot.get("TIME_VALUE")
        place = f"TIME_SLOT {shown(slot.get('TIME_SLOT_ID', ''))}: TIME_VALUE"
        ids.append(slot.get("TIME_SLOT_ID", ""))
        times.append(None if value is None else int(_matched(_WHOLE, value, place)) / units)
    before = -1
    for i, time in enumerate(times):
        if time is None:
            continue
        first = times[before] if before >= 0 else None
        if first is not None:
            for j in range(before + 1, i):
                times[j] = first + (time - first) * (j - before) / (i - before)
        before = i
    known = dict(zip(ids, times, strict=True))
    for tier in tiers:
        for item in tier.items:
            for name in item.slots or ():
                if name not in known:
                    raise FaultError(
                        f"tier {shown(tier.name)}, annotation {shown(item.id)}: no TIME_SLOT {shown(name)}"
                    )
    return known


def _marks(tiers: Sequence[_Tier], times: Mapping[str, float | None], notes: list[str]) -> list[Mark]:
    """Return the marks of all tiers; what has no times is noted."""
    items = {item.id: item for tier in tiers for item in tier.items}
    scores: dict[str, float] = {}
    for tier in tiers:
        if tier.type == SCORE:
            for item in tier.items:
                scores[item.parent] = float(
                    _matched(_DECIMAL, item.value.strip(), f"the score of {shown(item.parent)}")
                )
    marks: list[Mark] = []
    untimed = 0
    parts = {id_: part for tier in tiers for id_, part in _parts(tier).items()}
    for tier in tiers:
        for item in tier.items if tier.type != SCORE else ():
            span = _span(item, items, times, parts)
            if span is None:
                untimed += 1
                continue
            start, end = span
            label = _label(item, tier)
            if start > end:
                raise FaultError(f"tier {shown(tier.name)}: {shown(label)} ends before it starts, at {start:g} s")
            marks.append(Mark(start, end, label, scores.get(item.id)))
    if untimed:
        notes.append(f"{count(untimed, 'annotation')} whose times are not known left out")
    return marks


def _parts(tier: _Tier) -> dict[str, tuple[int, int]]:
    """Return of annotations that share the time of one evenly, which of how many parts each has."""
    children: dict[str, list[_Item]] = defaultdict(list)
    for item in tier.items:
        if item.slots is None:
            children[item.parent].append(item)
    parts: dict[str, tuple[int, int]] = {}
    for several in children.values():
        if not any(item.previous for item in several):
            continue
        follower = {item.previous: item.id for item in several}
        order = [follower[""]] if "" in follower else []
        while order and order[-1] in follower and len(order) < len(several):
            order.append(follower[order[-1]])
        if len(set(order)) < len(several):  # it says that they follow each other otherwise than in a row
            order = [item.id for item in several]
        parts |= {id_: (i, len(order)) for i, id_ in enumerate(order)}
    return parts


def _span(
    item: _Item,
    items: Mapping[str, _Item],
    times: Mapping[str, float | None],
    parts: Mapping[str, tuple[int, int]],
) -> tuple[float, float] | None:
    """Return when an annotation begins and ends, or the one that it refers to in the end; `None` if nobody knows."""
    path = [item]
    while (slots := path[-1].slots) is None:
        parent = path[-1].parent
        if parent not in items or len(path) > _DEEPEST:
            raise FaultError(f"annotation {shown(item.id)} refers to {shown(parent)}, which has no times")
        path.append(items[parent])
    start, end = times[slots[0]], times[slots[1]]
    if start is None or end is None:
        return None
    for each in reversed(path[:-1]):
        part, of = parts.get(each.id, (0, 1))
        start, end = start + (end - start) * part / of, start + (end - start) * (part + 1) / of
    return start, end


def _label(item: _Item, tier: _Tier) -> str:
    label = one_line(item.value)
    return one_line(tier.name) if label == NAMELESS and NAMELESS not in item.value else label


def _media(header: ET.Element | None) -> Mapping[str, str]:
    """Return what is said of the first video, or of the first file if there is no video."""
    files = [] if header is None else header.findall("MEDIA_DESCRIPTOR")
    videos = [file for file in files if file.get("MIME_TYPE", "").startswith("video")]
    return next((file.attrib for file in videos + files), {})


def _properties(header: ET.Element | None) -> dict[str, str]:
    properties = [] if header is None else header.findall("PROPERTY")
    return {
        name.removeprefix(PROPERTY): (each.text or "").strip()
        for each in properties
        if (name := each.get("NAME", "")).startswith(PROPERTY)
    }


def _fact(facts: Mapping[str, str], name: str) -> float | None:
    text = facts.get(name)
    return float(_matched(_DECIMAL, text, f"property {PROPERTY}{name}")) if text else None


def _matched(pattern: re.Pattern[str], text: str, place: str) -> str:
    if not pattern.fullmatch(text):
        raise FaultError(f"{place} is {shown(text)}, expected a number")
    return text


def _is_ours(tier: _Tier) -> bool:
    return tier.type == SCORE or (tier.type == "action" and re.fullmatch(r"actions( \d+)?", tier.name) is not None)
