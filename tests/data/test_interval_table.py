from __future__ import annotations

import csv
import io
import itertools
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.annotations import Instance
from untrimmed.data.formats.interval_table import (
    Row,
    is_interval_table,
    plain_name,
    read_interval_table,
    seconds,
    unit_of,
)
from untrimmed.errors import AnnotationError

HEADER = "video,start,end,label"


def write(folder: Path, text: str | bytes, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(folder: Path, text: str | bytes) -> list[Row]:
    return read_interval_table(write(folder, text))


def contents(rows: list[Row]) -> list[tuple[str, Instance | None]]:
    return [(row.video, row.instance) for row in rows]


def fault(folder: Path, text: str | bytes) -> str:
    """The message about a table, without the path that each line of it begins with."""
    path = write(folder, text)
    with pytest.raises(AnnotationError) as error:
        read_interval_table(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return "\n".join(line.removeprefix(f"{path}: ") for line in lines)


def test_a_table(tmp_path: Path) -> None:
    rows = read(tmp_path, f"{HEADER}\nmonday.mp4,12.5,14,jump\nmonday.mp4,1:02,1:05.5,high jump\ntuesday,,,\n")
    assert contents(rows) == [
        ("monday.mp4", Instance(12.5, 14, "jump")),
        ("monday.mp4", Instance(62, 65.5, "high jump")),
        ("tuesday", None),
    ]
    assert [row.number for row in rows] == [2, 3, 4]
    assert rows[0].place("end") == "row 2, column 'end'"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_ways_to_write_one(tmp_path: Path, delimiter: str, newline: str, mark: str) -> None:
    lines = [HEADER, "a.mp4,1,2.5,jump", "", "größe.mp4,00:01:00,00:01:01,läuft", ",,,"]
    text = mark + newline.join(line.replace(",", delimiter) for line in lines)
    assert contents(read(tmp_path, text)) == [
        ("a.mp4", Instance(1, 2.5, "jump")),
        ("größe.mp4", Instance(60, 61, "läuft")),
    ]


@pytest.mark.parametrize(
    "header",
    [
        "label,end,start,video",
        "Action,Stop,Begin,File",
        "CLASS,t-end,t-start,video_id",
        " name , End Time , Start_Time , File Name ",
        "label,end (s),start [seconds],Video-ID",
        "event,to,from,path",
    ],
)
def test_names_and_order_of_columns(tmp_path: Path, header: str) -> None:
    assert contents(read(tmp_path, f"{header}\njump,2,1,a\n")) == [("a", Instance(1, 2, "jump"))]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_texts_that_say_what_they_are_written_in(tmp_path: Path, encoding: str) -> None:
    text = f"{HEADER}\ngröße.mp4,1,2,läuft\n".replace(",", "\t").encode(encoding)
    assert contents(read(tmp_path, text)) == [("größe.mp4", Instance(1, 2, "läuft"))]
    assert is_interval_table(tmp_path / "labels.csv")


def test_every_order_of_columns(tmp_path: Path) -> None:
    values = {"video": "a", "start": "1", "end": "2", "label": "jump", "note": "x"}
    for order in itertools.permutations(values):
        rows = read(tmp_path, ",".join(order) + "\n" + ",".join(values[name] for name in order))
        assert contents(rows) == [("a", Instance(1, 2, "jump"))]


def test_a_column_of_its_own_name_goes_before_others_for_it(tmp_path: Path) -> None:
    rows = read(tmp_path, "name,video,start,end,label,event\nBob,a,1,2,jump,final\n")
    assert contents(rows) == [("a", Instance(1, 2, "jump"))]


def test_decimal_commas(tmp_path: Path) -> None:
    text = "video;start;end;label\na;1,5;2,25;jump\na;0:03,5;0:04.5;run, then jump\n"
    assert contents(read(tmp_path, text)) == [
        ("a", Instance(1.5, 2.25, "jump")),
        ("a", Instance(3.5, 4.5, "run, then jump")),
    ]


def test_decimals_with_other_separators(tmp_path: Path) -> None:
    message = fault(tmp_path, "video;start;end;label\na;1.000,5;2.000,5;jump\n")
    assert message == "row 2, column 'start': '1.000,5' is no time; it has to be in seconds, or mm:ss, or hh:mm:ss"


def test_quoted_fields(tmp_path: Path) -> None:
    text = f'{HEADER}\n"a, b.mp4",1,2,"says ""hop"""\n"two\nlines.mp4",3,4,jump\nc,5,x,jump\n'
    path = write(tmp_path, text)
    with pytest.raises(AnnotationError, match=r"row 4, column 'end': 'x' is no time"):
        read_interval_table(path)
    path.write_text(text.replace("c,5,x", "c,5,6"))
    assert contents(read_interval_table(path))[:2] == [
        ("a, b.mp4", Instance(1, 2, 'says "hop"')),
        ("two\nlines.mp4", Instance(3, 4, "jump")),
    ]


def test_rows_are_numbered_as_in_a_spreadsheet(tmp_path: Path) -> None:
    rows = read(tmp_path, f"\n\n{HEADER}\n\na,1,2,jump\n,,,\n   \na,3,4,jump")
    assert [row.number for row in rows] == [5, 8]


def test_rows_may_end_early_and_have_more_blanks(tmp_path: Path) -> None:
    assert contents(read(tmp_path, f"{HEADER}\na\nb,,\nc,1,2,jump,,\n")) == [
        ("a", None),
        ("b", None),
        ("c", Instance(1, 2, "jump")),
    ]


def test_the_separator_may_be_stated(tmp_path: Path) -> None:
    rows = read(tmp_path, "sep=;\r\nvideo;start;end;label\r\na;1;2;jump\r\n")
    assert contents(rows) == [("a", Instance(1, 2, "jump"))]
    assert rows[0].number == 3


def test_blanks_of_a_label_are_kept_for_a_warning(tmp_path: Path) -> None:
    (row,) = read(tmp_path, f"{HEADER}\n a , 1 , 2 , high  jump \n")
    assert (row.video, row.instance) == ("a", Instance(1, 2, " high  jump "))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",1,2,jump", "row 2, column 'video': is empty; every row has to name its video"),
        ("a,1,2,", "row 2, column 'label': is empty; say what happens, or if nothing does, leave start and end empty"),
        ("a,,2,jump", "row 2, column 'start': is empty; a time is in seconds, or mm:ss, or hh:mm:ss"),
        ("a,1,,jump", "row 2, column 'end': is empty; a time is"),
        ("a,2,1,jump", "row 2, column 'end': '1': 'jump' from 2 to 1 ends before it starts; correct one of the two"),
        ("a,1:00,60,jump", "row 2, column 'end': '60': 'jump' from 1:00 to 60 has no length; correct one of the two"),
        ("a,-1,2,jump", "row 2, column 'start': '-1' is negative; times are counted from the beginning of the video"),
        ("a,\u22121.5,2,jump", "row 2, column 'start': '\u22121.5' is negative"),
        ("a,x,2,jump", "row 2, column 'start': 'x' is no time; it has to be in seconds, or mm:ss, or hh:mm:ss"),
        ("a,1 s,2,jump", "row 2, column 'start': '1 s' is no time"),
        ("a,nan,2,jump", "row 2, column 'start': 'nan' is no time"),
        ("a,1,inf,jump", "row 2, column 'end': 'inf' is no time"),
        ("a,1e0,2,jump", "row 2, column 'start': '1e0' is no time"),
        ("a,1_0,20,jump", "row 2, column 'start': '1_0' is no time"),
        ("a,\u0661,2,jump", "row 2, column 'start': '\u0661' is no time"),
        ("a,1,0:75,jump", "row 2, column 'end': '0:75' is no time: minutes and seconds after a colon have to be below"),
        ("a,1,1:60:00,jump", "row 2, column 'end': '1:60:00' is no time: minutes and seconds"),
        ("a,1,0:0:1:12,jump", "row 2, column 'end': '0:0:1:12' is no time; it has to be"),
        ("a,1,1.5:00,jump", "row 2, column 'end': '1.5:00' is no time; it has to be"),
        ("a,1,:30,jump", "row 2, column 'end': ':30' is no time; it has to be"),
        ('a,"1,5",2,jump', "row 2, column 'start': '1,5' is no time; it has to be in seconds, or mm:ss, or hh:mm:ss; "),
        (f"a,1,{'9' * 400},jump", "row 2, column 'end': '999999999999...9999999999999' is no time: it is too large"),
        (
            f"a,1,{'9' * 5000}:00,jump",
            "row 2, column 'end': '999999999999...9999999999:00' is no time: it is too large",
        ),
        (
            'a,1,2,"jump\nb,3,4,run"',
            "row 2, column 'label': 'jump\\nb,3,4,run' is too long for a label, or has several",
        ),
        (f"a,1,2,{'x' * 201}", "row 2, column 'label': 'xxxxxxxxxxxx...xxxxxxxxxxxxx' is too long for a label, or has"),
        (
            "a,1,2,ju\x1b[31mmp",
            "row 2, column 'label': 'ju\\x1b[31mmp' has characters that cannot be printed; write it",
        ),
        ("a,1,2,run, jump", "row 2: 5 values, but there are 4 columns; put text with a separator in it in quotes"),
    ],
)
def test_rows_that_cannot_be_meant(tmp_path: Path, row: str, message: str) -> None:
    assert fault(tmp_path, f"{HEADER}\n{row}\n").startswith(message)


