"""Whatever is in a file: timelines, or one clear error, never anything else."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from exchange_fuzzing import outcomes
from exchange_samples import SAMPLES, Sample, read_file

from untrimmed.data.formats.exchange import source as source_module
from untrimmed.data.formats.exchange.formats import FORMATS
from untrimmed.data.formats.exchange.opening import recognise
from untrimmed.data.formats.exchange.source import Source
from untrimmed.errors import AnnotationError

JSON = [name for name, format_ in FORMATS.items() if ".json" in format_.suffixes]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.format}-{sample.name}")
def test_damaged_files(sample: Sample, tmp_path: Path) -> None:
    number = 300 if not sample.format.startswith("epic") else 100
    found = outcomes(sample, tmp_path, number)
    assert set(found) <= {"right", "error"}, found
    assert found["right"]
    assert found["error"]


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\x00\x01\x02",
        b"\xff\xfe<\x00",
        "\ufeff".encode(),
        b"[" * 100_000,
        b"{" * 10,
        b"null",
        b"[]",
        b"{}",
        b"3",
    ],
    ids=lambda content: repr(content[:4]),
)
def test_files_of_nothing(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"file{FORMATS[name].suffixes[0]}"
    path.write_bytes(content)
    try:
        document = read_file(path, name)
    except AnnotationError as error:
        message = str(error)
    else:
        message, marks = str(path), document.marks
        assert marks == 0
    assert message.startswith(str(tmp_path))


@pytest.mark.parametrize("name", JSON)
def test_deeply_nested_json(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    deep = '{"a":' * 50_000 + "1" + "}" * 50_000
    path.write_text(f'{{"database": {deep}, "results": {deep}}}')
    with pytest.raises(AnnotationError, match="not usable as JSON"):
        read_file(path, name)
    nested = '{"a":' * 900 + "1" + "}" * 900
    keys = ("database", "results", "videos", "observations", "behaviors_conf", "attribute", "metadata", "data")
    path.write_text("{" + ", ".join(f'"{key}": {nested}' for key in keys) + "}")
    with pytest.raises(AnnotationError):
        read_file(path, name)


BOMB = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">{}]>
<ANNOTATION_DOCUMENT>&z;</ANNOTATION_DOCUMENT>"""


@pytest.mark.parametrize(
    "text",
    [
        BOMB.format(
            "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghij", "bcdefghijz", strict=True))
        ),
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><ANNOTATION_DOCUMENT/>',
        '<?xml version="1.0"?><!doctype x><ANNOTATION_DOCUMENT/>',
        "<ANNOTATION_DOCUMENT><!ENTITY a 'b'></ANNOTATION_DOCUMENT>",
        "<a>" * 100_000 + "</a>" * 100_000,
        "<ANNOTATION_DOCUMENT>" + "<a>" * 5_000,
        "<ANNOTATION_DOCUMENT>&undefined;</ANNOTATION_DOCUMENT>",
        "<html/>",
        "<ANNOTATION_DOCUMENT",
    ],
    ids=["billion laughs", "external", "small letters", "inside", "deep", "deep and open", "undefined", "html", "open"],
)
def test_hostile_xml(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.eaf"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=r"document type|nested|XML"):
        read_file(path, "elan")


def test_elan_references_in_a_circle(tmp_path: Path) -> None:
    path = tmp_path / "file.eaf"
    items = "".join(
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{a}" ANNOTATION_REF="{b}"/></ANNOTATION>' for a, b in ("ab", "ba")
    )
    path.write_text(f"<ANNOTATION_DOCUMENT><TIER>{items}</TIER></ANNOTATION_DOCUMENT>")
    with pytest.raises(AnnotationError, match="refers to"):
        read_file(path, "elan")


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.startswith("epic")])
def test_large_files_are_not_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LARGEST", 1000)
    path = tmp_path / f"file{FORMATS[name].suffixes[0]}"
    path.write_bytes(b" " * 1001)
    with pytest.raises(AnnotationError, match="larger than"):
        read_file(path, name)


def test_a_packed_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LARGEST", 1_000_000)
    path = tmp_path / "file.json.gz"
    path.write_bytes(gzip.compress(b" " * 10_000_000))
    for name in JSON:
        with pytest.raises(AnnotationError, match="larger than"):
            read_file(path, name)
    path.write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_file(path, "coin")


def test_packed_files_are_read(tmp_path: Path) -> None:
    for sample in SAMPLES:
        if sample.name.endswith(".json") and sample.format != "ego4d":
            path = tmp_path / f"{sample.name}.gz"
            path.write_bytes(gzip.compress(sample.text.encode()))
            assert recognise(Source(path)) is FORMATS[sample.format]
            assert read_file(path, sample.format).timelines == sample.timelines


def test_what_is_recognised_is_one_format(tmp_path: Path) -> None:
    for name, content in (
        ("file.json", "[]"),
        ("file.json", json.dumps({"a": 1})),
        ("a.b", ""),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(AnnotationError, match="of none of the known formats"):
            recognise(Source(tmp_path / name))
    sample = next(each for each in SAMPLES if each.format == "epic-kitchens-verbs")
    with pytest.raises(AnnotationError, match=r"could be epic-kitchens-verbs, epic-kitchens-nouns, .*--from"):
        recognise(Source(sample.put(tmp_path)))
    with pytest.raises(AnnotationError, match="there is no such file"):
        recognise(Source(tmp_path / "nothing.csv"))
