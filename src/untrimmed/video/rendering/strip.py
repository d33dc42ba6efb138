"""A timeline as a picture: a lane for each label, bars for detections, and what is going on now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw

from untrimmed.data.detections import Detections
from untrimmed.data.formats.plain_text import one_line
from untrimmed.video.rendering.lettering import Lettering
from untrimmed.video.view import Picture

PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
"""Colours that the colour-blind can tell apart (Okabe and Ito, 2008), one after the other for the labels."""

LANES_OF_A_LABEL = 3
"""The most; what overlaps even more is drawn over each other in the last."""

_BACKGROUND, _LANE, _TEXT, _FAINT = "#14161A", "#1F232A", "#F2F2F2", "#9AA0A8"
_SMALLEST_TEXT, _LARGEST_TEXT = 10, 64  # pixels
_TEXT_OF_WIDTH = 1 / 56
_HEADER, _PITCH, _AXIS = 1.8, 1.5, 1.6
"""Heights, in sizes of the text: of what is going on now, from one lane to the next, of the times."""
_LEAST_PITCH = 4  # pixels
_WIDEST_GUTTER = 0.3  # of the width
_LONGEST_LABEL = 60  # characters
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
"""Seconds from one time on the axis to the next."""


@dataclass(frozen=True, eq=False)
class Lane:
    """Detections of one label that are drawn in one row; `rows` are their numbers among all."""

    label: int
    rows: list[int]


def lanes_of(detections: Detections) -> list[Lane]:
    """Lay detections out in lanes, label by label; in a lane none overlaps another, except in a label's last one."""
    lanes = []
    for label in np.unique(detections.labels).tolist():
        rows = np.flatnonzero(detections.labels == label)
        ends: list[float] = []
        filled: list[list[int]] = []
        for row in rows[np.lexsort(detections.segments[rows].T[::-1])].tolist():
            start, end = detections.segments[row].tolist()
            free = next((i for i, last in enumerate(ends) if last <= start), None)
            if free is None and len(filled) < LANES_OF_A_LABEL:
                filled.append([row])
                ends.append(end)
            else:
                free = LANES_OF_A_LABEL - 1 if free is None else free
                filled[free].append(row)
                ends[free] = max(ends[free], end)
        lanes += [Lane(label, rows) for rows in filled]
    return lanes


