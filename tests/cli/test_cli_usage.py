from __future__ import annotations

import os
import subprocess
import sys

import pytest
from command_line import PROGRAM, refused, run

import untrimmed
from untrimmed.cli import COMMANDS


def test_help_lists_every_command_in_order() -> None:
    for words in ([], ["--help"]):
        outcome = run(*words)
        assert (outcome.code, outcome.err) == (0, "")
        assert "Find when actions happen in long, untrimmed video." in outcome.out
        places = [outcome.out.index(f"│ {name} ") for name in COMMANDS]
        assert places == sorted(places)
        assert "Try untrimmed demo. Every command has --help, with an example." in outcome.out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_every_command_has_an_example(command: str, flag: str) -> None:
    outcome = run(command, flag)
    assert (outcome.code, outcome.err) == (0, "")
    text = " ".join(outcome.out.split())
    assert f"Usage: untrimmed {command} " in text
    assert f"Example: untrimmed {command}" in text or f"Examples: untrimmed {command}" in text
    assert "--no-" not in text


def test_version() -> None:
    outcome = run("--version")
    assert (outcome.code, outcome.out.strip()) == (0, untrimmed.__version__)


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["detct"], ['Unknown command "detct"', 'Did you mean "detect"?', "Run `untrimmed --help`"]),
        (["train"], ["CONFIG requires an argument", "Run `untrimmed train --help`"]),
        (["train", "timed_up_and_go"], ["--out requires an argument", "Run `untrimmed train --help`"]),
        (["detect", "model"], ["PATH requires an argument", "Run `untrimmed detect --help`"]),
        (["detect", "a", "b", "--top", "many"], ['"many"', "--top", "int"]),
        (["detect", "a", "b", "--precision", "fp8"], ['"fp8"', "--precision", '"auto", "fp32", "bf16"']),
        (["evaluate", "--nonsense"], ["Unknown option: --nonsense.", "Run `untrimmed evaluate --help`"]),
        (["demo", "now"], ["'now' is too much. Run `untrimmed demo --help`"]),
    ],
)
def test_wrong_usage(words: list[str], messages: list[str]) -> None:
    line = refused(*words, code=2)
    for message in messages:
        assert message in line


def test_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr("untrimmed.cli.recipes.recipe_names", interrupt)
    assert refused("recipes", code=130) == "interrupted"


def test_error_of_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("untrimmed.cli.recipes.recipe_names", full)
    assert refused("recipes", code=1) == "No space left on device"


def test_faults_of_ours_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> list[str]:
        raise OSError("not even a number")

    monkeypatch.setattr("untrimmed.cli.recipes.recipe_names", broken)
    with pytest.raises(OSError, match="not even a number"):
        run("recipes")


# As a program of its own


def test_help_needs_no_torch() -> None:
    code = "import sys; sys.argv = ['untrimmed', '--help']; from untrimmed.cli import main\ntry: main()\n"
    code += "finally: assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_reader_that_has_seen_enough() -> None:
    with subprocess.Popen(
        [PROGRAM, "recipes", "sbhar", "--full"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
