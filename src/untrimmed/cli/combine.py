"""`untrimmed combine`."""

from __future__ import annotations

from pathlib import Path

from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.data.formats.detection_files import detections_suffix, read_detections, write_detections
from untrimmed.errors import AnnotationError
from untrimmed.evaluation.epic import combine as combined


def combine(
    verbs: Path, nouns: Path, /, *, annotations: Path, out: Path, min_tiou: float = 0.5, most: int = 2000
) -> None:
    """Make detections of actions of detections of verbs and detections of nouns.

    Each verb is paired with the nouns that it overlaps enough with; the score of an action is the root of the product
    of both scores, times their overlap. Labels are class numbers, as `0,2`, as in EPIC-KITCHENS' own files.

    Example: `untrimmed combine verbs.csv nouns.csv --annotations epic-kitchens-100/ --out actions.csv`

    Parameters
    ----------
    verbs
        Detections of verbs, CSV or JSON.
    nouns
        Detections of nouns, CSV or JSON.
    annotations
        EPIC-KITCHENS' own files, which say what the class numbers are: the folder, or a file of segments.
    out
        File to write, CSV or JSON.
    min_tiou
        How much verb and noun have to overlap.
    most
        Most actions of a video that are kept.
    """
    detections_suffix(out)
    labels = [open_annotations(annotations, task=task).labels for task in ("verb", "noun")]
    found = [read_detections(path, known) for path, known in zip((verbs, nouns), labels, strict=True)]
    made = combined(found[0], found[1], labels[0], labels[1], min_tiou=min_tiou, most=most)
    if not made:
        raise AnnotationError(f"{verbs} and {nouns}: have no video in common; name detections of the same videos")
    write_detections(made.values(), out)
    print(f"{out}: {sum(map(len, made.values())):,} actions in {len(made):,} videos")
