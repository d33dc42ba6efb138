"""The command `untrimmed`: one module for each of its commands, imported when it is run."""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from untrimmed import __version__
from untrimmed.errors import ConfigError, UntrimmedError

app = App(
    name="untrimmed",
    version=__version__,
    help="Find when actions happen in long, untrimmed video.",
    help_epilogue="Try it: `untrimmed demo`. Every command has --help with an example.",
)
for _name, _help in {
    "demo": "Train, score and use a model on recordings that ship with the package.",
    "check": "Say what is wrong with a data set, before training.",
    "train": "Train a localizer.",
    "evaluate": "Score a model, or a file of detections.",
    "detect": "Detect actions in recordings.",
    "recipes": "List ready configurations, or print one.",
    "import-official": "Make a model of an official ActionFormer checkpoint.",
}.items():
    _function = _name.replace("-", "_")
    app.command(f"untrimmed.cli.{_function}:{_function}", name=_name, help=_help)


def main(words: list[str] | None = None) -> None:
    """Run a command and exit: 0 if all of it worked, 2 for wrong usage, 1 for failures, 130 if interrupted.

    A mistake of the user's is said in a line or two, without a traceback.
    """
    try:
        app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(str(error).strip(), code=2)
    except ConfigError as error:
        _fail(str(error), code=2)
    except UntrimmedError as error:
        _fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _fail(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        _fail("interrupted", code=130)


def _fail(message: str, code: int = 1) -> None:
    print(f"untrimmed: {message}", file=sys.stderr)
    sys.exit(code)
