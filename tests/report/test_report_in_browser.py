"""The page as a browser shows it: one headless Chromium for all tests of this module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_pages import HOSTILE, LABELS, TIOUS, annotations, detections, hostile, levels, page

from making_videos import make_video
from untrimmed.evaluation.diagnosis import Diagnosis, diagnose
from untrimmed.report.contents import Contents
from untrimmed.report.diagnosis_page import write_diagnosis_page, write_figures
from untrimmed.report.headline import DASH
from untrimmed.report.history import History
from untrimmed.report.media import Embedded, Linked, address
from untrimmed.report.page import write_report
from untrimmed.report.palette import DARK, LIGHT
from untrimmed.report.results import assess

selenium = pytest.importorskip("selenium.webdriver")
from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService, Keys  # noqa: E402
from selenium.webdriver.remote.webelement import WebElement  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
HEAT_PIXELS = """(() => {
    const heat = document.querySelector('.heat');
    const copy = new OffscreenCanvas(heat.width, heat.height).getContext('2d', {willReadFrequently: true});
    copy.drawImage(heat, 0, 0);
    return copy.getImageData(0, 0, heat.width, heat.height).data;
})()"""
TEXTS = """((svg) => [...svg.querySelectorAll('text')].map((each) => {
    const [a, b] = [each.getBoundingClientRect(), svg.getBoundingClientRect()];
    return [a.left - b.left, a.top - b.top, b.right - a.right, b.bottom - a.bottom, a.width, a.height];
}))(arguments[0])"""
DESK, PHONE = (1280, 900), (375, 812)


class Browser:
    """Chromium, and what the tests ask of it."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, path: Path, *, size: tuple[int, int] = DESK, dark: bool = False, media: str = "screen") -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get("about:blank")
        self.driver.get(path.as_uri())
        self.frame()  # charts are drawn as soon as they know their width

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[WebElement]:
        """Find all elements that can be seen."""
        return list(
            self.js("[...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility())", selector)
        )

    def sizes(self, selector: str) -> list[list[float]]:
        """Measure all elements that can be seen: width and height of each."""
        boxes = "[...document.querySelectorAll(arguments[0])].filter((e) => e.checkVisibility())"
        return list(self.js(f"{boxes}.map((e) => [e.offsetWidth, e.offsetHeight])", selector))

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def keys(self, *keys: str) -> None:
        self.mouse.send_keys(*keys).perform()

    @property
    def mouse(self) -> ActionChains:
        """A new chain of actions with mouse and keys."""
        return ActionChains(self.driver, duration=0)

    def hover(self, element: WebElement, x: int = 0, y: int = 0) -> str:
        """Point at a place, measured from the middle of an element, and return what the tooltip says."""
        self.mouse.move_to_element_with_offset(element, x, y).perform()
        return self.text("#tip")

    def until(self, condition: Callable[[], object]) -> None:
        WebDriverWait(self.driver, 10, poll_frequency=0.02).until(lambda _: condition())

    def frame(self) -> None:
        """Let the page draw what it has put off to the next frame."""
        script = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        self.driver.execute_async_script(script)

    @property
    def time(self) -> float:
        return float(self.find(".scroller").get_attribute("aria-valuenow") or "nan")

    @property
    def playhead(self) -> float:
        """Where the playhead stands, as a part of the track."""
        script = "document.querySelector('.playhead').offsetLeft / document.querySelector('.track').offsetWidth"
        return float(self.js(script))

    @property
    def verdicts(self) -> list[str]:
        return [each.get_attribute("textContent") or "" for each in self.all(".entry .mark")]

    def slide_to(self, step: int) -> None:
        script = (
            "const s = document.getElementById('score'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
        )
        self.driver.execute_script(script, step)
        self.frame()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The one browser."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        message = "needs Chromium and chromedriver; UNTRIMMED_REQUIRE_BROWSER=1 makes this a failure"
        (pytest.fail if os.environ.get("UNTRIMMED_REQUIRE_BROWSER") == "1" else pytest.skip)(message)
    options = ChromeOptions()
    options.binary_location = program
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = Chrome(options, ChromeService(driver))
    try:
        yield Browser(made)
    finally:
        made.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser; afterwards, its console has to be empty, and nothing may have been fetched."""
    chromium.driver.get_log("browser")
    yield chromium
    assert chromium.driver.get_log("browser") == []
    fetched = chromium.js("performance.getEntriesByType('resource').map((each) => each.name)")
    assert [name for name in fetched if not name.startswith(("blob:", "file:"))] == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pages: `main`, with a video that is embedded; `linked`, `hostile`, `silent`, `long` and `empty`."""
    place = tmp_path_factory.mktemp("pages")
    clip = make_video(place / "a b#?%.mp4", 200, rate=10)  # 20 s
    history = History((1, 2, 3), {"loss": (1.5, 0.7, 0.4), "mAP": (None, 0.4, 0.6)})
    scores = {"levels": {"one": levels(), "two": levels()}, "level_labels": LABELS}
    embedded = {"one": Embedded(clip.read_bytes(), "video/mp4")}
    pages: dict[str, Contents] = {
        "main": page(media=embedded, history=history, facts={"Network": "small"}, **scores),
        "linked": page(media={"one": Linked(address(clip, place / "linked.html")), "two": Linked("gone.mp4")}),
        "hostile": hostile(),
        "silent": page(**scores),
        "long": page(_long_results(), levels={"long": levels(7200)}, level_labels=LABELS),
        "empty": page(assess(annotations({}), {}, TIOUS)),
        "unknown": page(assess(annotations({"v": []}), {}, TIOUS)),
    }
    for name, contents in pages.items():
        write_report(contents, place / f"{name}.html")
    write_diagnosis_page(_diagnosis(), HOSTILE[0], place / "diagnosis.html")
    write_figures(_diagnosis(), place / "figures")
    return place


