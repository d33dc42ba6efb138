"""Pictures that are decoded apart from the extractor, and several videos that share one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from extracting import OWN, Means, plain, varied, with_own_extractor
from making_videos import make_video
from untrimmed.data.features.writing import UnwritableError
from untrimmed.video.extraction.apart import CHUNK_BYTES, CHUNK_FRAMES, Message, decoded, packed, unpacked
from untrimmed.video.extraction.lanes import HERE, LOST, Lane, Turn, serve_lane
from untrimmed.video.extraction.one_video import Outcome, Task, carry_out
from untrimmed.video.extraction.workers import ExtractorChoice, Worker, WorkerDiedError
from untrimmed.video.extractors.extractor import Extractor
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import Pictures, View

__all__ = ["with_own_extractor"]  # a fixture

RATE = 25.0
VIEWS = (View(48, 64), View(24, 24, short_side=30, every=3))


class Decoding:
    """What Ray does, in this process; some messages may be replaced."""

    def __init__(self, path: Path, *, opened: Message | None = None, then: Message | None = None) -> None:
        self._path, self._opened, self._then = path, opened, then
        self.begun, self.taken = False, 0

    def open(self, rate: float, views: Sequence[View]) -> Message:
        self.begun = True
        self._messages = decoded(str(self._path), rate, views, allow_truncated=False)
        return self._opened or next(self._messages)

    def more(self) -> Message:
        self.taken += 1
        return self._then or next(self._messages)


@pytest.fixture
def turn() -> Turn:
    return Turn()


def lane_to(extractor: Extractor, turn: Turn) -> Lane:
    ours, theirs = Pipe()
    Thread(target=serve_lane, args=(theirs, extractor, turn), daemon=True).start()
    return Lane(ours)


def same(one: Outcome, other: Outcome) -> bool:
    return (one.id, one.rows, one.duration, one.damaged, one.error) == (
        other.id,
        other.rows,
        other.duration,
        other.damaged,
        other.error,
    )


def task(path: Path, out: Path) -> Task:
    return Task(id=path.stem, path=str(path), features=str(out))


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 4)), max_size=20))
def test_a_chunk_holds_the_frames_that_were_put_into_it(numbers: list[tuple[int, int]]) -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 256, (2 + i, 3, 3), np.uint8) for i in range(5)]
    frames: list[Pictures] = [tuple(None if i < 0 else pictures[i] for i in each) for each in numbers]
    message = packed(frames)
    different = {i for each in numbers for i in each if i >= 0}
    assert message[1].size == sum(pictures[i].size for i in different)
    for frame, expected in zip(unpacked(message), frames, strict=True):
        for picture, wanted in zip(frame, expected, strict=True):
            assert (picture is None and wanted is None) or np.array_equal(picture, wanted)  # type: ignore[arg-type]


def test_all_pictures_of_a_video_come_in_their_order_in_chunks_of_bounded_size(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 150, rate=20)  # so that some stand for two sampled frames
    big = (View(700, 700), *VIEWS)
    with VideoFile(path) as video:
        expected = list(video.sampled(RATE, big))
        end, declared = video.end, video.info.duration
    first, *chunks, last = decoded(str(path), RATE, big, allow_truncated=False)
    assert first[0] == {"declared": declared}
    assert last[0] == {"end": end, "damaged": 0}
    assert all(pixels.size < CHUNK_BYTES + big[0].height * big[0].width * 3 + 10_000 for _, pixels in chunks)
    assert all(len(header["frames"]) <= CHUNK_FRAMES for header, _ in chunks)
    frames = [frame for chunk in chunks for frame in unpacked(chunk)]
    for frame, wanted in zip(frames, expected, strict=True):
        for picture, other in zip(frame, wanted, strict=True):
            assert (picture is None and other is None) or np.array_equal(picture, other)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["whole", "cut off", "no video", "missing"])
def test_features_and_outcomes_are_those_of_a_file(tmp_path: Path, turn: Turn, kind: str) -> None:
    path = varied(tmp_path / "a.mkv", 150)
    if kind == "cut off":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "no video":
        path.write_bytes(b"no video")
    elif kind == "missing":
        path.unlink()
    expected = carry_out(task(path, tmp_path / "expected.npy"), Means())
    assert (expected.error is None) == (kind == "whole")
    lane = lane_to(Means(), turn)
    for out in ("first.npy", "second.npy"):  # a lane is there for one after another
        made = lane.carry_out(task(path, tmp_path / out), Decoding(path))
        assert same(made, expected)
        if kind == "whole":
            assert (tmp_path / out).read_bytes() == (tmp_path / "expected.npy").read_bytes()


def test_where_nobody_decodes_the_process_does_and_a_lost_decoder_leaves_nothing(tmp_path: Path, turn: Turn) -> None:
    path = varied(tmp_path / "a.mkv", 150)
    expected = carry_out(task(path, tmp_path / "expected.npy"), Means())
    lane = lane_to(Means(), turn)
    for broken in (Decoding(path, opened=LOST), Decoding(path, then=LOST)):
        assert lane.carry_out(task(path, tmp_path / "a.npy"), broken).error is not None
        assert not (tmp_path / "a.npy").exists()
    here = Decoding(path, opened=HERE)
    assert same(lane.carry_out(task(path, tmp_path / "a.npy"), here), expected)
    assert here.taken == 0
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()


class OneAtATime(Means):
    """Sees to it that it is never in two places, and notes whose pictures it looks at."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self._inside = False

    def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
        def seen() -> Iterator[Pictures]:
            for frame in frames:
                assert not self._inside
                self._inside = True
                self.order.append(id(frames))
                yield frame
                time.sleep(1e-4)  # the others would have the time to come in
                self._inside = False

        yield from super().features(seen())


