"""What does not fit: instances to the pyramid, windows and crops to the videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from untrimmed.data.check.coverage import Coverage, Lonely
from untrimmed.data.check.feature_checks import Extent
from untrimmed.data.check.pyramid import Pyramid
from untrimmed.data.check.report import Finding, Severity, count, some
from untrimmed.data.check.resolution import SHORT, cure_for
from untrimmed.data.crops import CropConfig
from untrimmed.data.inputs import InputConfig

MOST_LONGER = 0.01
"""Share of the instances that may be longer than the coarsest level is made for without a warning."""
LONG_CROP = 4
"""How many times as long as the longest video a crop has to be for a warning."""

EVERY_INSTANCE = "training.target.every_instance true"


def coverage_findings(
    coverage: Coverage, extents: Sequence[Extent], pyramid: Pyramid, config: InputConfig
) -> Iterator[Finding]:
    """Yield which instances training would never see, and what would cure it."""
    if pyramid.every_instance:
        return
    total = Counter(instance.label for extent in extents for instance in extent.video.instances)
    every = len(coverage.lonely) == total.total()
    clip = _clip(extents)
    short = [each for each in coverage.lonely if each.visible and each.clips < SHORT]
    long = [each for each in coverage.lonely if each.visible and each.clips > pyramid.longest]
    unseen = [each for each in coverage.lonely if not each.visible]
    others = [each for each in coverage.lonely if each.visible and SHORT <= each.clips <= pyramid.longest]
    if short:
        cure = cure_for(coverage.lonely, extents, pyramid, config)
        way_out = "No stride cures all of them: "
        if cure is not None:
            way_out = f"The largest stride that cures it is {cure.seconds:.3g} s: {cure.option}; or else "
        way_out = f"{_by_length(short, extents, clip)}. They fall between clips, {clip:.3g} s apart. {way_out}"
        yield _lonely(short, total, f"{way_out}{EVERY_INSTANCE} gives each its nearest moment", every=every)
    if long:
        longest = pyramid.longest * clip
        way_out = f". They are longer than {longest:.3g} s, the end of the coarsest range: more levels or wider ranges"
        yield _lonely(long, total, way_out, every=every)
    if unseen:
        way_out = (
            ". Their middle is before that of the first clip or behind that of the last: make clips shorter by "
            f"data.inputs.window, extract missing features, or correct the times; or else {EVERY_INSTANCE}"
        )
        yield _lonely(unseen, total, way_out, every=every)
    if others:
        way_out = ". They fall between the regression ranges: --model.regression_ranges overlapping"
        yield _lonely(others, total, way_out, every=every)


def _lonely(which: Sequence[Lonely], total: Counter[str], way_out: str, *, every: bool) -> Finding:
    of_label: dict[str, list[float]] = {}
    for each in which:
        of_label.setdefault(each.instance.label, []).append(each.instance.end - each.instance.start)
    rows = sorted(of_label.items(), key=lambda row: -len(row[1]))
    shown = some(f"{label!r} {len(lengths):,} of {total[label]:,}{_range(lengths)}" for label, lengths in rows)
    message = f"{len(which):,} of {count(total.total(), 'instance')} without a moment to be trained on: {shown}"
    severity: Severity = "error" if every else "warning"
    ids = tuple(dict.fromkeys(each.video.id for each in which))
    return Finding(severity, "training moments", f"{message}{way_out}", ids)


def _range(lengths: Sequence[float]) -> str:
    low, high = f"{min(lengths):.2g}", f"{max(lengths):.2g}"
    return f" ({low} s)" if low == high else f" ({low} to {high} s)"


def _by_length(short: Sequence[Lonely], extents: Sequence[Extent], clip: float) -> str:
    """Say how many of the instances of each length are concerned."""
    lengths = np.array([i.end - i.start for extent in extents for i in extent.video.instances])
    lonely = np.array([each.instance.end - each.instance.start for each in short])
    parts = []
    for low, high in ((0, 0.5), (0.5, 1), (1, SHORT)):
        number, of = (int(((low * clip <= x) & (x < high * clip)).sum()) for x in (lonely, lengths))
        if number:
            parts.append(f"{low * clip:.2g} to {high * clip:.2g} s {number:,} of {of:,}")
    return f"; by length: {', '.join(parts)}" if parts else ""


def length_findings(coverage: Coverage, extents: Sequence[Extent], pyramid: Pyramid) -> Iterator[Finding]:
    """Yield that many instances are longer than the coarsest level is made for."""
    limit, clip = pyramid.usual_longest, _clip(extents)
    longer = int((coverage.clips > limit).sum())
    if longer > MOST_LONGER * len(coverage.clips):
        longest = coverage.lengths[-1]
        factor = pyramid.strides[-1] / pyramid.strides[-2] if len(pyramid.strides) > 1 else 2.0
        more = int(np.ceil(np.log(coverage.clips[-1] / limit) / np.log(factor)))
        message = (
            f"{longer:,} of {count(len(coverage.clips), 'instance')} longer than {limit * clip:.3g} s, which the "
            f"coarsest level is made for; the longest takes {longest:.3g} s. Their ends will not be exact: "
            f"{count(more, 'level')} more by model.downsampling_blocks, or coarser clips"
        )
        yield Finding("warning", "levels", message)


def window_findings(coverage: Coverage, extents: Sequence[Extent], pyramid: Pyramid) -> Iterator[Finding]:
    """Yield that the window of a clip, or that of attention, does not fit."""
    grid = extents[0].grid
    window, stride = grid.window / grid.rate, grid.stride / grid.rate
    if stride > 1.001 * window:
        message = (
            f"clips of {window:.3g} s every {stride:.3g} s: what happens between two of them is never looked at. "
            "Make data.inputs.stride smaller, or data.inputs.window larger"
        )
        yield Finding("warning", "window", message)
    median = float(np.median(coverage.lengths))
    if window > 1.001 * median:
        message = (
            f"a clip covers {window:.3g} s, longer than half of all instances ({median:.3g} s and less), so that "
            "their ends are blurred. Make data.inputs.window smaller, or extract with a smaller --window"
        )
        yield Finding("warning", "window", message)
    longest = max(extent.clips for extent in extents)
    finest = pyramid.windows[0] if pyramid.windows else None
    if finest is not None and finest > 2 * longest:
        message = (
            f"attention looks at {finest} moments, twice as many as the longest video has clips, {longest}. "
            f"It takes time and has no effect: --model.window {_odd(longest)} or finer clips"
        )
        yield Finding("warning", "window", message)


def crop_findings(extents: Sequence[Extent], crop: CropConfig) -> Iterator[Finding]:
    """Yield that crops are shorter than instances, or so long that they are none."""
    clip, most = _clip(extents), crop.max_length
    cut = [
        (extent.video.id, length)
        for extent in extents
        if extent.clips > most
        for length in np.diff(extent.grid.to_grid(extent.video.segments)).ravel().tolist()
        if length > most
    ]
    if cut:
        never = sum(most < crop.min_visible * length for _, length in cut)
        longest = max(length for _, length in cut)
        lost = f", and {never:,} never learnt from, being cut below crop.min_visible" if never else ""
        message = (
            f"{count(len(cut), 'instance')} longer than a crop of {most:,} clips ({most * clip:.3g} s), so never seen "
            f"whole{lost}. Make training.crop.max_length {round_up(longest):,} or more, or the clips coarser"
        )
        yield Finding("warning", "crop", message, tuple(dict.fromkeys(id_ for id_, _ in cut)))
    longest_video = max(extent.clips for extent in extents)
    if most > LONG_CROP * longest_video and most != CropConfig().max_length:
        message = (
            f"training.crop.max_length is {most:,} clips, but the longest video has {longest_video:,}: it has no "
            f"effect. Leave it out, or make it less than {longest_video:,} if videos are to be cropped"
        )
        yield Finding("warning", "crop", message)


def round_up(clips: float, step: int = 256) -> int:
    """Return a number of clips that is a multiple of `step`, and not smaller."""
    return step * int(np.ceil(clips / step))


def _odd(number: int) -> int:
    """Return the largest odd number of moments that attention can look at in so many clips."""
    return max(3, number - 1 + number % 2)


def _clip(extents: Sequence[Extent]) -> float:
    """Seconds from one clip to the next in the usual video."""
    return float(np.median([extent.grid.stride / extent.grid.rate for extent in extents]))