def test_columns_are_called_as_in_the_file(tmp_path: Path) -> None:
    assert fault(tmp_path, "File;Begin;Stop;Action\na;1,x;2;jump").startswith("row 2, column 'Begin': '1,x' is no time")


def test_several_faults_are_shown_together(tmp_path: Path) -> None:
    rows = [f"a,{i},{i},jump" for i in range(1, 9)]
    *shown, last = fault(tmp_path, "\n".join([HEADER, "b,1,2,jump", *rows])).splitlines()
    assert [line.split(":")[0] for line in shown] == [f"row {i}, column 'end'" for i in range(3, 8)]
    assert last == "and 3 more like these"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; the first row has to name the columns video,start,end,label"),
        (" \n,,\n", "empty; the first row has to name the columns"),
        ("a.mp4,1,2,jump\n", "no column 'video' in the first row, which is 'a.mp4', '1', '2', 'jump' (separated by "),
        ("video,start,end\n", "no column 'label' in the first row, which is 'video', 'start', 'end' (separated by com"),
        ("video;start;label\n", "no column 'end' in the first row, which is 'video', 'start', 'label' (separated by s"),
        ("video,begin,start time,end,label\n", "more than one column for 'start': 'begin', 'start time'; rename the"),
        ("video,start,end,label,Label\n", "more than one column for 'label': 'label', 'Label'; rename the others"),
        (f'{HEADER}\na,1,2,"jump\n', "row 2 cannot be read (unexpected end of data); is a quotation mark without its"),
        (f'{HEADER}\na,1,2,"jump" high\n', "row 2 cannot be read (',' expected after '\"'); is a quotation mark"),
        (b"video,start,end,label\na,1,2,l\xe4uft\n", "not UTF-8 text (invalid continuation byte at byte 29); save it"),
        ("x" * 200_000, "row 1 cannot be read (field larger than field limit (131072)); is"),
        (f"{HEADER}\na,1,2,ju\0mp\n", "has zero bytes in it"),
        ((HEADER + "\na,1,2,jump\n").encode("utf-16")[:-1], "not UTF-8 text (truncated data at byte"),
        ((HEADER + "\na,1,2,jump\n").encode("utf-16-le"), "has zero bytes in it, as no text has; save it again as CSV"),
        (b"PK\x03\x04\x14\0", "is an archive, such as a workbook; save the table in it as CSV in UTF-8"),
    ],
)
def test_files_that_are_no_table(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert fault(tmp_path, text).startswith(message)


def test_whether_a_file_is_a_table_is_seen_by_its_columns(tmp_path: Path) -> None:
    assert is_interval_table(write(tmp_path, f"\n{HEADER}\na,x,y\n"))
    assert is_interval_table(write(tmp_path, "sep=;\r\nFile;Begin;Stop;Action\r\n"))
    assert is_interval_table(write(tmp_path, f"{HEADER}\na,1,2,l".encode() + b"\xe4uft\n"))  # its reader says more
    assert is_interval_table(write(tmp_path, " " * 50_000 + f"\n{HEADER}\n" + "a,1,2,jump\n" * 50_000))
    for text in ("", "video,start,end", "a.mp4,1,2,jump", "x" * 200_000, " " * 200_000, b"\xff\xfe"):
        assert not is_interval_table(write(tmp_path, text))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="there is no such file"):
        read_interval_table(tmp_path / "labels.csv")
    assert not is_interval_table(tmp_path / "labels.csv")


