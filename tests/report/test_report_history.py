from __future__ import annotations

from pathlib import Path

import pytest

from untrimmed.report.history import History, read_history


def test_a_metrics_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,loss,mAP\n1,5,1.5,\n2,10,0.7,0.25\n")
    history = read_history(path)
    assert history.epochs == (1, 2)
    assert history.columns == {"step": (5, 10), "loss": (1.5, 0.7), "mAP": (None, 0.25)}


@pytest.mark.parametrize(
    "content",
    [None, b"", b"epoch,loss\n", b"\xff\xfe\x00", b"loss\n1\n", b"epoch\nnan\n", b"\x00" * 100, b'"unclosed\n1,2'],
)
def test_what_is_no_metrics_file_is_left_out(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "metrics.csv"
    if content is not None:
        path.write_bytes(content)
    assert read_history(path) == History()


def test_rows_that_are_damaged(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,loss\n1,0.5,9,9\nwhat,0.4\n3\n4,inf\n5,0.2\n")
    history = read_history(path)
    assert history.epochs == (1, 3, 4, 5)
    assert history.columns["loss"] == (0.5, None, None, 0.2)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert read_history(tmp_path) == History()
