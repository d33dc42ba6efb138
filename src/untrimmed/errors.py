"""Every error that a user can meet.

::

    UntrimmedError
    ├── ConfigError          a setting is unknown, out of range, or contradicts another one
    ├── DataError            the data on disk are not what they should be
    │   ├── AnnotationError  ... an annotation or detection file
    │   ├── FeatureError     ... a feature file or a feature folder
    │   └── VideoError       ... a video file
    ├── ModelError           a model folder or a checkpoint cannot be used
    ├── ProcessError         another process of the same run has ended
    └── MissingExtraError    an optional dependency is not installed

A message names the place (file, key, video), what was found, what was expected, and the way out, in one or two lines.
The command line prints it as it stands, without a traceback. Broken invariants of our own are `assert`s, never these.
"""

from __future__ import annotations


class UntrimmedError(Exception):
    """Base of all errors that are about the user's input, not about a fault of ours."""


class ConfigError(UntrimmedError, ValueError):
    """A setting is unknown, out of range, or contradicts another one."""


class DataError(UntrimmedError, ValueError):
    """The data on disk are not what they should be."""


class AnnotationError(DataError):
    """An annotation file or a detection file cannot be understood."""


class FeatureError(DataError):
    """A feature file or a feature folder cannot be used."""


class VideoError(DataError):
    """A video file cannot be decoded, or not all of it."""


class ModelError(UntrimmedError, ValueError):
    """A model folder or a checkpoint cannot be used."""


class ProcessError(UntrimmedError, RuntimeError):
    """Another process of the same run has ended, and this one cannot go on alone."""


class MissingExtraError(UntrimmedError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed. Run: pip install 'untrimmed[{extra}]'")
