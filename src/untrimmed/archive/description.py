"""What makes the detections in a folder, as the folder says it, so that those of two models are never mixed."""

from __future__ import annotations

import json

from untrimmed.archive.detection_job import DetectionJob
from untrimmed.data.files import write_atomically
from untrimmed.data.formats.detection_files import TRACKS
from untrimmed.data.out_folder import LocalFolder, OutFolder
from untrimmed.errors import ConfigError

DESCRIPTION = ".detections.json"
"""Name of the file in a folder of detections that says what made them; hidden, as no recording's file can be."""


def description_of(job: DetectionJob, fingerprint: str) -> dict[str, object]:
    """Return what makes detections what they are; `fingerprint` is of the model."""
    return {
        "model": fingerprint,
        "format": job.format,
        "precision": job.precision,
        "confident": job.confident,
        "min_score": job.min_score if f".{job.format}" in TRACKS else None,
    }


def describe(out: OutFolder, description: dict[str, object]) -> None:
    """Say in a folder what makes the detections in it, of which there may be some already.

    Raises:
        ConfigError: if these were made in another way, or nothing says how.
        FeatureError: if the folder cannot be written to.
    """
    if isinstance(out, LocalFolder) and out.path.exists() and not out.path.is_dir():
        raise ConfigError(f"{out}: is a file, but --out has to be the folder to write to")
    if out.has(DESCRIPTION):
        refuse_other_detections(out, description)
    elif found := next((name for name in out.names() if name.endswith(f".{description['format']}")), None):
        raise ConfigError(
            f"{out}: holds detections, such as {found!r}, but no {DESCRIPTION} that says what made them; choose "
            "another --out"
        )
    with out.made(DESCRIPTION) as path:
        write_atomically(path, json.dumps(description, indent=2) + "\n")


def refuse_other_detections(out: OutFolder, description: dict[str, object]) -> None:
    """Refuse to write to a folder that says that the detections in it were made in another way.

    Raises:
        ConfigError: if it does.
    """
    if not out.has(DESCRIPTION):
        return
    with out.brought(DESCRIPTION) as path:
        try:
            there = json.loads(path.read_text())
        except (OSError, ValueError):
            there = None
    if there != description:
        raise ConfigError(
            f"{out}: holds detections of another model or with other options ({DESCRIPTION} says which). Choose "
            "another --out"
        )
