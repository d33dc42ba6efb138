from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from making_videos import make_video, number_of
from untrimmed.data.detections import Detections
from untrimmed.errors import VideoError
from untrimmed.video.reading.reader import VideoFile, VideoInfo, probe
from untrimmed.video.rendering.render import LEAST_WIDTH, lettering_of, render
from untrimmed.video.rendering.strip import PALETTE, Strip
from untrimmed.video.rendering.transcoding import playable
from untrimmed.video.view import Picture, View


def of(rows: list[tuple[float, float, int, float]], names: tuple[str, ...] = ("jump", "run")) -> Detections:
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Detections("v", table[:, :2], table[:, 3], table[:, 2].astype(np.int64), names)


FOUND = of([(0.1, 0.25, 0, 0.9), (0.2, 0.38, 1, 0.8), (0.3, 0.4, 0, 0.7)])


def shown(path: Path) -> tuple[VideoInfo, list[tuple[float, Picture]]]:
    with VideoFile(path) as video:
        view = View(video.info.height, video.info.width)
        return video.info, [(frame.seconds, frame.picture(view)) for frame in video.frames()]


def strip_under(info: VideoInfo, found: Detections, duration: float, picture_height: int) -> Strip:
    return Strip(found, duration, info.width, round(0.6 * picture_height), lettering_of(found.label_names))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("uneven.mkv", {"times": [0, 0.1, 0.12, 0.15, 0.2, 0.21, 0.3, 0.33, 0.35, 0.38], "sound": 0.4}),
        ("b_frames.mp4", {"b_frames": 2}),
        ("upright.mp4", {"rotation": 90}),
        ("over.mov", {"rotation": 180}),
    ],
)
def test_the_picture_and_what_is_under_it(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    source, out = make_video(tmp_path / name, 10, **options), tmp_path / "seen.mp4"  # type: ignore[arg-type]
    copied = render(source, out, FOUND, duration=0.4)
    assert copied.frames == 10
    assert playable(out)
    before, pictures = shown(source)
    after, seen = shown(out)
    enlarged = -(-LEAST_WIDTH // before.width)
    assert after.width == before.width * enlarged
    height = before.height * enlarged
    strip = strip_under(after, FOUND, 0.4, height)
    assert after.height == height + strip.height
    assert after.has_audio == before.has_audio
    np.testing.assert_allclose([t for t, _ in seen], [t for t, _ in pictures], atol=1e-4)
    for (seconds, expected), (_, found) in zip(pictures, seen, strict=True):
        assert number_of(found[:height]) == number_of(expected)
        below = found[height:].astype(int)
        still = strip.still.astype(int)
        still[: strip.header] = strip.draw_header(*strip.now(seconds))
        column = strip.column(seconds)
        beside = np.abs(np.arange(after.width) - column) > 8
        assert np.abs(below - still)[:, beside].mean() < 6
        playhead = below[strip.header : -2, max(column - 2, 0) : column + 2].max(axis=1)
        assert playhead.mean() > 190, seconds


def test_colours_of_the_bars(tmp_path: Path) -> None:
    """Bars have the colours of the palette, whatever the colours of the source mean."""
    for number, colours in enumerate([{}, {"colorspace": 1, "color_range": 1}, {"colorspace": 1, "color_range": 2}]):
        pictures = [np.full((360, 640, 3), 128, np.uint8)] * 2
        source = make_video(tmp_path / f"{number}.mp4", pictures, rate=10, colours=colours)
        found = of([(0, 5, 0, 0.9), (6, 10, 1, 0.5)])
        render(source, tmp_path / "seen.mp4", found, duration=10)
        info, seen = shown(tmp_path / "seen.mp4")
        strip = strip_under(info, found, 10, 360)
        last = seen[-1][1]
        row = 360 + strip.header + (strip.height - strip.header) // 6
        for label, seconds in ((0, 1.5), (1, 7.0)):
            expected = np.frombuffer(bytes.fromhex(PALETTE[label][1:]), np.uint8)
            bars = last[row + label * (strip.height - strip.header) // 4, strip.column(seconds)]
            near = np.abs(last[360 + strip.header :, strip.column(seconds)].astype(int) - expected).max(axis=1)
            assert near.min() <= 8, (number, label, bars)
        assert np.abs(last[180, 320].astype(int) - 128).max() <= 3


@pytest.mark.parametrize(
    ("width", "height"), [(16, 16), (64, 48), (65, 47), (18, 400), (700, 20), (640, 360), (2160, 3840)]
)
def test_sizes(tmp_path: Path, width: int, height: int) -> None:
    pictures = [np.full((height, width, 3), 90, np.uint8)] * 2
    source = make_video(tmp_path / "a.mkv", pictures, pixel_format="yuv444p")
    render(source, tmp_path / "seen.mp4", FOUND)
    info, seen = shown(tmp_path / "seen.mp4")
    assert info.width >= min(LEAST_WIDTH, 480)
    assert info.width % 2 == info.height % 2 == 0
    assert np.abs(seen[0][1][2, 2].astype(int) - 90).max() <= 4
    assert len(seen) == 2


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", 2, pixel_shape=Fraction(2))
    render(source, tmp_path / "seen.mp4", FOUND)
    assert probe(tmp_path / "seen.mp4").width == 512  # 64 x 48 is shown as 128 x 48, and enlarged four times


def test_nothing_found(tmp_path: Path) -> None:
    render(make_video(tmp_path / "a.mp4", 3), tmp_path / "seen.mp4", of([]))
    assert len(shown(tmp_path / "seen.mp4")[1]) == 3


@pytest.mark.parametrize("count", [200])
def test_many_labels(tmp_path: Path, count: int) -> None:
    found = of([(0.0, 0.1, i, 0.5) for i in range(count)], tuple(f"label {i}" for i in range(count)))
    render(make_video(tmp_path / "a.mp4", 2), tmp_path / "seen.mp4", found)
    info = probe(tmp_path / "seen.mp4")
    assert info.height <= 1.6 * info.width * 48 / 64 + 2


@pytest.mark.parametrize("label", ["<b>\n{\\an8}", "x" * 3000, "\u202eעם", "跳🏃", "", "nul\0"])
def test_hostile_labels(tmp_path: Path, label: str) -> None:
    render(make_video(tmp_path / "a.mp4", 2), tmp_path / "seen.mp4", of([(0, 0.1, 0, 0.5)], (label,)))
    assert playable(tmp_path / "seen.mp4")


def test_faults_leave_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mkv", 200)
    with pytest.raises(VideoError, match="is the video itself"):
        render(source, source, FOUND)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(VideoError, match="cut"):
        render(cut, tmp_path / "seen.mp4", FOUND)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mkv", "cut.mkv"]
