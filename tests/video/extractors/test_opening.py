from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from untrimmed.errors import ConfigError, ModelError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors import default, hub, i3d, r2plus1d, slowfast
from untrimmed.video.extractors.opening import EXTRACTORS, open_extractor

MODULE = """
from pathlib import Path
from helper import DIMENSION  # beside it
import numpy as np
from untrimmed.video.extractors.extractor import Extractor
from untrimmed.video.extractors.function import FunctionExtractor

Path("trace").touch()

def make(stride=2, rate=10, device="none", precision="none"):
    means = lambda clips: clips.mean(axis=(1, 2, 3))
    made = FunctionExtractor(
        means, name="mine", dimension=DIMENSION, frames=4, stride=int(stride), rate=rate, height=6, width=6
    )
    made.asked = device, precision
    return made

def plain():
    return make()

def takes_anything(**options):
    return make(**options)

def needs(something):
    return make()

def fails():
    raise KeyError("nothing there")

def refuses():
    from untrimmed.errors import ModelError
    raise ModelError("no weights here")

class Unnameable(Extractor):
    name = property(lambda self: "mine")
    features = None

made = make()
number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with a user's module in it."""
    (tmp_path / "my_module.py").write_text(MODULE)
    (tmp_path / "helper.py").write_text("DIMENSION = 3")
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "lacks.py").write_text("import not_installed_anywhere")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name in ("my_module", "helper", "broken", "lacks"):
            del sys.modules[name]


class Called:
    """Stands for an extractor's class, and shows what it was made with."""

    def __init__(self, *words: Any, **options: Any) -> None:
        self.words, self.options = words, options


@pytest.mark.parametrize(
    ("name", "module", "attribute", "words", "extra"),
    [
        ("default", default, "DefaultExtractor", (), {"parts": "both"}),
        ("default-appearance", default, "DefaultExtractor", (), {"parts": "appearance"}),
        ("default-motion", default, "DefaultExtractor", (), {"parts": "motion"}),
        ("hf:OWNER/NAME", hub, "open_hub_extractor", ("OWNER/NAME",), {}),
        ("i3d:rgb.pt", i3d, "I3DExtractor", (Path("rgb.pt"),), {}),
        ("i3d-flow:C:/flow.pt", i3d, "I3DFlowExtractor", (Path("C:/flow.pt"),), {}),
        ("slowfast:x.pyth", slowfast, "SlowFastExtractor", (Path("x.pyth"),), {}),
        ("r2plus1d:x.pth", r2plus1d, "R2Plus1DExtractor", (Path("x.pth"),), {}),
    ],
)
def test_names(
    monkeypatch: pytest.MonkeyPatch, name: str, module: Any, attribute: str, words: tuple[Any, ...], extra: Any
) -> None:
    monkeypatch.setattr(module, attribute, Called)
    made: Any = open_extractor(name, stride=8, rate=7.5, device="cpu", precision="bf16")
    assert made.words == words
    assert made.options == {"stride": 8, "window": None, "rate": 7.5, "device": "cpu", "precision": "bf16", **extra}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("defualt", "there is no extractor 'defualt'; did you mean default[?] There are default, default-app"),
        ("slowfats:x", "did you mean slowfast:WEIGHTS[?]"),
        ("hf:", "it is written hf:NAME-OR-FOLDER. There are"),
        ("i3d", "it is written i3d:WEIGHTS"),
        ("default:x", "it is written default. There are"),
        ("", "there is no extractor ''; see docs/extractors.md. There are"),
        ("???", "see docs/extractors.md"),
        ("rgb.pt", "a file of weights is written i3d:rgb.pt"),
        ("model", "a folder with a model is written hf:model"),
    ],
)
def test_unknown_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    (tmp_path / "rgb.pt").touch()
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message) as caught:
        open_extractor(name)
    assert all(form in str(caught.value) for form in EXTRACTORS)


@pytest.mark.parametrize("kind", ["i3d", "i3d-flow", "slowfast", "r2plus1d"])
def test_weights_that_are_not_there(kind: str) -> None:
    with pytest.raises(ModelError, match=r"no-such.pt: there is no such file of weights"):
        open_extractor(f"{kind}:no-such.pt")


# The user's own


@pytest.mark.parametrize("attribute", ["made", "make", "plain", "takes_anything"])
def test_python(folder: Path, attribute: str) -> None:
    extractor = open_extractor(f"python:my_module:{attribute}", trust_python=True)
    assert extractor.name == f"python:my_module:{attribute}"  # so that it can be made again
    assert extractor.description.extractor == extractor.name
    frames = [(np.full((6, 6, 3), i, np.uint8),) for i in range(6)]
    assert np.concatenate(list(extractor.features(frames)))[:, 0].tolist() == [1.5, 3.5]


