"""Make the pictures of the documentation from a report: light and dark, for a desk and for a phone.

    python benchmarks/screenshots.py runs/demo/report.html docs/pictures

Writes `report-light.png`, `report-dark.png` and `report-phone.png`; one that would have more than 300 kB gets a palette
of 256 colours. Needs Chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from untrimmed.data.files import write_atomically

SHOTS = {
    "report-light": (1280, 1225, False),
    "report-dark": (1280, 1225, True),
    "report-phone": (390, 1300, False),
}
"""Width and height in pixels of the page, and whether it is dark."""
ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
MOST_BYTES, COLOURS = 300_000, 256


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="the HTML file")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    parser.add_argument("--video", type=int, default=1, help="which video of the page is open, from 1")
    parser.add_argument("--detection", type=int, default=3, help="how many detections the playhead goes on, from 0")
    options = parser.parse_args()
    with browser() as driver:
        for name, (width, height, dark) in SHOTS.items():
            picture = shoot(driver, options, width, height, dark=dark)
            path = options.out / f"{name}.png"
            write_atomically(path, smaller(picture))
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


@contextmanager
def browser() -> Iterator[Chrome]:
    """Headless Chromium, with a profile of its own."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        raise SystemExit("screenshots.py: Chromium and chromedriver have to be installed")
    with tempfile.TemporaryDirectory() as profile:
        options = ChromeOptions()
        options.binary_location = program
        for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        chrome = Chrome(options, ChromeService(driver))
        try:
            yield chrome
        finally:
            chrome.quit()


def shoot(driver: Chrome, options: argparse.Namespace, width: int, height: int, *, dark: bool) -> bytes:
    """Open the page at a size, go on a few detections, and return a PNG."""
    features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get("about:blank")  # else only the part after the # changes
    driver.get(f"{options.report.resolve().as_uri()}#video-{options.video}")
    for _ in range(options.detection):
        driver.execute_script("document.querySelector('[aria-label=\"Next detection\"]')?.click()")
    driver.set_script_timeout(20)
    driver.execute_async_script(
        """const done = arguments[0], video = document.querySelector('video');
        const ready = () => !video || (video.readyState >= 2 && !video.seeking);
        const wait = (frames) => requestAnimationFrame(() => (frames ? wait(ready() ? frames - 1 : frames) : done()));
        wait(10);"""
    )
    time.sleep(0.3)  # for the decoded picture to be painted
    shot = driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    return base64.b64decode(shot["data"])


def smaller(png: bytes) -> bytes:
    """Compress a picture as well as PNG can, and with fewer colours if it is still large then."""
    with Image.open(io.BytesIO(png)) as picture:
        exact = picture.convert("RGB")
    content = compressed(exact)
    if len(content) <= MOST_BYTES:
        return content
    return compressed(exact.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE))


def compressed(picture: Image.Image) -> bytes:
    """Write a PNG."""
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


if __name__ == "__main__":
    main()
