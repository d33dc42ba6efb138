"""How a recording is written as ELAN's `.eaf`; `formats.exchange.elan` says what it looks like, and reads it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from untrimmed.data.formats.exchange.lanes import lanes
from untrimmed.data.formats.exchange.source import Options
from untrimmed.data.formats.exchange.timeline import Document, Mark, Timeline
from untrimmed.data.formats.plain_text import one_line

PROPERTY = "untrimmed:"
"""What the names of our own properties in the header begin with."""

SCORE = "score"
"""Name of the type of tiers that hold scores."""

_NONCHARACTERS = re.compile("[\ufffe\uffff\x00-\x08\x0b\x0c\x0e-\x1f]")  # which XML cannot hold
_STEREOTYPES = {
    "Time_Subdivision": "The annotation of the parent is divided without gaps",
    "Symbolic_Subdivision": "The annotation of the parent is divided, in order, without times",
    "Symbolic_Association": "One annotation for one of the parent",
    "Included_In": "Within the annotation of the parent, gaps are allowed",
}


def write_elan(document: Document, options: Options) -> str:
    """Return one recording as an ELAN file of format 3.0; times in milliseconds."""
    (timeline,) = document.timelines
    namespace = "http://www.w3.org/2001/XMLSchema-instance"
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "untrimmed",
            "DATE": "2000-01-01T00:00:00Z",  # a file says the same whenever it is written
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": namespace,
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    _write_header(root, timeline, options)
    order = ET.SubElement(root, "TIME_ORDER")
    rows = lanes(timeline.marks, _milliseconds)
    slots = sorted({time for row in rows for mark in row for time in _milliseconds(mark)})
    slot_of = {time: f"ts{number}" for number, time in enumerate(slots, 1)}
    for time, slot in slot_of.items():
        ET.SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": slot, "TIME_VALUE": str(time)})
    _write_tiers(root, rows or [[]], slot_of)
    for name, constraint in (("action", None), (SCORE, "Symbolic_Association")):
        stereotype = {} if constraint is None else {"CONSTRAINTS": constraint}
        alignable = str(constraint is None).lower()
        attributes = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": name, "TIME_ALIGNABLE": alignable}
        ET.SubElement(root, "LINGUISTIC_TYPE", {**stereotype, **attributes})
    for stereotype_name, description in _STEREOTYPES.items():
        ET.SubElement(root, "CONSTRAINT", {"DESCRIPTION": description, "STEREOTYPE": stereotype_name})
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def elan_label(label: str) -> str:
    """Return a label as an ELAN file can hold it."""
    return one_line(_NONCHARACTERS.sub("\ufffd", one_line(label)))


def elan_name(name: str) -> str:
    """Return an id or the name of a subset as an ELAN file can hold it."""
    return one_line(_NONCHARACTERS.sub("\ufffd", one_line(name))) if name else ""


def _milliseconds(mark: Mark) -> tuple[int, int]:
    return round(mark.start * 1000), round(mark.end * 1000)


def _write_header(root: ET.Element, timeline: Timeline, options: Options) -> None:
    header = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    file = options.file_of(timeline.video)
    if file != timeline.video:
        kind = {"mp4": "video/mp4", "mov": "video/quicktime", "avi": "video/x-msvideo"}
        mime = kind.get(file.rpartition(".")[2].lower(), "video/*")
        clean = elan_name(file)
        url = {"MEDIA_URL": f"./{clean}", "MIME_TYPE": mime, "RELATIVE_MEDIA_URL": f"./{clean}"}
        ET.SubElement(header, "MEDIA_DESCRIPTOR", url)
    facts = {"video": timeline.video, "subset": timeline.subset}
    facts["duration"] = "" if timeline.duration is None else repr(timeline.duration)
    facts["rate"] = "" if timeline.rate is None else repr(timeline.rate)
    for name, value in facts.items():
        if value:
            ET.SubElement(header, "PROPERTY", {"NAME": PROPERTY + name}).text = value
    last = len(timeline.marks) + sum(mark.score is not None for mark in timeline.marks)
    ET.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"}).text = str(last)


def _write_tiers(root: ET.Element, rows: Sequence[Sequence[Mark]], slot_of: Mapping[int, str]) -> None:
    number = 0
    for row_number, row in enumerate(rows, 1):
        suffix = f" {row_number}" if row_number > 1 else ""
        tier = ET.SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": "action", "TIER_ID": f"actions{suffix}"})
        scored = []
        for mark in row:
            number += 1
            start, end = _milliseconds(mark)
            slots = {"TIME_SLOT_REF1": slot_of[start], "TIME_SLOT_REF2": slot_of[end]}
            annotation = ET.SubElement(tier, "ANNOTATION")
            item = ET.SubElement(annotation, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{number}", **slots})
            ET.SubElement(item, "ANNOTATION_VALUE").text = mark.label
            if mark.score is not None:
                scored.append((f"a{number}", mark.score))
        if not scored:
            continue
        parent = f"actions{suffix}"
        attributes = {"LINGUISTIC_TYPE_REF": SCORE, "PARENT_REF": parent, "TIER_ID": f"{SCORE}{suffix}"}
        tier = ET.SubElement(root, "TIER", attributes)
        for reference, score in scored:
            number += 1
            annotation = ET.SubElement(tier, "ANNOTATION")
            names = {"ANNOTATION_ID": f"a{number}", "ANNOTATION_REF": reference}
            item = ET.SubElement(annotation, "REF_ANNOTATION", names)
            ET.SubElement(item, "ANNOTATION_VALUE").text = repr(score)
