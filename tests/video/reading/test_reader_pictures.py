"""What becomes of a frame's pixels."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from making_videos import make_video, number_of, numbered
from untrimmed.video.reading.pictures import Orientation, PictureMaker
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import Picture, View

CORNERS = np.full((48, 64, 3), 128, np.uint8)  # red, green; blue, gray
CORNERS[:24, :32], CORNERS[:24, 32:], CORNERS[24:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def first_picture(path: Path, view: View) -> Picture:
    with VideoFile(path) as video:
        return next(iter(video.frames())).picture(view)


def maker(pixel_shape: Fraction = Fraction(1)) -> PictureMaker:
    return PictureMaker(Path("video"), pixel_shape)


def corners(picture: Picture) -> str:
    """First letters of the colours of a picture's quarters, in reading order."""
    height, width = picture.shape[:2]
    names = {"r": (255, 0, 0), "g": (0, 255, 0), "b": (0, 0, 255), "-": (128, 128, 128)}
    found = (picture[y, x].astype(int) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4))
    return "".join(min(names, key=lambda n: int(np.abs(each - names[n]).sum())) for each in found)


def smooth(height: int, width: int, seed: int = 0) -> Picture:
    """A coloured picture that is not the same anywhere, without edges."""
    small = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def true_colours(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.float32]:
    """Scale the planes of a `yuv420p` frame with Pillow's antialiased filter, in floats, and convert by BT.601."""
    rows = frame.to_ndarray()
    luma = rows[: frame.height]
    chroma = rows[frame.height :].reshape(2, frame.height // 2, frame.width // 2)
    y, u, v = (
        np.asarray(Image.fromarray(p.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
        for p in (luma, *chroma)
    )
    y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    return np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u], -1).clip(0, 255)


@pytest.mark.parametrize(
    ("short_side", "height", "width"), [(100, 80, 90), (100, 100, 100), (27, 27, 27), (300, 240, 240)]
)
@pytest.mark.parametrize("size", [(320, 240), (160, 284)])
def test_scaled_with_antialiasing_and_cut_out_of_the_middle(
    size: tuple[int, int], short_side: int, height: int, width: int
) -> None:
    frame = av.VideoFrame.from_ndarray(smooth(size[1], size[0]), "rgb24").reformat(format="yuv420p")
    scale = short_side / min(size)
    whole = true_colours(frame, round(size[0] * scale), round(size[1] * scale))
    top, left = (whole.shape[0] - height) // 2, (whole.shape[1] - width) // 2
    expected = whole[top : top + height, left : left + width]
    picture = maker().picture(frame, View(height, width, short_side))
    assert (picture.shape, picture.dtype) == ((height, width, 3), np.uint8)
    assert picture.flags.c_contiguous
    assert picture.flags.writeable
    difference = picture - expected
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.2
    assert np.abs(difference).max() < 4


@pytest.mark.parametrize(("height", "width"), [(27, 48), (224, 224), (300, 20)])
def test_scaled_out_of_proportion(height: int, width: int) -> None:
    frame = av.VideoFrame.from_ndarray(smooth(240, 320), "rgb24").reformat(format="yuv420p")
    difference = maker().picture(frame, View(height, width)) - true_colours(frame, width, height)
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.2
    assert np.abs(difference).max() < 4


def test_nothing_is_lost_where_nothing_is_to_do() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(picture, "rgb24")
    np.testing.assert_array_equal(maker().picture(frame, View(48, 64)), picture)


PIXEL_FORMATS = [
    ("ffv1", ".mkv", "gray gray10le gray16le yuv410p yuv422p yuv420p10le yuv444p12le yuva420p bgr0 bgra gbrp16le ya8"),
    ("libx264", ".mp4", "gray yuvj420p yuv422p yuv444p yuv420p10le nv12"),
    ("mjpeg", ".avi", "yuvj420p yuvj422p yuvj444p"),
    ("rawvideo", ".avi", "rgb555le bgr24 yuyv422 gray yuv420p"),
    ("rawvideo", ".mkv", "uyvy422 nv12"),
    ("qtrle", ".mov", "rgb24 argb gray"),
    ("prores_ks", ".mov", "yuva444p10le"),
    ("gif", ".gif", "rgb8 gray"),
]


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
@pytest.mark.parametrize(
    ("codec", "suffix", "pixel_format"),
    [(codec, suffix, name) for codec, suffix, names in PIXEL_FORMATS for name in names.split()],
)
def test_pixel_formats(codec: str, suffix: str, pixel_format: str, size: tuple[int, int], tmp_path: Path) -> None:
    numbers = [0, 5, 0xFFF, 0xABC]
    try:
        path = make_video(
            tmp_path / f"video{suffix}", [numbered(i, *size) for i in numbers], codec=codec, pixel_format=pixel_format
        )
    except av.error.FFmpegError:
        assert size == (63, 47)  # not every codec has odd sizes
        return
    for view in (View(48, 64), View(30, 20), View(200, 200, None)):
        with VideoFile(path) as video:
            pictures = [frame.picture(view) for frame in video.frames()]
        assert [number_of(picture) for picture in pictures] == numbers
        # White is white and black is black: nobody mistook the range of values. (248 is the whitest of 5 bits.)
        assert pictures[0].max() <= 12
        assert pictures[2].min() >= 243


@pytest.mark.parametrize("meaning", [1, 5, None])
@pytest.mark.parametrize("values", [1, 2])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_colours_are_what_the_video_says(suffix: str, meaning: int | None, values: int, tmp_path: Path) -> None:
    colours = {"color_range": values} | ({"colorspace": meaning} if meaning else {})
    path = make_video(tmp_path / f"video{suffix}", [CORNERS], colours=colours)
    assert_corners(first_picture(path, View(48, 64)))


@pytest.mark.parametrize(("width", "height", "meaning"), [(960, 540, 5), (1280, 720, 1)])
def test_if_it_says_nothing_its_size_decides(width: int, height: int, meaning: int) -> None:
    image = Image.fromarray(CORNERS).resize((width, height), Image.Resampling.NEAREST)
    frame = av.VideoFrame.from_image(image).reformat(format="yuv444p", dst_colorspace=meaning)
    frame.colorspace = 2  # unspecified
    assert_corners(maker().picture(frame, View(48, 64)))


def test_a_meaning_that_ffmpeg_does_not_know_is_as_good_as_none() -> None:
    frame = av.VideoFrame.from_ndarray(CORNERS, "rgb24").reformat(format="yuv444p", dst_colorspace=5)
    for unknown in (3, 8, 12, 14):
        frame.colorspace = unknown
        assert maker().picture(frame, View(48, 64)).shape == (48, 64, 3)


def assert_corners(picture: Picture) -> None:
    found = picture[12:48:24, 16:64:32].reshape(4, 3).astype(int)
    assert np.abs(found - [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)]).max() <= 4


