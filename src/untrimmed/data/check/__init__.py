"""What is wrong with a data set, before an hour of training.

    >>> report = check(annotations, inputs, {"training": ["train"], "validation": ["val"]})
    >>> report.ok, report.errors, report.warnings

Runs without torch.
"""

from __future__ import annotations

from untrimmed.data.check.checking import check, quick_errors
from untrimmed.data.check.coverage import uncovered
from untrimmed.data.check.pyramid import Pyramid
from untrimmed.data.check.report import ClassCount, Finding, LevelCount, Report

__all__ = ["ClassCount", "Finding", "LevelCount", "Pyramid", "Report", "check", "quick_errors", "uncovered"]
