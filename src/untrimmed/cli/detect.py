"""`untrimmed detect`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from untrimmed.cli.console import show_json, show_table, with_progress
from untrimmed.data.annotations import Annotations
from untrimmed.data.features import holds_one_array, open_features, read_feature_file
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.detection_files import write_detections
from untrimmed.detection.localizer import Localizer, Recording


def detect(
    model: Path,
    features: Path,
    /,
    *ids: str,
    annotations: Path | None = None,
    out: Path | None = None,
    min_score: float = 0.2,
    top: int = 20,
    key: str | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Detect actions in recordings, from their features.

    Prints the best detections of each; `--out` keeps all of them.

    Examples: `untrimmed detect runs/tug recording.npy`; `untrimmed detect runs/tug features/ --out found.csv`

    Parameters
    ----------
    model
        The folder of a run, its `best` folder, or any other model folder.
    features
        A feature file, a folder with one for each recording, or an archive with an array for each.
    ids
        Which recordings of a folder or an archive; all where none is named.
    annotations
        Annotation file to take durations and frame rates from.
    out
        File to write all detections to: .csv, .csv.gz or .json.
    min_score
        Lowest score that is printed.
    top
        Most detections that are printed of a recording.
    key
        Name of the array in files that hold several.
    device
        Where the model runs: auto, cpu, cuda or mps.
    precision
        Precision that the model computes in.
    json
        Print as JSON.
    """
    localizer = Localizer.load(model, device=device, precision=precision)
    known = None if annotations is None else read_annotations(annotations)
    names, arrays = _open(features, ids, key)
    recordings = (_recording(name, array, known) for name, array in zip(names, arrays, strict=True))
    found = list(with_progress(localizer.detect_many(recordings), "detecting", len(names)))
    if out is not None:
        write_detections(found, out)
    best = [each.above(min_score)[:top] for each in found]
    if json:
        show_json({each.video_id: [asdict(detection) for detection in each] for each in best})
        return
    for each, shown in zip(found, best, strict=True):
        title = f"{each.video_id}: the best {len(shown)} of {len(each)} detections, from a score of {min_score:g}"
        rows = [(d.label, f"{d.start:.2f}", f"{d.end:.2f}", f"{d.score:.2f}") for d in shown]
        show_table(title, ["label", "start, s", "end, s", "score"], rows)


def _open(path: Path, ids: Sequence[str], key: str | None) -> tuple[Sequence[str], Iterator[NDArray[np.float32]]]:
    """Return the names of the recordings at a path, and their arrays, read when they are asked for."""
    if holds_one_array(path):
        return [path.stem], iter([read_feature_file(path, key=key)])
    store = open_features(path, key=key)
    names = ids or store.ids()
    return names, (store.read(name) for name in names)


def _recording(name: str, array: NDArray[np.float32], known: Annotations | None) -> Recording:
    video = None if known is None else known.videos.get(name)
    if video is None:
        return Recording(array, id=name)
    return Recording(array, id=name, duration=video.duration, rate=video.rate)
