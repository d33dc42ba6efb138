"""What can be wrong with features, by themselves and beside the annotations."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Video
from untrimmed.data.check.report import Finding, count, some
from untrimmed.data.check.roles import Roles, has_duration
from untrimmed.data.features import transposition_hint
from untrimmed.data.inputs import Inputs
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.time_grid import TimeGrid

USUAL_LACK = 0.1
"""Share of their videos by which the features of a whole data set may differ, and still be on the right time grid."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What is known of the features of a video once they, or their header alone, have been read.

    Attributes:
        video: the video.
        clips: T of its features.
        dimension: D of its features.
        columns: of its array on disk, which is another number for signals.
        grid: of its features.
        digest: the same for two videos whose arrays are the same; `None` if only headers were read.
        constant: whether all rows of the array are the same.
    """

    video: Video
    clips: int
    dimension: int
    columns: int
    grid: TimeGrid
    digest: bytes | None = None
    constant: bool = False

    @property
    def end(self) -> float:
        """Seconds at which the last clip ends."""
        return self.grid.end(self.clips)

    @property
    def tolerance(self) -> float:
        """Seconds of a window and a stride: what honest features may lack or have too much at the end."""
        return (self.grid.window + self.grid.stride) / self.grid.rate

    @property
    def refused(self) -> bool:
        """Whether training refuses features that end so early or late."""
        duration = self.video.duration
        return not duration / 2 - self.tolerance <= self.end <= 2 * duration + self.tolerance


def read_all(
    videos: Sequence[Video],
    inputs: Inputs,
    progress: Callable[[int, int], None] | None = None,
    *,
    headers_only: bool = False,
) -> tuple[list[Extent], list[Finding]]:
    """Read the features of all videos, one at a time; return the extents of those that can be, and what is wrong.

    The dimension is compared afterwards, over all videos.

    Raises:
        ConfigError: if only headers are read, and the stride, the window or the rate of a video is not known.
    """
    extents: list[Extent] = []
    findings: list[Finding] = []
    missing = tuple(video.id for video in videos if video.id not in inputs.store)
    without_grid: dict[str, str] = {}
    for number, video in enumerate(videos):
        if video.id in inputs.store:
            try:
                extents.append(_header(video, inputs) if headers_only else _extent(video, inputs))
            except FeatureError as error:
                findings.append(Finding("error", video.id, str(error), (video.id,)))
            except ConfigError as error:
                if headers_only:
                    raise
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


def extent_findings(extents: Sequence[Extent], inputs: Inputs, roles: Roles) -> Iterator[Finding]:
    """Yield what is wrong with the features that can be read."""
    yield from described_findings(extents, inputs)
    yield from dimension_findings(extents, inputs.expected_dimension)
    yield from duration_findings(of_usual_dimension(extents))
    yield from _same_features(extents, roles)
    constant = tuple(extent.video.id for extent in extents if extent.constant)
    if constant:
        message = (
            f"{count(len(constant), 'video')} with the same numbers from beginning to end: {some(constant)}. There is "
            "nothing to learn from: extract or record these again"
        )
        yield Finding("warning", "features", message, constant)


def of_usual_dimension(extents: Sequence[Extent]) -> list[Extent]:
    """Return the extents of features with the dimension that most have; of others the length means nothing."""
    usual = Counter(extent.dimension for extent in extents).most_common(1)
    return [extent for extent in extents if extent.dimension == usual[0][0]]


def described_findings(extents: Sequence[Extent], inputs: Inputs) -> Iterator[Finding]:
    """Yield the videos whose arrays have another dimension than `features.json` states."""
    description = inputs.store.description
    if description is None or (inputs.config.kind == "features" and inputs.expected_dimension is not None):
        return  # the description has been compared with what is expected, and the arrays will be
    odd = [extent for extent in extents if extent.columns != description.dimension]
    if 2 * len(odd) > len(extents):  # of a few, they say that most have another one
        shown = some(f"{e.video.id!r} has {e.columns}" for e in odd)
        message = (
            f"dimension is {description.dimension} there, but arrays of {len(odd):,} of {count(len(extents), 'video')} "
            f"have another one: {shown}. Correct the file, or extract the features again"
        )
        yield Finding("error", f"{inputs.store.name}: features.json", message, tuple(e.video.id for e in odd))


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
        f"{source}: {shown}.{way_out or ' Extract these again, as the others'}"
    )
    yield Finding("error", "feature dimension", message, tuple(e.video.id for e in odd))


def duration_findings(extents: Sequence[Extent]) -> Iterator[Finding]:
    """Yield the videos whose features end long before or after the duration that the annotations state.

    It is an error where training would refuse them, which is below half and above twice the duration; and if most do,
    and by more than a tenth: then the stride or the rate is wrong, and so is every time. Published features do end a
    few percent early.
    """
    extents = [extent for extent in extents if has_duration(extent.video)]
    off = [extent for extent in extents if abs(extent.end - extent.video.duration) > extent.tolerance]
    if 2 * len(off) <= len(extents):
        refused = [extent for extent in off if extent.refused]
        if refused:
            what = "end before half or after twice of their video, so that training refuses them"
            message = f"features of {len(refused):,} of {count(len(extents), 'video')} {what}; {_worst(refused)}"
            ids = tuple(extent.video.id for extent in refused)
            yield Finding("error", "feature length", f"{message}. Extract these again, or correct their durations", ids)
            off = [extent for extent in off if not extent.refused]
    if not off:
        return
    message = (
        f"features of {len(off):,} of {count(len(extents), 'video')} end more than a window and a stride before or "
        f"after their video; {_worst(off)}"
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
        yield Finding(
            "error", "feature length", f"{message}. Correct inputs.stride or inputs.rate, or features.json", ids
        )


def _worst(off: Sequence[Extent]) -> str:
    worst = max(off, key=lambda extent: abs(extent.end - extent.video.duration))
    return (
        f"the worst are those of {worst.video.id!r}, which end at {worst.end:.2f} s of {worst.video.duration:.2f} s"
        if len(off) > 1
        else f"those of {worst.video.id!r}, which end at {worst.end:.2f} s of {worst.video.duration:.2f} s"
    )


def _same_features(extents: Sequence[Extent], roles: Roles) -> Iterator[Finding]:
    """Recordings that are there under several names."""
    by_digest: dict[bytes, list[str]] = defaultdict(list)
    for extent in extents:
        if extent.digest is not None and not extent.constant:
            by_digest[extent.digest].append(extent.video.id)
    same = [ids for ids in by_digest.values() if len(ids) > 1]
    if not same:
        return
    shown = some(" and ".join(map(repr, ids[:3])) for ids in same)
    message = f"{count(len(same), 'recording')} under several names, with the same numbers: {shown}. Remove all but one"
    roles_of = _roles_of(roles)
    if any(len(frozenset[str]().union(*(roles_of[id_] for id_ in ids))) > 1 for ids in same):
        message += "; some are trained on and scored on, so scores say nothing about new videos"
    yield Finding("warning", "features", message, tuple(id_ for ids in same for id_ in ids))


def _roles_of(roles: Roles) -> Mapping[str, frozenset[str]]:
    of: dict[str, set[str]] = defaultdict(set)
    for role, videos in roles.items():
        for video in videos:
            of[video.id].add(role)
    return {id_: frozenset(names) for id_, names in of.items()}


def _extent(video: Video, inputs: Inputs) -> Extent:
    array = inputs.store.read(video.id)
    place = f"video {video.id!r}"
    clips, dimension = inputs.config.features(array, place).shape
    grid = inputs.config.grid(video.rate, len(array), place)
    constant = len(array) > 1 and bool((array == array[0]).all())
    return Extent(video, clips, dimension, array.shape[1], grid, _digest(array), constant)


def _header(video: Video, inputs: Inputs) -> Extent:
    """Return what the header of an array says."""
    rows, columns = inputs.store.shape(video.id)
    place = f"video {video.id!r}"
    if inputs.config.kind == "signals":
        inputs.config.check_signals((rows, columns), place)
    grid = inputs.config.grid(video.rate, rows, place)
    return Extent(video, inputs.config.clips(rows, place), inputs.config.dimension(columns), columns, grid)


def _digest(array: NDArray[Any]) -> bytes:
    digest = hashlib.blake2b(repr(array.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


def _missing(missing: tuple[str, ...], total: int, inputs: Inputs) -> Finding:
    """Say which videos have no features; for the first, in the words of the store, which looks for similar names."""
    try:
        inputs.store.shape(missing[0])
    except FeatureError as error:
        message = f"{len(missing):,} of {count(total, 'video')} without features: {some(missing)}. {error}"
        return Finding("error", inputs.store.name, message, missing)
    raise AssertionError(f"{inputs.store.name} has features of {missing[0]}, and says that it has none")
