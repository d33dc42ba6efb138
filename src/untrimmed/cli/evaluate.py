"""`untrimmed evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from untrimmed.cli.console import show_json, show_score
from untrimmed.cli.scored import Source, scored
from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.data.formats.detection_files import detections_suffix, read_detections, write_detections
from untrimmed.data.formats.epic_kitchens import Task, is_epic_kitchens
from untrimmed.errors import ConfigError
from untrimmed.evaluation.epic import action_annotations, epic_scores
from untrimmed.evaluation.matching import Reading
from untrimmed.evaluation.mean_ap import mean_average_precision
from untrimmed.evaluation.protocols import Protocol, ProtocolScores, evaluate_by, protocol_named


def evaluate(
    model: Path | None = None,
    /,
    *,
    detections: Path | None = None,
    annotations: Path | None = None,
    features: list[Path] | None = None,
    subset: list[str] | None = None,
    tious: Annotated[list[float] | None, Parameter(consume_multiple=True)] = None,
    protocol: str | None = None,
    task: Task | None = None,
    reading: Reading = "correct",
    class_scores: Path | None = None,
    top_classes: int | None = None,
    unusable: Literal["refuse", "drop"] = "refuse",
    out: Path | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    json: bool = False,
) -> None:
    """Score a model, or a file of detections, by mean average precision.

    Of a model that was trained here, the data are those of its own experiment unless others are named. `--protocol`
    scores and prints as a benchmark does, with all that it measures, on the subset that it tests on.

    Examples: `untrimmed evaluate runs/tug`; `untrimmed evaluate runs/mq --protocol ego4d`;
    `untrimmed evaluate --detections found.csv --annotations thumos14.json --subset test`

    Parameters
    ----------
    model
        The folder of a run, its `best` folder, or any other model folder.
    detections
        Detections to score, instead of a model: CSV (also .csv.gz), ActivityNet-style JSON, or a folder of parquet
        shards.
    annotations
        The truth: ActivityNet-style JSON; or the folder with EPIC-KITCHENS' or Ego4D's own files, or one of them.
    features
        Features of the videos; several for several streams.
    subset
        Subset to evaluate on; may be given several times.
    tious
        Overlaps from which a detection counts as right, .3 to .7 where not said.
    protocol
        thumos14, activitynet, activitynet_proposals, epic, ego4d, multithumos, charades, or another that the message
        about a wrong name lists.
    task
        Which data set of EPIC-KITCHENS' own files: verb, noun or action. Left out with `--protocol epic`, detections of
        actions (`untrimmed combine` makes them) are scored by all three.
    reading
        `official` scores labels that are absent from the truth as the official code does, by a fault.
    class_scores
        Scores of whole videos by another model: each detection gets the best classes of its video instead of its own.
    top_classes
        How many classes each detection gets from `--class-scores`; 2 where nothing is said.
    unusable
        With `--detections`: what is done about instances of the truth that end before they start, refuse or drop.
    out
        File to write the detections to, CSV or JSON.
    device
        Where the model runs: auto, cpu, cuda or mps.
    precision
        Precision that the model computes in.
    json
        Print the scores as JSON.
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
    source.check({"--out": out is not None})
    if out is not None:
        detections_suffix(out)  # before an hour of work, not after it
    if protocol is not None:
        if tious is not None:
            raise ConfigError("--protocol says what the tIoU thresholds are: leave out --tious")
        result = _by_protocol(protocol_named(protocol), source, reading, out)
        show_json(result.as_dict()) if json else print("\n".join(result.lines))
        return
    data = scored(source)
    if out is not None:
        write_detections(data.detections.values(), out)
    score = mean_average_precision(data.truth, data.detections, tious or data.tious, reading=reading)
    if subset is None:
        data.warn_of_absent_videos()
    if json:
        show_json(score.as_dict())
    else:
        show_score(f"{data.title}: average precision by tIoU, %", score)


def _by_protocol(protocol: Protocol, source: Source, reading: Reading, out: Path | None) -> ProtocolScores:
    """Score as a benchmark does."""
    if source.model is None and source.subset is None and protocol.tested:
        source = replace(source, subset=list(protocol.tested))
    kitchen = source.annotations is not None and is_epic_kitchens(source.annotations)
    if len(protocol.rows) > 1 and source.model is None and source.task is None and kitchen:
        return _verbs_nouns_actions(protocol, source, reading)
    data = scored(source)
    if out is not None:
        write_detections(data.detections.values(), out)
    return evaluate_by(protocol, data.truth, data.detections, reading=reading, row=source.task or "mAP")


def _verbs_nouns_actions(protocol: Protocol, source: Source, reading: Reading) -> ProtocolScores:
    """Score a file of detections of actions by verb, noun and action."""
    assert source.annotations is not None
    assert source.detections is not None
    strict = source.unusable == "refuse"
    verbs, nouns = (open_annotations(source.annotations, task=each, strict=strict) for each in ("verb", "noun"))
    found = read_detections(source.detections, action_annotations(verbs, nouns).labels)
    if source.subset:
        verbs, nouns = verbs.of_subsets(source.subset), nouns.of_subsets(source.subset)
    return ProtocolScores(protocol, epic_scores(verbs, nouns, found, tious=protocol.tious, reading=reading).rows)
