"""`untrimmed diagnose`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from untrimmed.cli.console import show_json, show_table
from untrimmed.cli.scored import Source, scored
from untrimmed.data.formats.epic_kitchens import Task
from untrimmed.errors import ConfigError
from untrimmed.evaluation.diagnosis import CUTS, Diagnosis, Sensitivity
from untrimmed.evaluation.diagnosis import diagnose as diagnosis_of
from untrimmed.report.diagnosis import ABOUT, DEPTHS, TITLES, at_tious, kind_rows, ranges
from untrimmed.report.diagnosis_page import write_diagnosis_page, write_figures
from untrimmed.report.headline import percent

USUAL_TIOUS = (0.5,)


def diagnose(
    model: Path | None = None,
    /,
    *,
    detections: Path | None = None,
    annotations: Path | None = None,
    features: list[Path] | None = None,
    subset: list[str] | None = None,
    tious: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
    cuts: Literal["thumos14", "activitynet"] | None = None,
    low: float = 0.1,
    task: Task | None = None,
    class_scores: Path | None = None,
    top_classes: int | None = None,
    unusable: Literal["refuse", "drop"] = "refuse",
    out: Path | None = None,
    figures: Path | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    json: bool = False,
) -> None:
    """Say what is wrong with detections, and on what it depends.

    Of which kinds the false positives are, what mAP would be without those of a kind, and how well short and long
    instances are found. After DETAD (ECCV 2018).

    Examples: `untrimmed diagnose runs/tug --out diagnosis.html`;
    `untrimmed diagnose --detections found.csv --annotations thumos14.json --subset test --cuts thumos14`

    Parameters
    ----------
    model
        The folder of a run, its `best` folder, or any other model folder.
    detections
        Detections to diagnose, instead of a model: CSV (also .csv.gz) or ActivityNet-style JSON.
    annotations
        The truth: ActivityNet-style JSON; or the folder with EPIC-KITCHENS' or Ego4D's own files, or one of them.
    features
        Features of the videos; several for several streams.
    subset
        Subset to take; may be given several times.
    tious
        Overlaps from which a detection counts as right, .5 where not said; numbers are means over them.
    cuts
        Where short instances end and long ones begin: as DETAD has it for a benchmark. Where not said, each bucket
        has about as many instances.
    low
        Overlap below which a detection is in the background.
    task
        Which data set of EPIC-KITCHENS' own files: verb, noun or action.
    class_scores
        Scores of whole videos by another model: each detection gets the best classes of its video instead of its own.
    top_classes
        How many classes each detection gets from `--class-scores`; 2 where nothing is said.
    unusable
        With `--detections`: what is done about instances of the truth that end before they start, refuse or drop.
    out
        Page to write, HTML, with figures.
    figures
        Folder to write the figures to, each as an SVG file.
    device
        Where the model runs: auto, cpu, cuda or mps.
    precision
        Precision that the model computes in.
    json
        Print all numbers as JSON.
    """
    source = Source(
        model=model,
        detections=detections,
        annotations=annotations,
        features=features,
        subset=subset,
        class_scores=class_scores,
        top_classes=top_classes,
        device=device,
        precision=precision,
        task=task,
        unusable=unusable,
    )
    source.check({})
    _check_places(out, figures)
    data = scored(source)
    result = diagnosis_of(
        data.truth, data.detections, tious or USUAL_TIOUS, cuts=None if cuts is None else CUTS[cuts], low=low
    )
    if subset is None:
        data.warn_of_absent_videos()
    if out is not None:
        write_diagnosis_page(result, data.title, out)
    if figures is not None:
        write_figures(result, figures)
    if json:
        show_json(result.as_dict())
    else:
        _show(data.title, result)
        for place, name in ((out, "page is"), (figures, "figures are in")):
            if place is not None:
                print(f"The {name} {place}")


def _check_places(out: Path | None, figures: Path | None) -> None:
    """Refuse what cannot be written to before an hour of work, not after it."""
    if out is not None and out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name the file to write, as in --out {out / 'diagnosis.html'}")
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {out}: the page is HTML, so its name has to end in .html")
    if figures is not None and figures.exists() and not figures.is_dir():
        raise ConfigError(f"--figures {figures}: is a file, but has to be a folder")


def _show(title: str, result: Diagnosis) -> None:
    print(f"{title}, {at_tious(result.tious)}, %")
    print(
        f"{result.instances:,} instances, {result.detections:,} detections: mAP {percent(result.map, 2)}, "
        f"mAP_N {percent(result.map_normalised, 2)}, missed {percent(result.missed, 2)}"
    )
    columns = ["kind", *(f"best {depth}G" if depth > 1 else "best G" for depth in DEPTHS), "all", "mAP +", "mAP_N +"]
    show_table(
        "Kinds of detections, G: instances of the class; what mAP gains without the kind", columns, _kinds(result)
    )
    for sensitivity in result.sensitivities:
        show_table(
            f"{TITLES[sensitivity.name]}: {ABOUT[sensitivity.name]}",
            ["", "range", "instances", "mAP_N", "missed"],
            _buckets(sensitivity),
            texts=2,
        )


def _kinds(result: Diagnosis) -> Iterator[list[str]]:
    for row in kind_rows(result):
        gains = ("" if gain is None else percent(gain, 2) for gain in (row.gain, row.gain_normalised))
        yield [row.kind.title, *(percent(share) for share in (*row.within, row.of_all)), *gains]


def _buckets(sensitivity: Sensitivity) -> Iterator[list[object]]:
    for bucket, values in zip(sensitivity.buckets, ranges(sensitivity), strict=True):
        scores = (percent(bucket.map_normalised, 2), percent(bucket.missed, 2))
        yield [bucket.name, values, bucket.instances, *scores]
