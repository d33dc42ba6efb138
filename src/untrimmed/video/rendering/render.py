"""A copy of a video with a timeline under it, which shows what was detected, and what of it is going on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from av import VideoFrame

from untrimmed.data.detections import Detections
from untrimmed.data.formats.plain_text import one_line
from untrimmed.video.reading.reader import Frame, VideoInfo
from untrimmed.video.rendering.encoding import Convert, Copied, OnProgress, copy_video
from untrimmed.video.rendering.lettering import Lettering, choose_lettering
from untrimmed.video.rendering.planes import Planes, Upright, even_size, rgb_planes
from untrimmed.video.rendering.strip import Strip

LEAST_WIDTH = 480
"""Narrower videos are enlarged, by a whole number, so that the timeline can be read."""

_MOST_OF_PICTURE = 0.6
"""How high the timeline may be at most, as a part of the picture's height."""

_WHITE = (235, 128, 128)


def lettering_of(labels: Iterable[str], font: Path | None = None) -> Lettering:
    """Choose a font for labels; `missing` says which characters it lacks.

    Raises:
        ConfigError: if the given font cannot be read.
    """
    return choose_lettering([*map(one_line, labels), "0123456789:.…"], font)


def render(
    path: str | Path,
    out: str | Path,
    detections: Detections,
    *,
    duration: float | None = None,
    lettering: Lettering | None = None,
    allow_truncated: bool = False,
    on_progress: OnProgress | None = None,
) -> Copied:
    """Write a copy of a video with a timeline under the picture; for the rest it is as `transcode` makes it.

    Args:
        path: of the video.
        out: of the copy, which is mp4 whatever its name.
        detections: what is shown, all of it: leave out first what scores too little.
        duration: seconds that the timeline stands for. Left out: what the container declares.
        lettering: the font of labels; chosen by what they need where left out.
        allow_truncated: copy a video that ends before it should as far as it goes.
        on_progress: is called after every frame with the seconds written, and those that there are as far as the
            container says.

    Raises:
        VideoError: if the video cannot be decoded, or not all of it, or `out` is the video itself.
        OSError: if `out` cannot be written.
    """
    letters = lettering_of(each.label for each in detections) if lettering is None else lettering

    def make(info: VideoInfo) -> tuple[Upright, Convert]:
        enlarged = -(-LEAST_WIDTH // info.width) if info.width < LEAST_WIDTH else 1
        width, height = (side * enlarged for side in even_size(info))
        upright = Upright(width, height)
        known = duration if duration is not None else info.duration or 0.0
        strip = Strip(detections, known, width, round(_MOST_OF_PICTURE * height), letters)
        return upright, _Composer(upright, strip)

    return copy_video(Path(path), Path(out), make, allow_truncated=allow_truncated, on_progress=on_progress)


class _Composer:
    """Puts the timeline under each frame. It is drawn once; of each frame only the playhead and the header are new."""

    def __init__(self, upright: Upright, strip: Strip) -> None:
        self._upright, self._strip = upright, strip
        self._still: Planes | None = None
        self._header: Planes | None = None
        self._now: tuple[str, tuple[int, ...]] | None = None

    def __call__(self, frame: Frame) -> VideoFrame:
        scaled, orientation = self._upright.scaled(frame)
        made = VideoFrame(self._upright.width, self._upright.height + self._strip.height, "yuv420p")
        below = []
        for into, plane in zip(Planes.of(made), Planes.of(scaled), strict=True):
            picture = orientation.apply(plane)
            into[: len(picture)] = picture
            below.append(into[len(picture) :])
        self._draw(frame.seconds, Planes(*below))
        return made

    def _draw(self, seconds: float, into: Planes) -> None:
        colours = self._upright.colours
        assert colours is not None
        if self._still is None:
            self._still = rgb_planes(self._strip.still, colours)
        now = self._strip.now(seconds)
        if now != self._now or self._header is None:
            self._now, self._header = now, rgb_planes(self._strip.draw_header(*now), colours)
        for plane, still, header in zip(into, self._still, self._header, strict=True):
            plane[: len(header)] = header
            plane[len(header) :] = still[len(header) :]
        self._draw_playhead(seconds, into)

    def _draw_playhead(self, seconds: float, into: Planes) -> None:
        width = self._strip.playhead
        left = int(np.clip(self._strip.column(seconds) - width // 2, 0, self._strip.width - width)) // 2 * 2
        for plane, value in zip(into, _WHITE, strict=True):
            part = self._strip.width // plane.shape[1]  # colours have half as many pixels
            plane[self._strip.header // part :, left // part : (left + width) // part] = value