def _diagnosis() -> Diagnosis:
    """Diagnose many detections, of all kinds."""
    random = np.random.default_rng(0)
    starts, lengths = random.uniform(0, 900, 300), random.uniform(0.1, 99, 300)
    spans = list(zip(starts.tolist(), (starts + lengths).tolist(), random.choice(LABELS, 300).tolist(), strict=True))
    moved = [(start + 9 * x, end + 9 * x, label) for (start, end, label), x in zip(spans, starts / 900, strict=True)]
    rows = [(*span, score) for span, score in zip(moved * 9, random.uniform(0, 1, 2700).tolist(), strict=True)]
    return diagnose(annotations({"v": spans}, duration=1000), detections({"v": rows}), (0.5,))


def _long_results() -> Any:
    truth = annotations({"long": [(100.0 * i, 100.0 * i + 8, LABELS[i % 2]) for i in range(70)]}, duration=7200)
    found = detections({"long": [(100.0 * i + 1, 100.0 * i + 8, LABELS[i % 2], 0.9 - i / 100) for i in range(70)]})
    return assess(truth, found, TIOUS)


# Players


def test_an_embedded_video_plays(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    browser.until(lambda: browser.js("document.querySelector('video').readyState >= 3"))
    assert browser.js("document.querySelector('video').duration") == pytest.approx(20, abs=0.2)
    assert browser.js("document.querySelector('video').src").startswith("blob:")
    assert browser.js("document.querySelector('video').currentTime") == 0
    browser.keys(" ")
    browser.until(lambda: browser.js("document.querySelector('video').currentTime") > 0.15)
    browser.until(lambda: browser.time > 0.1)
    browser.keys(" ")
    assert browser.js("document.querySelector('video').paused")
    browser.frame()
    assert browser.playhead == pytest.approx(browser.js("document.querySelector('video').currentTime") / 20, abs=0.01)


def test_a_linked_video_with_an_odd_name(browser: Browser, folder: Path) -> None:
    browser.open(folder / "linked.html")
    browser.until(lambda: browser.js("document.querySelector('video').readyState >= 2"))
    assert browser.js("document.querySelector('video').duration") == pytest.approx(20, abs=0.2)
    browser.find("[aria-label='Play or pause']").click()
    browser.until(lambda: browser.js("document.querySelector('video').currentTime") > 0.1)
    browser.keys(" ")  # the click has not kept the focus on the button
    assert browser.js("document.querySelector('video').paused")


def test_a_linked_video_that_is_gone(browser: Browser, folder: Path) -> None:
    browser.open(folder / "linked.html")
    browser.keys("j")
    browser.until(lambda: browser.all(".no-player"))
    assert browser.text(".no-player").startswith("There is no player, because this browser cannot play the video file.")
    assert not browser.all("[aria-label='Play or pause']")
    browser.keys("n")
    assert browser.time == 1
    assert any("gone.mp4" in entry["message"] for entry in browser.driver.get_log("browser"))


def test_without_a_player(browser: Browser, folder: Path) -> None:
    browser.open(folder / "silent.html")
    assert "no video file of this recording was given" in browser.text(".no-player")
    assert not browser.all("video, [aria-label='Play or pause'], [aria-label=Speed]")
    lane = browser.find(".lanes.truth")
    browser.mouse.move_to_element(lane).click().perform()  # the middle lies between two bars
    assert browser.time == pytest.approx(10, abs=0.3) or browser.time == 10
    browser.keys(Keys.ARROW_RIGHT)
    assert browser.time == pytest.approx(11, abs=0.3)
    assert browser.playhead == pytest.approx(11 / 20, abs=0.03)


# The timeline


@pytest.mark.parametrize(("selector", "start"), [(".bar.found", 2), (".bar.truth:nth-of-type(2)", 10)])
def test_a_click_on_a_bar_goes_there(browser: Browser, folder: Path, selector: str, start: float) -> None:
    browser.open(folder / "main.html")
    browser.until(lambda: browser.js("document.querySelector('video').readyState >= 1"))
    bar = browser.find(selector)
    bar.click()
    assert browser.js("document.querySelector('video').currentTime") == start
    assert browser.time == start
    assert browser.playhead == pytest.approx(start / 20, abs=0.01)
    assert "chosen" in (bar.get_attribute("class") or "")
    label = "jump" if start == 2 else "run"
    assert browser.text(".caption").startswith(label)


def test_a_click_on_a_row_of_the_list_goes_there(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    assert browser.verdicts == ["right", "wrong", "missed"]
    browser.all(".entry")[1].click()
    assert browser.time == 7
    assert (
        browser.text(".caption")
        == f"run · 0:07.0 {DASH} 0:08.0 (1.0 s), score 0.85 · Wrong: there is no such action in the truth here"
    )
    browser.all(".entry")[2].click()
    assert (
        browser.text(".caption")
        == f"run · Truth: 0:10.0 {DASH} 0:14.0 (4.0 s) · Missed: no detection that is shown finds it"
    )


def test_right_and_wrong_do_not_differ_by_colour_only(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    bars = "[...document.querySelectorAll('.bar:not([hidden])')]"
    styles = browser.js(f"{bars}.map((bar) => [bar.className, getComputedStyle(bar).borderStyle])")
    assert len(styles) == 4
    for name, border in styles:
        assert border == ("solid" if " matched" in name else "dashed")


def test_dragging_on_the_ruler(browser: Browser, folder: Path) -> None:
    browser.open(folder / "silent.html")
    ruler = browser.find(".ruler")
    chain = browser.mouse.move_to_element(ruler).click_and_hold()
    chain.move_by_offset(ruler.size["width"] // 4, 0).release().perform()
    assert browser.time == pytest.approx(15, abs=0.2)


def test_a_long_video_can_be_zoomed(browser: Browser, folder: Path) -> None:
    browser.open(folder / "long.html")
    bars = browser.all(".bar.found")
    assert min(width for width, _ in browser.sizes(".bar")) >= 3
    bars[30].click()
    assert browser.time == 3001
    box = "(({top, bottom}) => [top, bottom])(document.querySelector(arguments[0]).getBoundingClientRect())"
    around, chosen = browser.js(box, ".list"), browser.js(box, ".entry.chosen")
    assert around[0] <= chosen[0] < chosen[1] <= around[1]  # the list has come along
    for _ in range(10):
        browser.keys("+")
    browser.frame()
    assert bars[30].size["width"] > 400
    view = "document.querySelector('.scroller')"
    left = browser.js(f"{view}.scrollLeft")
    assert 0 < bars[30].location["x"] < DESK[0]  # the playhead has stayed in view
    assert "50:02" in browser.text(".ruler").split()
    width, height = (browser.js(f"document.querySelector('.heat').client{x}") for x in ("Width", "Height"))
    assert (width, height) == (browser.js(f"{view}.clientWidth"), 3 * 14)

    chain = browser.mouse.move_to_element(browser.find(".lanes.found")).click_and_hold()
    chain.move_by_offset(-200, 0).release().perform()
    assert browser.js(f"{view}.scrollLeft") == pytest.approx(left + 200, abs=3)
    assert browser.time == 3001  # a drag is no click
    browser.keys("n")
    assert browser.time == 3101
    browser.frame()
    assert 0 < bars[31].location["x"] < DESK[0]
    browser.keys("0")
    browser.frame()
    assert browser.js(f"{view}.scrollWidth === {view}.clientWidth")


def test_zooming_with_the_wheel_keeps_the_time_under_the_pointer(browser: Browser, folder: Path) -> None:
    browser.open(folder / "long.html")
    script = """(() => {
        const scroller = document.querySelector('.scroller'), track = document.querySelector('.track');
        const box = scroller.getBoundingClientRect(), x = Math.round(box.left + 0.3 * box.width);
        const at = () => (x - track.getBoundingClientRect().left) / track.getBoundingClientRect().width;
        const before = at();
        const wheel = {deltaY: -900, ctrlKey: true, clientX: x, clientY: box.top + 30, cancelable: true, bubbles: true};
        const taken = !scroller.dispatchEvent(new WheelEvent('wheel', wheel));
        const scrolls = scroller.dispatchEvent(new WheelEvent('wheel', {...wheel, ctrlKey: false}));
        return [before, at(), track.offsetWidth / scroller.clientWidth, taken, scrolls];
    })()"""
    before, after, zoom, taken, scrolls = browser.js(script)
    assert zoom == pytest.approx(20.1, abs=0.1)
    assert after == pytest.approx(before, abs=1e-4)
    assert (taken, scrolls) == (True, True)  # without Ctrl, the page scrolls


def test_scores(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    pixels = f"""((data) => {{
        const colours = new Set(); let sum = 0;
        for (let i = 0; i < data.length; i += 4) {{
            colours.add(data.slice(i, i + 4).join());
            sum += data[i] + 2 * data[i + 1];
        }}
        return [colours.size, sum];
    }})({HEAT_PIXELS})"""
    browser.until(lambda: browser.js(pixels)[0] > 20)
    every = browser.js(pixels)
    assert [each.text for each in browser.all(".level-name")] == ["1 s", "2 s", "4 s"]
    browser.js("document.querySelector('.scores-of select').value = '1'")
    browser.js("document.querySelector('.scores-of select').dispatchEvent(new Event('change'))")
    browser.frame()
    assert browser.js(pixels) != every
    scores = levels()[1].scores[:, 1]
    heat = browser.find(".heat")
    tip = browser.hover(heat, x=3, y=0)  # just behind the middle of 20 s, in the second of three rows
    assert tip.splitlines() == ["Level 1: a moment every 2 s", f"0:10.5: run {scores[5]:.2f}"]


# What is shown


def test_the_slider(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    best = browser.text("#score-value")
    assert "3 of 4 detections · precision 66.7 % · recall 66.7 % · F1 66.7 %" in browser.text("#totals")
    assert len(browser.all(".bar.found")) == 2
    assert not browser.find("#best").is_enabled()
    browser.slide_to(0)
    assert len(browser.all(".bar.found")) == 3
    assert browser.text("#totals").startswith("4 of 4 detections")
    assert browser.verdicts == ["right", "wrong", "wrong", "missed"]
    assert browser.find("#best").is_enabled()
    browser.slide_to(95)
    assert browser.all(".bar.found") == []
    assert browser.text("#score-value") == "0.95"
    assert browser.text("#totals").startswith(f"0 of 4 detections · precision {DASH} · recall 0.0 %")
    assert browser.verdicts == ["missed", "missed"]
    assert browser.text(".view .facts") == "0:20 · 2 instances · 0 right, 0 wrong, 2 missed"
    assert [each.text.split() for each in browser.all(".result")] == [["0", "0", "2"], ["0", "0", "1"]]
    browser.find("#best").click()
    browser.frame()
    assert browser.text("#score-value") == best
    browser.find("#score").send_keys(Keys.ARROW_RIGHT)
    browser.frame()
    assert float(browser.text("#score-value")) == pytest.approx(float(best) + 0.01)
    assert browser.find("#score").get_attribute("aria-valuetext") == f"score from {float(best) + 0.01:.2f}"
    assert browser.time == 0  # the slider has the arrows while it has the focus


def test_the_tiou(browser: Browser, folder: Path) -> None:
    truth = annotations({"v": [(0, 10, "run")]})
    write_report(page(assess(truth, detections({"v": [(0, 6, "run", 0.9)]}), TIOUS)), folder / "tiou.html")
    browser.open(folder / "tiou.html")
    assert browser.verdicts == ["right"]
    browser.js("document.getElementById('tiou').value = '2'")
    browser.js("document.getElementById('tiou').dispatchEvent(new Event('change'))")
    browser.frame()
    assert browser.verdicts == ["wrong", "missed"]
    tip = browser.hover(browser.find(".bar.found"))
    assert tip.splitlines() == [
        "run",
        f"0:00.0 {DASH} 0:06.0 (6.0 s), score 0.90",
        "Wrong: tIoU with the truth is only 0.60",
    ]
    assert browser.find("[data-column=ap]").text == "0.0"


def test_tooltips(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    right = browser.hover(browser.find(".bar.found"))
    assert right.splitlines()[1:] == [
        f"0:02.0 {DASH} 0:06.5 (4.5 s), score 0.90",
        f"Right: tIoU 0.89 with the truth at 0:02.0 {DASH} 0:06.0",
    ]
    assert browser.hover(browser.find(".bar.truth")).splitlines()[2] == "Found with score 0.90, tIoU 0.89"
    assert browser.hover(browser.find("#mean-ap .column")).splitlines()[0] == "mAP 62.50 %"
    browser.js("document.getElementById('loss').scrollIntoView({block: 'center'})")
    assert "epoch 2" in browser.hover(browser.find("#loss svg"), x=16, y=12)
    browser.hover(browser.find("h1"))
    assert not browser.find("#tip").is_displayed()


def test_the_keys(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    browser.until(lambda: browser.js("document.querySelector('video').readyState >= 1"))
    browser.keys("n")
    assert browser.time == 2
    browser.keys("n")
    assert browser.time == 7
    browser.keys("n")
    assert browser.time == 7  # that was the last one
    browser.keys("p")
    assert browser.time == 2
    browser.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    browser.until(lambda: browser.time == 3)
    browser.mouse.key_down(Keys.SHIFT).send_keys(Keys.ARROW_RIGHT).key_up(Keys.SHIFT).perform()
    assert browser.js("document.querySelector('video').currentTime") == pytest.approx(3.04)
    before = float(browser.text("#score-value"))
    browser.keys("]", "]", "[")
    browser.frame()
    assert float(browser.text("#score-value")) == pytest.approx(before + 0.01)
    browser.keys("j")
    assert browser.text(".view h3") == "two"
    assert browser.js("location.hash") == "#video-2"
    browser.keys("j", "k", "k")
    assert browser.text(".view h3") == "one"
    browser.keys("?")
    assert browser.js("document.getElementById('help').open")
    browser.keys("j")  # not while the help is open
    browser.keys(Keys.ESCAPE)
    assert not browser.js("document.getElementById('help').open")
    assert browser.text(".view h3") == "one"
    scroller = browser.find(".scroller")
    scroller.send_keys(Keys.END)
    assert browser.time == 20
    assert scroller.get_attribute("aria-valuetext") == "20.0 s of 20.0 s"
    scroller.send_keys(Keys.HOME)
    assert browser.time == 0


def test_choosing_videos(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    one, two = browser.all(".pick")
    assert (one.get_attribute("aria-current"), two.get_attribute("aria-current")) == ("true", None)
    two.click()
    assert browser.text(".view h3") == "two"
    assert two.get_attribute("aria-current") == "true"
    assert len(browser.all(".view")) == 1
    browser.driver.refresh()
    assert browser.text(".view h3") == "two"  # the address says so
    browser.find("#all-table a").click()
    assert browser.text(".view h3") == "one"


def test_tables_can_be_sorted(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")

    def column(k: int) -> list[str]:
        return [each.text for each in browser.all(f"#class-table tbody tr > :nth-child({k})")]

    assert column(1) == ["jump", "run"]
    assert column(2) == ["1", "2"]
    heads = browser.all("#class-table thead button")
    heads[1].click()
    assert column(2) == ["2", "1"]
    assert browser.all("#class-table thead th")[1].get_attribute("aria-sort") == "descending"
    heads[1].click()
    assert column(2) == ["1", "2"]
    heads[0].click()
    assert column(1) == ["jump", "run"]
    heads[0].click()
    assert column(1) == ["run", "jump"]


def test_pointing_at_a_class_shows_its_curve(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    browser.until(lambda: browser.all("#precision-recall .overall"))
    assert browser.all("#precision-recall .ring")
    assert not browser.all("#precision-recall .strong")
    browser.hover(browser.all("#class-table tbody tr")[1])
    assert browser.all("#precision-recall .strong")


# How it looks


def test_themes(browser: Browser, folder: Path) -> None:
    def colours() -> list[str]:
        script = "['body', '.view'].map((s) => getComputedStyle(document.querySelector(s)).backgroundColor)"
        return [f"#{''.join(f'{int(c):02x}' for c in colour[4:-1].split(','))}" for colour in browser.js(script)]

    light, dark = ([theme["page"], theme["surface"]] for theme in (LIGHT, DARK))
    corner = f"[...({HEAT_PIXELS}).slice(4 * 300, 4 * 301)].join()"
    for system, own, other in ((False, light, dark), (True, dark, light)):
        browser.open(folder / "main.html", dark=system)
        browser.until(lambda: browser.js(corner) != "0,0,0,0")
        assert colours() == own
        before = browser.js(corner)
        button = browser.find("#theme")
        assert button.text == ("Light" if system else "Dark")
        button.click()
        browser.frame()
        browser.frame()
        assert colours() == other
        assert browser.js(corner) != before  # the scores are drawn anew
        assert button.text == ("Dark" if system else "Light")
        button.click()
        assert colours() == own


@pytest.mark.parametrize("name", ["main", "linked", "hostile", "long", "empty"])
def test_a_phone_does_not_scroll_sideways(browser: Browser, folder: Path, name: str) -> None:
    browser.open(folder / f"{name}.html", size=PHONE)
    if name == "linked":
        browser.until(lambda: browser.js("document.querySelector('video').readyState >= 1"))
    assert browser.js("document.documentElement.scrollWidth") == PHONE[0]
    if name in ("main", "long"):
        browser.keys("+", "+", "n")
        browser.frame()
        assert browser.js("document.documentElement.scrollWidth") == PHONE[0]
        assert min(height for _, height in browser.sizes(".icon, .entry, .pick, #theme")) >= 28


def test_paper(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html", dark=True, media="print")
    assert (
        browser.js("getComputedStyle(document.body).backgroundColor") != f"rgb{tuple(bytes.fromhex(DARK['page'][1:]))}"
    )
    assert not browser.all(".toolbar, .controls, .tools")
    assert browser.all(".timeline")


def test_everything_has_a_name(browser: Browser, folder: Path) -> None:
    """As those hear it who do not see the page."""
    browser.open(folder / "main.html")
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    seen = set()
    for node in tree:
        role = node.get("role", {}).get("value")
        if node.get("ignored") or role not in ("button", "slider", "combobox", "image", "table", "link", "article"):
            continue
        seen.add(role)
        if role != "table":
            assert node.get("name", {}).get("value", "").strip(), node
    assert seen >= {"button", "slider", "combobox", "image", "table"}


def test_the_focus_can_be_seen(browser: Browser, folder: Path) -> None:
    browser.open(folder / "main.html")
    outlines = set()
    for _ in range(12):
        browser.keys(Keys.TAB)
        outlines.add(browser.js("getComputedStyle(document.activeElement).outlineStyle"))
    assert outlines == {"solid"}


# What may be wrong with the data


def test_hostile_names(browser: Browser, folder: Path) -> None:
    browser.open(folder / "hostile.html")
    browser.until(lambda: browser.all(".bar"))
    for _ in HOSTILE:
        browser.keys("n")
        browser.hover(browser.find(".bar.found"))
        browser.keys("j")
    assert browser.js("window.broken") is None
    assert browser.js("document.querySelectorAll('img, body script:not([type]):not(:last-of-type)').length") == 0
    shown = [each.get_attribute("textContent") for each in browser.driver.find_elements("css selector", ".pick bdi")]
    expected = [f"{name}{i}".replace("\ud800", "\ufffd") if name else "(no name)" for i, name in enumerate(HOSTILE)]
    assert sorted(map(str, shown)) == sorted(expected)
    assert browser.js("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(("name", "note"), [("empty", "There are no videos."), ("unknown", "so there is no mAP")])
def test_without_data(browser: Browser, folder: Path, name: str, note: str) -> None:
    browser.open(folder / f"{name}.html")
    assert note in browser.text("main")
    assert DASH in browser.text(".first-figure")
    browser.keys(" ", "n", "j", "]", "+", "?")
    assert browser.js("document.getElementById('help').open")
    assert "NaN" not in browser.text("body")
    assert "undefined" not in browser.text("body")


def test_the_policy_stops_what_is_not_ours(browser: Browser, folder: Path, tmp_path: Path) -> None:
    html = (folder / "main.html").read_text()
    evil = "<script>window.broken = 1</script><img src='data:,' onerror='window.broken = 2'>"
    (tmp_path / "evil.html").write_text(html.replace("<main>", f"<main>{evil}"))
    browser.open(tmp_path / "evil.html")
    assert browser.js("window.broken") is None
    assert browser.all(".bar")
    log = browser.driver.get_log("browser")
    assert len(log) >= 2
    assert all("Content Security Policy" in entry["message"] for entry in log)


def test_a_page_for_very_many_detections(browser: Browser, folder: Path) -> None:
    """What overlaps in more lanes than there is room for is counted; a long list ends with a word."""
    rows = [(1.0 + i / 1000, 19.0, "run", 0.9) for i in range(1200)]
    results = assess(annotations({"v": [(1, 19, "run")]}), detections({"v": rows}), TIOUS)
    write_report(page(results), folder / "many.html")
    browser.open(folder / "many.html")
    assert "the best 1,000 of 1,200 detections" in browser.text(".view .facts")
    assert browser.text(".row-name small") == "+990 more"
    assert len(browser.all(".bar.found")) == 10
    assert browser.find(".lanes.found").size["height"] == 240
    assert browser.all(".list li")[-1].text == "and 700 more; raise the score to see fewer"
    browser.keys("n")
    assert browser.time == pytest.approx(1.0, abs=0.2)


# Diagnosis


@pytest.mark.parametrize("size", [DESK, (830, 600), PHONE])
def test_texts_of_figures_have_room(browser: Browser, folder: Path, size: tuple[int, int]) -> None:
    browser.open(folder / "diagnosis.html", size=size)
    assert browser.js("document.documentElement.scrollWidth") <= size[0]
    figures = browser.all(".figure")
    assert len(figures) == 5
    for each in figures:
        _assert_texts_have_room(browser, each, least_height=10)


@pytest.mark.parametrize("name", ["kinds", "gains", "length", "coverage", "instances"])
def test_figures_are_files_of_their_own(browser: Browser, folder: Path, name: str) -> None:
    for theme, dark in ((LIGHT, False), (DARK, True)):
        browser.open(folder / "figures" / f"{name}.svg", dark=dark)
        ground = browser.js("getComputedStyle(document.querySelector('.ground')).fill")
        assert ground == _rgb(theme["surface"])
        assert browser.js("getComputedStyle(document.querySelector('.head')).fill") == _rgb(theme["ink"])
        _assert_texts_have_room(browser, browser.find(".figure"), least_height=12)


def test_figures_follow_the_theme_of_the_page(browser: Browser, folder: Path) -> None:
    fill = "getComputedStyle(document.querySelector('#diagnosis .figure .ink')).fill"
    browser.open(folder / "main.html")
    assert browser.js(fill) == _rgb(LIGHT["ink"])
    browser.find("#theme").click()
    assert browser.js(fill) == _rgb(DARK["ink"])


def test_table_of_a_figure_opens_within_its_panel(browser: Browser, folder: Path) -> None:
    browser.open(folder / "diagnosis.html", size=PHONE)
    assert not browser.all("#diagnosis td")
    browser.find("#diagnosis summary").click()
    assert len(browser.all("#diagnosis td")) == 60
    assert browser.js("document.documentElement.scrollWidth") == PHONE[0]


def test_figures_are_announced(browser: Browser, folder: Path) -> None:
    browser.open(folder / "diagnosis.html")
    for each in browser.all(".figure"):
        assert (each.aria_role, each.accessible_name) == (
            "image",
            browser.js("arguments[0].querySelector('title').textContent", each),
        )


def _assert_texts_have_room(browser: Browser, figure: WebElement, least_height: float) -> None:
    """No text is cut off by the edge of its figure, lies upon another, or is too small to read."""
    boxes = browser.js(TEXTS, figure)
    assert boxes
    for left, top, right, bottom, _, height in boxes:
        assert min(left, top, right, bottom) > -0.5
        assert height >= least_height
    for i, (left, top, _, _, width, height) in enumerate(boxes):
        for other_left, other_top, _, _, other_width, other_height in boxes[:i]:
            beside = left >= other_left + other_width or other_left >= left + width
            # Boxes of lines are higher than their letters.
            assert beside or abs(top + height / 2 - other_top - other_height / 2) > (height + other_height) * 0.4


def _rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))})"
