"""The figures of a diagnosis with what explains them: a section of the report, a page of its own, and files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from untrimmed.data.files import write_atomically
from untrimmed.evaluation.diagnosis import Diagnosis, Kind
from untrimmed.evaluation.diagnosis.sensitivity import LEAST_PRECISION
from untrimmed.report.diagnosis import DEFINITIONS, at_tious, finding, kind_rows
from untrimmed.report.diagnosis_charts import KIND_COLOURS, charts
from untrimmed.report.rendering import render
from untrimmed.report.svg import Chart


@dataclass(frozen=True, slots=True)
class KindMeaning:
    """A kind of detections, what it means, and which part of all detections is of it."""

    title: str
    colour: int
    meaning: str
    share: float


@dataclass(frozen=True, eq=False)
class DiagnosisSection:
    """What the section shows.

    Attributes:
        diagnosis: the numbers.
        where: at which thresholds.
        finding: the most important, in a sentence.
        kinds: each kind of detections.
        charts: the figures; the first is that of the kinds by rank.
        profile: what it shows, by kind: the share in each part, as in `FalsePositives.profile`.
        least_precision: see `untrimmed.evaluation.diagnosis.sensitivity`.
    """

    diagnosis: Diagnosis
    where: str
    finding: str
    kinds: tuple[KindMeaning, ...]
    charts: tuple[Chart, ...]
    profile: dict[str, list[float]]
    least_precision: float = LEAST_PRECISION


def diagnosis_section(diagnosis: Diagnosis) -> DiagnosisSection:
    """Gather what the section of a diagnosis shows."""
    profile = diagnosis.false_positives.profile
    return DiagnosisSection(
        diagnosis=diagnosis,
        where=at_tious(diagnosis.tious),
        finding=finding(diagnosis),
        kinds=tuple(
            KindMeaning(row.kind.title, KIND_COLOURS[row.kind], DEFINITIONS[row.kind], row.of_all)
            for row in kind_rows(diagnosis)
        ),
        charts=charts(diagnosis),
        profile={kind.title: profile[:, kind].tolist() for kind in Kind},
    )


def build_diagnosis_page(diagnosis: Diagnosis, title: str) -> str:
    """Return a page of the diagnosis alone, as HTML without a script; the title may be any text."""
    return render("diagnosis.html.jinja", title=title, diagnosis=diagnosis_section(diagnosis))


def write_diagnosis_page(diagnosis: Diagnosis, title: str, path: str | Path) -> None:
    """Write the page.

    Raises:
        OSError: if it cannot be written.
    """
    write_atomically(path, build_diagnosis_page(diagnosis, title))


def write_figures(diagnosis: Diagnosis, folder: str | Path) -> tuple[Path, ...]:
    """Write each figure to an SVG file of its name in a folder, which is made if it is not there; return the files.

    Raises:
        OSError: if they cannot be written.
    """
    drawn = charts(diagnosis)
    paths = tuple(Path(folder) / f"{chart.name}.svg" for chart in drawn)
    for chart, path in zip(drawn, paths, strict=True):
        write_atomically(path, chart.as_file())
    return paths
