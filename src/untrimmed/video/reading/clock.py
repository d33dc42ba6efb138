"""From the timestamps of frames, which may be missing or wrong, to seconds that never go back."""

from __future__ import annotations

from collections import deque

LONGEST_GAP = 3600.0
"""Seconds for which a picture may stand still inside the length that the container declares."""

LONGEST_UNDECLARED_GAP = 600.0
"""... if the container declares no length."""

LONGEST_GAP_BEYOND = 60.0
"""... beyond the length that it declares."""

LONGEST_GAP_IN_A_BROADCAST = 10.0
"""... in formats that are made to be joined, as MPEG transport streams are; the limit of the `ffmpeg` command."""

_SLACK = 1.0
_DEFAULT_GAP = 1 / 25


class Clock:
    """Gives the frames of one video their seconds, in the order in which they are shown.

    A frame stands where its timestamp says. If that would be before the frame that came before it, or absurdly long
    after it (see the constants of this module), time is broken there: recordings were joined, or bytes are damaged. The
    frame is then placed after the one before it, at the usual gap, and the following ones at their distances from it,
    until a timestamp fits again as it stands. So seconds never go back, and no timestamp, however wrong, makes a video
    of a minute one of a year.

    Attributes:
        jumps: how often time was broken.
        end: the second at which the last frame ends; 0 before the first.
    """

    def __init__(self, declared_end: float | None, rate: float | None, *, broadcast: bool = False) -> None:
        """Begin a video.

        Args:
            declared_end: the second at which the container says that it ends, if it does.
            rate: the declared frames per second; only for the usual gap, while none was seen.
            broadcast: whether its format is one in which time may begin anew anywhere.
        """
        self._declared_end, self._broadcast = declared_end, broadcast
        self._first_gap = 1 / rate if rate and rate >= 1 else _DEFAULT_GAP
        self._gaps: deque[float] = deque(maxlen=15)
        self._last: float | None = None
        self._offset = 0.0
        self.jumps = 0
        self.end = 0.0

    def place(self, stamp: float | None, duration: float | None) -> tuple[float, float]:
        """Return the second at which the next frame is shown, and for how long.

        Args:
            stamp: its timestamp in seconds, if it has one.
            duration: in seconds, if the container has it.
        """
        before, seconds = self._last, self._seconds(stamp)
        if before is not None and seconds > before:
            self._gaps.append(seconds - before)
        self._last = seconds
        if duration is None or not 0 < duration <= self._longest_gap(seconds + duration):
            duration = self._usual_gap()
        self.end = seconds + duration
        return seconds, duration

    def _seconds(self, stamp: float | None) -> float:
        if self._last is None:
            following = 0.0
            if stamp is not None and abs(stamp) <= LONGEST_GAP:
                return stamp
        else:
            following = self._last + self._usual_gap()
            if stamp is not None:
                for offset in (0.0, self._offset):
                    if 0 <= stamp + offset - self._last <= self._longest_gap(stamp + offset):
                        self._offset = offset
                        return stamp + offset
        if stamp is not None:
            self.jumps += 1
            self._offset = following - stamp
        return following

    def _longest_gap(self, seconds: float) -> float:
        """For how long the picture before may have stood still until then."""
        if self._broadcast:
            return LONGEST_GAP_IN_A_BROADCAST
        if self._declared_end is None:
            return LONGEST_UNDECLARED_GAP
        return LONGEST_GAP if seconds <= self._declared_end + _SLACK else LONGEST_GAP_BEYOND

    def _usual_gap(self) -> float:
        return sorted(self._gaps)[len(self._gaps) // 2] if self._gaps else self._first_gap
