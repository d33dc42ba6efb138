"""Which column of a table holds the time, and in which unit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from untrimmed.data.inputs import InputConfig
from untrimmed.errors import FeatureError

NONE = "none"
"""What `time_column` is where all columns are channels."""

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "usec", "micros", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanosecond", "nanoseconds"), "ns"),
}
_TIMES = frozenset({"time", "timestamp", "t", "elapsed", "time_elapsed", "elapsed_time"})


@dataclass(frozen=True)
class Layout:
    """What the columns of a table are.

    Attributes:
        time: number of the time column, if there is one.
        unit: its unit in seconds.
        channels: names of the channels, with the numbers of their columns, in the order of the file.
    """

    time: int | None
    unit: float
    channels: dict[str, int]


def layout(columns: Sequence[str], config: InputConfig, place: str) -> Layout:
    """Find the time column among the columns of a table; those without a name, as indices have, are left out.

    A name that states a unit goes before one that does not; other columns named like a time are no channels either.

    Raises:
        FeatureError: if a column is named twice, the time column is not there, two could be it, or no column is left.
    """
    named = [(number, name.strip()) for number, name in enumerate(columns) if name.strip()]
    names = [name for _, name in named]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise FeatureError(f"{place}: two columns are named {twice!r}. Give each a name of its own")
    times: dict[str, str] = {}
    if config.time_column != NONE:
        times = {name: unit for name in names if (unit := unit_of(name)) is not None}
    if config.time_column is not None and config.time_column != NONE:
        if config.time_column not in names:
            raise FeatureError(
                f"{place}: there is no column {config.time_column!r}, which inputs.time_column names; there are "
                f"{listed(names)}"
            )
        chosen: str | None = config.time_column
    else:
        chosen = _the_time(times, place)
    unit = config.time_unit or (unit_of(chosen) if chosen is not None else None) or "s"
    channels = {name: number for number, name in named if name != chosen and name not in times}
    if not channels:
        raise FeatureError(f"{place}: no column holds samples; there are {listed(names)}")
    number = None if chosen is None else next(number for number, name in named if name == chosen)
    return Layout(number, SECONDS[unit], channels)


def unit_of(name: str) -> str | None:
    """Return the unit that the name of a time column states, `""` if none; `None` if it is no name of a time.

    So `time_ms`, `Time (s)`, `seconds_elapsed` and `timestamp`; both characters that look like a Greek mu are known.
    """
    plain = re.sub(r"[^a-z]+", "_", name.lower().replace("\u00b5", "u").replace("\u03bc", "u")).strip("_")
    if plain in _TIMES:
        return ""
    if plain in _UNITS and len(plain) > 2:
        return _UNITS[plain]
    before, _, after = plain.rpartition("_")
    if before in _TIMES and after in _UNITS:
        return _UNITS[after]
    if after == "elapsed" and before in _UNITS:
        return _UNITS[before]
    return None


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names as a phrase: all of a few, else the first and how many more."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _the_time(times: dict[str, str], place: str) -> str | None:
    """Return the one time column, if there is any."""
    candidates = [name for name, unit in times.items() if unit] or list(times)
    if len(candidates) > 1:
        found = listed(candidates)
        raise FeatureError(f"{place}: the time may be any of {found}. Name the column by inputs.time_column")
    return candidates[0] if candidates else None
