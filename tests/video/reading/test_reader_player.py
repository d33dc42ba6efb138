"""The reader's seconds, sizes and orientations beside those of a real player: Chromium's `<video>`."""

from __future__ import annotations

import base64
import itertools
import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from making_videos import make_video, number_of
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import View

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
TYPES = {".mp4": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm", ".mkv": "video/x-matroska"}

LOOK = """
const [data, type, times, done] = arguments;
(async () => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const video = document.createElement("video");
  video.muted = true;
  video.src = URL.createObjectURL(new Blob([bytes], {type}));
  await new Promise((go, fail) => { video.onloadeddata = go; video.onerror = () => fail(video.error.message); });
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext("2d", {willReadFrequently: true});
  const pictures = [];
  for (const time of times) {
    const arrived = new Promise((go) => { video.onseeked = go; });
    video.currentTime = time;
    await arrived;
    await new Promise(requestAnimationFrame);
    pen.drawImage(video, 0, 0);
    const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
    pictures.push([video.currentTime, btoa(String.fromCharCode(...pixels))]);
  }
  return {width: video.videoWidth, height: video.videoHeight, pictures};
})().then(done, (error) => done({error: String(error)}));
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in [*OPTIONS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.get("about:blank")
    yield driver
    driver.quit()


def look(browser: Any, path: Path, times: list[float]) -> tuple[tuple[int, int], list[tuple[float, np.ndarray]]]:
    """Width and height of a video in the player, and its pictures `[height, width, 3]` at these times."""
    data = base64.b64encode(path.read_bytes()).decode()
    seen = browser.execute_async_script(LOOK, data, TYPES[path.suffix], times)
    assert "error" not in seen, seen
    width, height = seen["width"], seen["height"]
    pictures = [
        (time, np.frombuffer(base64.b64decode(pixels), np.uint8).reshape(height, width, 4)[..., :3])
        for time, pixels in seen["pictures"]
    ]
    return (width, height), pictures


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "late": {"start": 1.0},
    "later than the sound": {"start": 1.0, "sound": 3.0},
    "earlier than the sound": {"sound": 1.0, "sound_start": 0.5},
    "all late": {"start": 1.0, "sound": 2.0, "sound_start": 0.5},
    "before zero": {"start": -0.4, "container_options": {"avoid_negative_ts": "disabled"}},
    "b-frames": {"b_frames": 3},
    "variable rate": {"times": [i**1.5 / 90 for i in range(50)]},
}


@pytest.mark.parametrize(
    ("suffix", "case"),
    [(s, c) for s in (".mp4", ".webm", ".mkv") for c in CASES if (s, c) != (".mkv", "before zero")],  # not playable
)
def test_seconds_are_seconds_in_the_player(suffix: str, case: str, browser: Any, tmp_path: Path) -> None:
    options = CASES[case]
    path = make_video(tmp_path / f"video{suffix}", 50, **options)
    with VideoFile(path) as video:
        frames = [(frame.seconds, number_of(frame.picture(View(48, 64)))) for frame in video.frames()]
    middles = [(one + two) / 2 for (one, _), (two, _) in itertools.pairwise(frames)]
    times = [0.3, *(middle for middle in middles[2::7] if middle > 0.3)]
    _, pictures = look(browser, path, times)
    assert len(pictures) >= 5
    for time, picture in pictures:
        # Asked for an earlier time than that at which it begins, the player goes there, and says so.
        shown = [number for seconds, number in frames if seconds <= time + 1e-6] or [frames[0][1]]
        assert number_of(picture) == shown[-1], time


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("flip", [False, True])
def test_pictures_stand_as_in_the_player(rotation: int, flip: bool, browser: Any, tmp_path: Path) -> None:
    corners = np.zeros((48, 64, 3), np.uint8)
    corners[:24, :32], corners[:24, 32:], corners[24:, :32] = 255, 170, 85
    path = make_video(tmp_path / "video.mp4", [corners] * 2, rotation=rotation, flip=flip)
    size, ((_, seen),) = look(browser, path, [0.0])
    with VideoFile(path) as video:
        assert (video.info.width, video.info.height) == size
        picture = next(iter(video.frames())).picture(View(size[1], size[0]))
    assert np.abs(picture.astype(int) - seen).mean() < 2


@pytest.mark.parametrize("shape", ["2", "4/3", "1/2"])
def test_sizes_are_those_in_the_player(shape: str, browser: Any, tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.mp4", pixel_shape=Fraction(shape))
    size, _ = look(browser, path, [])
    with VideoFile(path) as video:
        assert (video.info.width, video.info.height) == size
