"""What is wrong with a data set, before an hour of training.

    >>> report = check(annotations, inputs, {"training": ["train"], "validation": ["val"]})
    >>> report.ok, report.errors, report.warnings

Runs without torch.
"""

from __future__ import annotations

from untrimmed.data.check.checking import check
from untrimmed.data.check.coverage import uncovered
from untrimmed.data.check.report import ClassCount, Finding, Report

__all__ = ["ClassCount", "Finding", "Report", "check", "uncovered"]