def test_python_is_only_followed_when_trusted(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"runs code of yours, .* say so: --extractor python:my_module:make$"):
        open_extractor("python:my_module:make")
    assert not (folder / "trace").exists()
    assert "my_module" not in sys.modules


@pytest.mark.parametrize("attribute", ["make", "takes_anything"])
def test_python_gets_the_options(folder: Path, attribute: str) -> None:
    options: dict[str, Any] = {"stride": 3, "rate": 20, "device": "cpu", "precision": "bf16"}
    extractor: Any = open_extractor(f"python:my_module:{attribute}", **options, trust_python=True)
    assert extractor.grid == TimeGrid(3, 4, 20)
    assert extractor.asked == ("cpu", "bf16")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("python", {}, "expected python:MODULE:ATTRIBUTE, such as python:my_module:my_extractor"),
        ("python:my_module", {}, "expected python:MODULE:ATTRIBUTE"),
        ("python:my_module:", {}, "expected python:MODULE:ATTRIBUTE"),
        ("python:my_module.py:make", {}, "there is no module 'my_module.py'"),
        ("python:a:b:c", {}, "expected python:MODULE:ATTRIBUTE"),
        ("python:nowhere:make", {}, "there is no module 'nowhere', neither in .* nor installed"),
        ("python:nowhere.deep:make", {}, "there is no module 'nowhere'"),
        ("python:..evil:make", {}, "importing ..evil raised"),
        ("python:my_module:mkae", {}, "my_module has no 'mkae'. Correct either"),
        ("python:my_module:number", {}, "expected an Extractor, or a function that returns one, but it is a int"),
        ("python:my_module:made", {"stride": 3}, "stride cannot be set, because it is made already"),
        ("python:my_module:plain", {"stride": 3, "rate": 5}, "the function takes no stride and no rate. Leave it out"),
        ("python:my_module:make", {"window": 3}, "the function takes no window"),
        ("python:my_module:needs", {}, "calling it raised TypeError: needs.. missing 1 required"),
        ("python:my_module:fails", {}, "calling it raised KeyError: 'nothing there'"),
        ("python:my_module:Unnameable", {}, "giving it this name raised AttributeError"),
        ("python:broken:make", {}, "importing broken raised ZeroDivisionError: division by zero"),
        ("python:lacks:make", {}, "importing lacks raised ModuleNotFoundError: No module named 'not_installed"),
    ],
)
def test_python_that_does_not_work(folder: Path, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_extractor(name, **options, trust_python=True)
    assert str(caught.value).startswith(f"extractor {name!r}")
    assert "\n" not in str(caught.value)


DOCS = Path(__file__).parents[3] / "docs" / "extractors.md"


def test_the_example_in_the_documentation(folder: Path) -> None:
    (block,) = [part for part in DOCS.read_text().split("```python\n") if part.startswith("# my_module.py")]
    (folder / "my_module.py").write_text(block.partition("```")[0])
    extractor = open_extractor("python:my_module:make", stride=4, trust_python=True)
    assert extractor.grid == TimeGrid(4, 16, 15)
    frames = [(np.full((112, 112, 3), i, np.uint8),) for i in range(20)]
    assert np.concatenate(list(extractor.features(frames)))[:, 2].tolist() == [7.5, 11.5]


def test_every_extractor_is_in_the_documentation() -> None:
    text = DOCS.read_text()
    assert [form for form in EXTRACTORS if f"`{form}`" not in text] == []


def test_errors_that_are_clear_already_pass(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"^no weights here$"):
        open_extractor("python:my_module:refuses", trust_python=True)


def test_weights_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ModelError, match=f"^{tmp_path}/x.pt: there is no such file"):
        open_extractor("i3d:~/x.pt")
    for name in ("i3d:~no-such-user/x.pt", "hf:~no-such-user/x", "i3d:x\0"):
        with pytest.raises(ModelError):
            open_extractor(name)


def test_a_name_finds_the_same_weights_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = i3d.I3D(3).state_dict()
    monkeypatch.setattr(i3d, "_RENAMING", [])  # the file has our names, for once
    torch.save(theirs, tmp_path / "x.pth")
    monkeypatch.chdir(tmp_path)
    first = open_extractor("i3d:x.pth", stride=8)
    monkeypatch.chdir("/")
    again = open_extractor(first.name, stride=8)
    assert first.name == again.name
    assert first.fingerprint == again.fingerprint
