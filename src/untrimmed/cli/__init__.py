"""The command `untrimmed`: one module for each of its commands, imported when it is run."""

from __future__ import annotations

import os
import sys

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from untrimmed import __version__
from untrimmed.errors import ConfigError, UntrimmedError

COMMANDS = {
    "demo": "Go the whole way, from videos that it draws to a page that shows what was found.",
    "init": "Make a configuration for your own videos and their table of labels.",
    "extract": "Make features of videos.",
    "recipes": "List ready configurations, or print one.",
    "check": "Say what is wrong with a data set, before training.",
    "split": "Split videos into subsets, with every class spread evenly.",
    "convert": "Convert annotations or detections to and from the formats of annotation tools.",
    "train": "Train a localizer.",
    "evaluate": "Score a model, or a file of detections.",
    "diagnose": "Say what is wrong with detections.",
    "combine": "Make detections of actions of those of verbs and nouns.",
    "submit": "Write detections as a benchmark's server takes them.",
    "check-submission": "Say why a benchmark's server would not take a file.",
    "calibrate": "Learn which detections of a model to believe.",
    "detect": "Detect actions in recordings.",
    "stream": "Detect actions in a camera, an address, or rows of numbers, while they come.",
    "serve": "Answer requests over HTTP: what actions there are in a video, or in features.",
    "report": "Write a page that shows what a run came to.",
    "export": "Make a form of a model that runs without this package.",
    "import-official": "Make a model of an official ActionFormer checkpoint.",
}
"""Names and what they do, in the order in which one meets them."""

app = App(
    name="untrimmed",
    version=__version__,
    help="Find when actions happen in long, untrimmed video.",
    help_epilogue="Try `untrimmed demo`. Every command has --help, with an example.",
    default_parameter=Parameter(negative=()),
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
for _number, (_name, _help) in enumerate(COMMANDS.items()):
    _function = _name.replace("-", "_")
    _path = f"untrimmed.cli.{_function}:{_function}"
    app.command(_path, name=_name, help=_help, sort_key=_number, help_epilogue="")


def main(words: list[str] | None = None) -> None:
    """Run a command and exit: 0 if all of it worked, 2 for wrong usage, 1 for failures, 130 if interrupted.

    A mistake of the user's is said in a line or two on stderr, without a traceback.
    """
    words = sys.argv[1:] if words is None else words
    command = words[0] if words and words[0] in COMMANDS else None
    try:
        if command is not None:
            app[command].help = None  # its docstring, which says more than the list of commands
        app(words, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        help_command = " ".join(filter(None, ["untrimmed", command, "--help"]))
        _fail(f"{_usage_fault(error)} Run `{help_command}`", code=2)
    except ConfigError as error:
        _fail(str(error), code=2)
    except UntrimmedError as error:
        _fail(str(error))
    except BrokenPipeError:  # who read our output, as `head` does, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.strerror is None:
            raise
        _fail(": ".join(str(part) for part in (error.filename, error.strerror) if part is not None))
    except KeyboardInterrupt:
        _fail("interrupted", code=130)
    sys.exit(0)


def _usage_fault(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"{' '.join(error.unused_tokens or ())!r} is too much."
    return str(error).strip()


def _fail(message: str, code: int = 1) -> None:
    print(f"untrimmed: {message}", file=sys.stderr)
    sys.exit(code)
