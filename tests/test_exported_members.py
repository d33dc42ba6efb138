from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import untrimmed

MODULES = ["untrimmed", *(info.name for info in pkgutil.walk_packages(untrimmed.__path__, "untrimmed."))]
WITHOUT_TORCH = [
    name
    for name in MODULES
    if name == "untrimmed"
    or name.startswith(("untrimmed.evaluation", "untrimmed.data.formats", "untrimmed.data.check"))
    or name in ("untrimmed.data.annotations", "untrimmed.data.detections", "untrimmed.data.files")
]


@pytest.mark.parametrize("name", MODULES)
def test_exported_names_are_sorted_and_importable(name: str) -> None:
    if name.endswith("__main__"):
        pytest.skip("importing it runs it")
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert list(exported) == sorted(exported)
    for member in exported:
        assert getattr(module, member) is not None


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'untrimmed' has no attribute 'Locliser'"):
        untrimmed.Locliser  # noqa: B018


def test_exported_names_are_listed() -> None:
    assert set(untrimmed.__all__) <= set(dir(untrimmed))


def test_these_modules_do_not_import_torch() -> None:
    code = (
        f"import sys, importlib; [importlib.import_module(n) for n in {WITHOUT_TORCH}]; print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "False", result.stderr
