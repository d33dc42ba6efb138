from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.video.extraction.progress import Progress, ProgressOfAll, now_and_then


def test_unknown_until_the_first_is_begun() -> None:
    progress = ProgressOfAll({"a": 100, "b": 300})
    assert progress.now == Progress(0, 2, 0, None)
    progress.read("a", 0, 10)
    assert progress.now == Progress(0, 2, 0, 40)
    progress.read("b", 5, 50)
    assert progress.now == Progress(0, 2, 5, 60)
    progress.ended("a", 9)
    assert progress.now == Progress(1, 2, 14, 59)


def test_a_video_that_does_not_say_how_long_it_is() -> None:
    progress = ProgressOfAll({"a": 100})
    progress.read("a", 3, None)
    assert progress.now == Progress(0, 1, 3, 3)
    progress.read("a", 4, 2)
    assert progress.now.of_seconds == 4


def test_a_bad_video_tells_nothing_of_the_others() -> None:
    progress = ProgressOfAll({"a": 100, "b": 100, "c": 0})
    progress.ended("a", None)
    progress.ended("c", None)
    assert progress.now == Progress(2, 3, 0, None)
    progress.read("b", 0, 7)
    assert progress.now.of_seconds == 7
    assert ProgressOfAll({}).now == Progress(0, 0, 0, 0)


@given(st.dictionaries(st.text(), st.tuples(st.integers(0, 1000), st.floats(0, 1000), st.booleans()), max_size=6))
def test_the_end_is_the_end(videos: dict[str, tuple[int, float, bool]]) -> None:
    progress = ProgressOfAll({key: size for key, (size, _, _) in videos.items()})
    for key, (_, seconds, good) in videos.items():
        progress.read(key, seconds / 2, seconds)
        now = progress.now
        assert now.of_seconds is None or now.seconds <= now.of_seconds + 1e-6
        progress.ended(key, seconds if good else None)
    end = progress.now
    assert end.videos == end.of_videos == len(videos)
    assert end.seconds == end.of_seconds
    assert end.seconds == pytest.approx(sum(seconds if good else seconds / 2 for _, seconds, good in videos.values()))


def test_not_every_frame_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    tell = now_and_then(lambda seconds, declared: told.append(seconds))
    for tick in range(100):
        monkeypatch.setattr("time.monotonic", lambda tick=tick: 1000 + tick / 64)
        tell(tick, None)
    assert told == list(range(0, 100, 7))