class Strip:
    """The timeline of one video, as it is shown under it.

    Attributes:
        width: of the picture, in pixels.
        height: of the picture; even.
        header: of its upper part, which changes with time; even.
        left_out: how many lanes there was no room for, those whose best detection scores least.
    """

    def __init__(
        self, detections: Detections, duration: float, width: int, most_height: int, lettering: Lettering
    ) -> None:
        """Lay it out.

        Args:
            detections: of the video, as many as are to be seen.
            duration: of the video, in seconds.
            width: of the picture, in pixels.
            most_height: lanes are made narrower, and at last left out, for it not to be higher (if that is possible).
            lettering: for the labels.
        """
        self._detections = detections
        self._duration = max(duration, float(detections.segments.max(initial=0.0)), 1e-3)
        self.width = width
        self._text = float(min(max(width * _TEXT_OF_WIDTH, _SMALLEST_TEXT), _LARGEST_TEXT))
        self._font = lettering.font(self._text)
        self._labels = [one_line(label, _LONGEST_LABEL) for label in detections.label_names]
        self.header = 2 * round(_HEADER * self._text / 2)
        self._axis = round(_AXIS * self._text)
        lanes, room = lanes_of(detections), max(most_height - self.header - self._axis, 1)
        self._pitch = max(_LEAST_PITCH, min(round(_PITCH * self._text), room // max(len(lanes), 1)))
        most = max(1, room // self._pitch)
        self.left_out = max(0, len(lanes) - most)
        if self.left_out:
            best = sorted(lanes, key=lambda lane: detections.scores[lane.rows].max(), reverse=True)[:most]
            lanes = [lane for lane in lanes if lane in best]
        self._lanes = lanes
        height = self.header + self._pitch * len(lanes) + self._axis
        self.height = height + height % 2
        self._gutter, self._right = self._width_of_gutter(), width - 1 - round(self._text / 2)

    def column(self, seconds: float) -> int:
        """Return where a time is, in pixels from the left."""
        share = min(max(seconds / self._duration, 0.0), 1.0)
        return self._gutter + round(share * (self._right - self._gutter))

    @property
    def playhead(self) -> int:
        """Width of what shows where one is, in pixels; even."""
        return 2 * max(1, round(self._text / 16))

    @cached_property
    def still(self) -> Picture:
        """What does not change, `[height, width, 3]`."""
        image = Image.new("RGB", (self.width, self.height), _BACKGROUND)
        draw = ImageDraw.Draw(image)
        written = None
        for number, lane in enumerate(self._lanes):
            top = self.header + number * self._pitch
            self._draw_lane(draw, lane, top)
            if lane.label != written and self._pitch >= self._text:
                written = lane.label
                label = self._cut(self._labels[lane.label], self._gutter - self._text)
                middle = (self._text / 2, top + self._pitch / 2)
                draw.text(middle, label, fill=_TEXT, font=self._font, anchor="lm")
        self._draw_axis(draw)
        return np.asarray(image)

    def now(self, seconds: float) -> tuple[str, tuple[int, ...]]:
        """Return what the header shows at a time: a clock, and the best detection of each label that is going on."""
        segments, scores, labels = self._detections.segments, self._detections.scores, self._detections.labels
        on = np.flatnonzero((segments[:, 0] <= seconds) & (seconds < segments[:, 1]))
        best: dict[int, int] = {}
        for row in on[np.argsort(-scores[on], kind="stable")].tolist():
            best.setdefault(int(labels[row]), row)
        return _clock(seconds, self._duration, tenths=True), tuple(best.values())

    def draw_header(self, clock: str, rows: tuple[int, ...]) -> Picture:
        """Draw what `now` returned, `[header, width, 3]`."""
        image = Image.new("RGB", (self.width, self.header), _BACKGROUND)
        draw = ImageDraw.Draw(image)
        middle, pad = self.header / 2, self._text / 2
        draw.text((pad, middle), clock, fill=_TEXT, font=self._font, anchor="lm")
        # As wide as the widest clock: what stands after it must not tremble.
        left = max(self._gutter, pad + self._font.getlength("8" * len(clock)) + pad)
        for row in rows:
            label = int(self._detections.labels[row])
            text = f"{self._labels[label]} {self._detections.scores[row]:.2f}"
            text = self._cut(text, self.width - left - 2 * pad)
            if not text:
                break
            right = left + self._font.getlength(text) + 2 * pad
            box = (left, 0.1 * self.header, right, 0.9 * self.header)
            draw.rounded_rectangle(box, radius=pad, fill=_colour(label))
            draw.text((left + pad, middle), text, fill=_on(_colour(label)), font=self._font, anchor="lm")
            left = right + pad
        return np.asarray(image)

    def _width_of_gutter(self) -> int:
        if self._pitch < self._text:  # too narrow for words
            return 0
        longest = max((self._font.getlength(self._labels[lane.label]) for lane in self._lanes), default=0.0)
        return round(min(longest + 1.5 * self._text, _WIDEST_GUTTER * self.width))

    def _draw_lane(self, draw: ImageDraw.ImageDraw, lane: Lane, top: int) -> None:
        gap = max(1, self._pitch // 8)
        upper, lower = top + gap, top + self._pitch - gap - 1
        draw.rectangle((self._gutter, upper, self._right, lower), fill=_LANE)
        colour = _colour(lane.label)
        for row in lane.rows:
            start, end = self._detections.segments[row].tolist()
            left = self.column(start)
            right = max(self.column(end) - 1, left + 1)  # with a gap to one that begins where it ends
            draw.rectangle((left, upper, right, lower), fill=colour)
            score = f"{self._detections.scores[row]:.2f}"
            if self._pitch >= self._text and self._font.getlength(score) + self._text / 2 < right - left:
                middle = ((left + right) / 2, top + self._pitch / 2)
                draw.text(middle, score, fill=_on(colour), font=self._font, anchor="mm")

    def _draw_axis(self, draw: ImageDraw.ImageDraw) -> None:
        widest = self._font.getlength(_clock(self._duration, self._duration)) + 2 * self._text
        room = max(1.0, (self._right - self._gutter) / widest)
        step = next((step for step in _STEPS if self._duration / step <= room), _STEPS[-1] * 10)
        top = self.height - self._axis
        if self.left_out:
            text = self._cut(f"and {self.left_out} more", self._gutter - self._text)
            draw.text((self._text / 2, top + self._axis / 2 + 1), text, fill=_FAINT, font=self._font, anchor="lm")
        for number in range(int(self._duration / step) + 1):
            left = self.column(number * step)
            draw.line((left, top, left, top + self._text / 4), fill=_FAINT)
            text = _clock(number * step, self._duration, tenths=step < 1)
            if left + self._font.getlength(text) / 2 < self.width:
                anchor = "lm" if left < self._font.getlength(text) / 2 else "mm"
                draw.text((left, top + self._axis / 2 + 1), text, fill=_FAINT, font=self._font, anchor=anchor)

    def _cut(self, text: str, width: float) -> str:
        """Shorten a text to a width; nothing is left of it if not even one character fits."""
        if self._font.getlength(text) <= width:
            return text
        while text and self._font.getlength(text + "…") > width:
            text = text[:-1]
        return f"{text}…" if text else ""


def _clock(seconds: float, duration: float, *, tenths: bool = False) -> str:
    """Return a time as `1:05` or `1:02:05`, with as many parts as the video's last second has, and tenths if wished."""
    whole = int(seconds * 10 + 1e-6) / 10 if tenths else int(seconds + 1e-6)
    minutes, rest = divmod(whole, 60)
    second = f"{rest:04.1f}" if tenths else f"{int(rest):02d}"
    if duration < 3600:
        return f"{int(minutes)}:{second}"
    return f"{int(minutes // 60)}:{int(minutes % 60):02d}:{second}"


def _colour(label: int) -> str:
    return PALETTE[label % len(PALETTE)]


def _on(colour: str) -> str:
    """Return the colour of text on a colour: black on light ones."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 110 else "#FFFFFF"