@pytest.mark.parametrize(
    ("rotation", "flip", "shown"),
    [
        (0, False, "rgb-"),
        (90, False, "g-rb"),
        (180, False, "-bgr"),
        (270, False, "br-g"),
        (0, True, "gr-b"),
        (90, True, "-gbr"),
        (180, True, "b-rg"),
        (270, True, "rbg-"),
    ],
)
def test_orientation(rotation: int, flip: bool, shown: str, tmp_path: Path) -> None:
    # Each of them was compared with Chromium; test_reader_player.py does it again.
    path = make_video(tmp_path / "video.mp4", [CORNERS], rotation=rotation, flip=flip)
    with VideoFile(path) as video:
        upright = (64, 48) if rotation % 180 == 0 else (48, 64)
        assert (video.info.width, video.info.height) == upright
        for view in (View(upright[1], upright[0]), View(30, 20), View(32, 32, 40), View(20, 40, 40)):
            picture = next(iter(video.frames())).picture(view)
            assert picture.shape == (view.height, view.width, 3)
            assert picture.flags.c_contiguous
            assert corners(picture) == shown


def test_angles_between_count_as_none(tmp_path: Path) -> None:
    assert corners(first_picture(make_video(tmp_path / "video.mp4", [CORNERS], rotation=33), View(48, 64))) == "rgb-"


