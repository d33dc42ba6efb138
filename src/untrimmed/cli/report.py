"""`untrimmed report`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from untrimmed.cli.console import show_json, warn, with_progress
from untrimmed.data.annotations import Annotations
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError, VideoError
from untrimmed.experiment.evaluation import detections_on, evaluation_data
from untrimmed.report.contents import MOST_VIDEOS, Contents
from untrimmed.report.media import Absent, MediaMode
from untrimmed.report.page import write_report
from untrimmed.report.run import ReportOptions, contents_of_run
from untrimmed.video.extraction.finding import find_videos


def report(
    run: Path,
    /,
    *,
    out: Path | None = None,
    videos: list[Path] | None = None,
    annotations: Path | None = None,
    features: list[Path] | None = None,
    subset: list[str] | None = None,
    media: Literal["link", "embed", "none"] | None = None,
    transcode: bool = False,
    most_videos: int = MOST_VIDEOS,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    json: bool = False,
) -> None:
    """Write a page that shows what a run came to.

    One HTML file that works without a network: the scores, and for each video what is there, what was found, and what
    the model saw. The data are those of the run's own experiment unless others are named.

    Example: `untrimmed report runs/mine --videos videos/`

    Parameters
    ----------
    run
        The folder of a run, its `best` folder, or any other model folder.
    out
        The file to write, RUN/report.html where not said.
    videos
        Folder with the video files, or a file; may be given several times. A file is called as its video's id.
    annotations
        The truth, ActivityNet-style JSON.
    features
        Features of the videos; several for several streams.
    subset
        Subset to evaluate on; may be given several times.
    media
        `embed` puts the video files into the page, `link` links to them, `none` leaves them out. Where not said, they
        are embedded if they have at most 30 MB together.
    transcode
        Make copies of video files that browsers cannot play.
    most_videos
        So many videos are shown in detail, those with the most mistakes.
    device
        Where the model runs: auto, cpu, cuda or mps.
    precision
        Precision that the model computes in.
    json
        Print where the page is and its main figures as JSON.
    """
    page = run / "report.html" if out is None else out
    if page.is_dir():
        raise ConfigError(f"--out {page}: is a folder; name the file to write, as in --out {page / 'report.html'}")
    if most_videos < 0:
        raise ConfigError(f"--most-videos is {most_videos}, but has to be 0 or more")
    for option, given in (("--media", media is not None), ("--transcode", transcode)):
        if given and not videos and media != "none":
            raise ConfigError(f"{option} has no effect without --videos FOLDER, which says where the video files are")
    localizer = Localizer.load(run, device=device, precision=precision)
    data = evaluation_data(run, localizer, annotations=annotations, features=features, subsets=subset)
    files = _video_files(videos or [], data.truth)
    found = with_progress(detections_on(data, localizer), "detecting", len(data.truth))
    contents = contents_of_run(
        run,
        localizer,
        data,
        {each.video_id: each for each in found},
        page,
        ReportOptions(files, media, transcode, most_videos),
        with_progress,
    )
    write_report(contents, page)
    _warn_of_files_without_player(contents, files, media)
    if json:
        show_json(_figures(contents, page))
    else:
        print(_summary(contents, page))


def _video_files(paths: list[Path], truth: Annotations) -> dict[str, Path]:
    """Find the video files of the truth's videos.

    Raises:
        VideoError: if there are files, but of other videos only.
    """
    files = find_videos(paths) if paths else {}
    known = {id_: file for id_, file in files.items() if id_ in truth.videos}
    if files and truth.videos and not known:
        raise VideoError(
            f"--videos: none of the {len(files)} files, such as {next(iter(files.values())).name!r}, is called as one "
            f"of the {len(truth)} videos of {truth.source}, such as {next(iter(truth.videos))!r}; rename them"
        )
    return known


def _warn_of_files_without_player(contents: Contents, files: Mapping[str, Path], mode: MediaMode | None) -> None:
    reasons = [m.reason for id_, m in contents.media.items() if id_ in files and isinstance(m, Absent)]
    if reasons and mode != "none":
        warn(f"the page has no player for {len(reasons)} of {len(contents.media)} video files. {reasons[0]}")


def _figures(contents: Contents, page: Path) -> dict[str, object]:
    """Return the main figures as what can be written as JSON."""
    results = contents.results
    score = results.score
    return {
        "path": str(page),
        "bytes": page.stat().st_size,
        "videos": len(results.truth),
        "shown": len(contents.shown),
        "players": _players(contents),
        "average": None if score is None else score.average,
        "tious": list(results.tious),
        "by_tiou": None if score is None else score.by_tiou.tolist(),
        "threshold": results.threshold,
    }


def _summary(contents: Contents, page: Path) -> str:
    results = contents.results
    lines = []
    if results.score is not None:
        lines.append(f"Average mAP: {100 * results.score.average:.2f}")
    best = results.curves[results.tiou].overall.best
    if best is not None:
        tiou = results.tious[results.tiou]
        lines.append(f"Best F1 at tIoU {tiou:g}: {100 * best.f1:.1f}, with a score from {results.threshold:g}")
    shown, total = len(contents.shown), len(results.truth)
    lines.append(f"{shown} of {total} videos are shown in detail, {_players(contents)} of them with a player")
    lines.append(f"The report is {page} ({page.stat().st_size / 1e6:.1f} MB)")
    return "\n".join(lines)


def _players(contents: Contents) -> int:
    return sum(not isinstance(media, Absent) for media in contents.media.values())