def test_videos_in_several_lanes_take_the_extractor_in_turn(tmp_path: Path, turn: Turn) -> None:
    paths = [varied(tmp_path / f"{number}.mkv", 200 + number) for number in range(3)]
    for path in paths:
        carry_out(task(path, path.with_suffix(".expected")), Means())
    extractor = OneAtATime()
    lanes = [lane_to(extractor, turn) for _ in paths]
    with ThreadPoolExecutor(3) as threads:
        made = threads.map(
            lambda lane, path: lane.carry_out(task(path, path.with_suffix(".npy")), Decoding(path)), lanes, paths
        )
        assert [outcome.error for outcome in made] == [None] * 3
    for path in paths:
        assert path.with_suffix(".npy").read_bytes() == path.with_suffix(".expected").read_bytes()
    changes = sum(one != other for one, other in zip(extractor.order, extractor.order[1:], strict=False))
    assert changes > 2  # not one video after another


def test_what_is_no_fault_of_a_video_is_raised(tmp_path: Path, turn: Turn) -> None:
    path = varied(tmp_path / "a.mkv", 70)
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableError):
        lane_to(Means(), turn).carry_out(task(path, tmp_path / "file" / "a.npy"), Decoding(path))


@pytest.mark.skipif(os.name != "posix", reason="file descriptors are passed on")
def test_a_process_with_lanes_and_its_death(with_own_extractor: Path) -> None:
    here = with_own_extractor
    path, white = varied(here / "a.mkv", 150), plain(here / "white.mkv", (255, 255, 255))
    worker = Worker(ExtractorChoice(name=OWN, trust_python=True), 1, lanes=2)
    try:
        worker.greet()
        for name in ("one", "two"):
            outcome = worker.carry_out_fed(task(path, here / f"{name}.npy"), Decoding(path))
            assert (outcome.error, outcome.rows) == (None, 75)
        assert (here / "one.npy").read_bytes() == (here / "two.npy").read_bytes()
        assert worker.alive
        with pytest.raises(WorkerDiedError, match="was ended by SIGSEGV"):
            worker.carry_out_fed(task(white, here / "white.npy"), Decoding(white))
        assert not worker.alive
        with pytest.raises(WorkerDiedError, match="was ended by SIGSEGV"):
            worker.carry_out_fed(task(path, here / "three.npy"), Decoding(path))
    finally:
        worker.stop()


def test_the_other_end_goes(tmp_path: Path) -> None:
    ours, theirs = Pipe()
    theirs.close()
    with pytest.raises(EOFError):
        Lane(ours).carry_out(task(tmp_path / "a", tmp_path / "b"), Decoding(tmp_path / "a"))
    ours, theirs = Pipe()
    ours.close()
    serve_lane(theirs, Means(), Turn())  # ends
    assert isinstance(theirs, Connection)
