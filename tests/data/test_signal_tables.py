from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.inputs import InputConfig
from untrimmed.data.signals.table import channel_names, read_table
from untrimmed.data.signals.time_column import unit_of
from untrimmed.errors import FeatureError, MissingExtraError


def config(**settings: Any) -> InputConfig:
    return InputConfig(**{"kind": "signals", "stride": 1, "window": 2, "rate": 10, **settings})


def problem(path: Path, channels: list[str] | None = None, **settings: Any) -> str:
    with pytest.raises(FeatureError) as error:
        read_table(path, config(**settings), channels)
    message = str(error.value)
    assert message.startswith(str(path)), message
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def written(folder: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# What is read


@given(
    samples=st.integers(1, 20),
    delimiter=st.sampled_from(",;\t"),
    quoted=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
    mark=st.booleans(),
    index=st.booleans(),
)
def test_what_was_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    samples: int,
    delimiter: str,
    quoted: bool,
    ending: str,
    mark: bool,
    index: bool,
) -> None:
    values = np.random.default_rng(samples).normal(size=(samples, 3)).astype(np.float32)
    times = 100 + np.arange(samples) / 10
    quote = '"' if quoted else ""
    lines = [delimiter.join([*([""] if index else []), "x", "y", "time", "z"])]
    for number, (time, (x, y, z)) in enumerate(zip(times, values.tolist(), strict=True)):
        cells = [*([number] if index else []), x, y, time, z]
        lines.append(delimiter.join(f"{quote}{cell!r}{quote}" for cell in map(float, cells)))
    text = ("\ufeff" if mark else "") + ending.join(lines) + ending
    path = written(tmp_path_factory.mktemp("tables"), text)
    table = read_table(path, config())
    assert channel_names(path, config()) == ("x", "y", "z")
    np.testing.assert_array_equal(table.values, values)
    np.testing.assert_array_equal(table.times, times)
    np.testing.assert_array_equal(read_table(path, config(), ["z", "x"]).values, values[:, [2, 0]])
    assert table.values.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("time", ""),
        ("Timestamp", ""),
        ("t", ""),
        ("seconds", "s"),
        ("time_ms", "ms"),
        ("Time (s)", "s"),
        ("time [\u00b5s]", "us"),
        ("timestamp_ns", "ns"),
        ("seconds_elapsed", "s"),
        ("elapsed", ""),
        ("x", None),
        ("s", None),
        ("timer", None),
        ("temperature", None),
        ("lifetime_s", None),
        ("", None),
    ],
)
def test_names_of_time_columns(name: str, unit: str | None) -> None:
    assert unit_of(name) == unit


@pytest.mark.parametrize(
    ("header", "settings", "times", "channels"),
    [
        ("time_ms,x", {}, [0.0, 0.02], ("x",)),
        ("time,x", {"time_unit": "ms"}, [0.0, 0.02], ("x",)),
        ("x,Zeit", {"time_column": "x", "time_unit": "ns"}, [0.0, 2e-8], ("Zeit",)),
        ("time,x", {"time_column": "none"}, None, ("time", "x")),
        ("x,y", {}, None, ("x", "y")),
        ("time,seconds_elapsed,x", {}, [5.0, 6.0], ("x",)),  # the one that says its unit
    ],
)
def test_the_time_column(
    tmp_path: Path, header: str, settings: dict[str, Any], times: list[float] | None, channels: tuple[str, ...]
) -> None:
    rows = "0,5,1\n20,6,2\n" if header.count(",") == 2 else "0,5\n20,6\n"
    path = written(tmp_path, f"{header}\n{rows}")
    table = read_table(path, config(**settings))
    assert channel_names(path, config(**settings)) == channels
    if times is None:
        assert table.times is None
    else:
        np.testing.assert_allclose(table.times, times)


def test_columns_that_are_not_used_may_hold_anything(tmp_path: Path) -> None:
    path = written(tmp_path, 'time,x,label\n0,1,"a, b"\n1,2,\n')
    np.testing.assert_array_equal(read_table(path, config(), ["x"]).values, [[1], [2]])
    assert problem(path).startswith("line 2, column 'label': 'a, b' is not a number.")


