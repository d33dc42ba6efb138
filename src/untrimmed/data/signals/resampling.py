"""Samples at other times: onto a regular grid, by straight lines between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from untrimmed.errors import FeatureError

AVERAGED_FROM = 1.5
"""Samples for each of the grid from which they are averaged. Between the whole numbers, so that a sensor whose clock
is a little off is treated like any other."""
ON_THE_GRID = 1e-3
"""Part of the step of the grid by which times may be off it and count as on it."""
MOST_REPEATED = 0.1
"""Part of the samples that may have the time of the one before."""


def resampled(times: NDArray[np.float64], values: NDArray[np.float32], rate: float, count: int) -> NDArray[np.float32]:
    """Return `count` samples at 0, 1/rate, 2/rate ... seconds, `[count, C]`, of samples at other times.

    Samples are joined by straight lines, before the first and after the last they stay as they are. Where there are
    1.5 samples or more for each of the grid, the mean of the line over one step of the grid is taken, half a step to
    both sides (less at the ends), which weakens what oscillates too fast for the grid. A straight line stays one.

    Args:
        times: `[S]`, in seconds, not falling.
        values: `[S, C]`.
        rate: of the grid, per second.
        count: samples of the grid.
    """
    if count <= len(times) and np.abs(times[:count] * rate - np.arange(count)).max() <= ON_THE_GRID:
        return values[:count].copy()
    at = np.arange(count) / rate
    result = np.empty((count, values.shape[1]), np.float32)
    averaged = own_rate(times) >= AVERAGED_FROM * rate
    for channel in range(values.shape[1]):  # one at a time, for the memory
        column = values[:, channel].astype(np.float64)
        result[:, channel] = _means(times, column, at, rate) if averaged else np.interp(at, times, column)
    return result


def own_rate(times: NDArray[np.float64]) -> float:
    """Samples per second, by the usual distance of two; infinite if most have the same time, 0 of a single one."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else np.inf
    return 1 / step if step > 0 else np.inf


def _means(
    times: NDArray[np.float64], column: NDArray[np.float64], at: NDArray[np.float64], rate: float
) -> NDArray[np.float64]:
    """Return the mean of the line through samples around each of the times `at`."""
    half = np.minimum(0.5 / rate, np.minimum(at - times[0], times[-1] - at)).clip(min=0)
    areas = np.concatenate([[0.0], np.cumsum(np.diff(times) * (column[1:] + column[:-1]) / 2)])

    def area(to: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area under the line, from the first sample on."""
        before = (np.searchsorted(times, to, side="right") - 1).clip(0, len(times) - 1)
        return areas[before] + (to - times[before]) * (column[before] + np.interp(to, times, column)) / 2

    middle = np.interp(at, times, column)
    wide = half > ON_THE_GRID / rate  # narrower ones are of a single point, and their area of rounding
    return np.where(wide, (area(at + half) - area(at - half)) / np.where(wide, 2 * half, 1), middle)


def check_times(times: NDArray[np.float64], place: str, max_gap: float, rate: float) -> None:
    """Make sure that a time column can be one: it does not fall or stand still, and has no gap longer than `max_gap`.

    Raises:
        FeatureError: naming the row, if it cannot.
    """
    steps = np.diff(times)
    if len(steps) == 0:
        return
    if (steps < 0).any():
        row = int(np.argmax(steps < 0))
        raise FeatureError(
            f"{place}: time goes backward, from {times[row]:.10g} to {times[row + 1]:.10g} s in row {row + 2} of the "
            "samples. Sort the rows, or put each recording into a file of its own"
        )
    repeated = int(np.count_nonzero(steps == 0))
    if repeated > MOST_REPEATED * len(steps):
        raise FeatureError(
            f"{place}: {repeated} of {len(times)} samples have the time of the one before: the time column is too "
            "coarse. Leave it out by inputs.time_column none, with inputs.channels, and state inputs.stream_rates"
        )
    row = int(steps.argmax())
    if steps[row] > max_gap:
        usual = float(np.median(steps))
        if usual * rate >= 100:
            way_out = (
                f"Usually they are {usual:g} s apart: if the time is not in seconds, set inputs.time_unit to ms, us or "
                "ns; else inputs.rate is too high"
            )
        else:
            way_out = "Divide the recording there, or set inputs.max_gap to bridge it by a straight line"
        raise FeatureError(
            f"{place}: there is no sample for {steps[row]:.4g} s, from {times[row] - times[0]:.4g} s after the first, "
            f"row {row + 2} of the samples, on; gaps of up to {max_gap:g} s are bridged. {way_out}"
        )
