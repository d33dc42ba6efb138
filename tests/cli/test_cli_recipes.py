from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from command_line import refused, run

from untrimmed.experiment.config import load_config, recipe_names, recipe_text
from untrimmed.settings import dump


def test_list() -> None:
    outcome = run("recipes")
    assert (outcome.code, outcome.err) == (0, "")
    for name in recipe_names():
        assert f"│ {name} " in outcome.out
    assert "THUMOS14 on two-stream I3D features" in outcome.out


def test_list_as_json() -> None:
    outcome = run("recipes", "--json")
    assert outcome.json == {name: load_config(name).description for name in recipe_names()}


@pytest.mark.parametrize("name", recipe_names())
def test_one_as_it_is_written(name: str) -> None:
    outcome = run("recipes", name)
    assert (outcome.code, outcome.out.rstrip("\n")) == (0, recipe_text(name).rstrip("\n"))
    assert outcome.out.startswith("# ")


@pytest.mark.parametrize("name", recipe_names())
def test_one_in_full(name: str, tmp_path: Path) -> None:
    outcome = run("recipes", name, "--full")
    assert outcome.code == 0
    path = tmp_path / "my.yaml"
    path.write_text(outcome.out)
    assert dump(load_config(str(path))) == dump(load_config(name))
    assert "focal_alpha: 0.25" in outcome.out


def test_one_as_json() -> None:
    assert run("recipes", "sbhar", "--json").json == dump(load_config("sbhar"))


def test_a_recipe_begins_a_configuration_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(run("recipes", "timed_up_and_go").out)
    assert yaml.safe_load(path.read_text())["model"]["width"] == 128
    outcome = run("check", path)  # its data ship with the package
    assert outcome.code == 0


def test_unknown_recipe() -> None:
    line = refused("recipes", "sbhr", code=2)
    assert line.startswith("'sbhr' is neither a recipe nor a .yaml file; did you mean 'sbhar'?")


def test_full_is_of_one() -> None:
    assert refused("recipes", "--full", code=2).startswith("--full has an effect on one recipe only: name it")