def test_orientations_form_a_group() -> None:
    for transpose in (False, True):
        for rows in (False, True):
            for columns in (False, True):
                turned = Orientation(transpose, rows, columns)
                assert turned.apply(CORNERS).shape[1::-1] == turned.size(64, 48)
                assert turned.size(*turned.size(64, 48)) == (64, 48)


@pytest.mark.parametrize("shape", [Fraction(2), Fraction(4, 3), Fraction(1), Fraction(1, 2)])
def test_pixels_that_are_not_square_are_made_square(shape: Fraction) -> None:
    # A circle by the pixels' shape must be one in the picture.
    y, x = np.mgrid[-60:60, -80:80] + 0.5
    circle = (y**2 + (x * float(shape)) ** 2 < 30**2).astype(np.uint8) * 255
    frame = av.VideoFrame.from_ndarray(np.repeat(circle[..., None], 3, 2), "rgb24")
    shown = maker(shape).picture(frame, View(100, 100, 100))[..., 0] > 127
    height, width = shown.any(1).sum(), shown.any(0).sum()
    assert height == pytest.approx(width, abs=2)
    assert shown[50, 50]
    expected = 60 / min(shape, 1) * 100 / min(160 * max(shape, 1), 120 / min(shape, 1))
    assert height == pytest.approx(float(expected), abs=2)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 1), (1, 500), (9000, 1), (16384, 16), (16, 16384), (5, 7)])
@pytest.mark.parametrize("view", [View(224, 224, 224), View(27, 48), View(1, 1), View(20, 60, 64)])
def test_sizes_of_all_kinds(size: tuple[int, int], view: View) -> None:
    frame = av.VideoFrame(*size, "yuv420p")
    for plane, value in zip(frame.planes, (235, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    picture = maker().picture(frame, view)
    assert picture.shape == (view.height, view.width, 3)
    assert picture.min() >= 250


@pytest.mark.parametrize("shape", [Fraction(1, 10), Fraction(10)])
@pytest.mark.parametrize("size", [(2000, 10), (10, 2000)])
def test_of_a_narrow_strip_the_middle_is_shown(size: tuple[int, int], shape: Fraction) -> None:
    width, height = size
    strip = np.zeros((height, width, 3), np.uint8)
    strip[:, : width // 2] = 255 if width > height else 0
    strip[: height // 2] = 255 if height > width else strip[: height // 2]
    picture = maker(shape).picture(av.VideoFrame.from_ndarray(strip, "rgb24"), View(32, 32, 32))
    bright = picture.mean(axis=(0, 2) if width > height else (1, 2))
    assert bright[:12].min() > 240
    assert bright[-12:].max() < 15


@pytest.mark.parametrize("changed", [{"pixel_format": "yuv444p"}, {"size": (128, 96)}])
def test_what_changes_in_mid_stream(changed: dict[str, object], tmp_path: Path) -> None:
    size = changed.pop("size", (64, 48))
    one = make_video(tmp_path / "one.ts", 10).read_bytes()
    pictures = [numbered(10 + i, *size) for i in range(10)]  # type: ignore[misc]
    two = make_video(tmp_path / "two.ts", pictures, start=0.4, **changed).read_bytes()  # type: ignore[arg-type]
    (tmp_path / "joined.ts").write_bytes(one + two)
    with VideoFile(tmp_path / "joined.ts") as video:
        pictures = [p for (p,) in video.sampled(25, [View(48, 64)]) if p is not None]
    assert [number_of(picture) for picture in pictures] == list(range(20))
    assert {picture.shape for picture in pictures} == {(48, 64, 3)}
