"""What docs/your-own-videos.md says, done as it says it, in order and in one folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from making_videos import Picture, make_video
from untrimmed.cli import COMMANDS, app, main
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.experiment.config import load_config, parse_options
from untrimmed.video.reading.reader import probe

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "your-own-videos.md"
TEXT = PAGE.read_text(encoding="utf-8")
SHORTER = ["--training.epochs", "1", "--training.warmup_epochs", "1", "--training.validate_every", "1"]
"""What is added to `untrimmed train`, and to nothing else."""
RATE = 10


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """The words of every command that stands in a block."""
    return [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]


def moving(seconds: float, seed: int) -> Iterator[Picture]:
    """Pictures of a square that wanders about."""
    random = np.random.default_rng(seed)
    y, x = 10.0, 10.0
    for _ in range(round(seconds * RATE)):
        y, x = (y + random.normal(0, 3)) % 36, (x + random.normal(0, 3)) % 52
        picture = np.full((48, 64, 3), 90, np.uint8)
        picture[int(y) : int(y) + 12, int(x) : int(x) + 12] = (230, 180, 40)
        yield picture


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the table of the page, the videos that it names, and a new one."""
    monkeypatch.chdir(tmp_path)
    (table,) = blocks("csv")
    Path("labels.csv").write_text(table, encoding="utf-8")
    Path("videos").mkdir()
    names = list(dict.fromkeys(line.split(",")[0] for line in table.splitlines()[1:]))
    assert len(names) == 6
    for seed, name in enumerate(names):
        make_video(Path("videos", name), moving(6, seed), rate=RATE)
    make_video(Path("new.mp4"), moving(3, 100), rate=RATE)
    return tmp_path


def done(words: list[str]) -> str:
    """Run a command, which has to succeed; returns what it prints."""
    assert words[0] == "untrimmed"
    out = StringIO()
    with redirect_stdout(out), pytest.raises(SystemExit) as end:
        main([*words[1:], *(SHORTER if words[1] == "train" else [])])
    assert end.value.code == 0, f"{shlex.join(words)}\n{out.getvalue()}"
    return out.getvalue()


@pytest.mark.usefixtures("one_thread")
def test_the_page_from_top_to_bottom(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install, *rest = commands()
    assert install == ["pip", "install", "."]
    assert [words[1] for words in rest][:6] == ["init", "extract", "check", "train", "report", "evaluate"]
    printed = {shlex.join(words): done(words) for words in rest}
    assert "Traceback" not in capsys.readouterr().err

    planned = printed["untrimmed init videos"]
    (shown,) = blocks("text")
    assert planned.startswith(shown)
    suggested = [shlex.split(line) for line in planned.splitlines() if line.startswith("  untrimmed ")]
    assert [words for words in suggested if words[1] != "detect"] == rest[1:5]
    assert "0 errors" in printed["untrimmed check untrimmed.yaml"]
    for path in ("runs/mine/report.html", "runs/mine/best/config.yaml", "finer/runs/mine/model.safetensors"):
        assert Path(path).is_file()
    assert load_config("finer/untrimmed.yaml").data.features == Path("finer/features")
    assert list(read_detections("new.csv", ("jump", "throw"))) == ["new"]
    assert Path("new.vtt").read_text(encoding="utf-8").startswith("WEBVTT")
    assert probe(Path("new-seen.mp4")).duration == pytest.approx(3, abs=1 / RATE)
    assert "sigma: 0.4" in Path("runs/mine/config.yaml").read_text(encoding="utf-8")

    (program,) = blocks("python")
    exec(compile(program, str(PAGE), "exec"), {})


@pytest.mark.parametrize("command", re.findall(r"`(untrimmed [^`]*)`", TEXT))
def test_commands_within_the_text_are_understood(command: str, tmp_path: Path) -> None:
    _, name, *words = shlex.split(command)
    assert name in COMMANDS
    if not words:
        return
    app.parse_args([name, *words], exit_on_error=False, print_error=False)
    settings = [word for word in words if re.fullmatch(r"--\w+\.[\w.]+", word)]
    (tmp_path / "x.yaml").write_text("{}")
    options = parse_options([word for key in settings for word in (key, words[words.index(key) + 1])])
    load_config(str(tmp_path / "x.yaml"), options)


@pytest.mark.parametrize("setting", re.findall(r"`(--\w+\.[^`]*)`", TEXT))
def test_settings_within_the_text_are_understood(setting: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("{}")
    load_config(str(tmp_path / "x.yaml"), parse_options(setting.split()))


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (DOCS / link).is_file(), link
