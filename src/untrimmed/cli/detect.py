"""`untrimmed detect`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from untrimmed.cli.console import show_json, show_table, with_progress
from untrimmed.data.annotations import Annotations, Video
from untrimmed.data.detections import Detections
from untrimmed.data.features import (
    FeatureDescription,
    checked_dimension,
    holds_one_array,
    open_features,
    read_feature_file,
)
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.class_scores import read_class_scores
from untrimmed.data.formats.detection_files import detections_suffix, write_detections
from untrimmed.data.inputs import Inputs
from untrimmed.detection.fusion import fuse_all
from untrimmed.detection.localizer import Localizer, Recording
from untrimmed.errors import AnnotationError


def detect(
    model: Path,
    features: Path,
    /,
    *ids: str,
    annotations: Path | None = None,
    class_scores: Path | None = None,
    top_classes: int = 2,
    out: Path | None = None,
    min_score: float = 0.2,
    top: int = 20,
    key: str | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    json: bool = False,
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
    class_scores
        Scores of whole videos by another model: each detection gets the best classes of its video instead of its own.
    top_classes
        How many classes each detection gets from `--class-scores`.
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
    if out is not None:
        detections_suffix(out)  # before an hour of work, not after it
    localizer = Localizer.load(model, device=device, precision=precision)
    known = None if annotations is None else read_annotations(annotations)
    names, recordings = _open(features, ids, key, localizer, known)
    found = list(with_progress(localizer.detect_many(recordings), "detecting", len(names)))
    if class_scores is not None:
        scores = read_class_scores(class_scores, None if known is None else known.labels)
        found = list(fuse_all({each.video_id: each for each in found}, scores, top_classes).values())
    if out is not None:
        write_detections(found, out)
    best = [each.above(min_score)[:top] for each in found]
    if json:
        show_json({each.video_id: [asdict(detection) for detection in each] for each in best})
    else:
        for each, shown in zip(found, best, strict=True):
            _show(each, shown, min_score)


def _open(
    path: Path, ids: Sequence[str], key: str | None, localizer: Localizer, known: Annotations | None
) -> tuple[Sequence[str], Iterator[Recording]]:
    """Return the names of the recordings at a path, and the recordings, each read when it is asked for.

    Whether the features suit the model is found out before the first one is detected in.
    """
    if not ids and holds_one_array(path):
        localizer.inputs.completed(FeatureDescription.of_folder(path.parent), f"{path.parent}: features.json")
        video = _known([path.stem], known).get(path.stem)
        return [path.stem], iter([_recording(path.stem, read_feature_file(path, key=key), str(path), video)])
    inputs = Inputs(open_features(path, key=key), localizer.inputs)
    store = inputs.store
    names = tuple(dict.fromkeys(ids)) or store.ids()
    videos = _known(names, known)
    for name in names:
        rows, columns = store.shape(name)
        source = f"{path}: {name!r}"
        shape = inputs.config.clips(rows, source), inputs.config.dimension(columns)
        checked_dimension(shape, localizer.model.config.input_dim, source)
    return names, (_recording(name, store.read(name), f"{path}: {name!r}", videos.get(name)) for name in names)


def _known(names: Sequence[str], annotations: Annotations | None) -> dict[str, Video]:
    """Return what is known of recordings.

    Raises:
        AnnotationError: if there are annotations, but of other recordings only.
    """
    if annotations is None:
        return {}
    known = {name: annotations[name] for name in names if name in annotations.videos}
    if not known:
        other = next(iter(annotations.videos), "none at all")
        raise AnnotationError(
            f"{annotations.source}: has none of the recordings, such as {names[0]!r}, but others, such as {other!r}; "
            "correct the ids, or leave --annotations out"
        )
    return known


def _recording(name: str, array: NDArray[np.float32], source: str, video: Video | None) -> Recording:
    if video is None:
        return Recording(array, id=name, source=source)
    return Recording(array, id=name, duration=video.duration, rate=video.rate, source=source)


def _show(found: Detections, shown: Detections, min_score: float) -> None:
    if not len(shown):
        print(f"{found.video_id}: none of {len(found)} detections scores {min_score:g} or more; see --min-score")
        return
    title = f"{found.video_id}: the best {len(shown)} of {len(found)} detections, from a score of {min_score:g}"
    rows = [(d.label, f"{d.start:.2f}", f"{d.end:.2f}", f"{d.score:.2f}") for d in shown]
    show_table(title, ["label", "start, s", "end, s", "score"], rows)
