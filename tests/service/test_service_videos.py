"""Videos, each decoded in a process that can be ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_service import assert_same, running, wait_until

from extracting import OWN, plain, processes, varied, with_own_extractor
from small_models import make
from untrimmed.data.features import FeatureDescription
from untrimmed.data.features.writing import UnwritableError
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.localizer import ExtractorReference
from untrimmed.errors import ConfigError, ModelError
from untrimmed.service.extraction import VideoExtraction, check_fits, choice_of
from untrimmed.video.extraction.workers import ExtractorChoice, Greeting, WorkerDiedError
from untrimmed.video.extractors.opening import open_extractor

__all__ = ["with_own_extractor"]

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

LOCALIZER = make(InputConfig(stride=2, window=2, rate=25))
CHOICE = ExtractorChoice(name=OWN, trust_python=True)


@pytest.fixture
def videos(with_own_extractor: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VideoExtraction]:
    monkeypatch.setenv("SECONDS_PER_CLIP", "0.02")
    yield (extraction := VideoExtraction(CHOICE))
    extraction.close()


def post(client: Any, video: Path, **query: Any) -> Any:
    return client.post("/detect", content=video.read_bytes(), headers={"Content-Type": "video/mp4"}, params=query)


def alive(folder: Path) -> set[int]:
    return {pid for pid in processes(folder) if Path(f"/proc/{pid}").exists()}


def test_good_and_bad_videos(videos: VideoExtraction, tmp_path: Path) -> None:
    good, white, blue = varied(tmp_path / "a.mp4", 20), tmp_path / "w.mp4", tmp_path / "b.mp4"
    plain(white, (255, 255, 255))
    plain(blue, (0, 0, 255))
    own = LOCALIZER.with_extractor(open_extractor(OWN, trust_python=True))
    expected = [{"label": d.label, "start": d.start, "end": d.end, "score": d.score} for d in own.detect(good)]
    with running(LOCALIZER, videos=videos) as client:
        assert client.get("/health").json()["videos"]
        answer = post(client, good, id="good")
        assert answer.json()["duration"] == pytest.approx(20 / 25)
        assert_same(answer.json()["detections"], expected)
        form = client.post("/detect", files={"file": ("../../a.npy", good.read_bytes(), "video/mp4")})
        assert_same(form.json()["detections"], expected)

        for kind, content, message in (
            ("video/mp4", b"#EXTM3U\nhttp://127.0.0.1/x", "is a playlist"),
            ("video/mp4", good.read_bytes()[: good.stat().st_size // 2], "was not copied to its end"),
            ("video/x", b"x" * 1000, "is not a video"),
            ("video/mp4", white.read_bytes(), "its process was ended by SIGSEGV"),
            ("video/mp4", blue.read_bytes(), "too blue"),
        ):
            refused = client.post("/detect", content=content, headers={"Content-Type": kind})
            assert (refused.status_code, message in refused.json()["error"]) == (422, True), refused.text
            assert "/tmp" not in refused.text
            assert len(refused.json()["error"]) < 300
        assert post(client, good, duration=3).status_code == 422
        assert post(client, good).status_code == 200


def test_a_video_that_takes_too_long_and_one_that_is_not_wanted_any_more(
    videos: VideoExtraction, tmp_path: Path
) -> None:
    slow, good = varied(tmp_path / "slow.mp4", 1500), varied(tmp_path / "good.mp4", 6)  # 15 seconds; a moment
    with running(LOCALIZER, videos=videos, job_timeout=1, timeout=60) as client:
        place = post(client, slow, job=True).headers["Location"]
        wait_until(lambda: (client.get(place).json()["progress"] or 0) > 0)
        state = client.get(place).json()
        assert (state["status"], 0 < state["progress"] < 1, state["seconds_read"] > 0) == ("decoding", True, True)
        wait_until(lambda: client.get(place).json()["status"] == "failed")
        assert client.get(place).json()["error_status"] == 504
        wait_until(lambda: not alive(tmp_path))
        assert post(client, good).status_code == 200
        (pid,) = alive(tmp_path)

        place = post(client, slow, job=True).headers["Location"]
        wait_until(lambda: (client.get(place).json()["progress"] or 0) > 0)
        assert client.delete(place).status_code == 204
        wait_until(lambda: pid not in alive(tmp_path))
        wait_until(lambda: client.get("/health").json()["held"] == 0)
    wait_until(lambda: not alive(tmp_path))


def test_which_extractor_a_model_asks_for() -> None:
    with pytest.raises(ModelError, match="does not say which extractor"):
        choice_of(LOCALIZER, "cpu")
    with pytest.raises(ModelError, match="signals"):
        choice_of(make(InputConfig(kind="signals", stride=2, window=3, rate=10)), "cpu")


@pytest.mark.parametrize(
    ("met", "raised", "message"),
    [
        (ConfigError("no such extractor"), ConfigError, "no such extractor"),
        (WorkerDiedError("its process died"), ModelError, "cannot be opened: its process died"),
        (ValueError("read of closed file"), ModelError, "cannot be opened: the service is being stopped"),
    ],
)
def test_an_extractor_that_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, met: Exception, raised: type[Exception], message: str
) -> None:
    stopped: list[bool] = []

    class Unwell:
        def __init__(self, *_: object) -> None: ...

        def greet(self) -> None:
            raise met

        def stop(self) -> None:
            stopped.append(True)

    monkeypatch.setattr("untrimmed.service.extraction.Worker", Unwell)
    with pytest.raises(raised, match=message):
        VideoExtraction(CHOICE)
    assert stopped


@pytest.mark.parametrize(
    ("met", "raised"), [(UnwritableError("disk full"), UnwritableError), (ValueError("closed file"), WorkerDiedError)]
)
def test_what_is_not_the_fault_of_a_video(
    monkeypatch: pytest.MonkeyPatch, met: Exception, raised: type[Exception]
) -> None:
    stopped: list[object] = []

    class Unlucky:
        greeting = None

        def __init__(self, *_: object) -> None: ...

        def greet(self) -> None: ...

        def stop(self) -> None:
            stopped.append(self)

        def carry_out(self, *_: object) -> None:
            raise met

    monkeypatch.setattr("untrimmed.service.extraction.Worker", Unlucky)
    extraction = VideoExtraction(CHOICE)
    with pytest.raises(raised):
        extraction.begin(Path("video"), Path("features"), lambda *_: None).future.result(30)
    wait_until(lambda: len(extraction._idle) == 1)  # instead of that one, there is another
    del stopped[:]
    extraction.kill()
    assert stopped == extraction._idle
    extraction.close()


def test_an_extractor_that_is_another() -> None:
    own = FeatureDescription(dimension=6, extractor=OWN, fingerprint="1" * 16, stride=2, window=2, rate=25)
    greeting = Greeting(own, "cpu")
    check_fits(LOCALIZER, greeting)
    with pytest.raises(ModelError, match="6 dimensions, but the model takes 7"):
        check_fits(make(input_dims=7), greeting)
    trained = make()
    object.__setattr__(trained, "extractor", ExtractorReference(name=OWN, fingerprint="0" * 16))
    with pytest.raises(ModelError, match="but here it has"):
        check_fits(trained, greeting)
    with pytest.raises(ModelError, match="a program that is not run here"):
        choice_of(trained, "cpu")
