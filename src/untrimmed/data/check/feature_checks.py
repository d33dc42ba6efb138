"""What can be wrong with features, by themselves and beside the annotations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from untrimmed.data.annotations import Video
from untrimmed.data.check.annotation_checks import has_duration
from untrimmed.data.check.report import Finding, count, some
from untrimmed.data.features import transposition_hint
from untrimmed.data.inputs import Inputs
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.time_grid import TimeGrid

USUAL_LACK = 0.1
"""Share of their videos by which the features of a whole data set may differ, and still be on the right time grid."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What is known of the features of a video once they have been read."""

    video: Video
    clips: int
    dimension: int
    grid: TimeGrid

    @property
    def end(self) -> float:
        """Seconds at which the last clip ends."""
        return self.grid.end(self.clips)

    @property
    def tolerance(self) -> float:
        """Seconds of a window and a stride: what honest features may lack or have too much at the end."""
        return (self.grid.window + self.grid.stride) / self.grid.rate


def read_all(
    videos: Sequence[Video], inputs: Inputs, progress: Callable[[int, int], None] | None
) -> tuple[list[Extent], list[Finding]]:
    """Read the features of all videos, one at a time; return the extents of those that can be, and what is wrong.

    The dimension is compared afterwards, over all videos.
    """
    extents: list[Extent] = []
    findings: list[Finding] = []
    missing = tuple(video.id for video in videos if video.id not in inputs.store)
    without_grid: dict[str, str] = {}
    for number, video in enumerate(videos):
        if video.id in inputs.store:
            try:
                extents.append(_extent(video, inputs))
            except FeatureError as error:
                findings.append(Finding("error", video.id, str(error), (video.id,)))
            except ConfigError as error:
                without_grid[video.id] = str(error)
        if progress is not None:
            progress(number + 1, len(videos))
    if missing:
        findings.insert(0, _missing(missing, len(videos), inputs))
    if without_grid:
        first = next(iter(without_grid.values()))
        message = f"{len(without_grid):,} of {count(len(videos), 'video')} without a time grid. {first}"
        findings.append(Finding("error", inputs.store.name, message, tuple(without_grid)))
    return extents, findings


def dimension_findings(extents: Sequence[Extent], expected: int | None) -> Iterator[Finding]:
    """Yield the videos whose features have another dimension than the expected one, or else than most have."""
    usual = Counter(extent.dimension for extent in extents).most_common(1)
    wanted = expected if expected is not None or not usual else usual[0][0]
    odd = [extent for extent in extents if extent.dimension != wanted]
    if wanted is None or not odd:
        return
    shown = some(f"{e.video.id!r} has {e.dimension}" for e in odd)
    source = "are expected" if expected is not None else "are usual"
    way_out = max(transposition_hint((e.clips, e.dimension), wanted) for e in odd)
    if not way_out and expected is not None:
        way_out = " Name the features that the configuration is for, or correct model.input_dims"
    message = (
        f"{len(odd):,} of {count(len(extents), 'video')} with features of another dimension than the {wanted} that "
        f"{source}: {shown}.{way_out}"
    )
    yield Finding("error", "feature dimension", message, tuple(e.video.id for e in odd))


def duration_findings(extents: Sequence[Extent]) -> Iterator[Finding]:
    """Yield the videos whose features end long before or after the duration that the annotations state.

    It is an error if most of them do, and by more than a tenth: then the stride or the rate is wrong, and so is every
    time. Published features do end a few percent early.
    """
    extents = [extent for extent in extents if has_duration(extent.video)]
    off = [extent for extent in extents if abs(extent.end - extent.video.duration) > extent.tolerance]
    if not off:
        return
    worst = max(off, key=lambda extent: abs(extent.end - extent.video.duration))
    message = (
        f"features of {len(off):,} of {count(len(extents), 'video')} end more than a window and a stride before or "
        f"after their video; the worst are those of {worst.video.id!r}, which end at {worst.end:.2f} s of "
        f"{worst.video.duration:.2f} s"
    )
    ids = tuple(extent.video.id for extent in off)
    if 2 * len(off) <= len(extents):
        yield Finding("warning", "feature length", f"{message}. Extract these again, or correct their durations", ids)
        return
    ratio = float(np.median([extent.end / extent.video.duration for extent in off]))
    message += f"; typically they end at {ratio:.3g} of the duration"
    if abs(ratio - 1) <= USUAL_LACK:
        yield Finding("warning", "feature length", f"{message}. What happens there cannot be learnt or found", ids)
    else:
        yield Finding("error", "feature length", f"{message}. Correct inputs.stride or inputs.rate", ids)


def _extent(video: Video, inputs: Inputs) -> Extent:
    array = inputs.store.read(video.id)
    place = f"video {video.id!r}"
    clips, dimension = inputs.config.features(array, place).shape
    return Extent(video, clips, dimension, inputs.config.grid(video.rate, len(array), place))


def _missing(missing: tuple[str, ...], total: int, inputs: Inputs) -> Finding:
    """Say which videos have no features; for the first, in the words of the store, which looks for similar names."""
    try:
        inputs.store.shape(missing[0])
    except FeatureError as error:
        message = f"{len(missing):,} of {count(total, 'video')} without features: {some(missing)}. {error}"
        return Finding("error", inputs.store.name, message, missing)
    raise AssertionError(f"{inputs.store.name} has features of {missing[0]}, and says that it has none")
