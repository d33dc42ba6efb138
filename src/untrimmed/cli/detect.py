"""`untrimmed detect`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from untrimmed.archive.detection_job import DetectionJob
from untrimmed.cli.archive import ray_cluster
from untrimmed.cli.console import show_json, show_table, warn
from untrimmed.cli.detect_archive import detect_in_cluster
from untrimmed.cli.detect_features import FeatureRecordings, are_features
from untrimmed.cli.detect_outputs import Outputs, TrackFormat, planned
from untrimmed.cli.detect_shards import Shards, begin_folder
from untrimmed.cli.detect_videos import Videos
from untrimmed.cli.sizes import byte_count
from untrimmed.data.annotations import Annotations
from untrimmed.data.check.report import count
from untrimmed.data.detections import Detections
from untrimmed.data.formats.annotation_files import open_videos
from untrimmed.data.formats.class_scores import read_class_scores
from untrimmed.data.formats.detection_files import TRACKS, output_suffix, write_detections, write_track
from untrimmed.data.remote import refuse_out
from untrimmed.detection.fusion import fuse_all
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError
from untrimmed.video.rendering.lettering import Lettering
from untrimmed.video.rendering.render import lettering_of


def detect(
    model: Path,
    path: Path,
    /,
    *more: str,
    out: str | None = None,
    format: TrackFormat | None = None,  # noqa: A002  the option is called so
    render: Path | None = None,
    confident: bool = False,
    min_score: float | None = None,
    top: int = 20,
    extractor: str | None = None,
    allow_truncated: bool = False,
    font: Path | None = None,
    annotations: Path | None = None,
    class_scores: Path | None = None,
    top_classes: int = 2,
    key: str | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    max_memory: str | None = None,
    ray: str | None = None,
    workers: str | None = None,
    threads: int | None = None,
    decoders: int | None = None,
    outcomes: Path | None = None,
    json: bool = False,
) -> None:
    """Detect actions in videos, or in recordings of which there are features.

    Prints the best detections of each; `--out` keeps them. A recording that cannot be read is reported at the end, and
    does not stop the others; the exit code is 1 then.

    Examples: `untrimmed detect runs/mine video.mp4 --out video.vtt --render seen.mp4`;
    `untrimmed detect runs/tug features/ --out found.csv`

    Parameters
    ----------
    model
        The folder of a run, its `best` folder, or any other model folder.
    path
        A video, or a folder that is searched for videos; or a feature file, a folder with one for each recording, or an
        archive with an array for each; for a model of signals also a table (.csv, .tsv, .parquet), a folder of tables,
        or a folder with a folder of tables for each stream. Or a manifest: a .csv, .tsv or .parquet file with a
        column `path` and, if it is to name the recordings, `id`.
    more
        More videos and folders; or, of a folder or an archive of features, the recordings that are meant, all where
        none is named.
    out
        File to write detections to: all of them to .csv, .csv.gz or .json; those of one recording from `--min-score`
        to .vtt or .ass (subtitles) or .txt (labels of Audacity). With `--format` a folder; with `--ray` that, or an
        address in an object store, such as s3://bucket/folder.
    format
        Write such a file for each recording into the folder `--out`; of parquet, files with many recordings each, to
        which a further run adds what is missing.
    render
        Write a copy of the video with a timeline of the detections from `--min-score`: a .mp4 file; or a folder.
    confident
        Only what counts, as `untrimmed calibrate` has learnt it; scores are probabilities to be right.
    min_score
        Lowest score that is printed, and shown in subtitles, labels and copies: 0.2 where nothing is said, 0 with
        `--confident`.
    top
        Most detections that are printed of a recording.
    extractor
        What makes features of videos, where the model does not say it or the weights have moved; also your own, as
        python:MODULE:ATTRIBUTE. It has to be the one that the model was trained on.
    allow_truncated
        Take videos whose end is missing as far as they go.
    font
        Font file for labels in copies, if none that is at hand has their characters.
    annotations
        Annotation file to take durations and frame rates from, for features.
    class_scores
        Scores of whole videos by another model: each detection gets the best classes of its video instead of its own.
    top_classes
        How many classes each detection gets from `--class-scores`.
    key
        Name of the array in feature files that hold several.
    device
        Where the model runs: auto, cpu, cuda or mps.
    precision
        Precision that the model computes in. The extractor's is bf16 where the processor computes in it.
    max_memory
        Memory that the program may take, such as 1.5GB: for very long recordings, which the model then looks at in
        parts. Making features of videos is not counted.
    ray
        Do the work in a Ray cluster: `local` for one that is started here and ended afterwards, `auto` for the one
        that this machine belongs to, or HOST:PORT. A file for each recording is written into the folder `--out`, as
        JSON where `--format` says nothing, and what is there already is left out.
    workers
        With `--ray`, how many work at once: a number, or MIN:MAX for a cluster that grows; by default as many as there
        is room for.
    threads
        With `--ray`, cores that each worker takes; 1 where nothing is said.
    decoders
        With `--ray`, how many videos are decoded at once for each worker, by processes of a core each anywhere in the
        cluster; 0 is in the worker itself, as it is where nothing is said, but on a GPU up to 4.
    outcomes
        With `--ray`, file for what came of each recording, a line of JSON for each; by default beside the folder.
    json
        Print as JSON.
    """
    features = are_features(path)
    if features:
        void = {"render": render, "extractor": extractor, "allow-truncated": allow_truncated, "font": font}
        _refuse(void | {"decoders": decoders}, "videos", f"{path} holds features")
    else:
        _refuse({"annotations": annotations, "key": key}, "features", f"{path} is looked at as video")
    cluster = ray_cluster(ray, workers, threads, decoders, outcomes)
    if cluster is not None:
        _refuse(
            {
                "render": render,
                "font": font,
                "annotations": annotations,
                "class-scores": class_scores,
                "key": key,
            },
            "one machine",
            "--ray is given",
        )
        if out is None:
            raise ConfigError("--ray writes a file for each recording: say where, by --out FOLDER")
        detect_in_cluster(
            [path, *map(Path, more)],
            DetectionJob(
                model=str(model),
                out=out,
                format=format or "json",
                kind="features" if features else "videos",
                min_score=_lowest(min_score, confident=confident),
                device=device,
                precision=precision,
                max_memory=None if max_memory is None else byte_count(max_memory, "--max-memory"),
                confident=confident,
                extractor=extractor,
                allow_truncated=allow_truncated,
            ),
            cluster,
            outcomes=outcomes,
            json=json,
        )
        return
    file = None if out is None else _here(out, one_file=format is None)
    if font is not None and render is None:
        raise ConfigError("--font has an effect with --render only: leave it out")
    if confident and class_scores is not None:
        raise ConfigError("--confident is about the model's own scores, which --class-scores replace: leave one out")
    min_score = _lowest(min_score, confident=confident)
    memory = None if max_memory is None else byte_count(max_memory, "--max-memory")
    localizer = Localizer.load(model, device=device, precision=precision, max_memory=memory, confident=confident)
    known = None if annotations is None else open_videos(annotations)
    recordings: FeatureRecordings | Videos
    if features:
        recordings = FeatureRecordings(path, more, key, localizer, known)
        outputs = planned(recordings.names, {}, file, format, render)
    else:
        recordings = Videos([path, *more], localizer, extractor, allow_truncated=allow_truncated)
        outputs = planned(recordings.names, recordings.files, file, format, render)
    fusing = None if class_scores is None else _Fusing(class_scores, top_classes, recordings.names, known)
    labels = localizer.labels if fusing is None else fusing.labels
    lettering = Lettering() if render is None else _lettering(labels, font)
    shards = None
    if file is not None and format is not None:
        scores = None if class_scores is None else (class_scores, top_classes)
        names = recordings.names
        shards = begin_folder(file, format, names, localizer, scores, min_score=min_score, videos=not features)
    write = partial(_write, min_score=min_score, outputs=outputs, recordings=recordings, lettering=lettering)
    found = _detected(recordings, shards, fusing, write)
    if outputs.table is not None and found:
        write_detections(found, outputs.table)
    failures = recordings.failures
    _show(found, min_score, top, json=json, any_failed=bool(failures))
    if not json:
        _say_where(found, outputs, shards)
    for failure in failures.values():
        print(f"untrimmed: {failure}", file=sys.stderr)
    if failures:
        sys.exit(1)


def _lowest(min_score: float | None, *, confident: bool) -> float:
    if min_score is not None:
        return min_score
    return 0.0 if confident else 0.2


def _here(out: str, *, one_file: bool) -> Path:
    """Return the path of what is to be written on this machine, and see whether it can be.

    Raises:
        ConfigError: if it is an address.
        AnnotationError: if it is a file whose suffix is none that can be written.
    """
    refuse_out(out)
    if one_file:
        output_suffix(Path(out))  # before an hour of work, not after it
    return Path(out)


def _refuse(options: Mapping[str, object], of: str, why: str) -> None:
    """Refuse options that would have no effect.

    Raises:
        ConfigError: if one is given.
    """
    for name, value in options.items():
        if value:
            raise ConfigError(f"--{name} has an effect on {of} only, but {why}: leave it out")


class _Fusing:
    """Gives detections the classes that another model gives their videos."""

    def __init__(self, path: Path, top: int, names: Sequence[str], known: Annotations | None) -> None:
        """Read the scores.

        Raises:
            AnnotationError: if they cannot be read, or those of a recording are missing.
            ConfigError: if `top` is no number of classes that there are.
        """
        self._scores, self._top = read_class_scores(path, None if known is None else known.labels), top
        self.labels = self._scores.labels
        for name in names:  # before an hour of work, not after it
            self(Detections(name, np.zeros((0, 2)), np.zeros(0), np.zeros(0, np.int64), ()))

    def __call__(self, found: Detections) -> Detections:
        return fuse_all({found.video_id: found}, self._scores, self._top)[found.video_id]


def _lettering(labels: Sequence[str], font: Path | None) -> Lettering:
    lettering = lettering_of(labels, font)
    if lettering.missing:
        which = "no font at hand has" if font is None else f"{font} lacks"
        warn(f"{which} the characters {lettering.missing[:10]!r} of the labels. Name a font that has, by --font FILE")
    return lettering


def _detected(
    recordings: FeatureRecordings | Videos,
    shards: Shards | None,
    fusing: _Fusing | None,
    write: Callable[[Detections], object],
) -> list[Detections]:
    """Detect in all recordings, or in those that shards lack, and write what is found as it comes."""
    found = []
    try:
        for one in recordings.detections(recordings.names if shards is None else shards.wanted):
            if shards is not None and not shards.misses(one.video_id):
                continue
            fused = one if fusing is None else fusing(one)
            found.append(fused)
            if shards is not None:
                shards.keep(fused)
            write(fused)
    finally:
        if shards is not None:
            shards.end()
    return found


def _write(
    found: Detections,
    min_score: float,
    outputs: Outputs,
    recordings: FeatureRecordings | Videos,
    lettering: Lettering,
) -> None:
    """Write what is of one recording: all detections to tables and JSON, those that are to be seen to the others."""
    name, shown = found.video_id, found.above(min_score)
    if name in outputs.tracks:
        file = outputs.tracks[name]
        if file.suffix in TRACKS:
            write_track(shown, file)
        else:
            write_detections([found], file)
    if name in outputs.renders:
        assert isinstance(recordings, Videos)
        recordings.render(shown, outputs.renders[name], lettering)


def _say_where(found: Sequence[Detections], outputs: Outputs, shards: Shards | None) -> None:
    if shards is not None and shards.were_there:
        print(f"{outputs.shards}: detections of {count(shards.were_there, 'recording')} were there already")
    for file in outputs.paths(each.video_id for each in found):
        print(f"Written: {file}")


def _show(found: Sequence[Detections], min_score: float, top: int, *, json: bool, any_failed: bool) -> None:
    best = [each.above(min_score)[:top] for each in found]
    if json:
        if found or not any_failed:
            show_json({each.video_id: [asdict(detection) for detection in each] for each in best})
        return
    for each, shown in zip(found, best, strict=True):
        if not len(shown):
            print(f"{each.video_id}: none of {len(each)} detections scores {min_score:g} or more; see --min-score")
            continue
        title = f"{each.video_id}: the best {len(shown)} of {len(each)} detections, from a score of {min_score:g}"
        rows = [(d.label, f"{d.start:.2f}", f"{d.end:.2f}", f"{d.score:.2f}") for d in shown]
        show_table(title, ["label", "start, s", "end, s", "score"], rows)