def test_detections_are_no_table_of_labels(tmp_path: Path) -> None:
    assert is_interval_table(write(tmp_path, HEADER))
    assert not is_interval_table(write(tmp_path, "video,start,end,label,score"))


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.getbasetemp(), b"video,start,end,label\n" + content, "any.csv")
    rows: list[Row] = []
    with suppress(AnnotationError):
        rows = read_interval_table(path)
    for row in rows:
        assert row.video
        assert row.instance is None or 0 <= row.instance.start < row.instance.end < float("inf")


@given(
    st.lists(st.tuples(st.text(max_size=8), st.integers(0, 10**7), st.integers(1, 10**7), st.text(max_size=8))),
    st.sampled_from(",;\t"),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, int, int, str]], delimiter: str
) -> None:
    table = [row for row in table if row[0].strip() and "\0" not in row[0] and row[3].strip() and row[3].isprintable()]
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow(HEADER.split(","))
    writer.writerows((video, start / 1000, (start + length) / 1000, label) for video, start, length, label in table)
    rows = read(tmp_path_factory.getbasetemp(), text.getvalue())
    assert contents(rows) == [
        (video.strip(), Instance(start / 1000, (start + length) / 1000, label)) for video, start, length, label in table
    ]


@given(st.integers(0, 400), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_times(hours: int, minutes: int, rest: int, thousandths: int) -> None:
    expected = hours * 3600 + minutes * 60 + rest + thousandths / 1000
    end = f"{rest:02}.{thousandths:03}"
    assert seconds(f"{hours}:{minutes:02}:{end}") == pytest.approx(expected)
    assert seconds(f"{hours * 60 + minutes}:{end}") == pytest.approx(expected)
    assert seconds(f"{hours * 3600 + minutes * 60 + rest}.{thousandths:03}") == pytest.approx(expected)
    assert seconds(f"{hours}:{minutes}:{end}".replace(".", ","), decimal_comma=True) == pytest.approx(expected)


@pytest.mark.parametrize(("text", "expected"), [("5.", 5), (".5", 0.5), ("0", 0), ("90:00", 5400), ("007", 7)])
def test_unusual_times(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("start (ms)", "End [milliseconds]", (1.234, 2.5)),
        ("start_ms", "end.msec", (1.234, 2.5)),
        ("t-start min", "t-end min", (74_040.0, 150_000.0)),
        ("onset (h)", "offset (hours)", (4_442_400.0, 9_000_000.0)),
        ("start (\u00b5s)", "end_us", (0.001234, 0.0025)),
        ("start (s)", "end_sec", (1234.0, 2500.0)),
        ("start (HH:MM:SS.mmm)", "end (mm:ss)", (1234.0, 2500.0)),
    ],
)
def test_units_of_times(tmp_path: Path, start: str, end: str, expected: tuple[float, float]) -> None:
    rows = read(tmp_path, f"video,{start},{end},label\na.mp4,1234,2500,jump\n")
    assert contents(rows) == [("a.mp4", Instance(*expected, "jump"))]


@pytest.mark.parametrize(
    ("column", "time", "message"),
    [
        (
            "start (samples)",
            "1",
            "column 'start (samples)' is in 'samples', which is no unit of time here",
        ),
        ("start (frames)", "1", "column 'start (frames)' counts frames; `untrimmed convert --rate` makes a table"),
        (
            "start (ms)",
            "0:01",
            "row 2, column 'start (ms)': '0:01' has colons, but its column says",
        ),
    ],
)
def test_units_that_cannot_be(tmp_path: Path, column: str, time: str, message: str) -> None:
    assert fault(tmp_path, f"video,{column},end,label\na.mp4,{time},2,jump\n").startswith(message)


@pytest.mark.parametrize("name", ["t_end", "end", "class_name", "event", "Stop Time", "label"])
def test_names_without_a_unit(name: str) -> None:
    assert unit_of(name) == ""
    assert plain_name(name) == "".join(character for character in name.lower() if character.isalpha())