# What is wrong


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the first line has to name the columns"),
        ("x,y\n", "there are no samples in the file"),
        ("1,2\n3,4\n", "the first line holds numbers, '1', '2', but has to name the columns"),
        ("x,y\n1,2\n3\n", "line 3 has 1 value, but the first line names 2 columns"),
        ("x,y\n1,2,3\n", "the first line names 2 columns, but the second has 3 values. Write decimal numbers with"),
        ("x,y\n1,2\n\n3,\n", "line 4, column 'y': there is no value. Remove such lines"),
        ("x,y\n1,2\n3,oops\n", "line 3, column 'y': 'oops' is not a number. Mend it, or name the columns to use"),
        ("x;y\n1;2,5\n", "line 2, column 'y': '2,5' is not a number. Write decimal numbers with a point"),
        ("x,y\n1,2\nnan,3\n", "row 2 of the samples, column 'x', is NaN or infinite, one of 1 such values"),
        ("x,y\n1,1e39\n2,3\n", "row 1 of the samples, column 'y', is NaN or infinite"),
        ("time,y\ninf,1\n2,3\n", "row 1 of the samples, column 'time', is NaN or infinite"),
        ("x,x\n1,2\n", "two columns are named 'x'"),
        ("time\n1\n", "no column holds samples; there are 'time'"),
        ("time,timestamp,x\n1,2,3\n", "the time may be any of 'time', 'timestamp'. Name the column by inputs.time_c"),
        (b"\xff\xfex\x00,\x00", "is not text in UTF-8"),
        (b"x,y\n1,2\n3,\xff\n", "is not text in UTF-8"),
        ("x" * 2**20, "a line has more than 1,048,576 characters"),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str | bytes, expected: str) -> None:
    message = problem(written(tmp_path, text))
    assert message.startswith(expected), message


def test_what_does_not_fit_the_settings(tmp_path: Path) -> None:
    path = written(tmp_path, "x,y\n1,2\n")
    assert problem(path, ["x", "z", "w"]) == "there is no channel 'z', 'w'; there are 'x', 'y'"
    assert problem(path, time_column="when").startswith("there is no column 'when', which inputs.time_column names")
    assert problem(tmp_path / "b.csv") == "there is no such file"


_CELLS = st.sampled_from(
    ["1", "-2.5", "1e3", "nan", "", "a", '"', "'", " 3 ", "1_0", "\x00", "é", "0x10", "1,5", "1e999"]
)
_NAMES = st.sampled_from(["x", "y", "time", "time_ms", "", '"', "1", "é", "t"])


@given(
    header=st.lists(_NAMES, max_size=4),
    rows=st.lists(st.lists(_CELLS, max_size=4), max_size=4),
    delimiter=st.sampled_from(",;\t "),
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    cut=st.integers(0, 60),
    noise=st.binary(max_size=2),
)
def test_any_text_is_an_array_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory,
    header: list[str],
    rows: list[list[str]],
    delimiter: str,
    ending: str,
    cut: int,
    noise: bytes,
) -> None:
    text = ending.join(delimiter.join(row) for row in [header, *rows]).encode()
    path = written(tmp_path_factory.mktemp("fuzz"), text[:cut] + noise + text[cut:])
    refused = ""
    try:
        table = read_table(path, config())
    except FeatureError as error:
        refused = str(error)
    if refused:
        assert refused.startswith(str(path))
        return
    assert np.isfinite(table.values).all()
    assert table.values.shape == (len(table.values), len(channel_names(path, config())))


# Parquet


def test_parquet_needs_an_extra(tmp_path: Path) -> None:
    with contextlib.suppress(ImportError):
        import pyarrow  # noqa: F401

        pytest.skip("pyarrow is installed")
    with pytest.raises(MissingExtraError, match=r"needs pyarrow, .* pip install 'untrimmed\[signals\]'"):
        read_table(written(tmp_path, "", "a.parquet"), config())


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    x, y = np.random.default_rng(0).normal(size=(2, 9)).astype(np.float32)
    when = np.datetime64("2024-05-01T12:00:00", "ns") + np.arange(9) * np.timedelta64(20, "ms")
    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"timestamp": when, "x": x, "label": ["a"] * 9, "y": y}), path, row_group_size=4)
    assert channel_names(path, config()) == ("x", "label", "y")
    table = read_table(path, config(), ["y", "x"])
    np.testing.assert_array_equal(table.values, np.column_stack([y, x]))
    assert table.times is not None
    np.testing.assert_allclose(np.diff(table.times), 0.02, atol=1e-6)
    assert "column 'label' holds string, not numbers" in problem(path)
    assert "cannot be read" in problem(written(tmp_path, b"PAR1xxxxPAR1", "b.parquet"))
    parquet.write_table(arrow.table({"x": [1.0, None]}), tmp_path / "c.parquet")
    assert "row 2 of the samples, column 'x', is NaN" in problem(tmp_path / "c.parquet")
    parquet.write_table(arrow.table({"x": x[:0]}), tmp_path / "d.parquet")
    assert "there are no samples" in problem(tmp_path / "d.parquet")
