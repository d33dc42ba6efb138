from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from extracting import Means, plain, varied
from untrimmed.data.features import open_features
from untrimmed.errors import ConfigError, FeatureError, VideoError
from untrimmed.video.extraction.feature_stream import READ_AHEAD, OnProgress
from untrimmed.video.extraction.one_video import Task, carry_out
from untrimmed.video.extraction.videos import MOST_PROCESSES, extract_features, extract_videos, shared_out
from untrimmed.video.extractors.opening import open_extractor
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import Pictures


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with three videos."""
    folder = tmp_path / "videos"
    for name, pictures in (("a.mp4", 10), ("b.mkv", 7), ("sub/c.avi", 20)):
        varied(folder / name, pictures)
    return folder


# One video


@pytest.mark.parametrize("pictures", [1, 2, 50])
def test_the_same_as_all_frames_at_once(tmp_path: Path, pictures: int) -> None:
    path = varied(tmp_path / "a.mp4", pictures)
    extractor = Means()
    with VideoFile(path) as video:
        expected = np.concatenate(list(extractor.features(list(video.sampled(25, extractor.views)))))
    extracted = extract_features(str(path), extractor)
    np.testing.assert_array_equal(extracted.features, expected)
    assert extracted.features.dtype == np.float32
    assert len(expected) == pictures
    assert extracted.duration == pytest.approx(pictures / 25, abs=0.002)
    assert extracted.damaged == 0


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[float, float | None]] = []
    path = varied(tmp_path / "a.mp4", 10)
    extract_features(path, Means(), on_progress=lambda *progress: told.append(progress))
    assert [seconds for seconds, _ in told] == pytest.approx(np.arange(11) / 25)
    assert [declared for _, declared in told] == pytest.approx([0.4] * 11, abs=0.001)


def test_only_so_many_frames_are_read_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0
    sampled = VideoFile.sampled

    def counting(*arguments: object) -> Iterator[Pictures]:
        nonlocal made
        for pictures in sampled(*arguments):  # type: ignore[arg-type]
            made += 1
            yield pictures

    class Watching(Means):
        def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
            for taken, _ in enumerate(frames, start=1):
                assert made <= taken + READ_AHEAD + 1
                yield np.zeros((1, 3), np.float32)

    monkeypatch.setattr(VideoFile, "sampled", counting)
    assert len(extract_features(varied(tmp_path / "a.mp4", 4 * READ_AHEAD), Watching()).features) == 4 * READ_AHEAD


def test_a_damaged_end_is_found_by_an_extractor_that_stops_early(tmp_path: Path) -> None:
    class Hasty(Means):
        def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
            next(iter(frames))
            yield np.zeros((1, 3), np.float32)

    extracted = extract_features(varied(tmp_path / "a.mp4", 100), Hasty())
    assert extracted.features.shape == (1, 3)
    assert extracted.duration == pytest.approx(4, abs=0.002)


@pytest.mark.parametrize(
    ("piece", "message"),
    [
        (np.zeros((2, 4), np.float32), r"made an array \[2, 4\], but \[n, 3\] was expected"),
        (np.zeros(3, np.float32), r"made an array \[3\], but"),
        (np.full((1, 3), np.nan, np.float32), "made numbers that are NaN or infinite"),
        (np.zeros((0, 3), np.float32), "made no features at all"),
    ],
)
def test_wrong_features(tmp_path: Path, piece: NDArray[np.float32], message: str) -> None:
    class Wrong(Means):
        def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
            yield piece

    path = varied(tmp_path / "a.mp4")
    with pytest.raises(FeatureError, match=f"a.mp4: the extractor 'means' {message}"):
        extract_features(path, Wrong())


def test_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("nothing")
    with pytest.raises(VideoError, match=r"a\.mp4"):
        extract_features(tmp_path / "a.mp4", Means())


def test_an_error_of_the_extractor_closes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Means):
        def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
            next(iter(frames))
            raise ZeroDivisionError
            yield

    closed = []
    close = VideoFile.close
    monkeypatch.setattr(VideoFile, "close", lambda video: closed.append(close(video)))
    with pytest.raises(ZeroDivisionError):
        extract_features(varied(tmp_path / "a.mp4", 200), Broken())
    assert closed


# Many videos, in this process


def test_a_folder_of_features(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "features"
    told = []
    extraction = extract_videos([videos], out, Means(), on_progress=told.append)
    store = open_features(out)
    assert store.ids() == ("a", "b", "c")
    assert store.description == extraction.description == Means().description
    for video_id, name in (("a", "a.mp4"), ("b", "b.mkv"), ("c", "sub/c.avi")):
        np.testing.assert_array_equal(store.read(video_id), extract_features(videos / name, Means()).features)
    assert list(extraction.videos) == ["a", "b", "c"]
    assert [outcome.rows for outcome in extraction.videos.values()] == [10, 7, 20]
    assert [outcome.duration for outcome in extraction.videos.values()] == pytest.approx([0.4, 0.28, 0.8], abs=0.002)
    assert not extraction.failed
    assert not extraction.were_there
    assert set(files(out)) == {"a.npy", "b.npy", "c.npy", "features.json"}
    assert (told[-1].videos, told[-1].of_videos) == (3, 3)
    assert told[-1].seconds == told[-1].of_seconds == pytest.approx(1.48, abs=0.005)


def test_what_is_there_is_kept(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "features"
    extract_videos([videos], out, Means())
    whole = files(out)
    (out / "b.npy").unlink()
    before = {name: (out / name).stat().st_mtime_ns for name in ("a.npy", "c.npy", "features.json")}
    extraction = extract_videos([videos], out, Means())
    assert files(out) == whole
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before
    assert [outcome.id for outcome in extraction.were_there] == ["a", "c"]
    assert [outcome.rows for outcome in extraction.videos.values()] == [10, 7, 20]


def test_bad_videos_do_not_stop_the_others(videos: Path, tmp_path: Path) -> None:
    class Choosy(Means):
        def features(self, frames: Iterable[Pictures]) -> Iterator[NDArray[np.float32]]:
            for piece in super().features(frames):
                if piece.min() > 240:
                    raise LookupError("too white\nfor me")
                yield piece

    (videos / "bad.mp4").write_text("nothing")
    plain(videos / "white.mp4", (255, 255, 255))
    extraction = extract_videos([videos], tmp_path / "features", Choosy())
    assert [outcome.id for outcome in extraction.failed] == ["bad", "white"]
    bad, white = extraction.failed
    assert bad.path == str(videos / "bad.mp4")
    assert bad.error is not None
    assert str(videos) not in bad.error
    assert white.error is not None
    assert white.error.startswith("LookupError: too white (test_extraction.py, line ")
    assert open_features(tmp_path / "features").ids() == ("a", "b", "c")


def test_half(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "features"
    extract_videos([videos], out, Means(), half=True)
    array = np.load(out / "a.npy")
    assert array.dtype == np.float16
    np.testing.assert_array_equal(array, extract_features(videos / "a.mp4", Means()).features.astype(np.float16))
    whole = files(out)
    extract_videos([videos], out, Means(), half=True)
    with pytest.raises(ConfigError, match=r"a\.npy: holds float16, but would be float32 now; .*, or use --half"):
        extract_videos([videos], out, Means())
    assert files(out) == whole


def test_another_extractor_is_refused_and_nothing_is_touched(videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "features"
    extract_videos([videos / "a.mp4"], out, Means())
    before = files(out)
    other = Means()
    other.fingerprint = "1"
    with pytest.raises(ConfigError, match="fingerprint was '0' and is '1' now"):
        extract_videos([videos], out, other)
    assert files(out) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "cannot be read"), (b"\x93NUMPY\x01\x00", "cannot be read"), (np.zeros((2, 5), np.float32), "5 dimensions")],
)
def test_damaged_features_are_reported_and_not_overwritten(
    videos: Path, tmp_path: Path, content: bytes | np.ndarray, message: str
) -> None:
    out = tmp_path / "features"
    extract_videos([videos / "b.mkv"], out, Means())
    if isinstance(content, bytes):
        (out / "a.npy").write_bytes(content)
    else:
        np.save(out / "a.npy", content)
    damaged = (out / "a.npy").read_bytes()
    extraction = extract_videos([videos], out, Means())
    (failed,) = extraction.failed
    assert failed.error is not None
    assert message in failed.error
    assert failed.error.endswith("remove this file, and run the same again")
    assert (out / "a.npy").read_bytes() == damaged
    assert extraction.videos["c"].rows == 20


@pytest.mark.parametrize("fault", ["no such video", "two of one id", "out is a file", "processes"])
def test_nothing_is_written_when_the_beginning_fails(videos: Path, tmp_path: Path, fault: str) -> None:
    out, paths, options = tmp_path / "new" / "features", [videos], {}
    expected: type[Exception] = VideoError
    if fault == "no such video":
        paths.append(videos / "nothing.mp4")
    elif fault == "two of one id":
        varied(videos / "sub" / "a.mp4")
    elif fault == "processes":
        options, expected = {"processes": 0}, ConfigError
    else:
        out, expected = videos / "a.mp4", ConfigError
    before = files(tmp_path)
    with pytest.raises(expected):
        extract_videos(paths, out, Means(), **options)
    assert files(tmp_path) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("options", [{"stride": 2}, {"device": "cpu"}, {"processes": 2}])
def test_how_to_make_an_extractor_that_is_made(videos: Path, tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="can be chosen only where it is named"):
        extract_videos([videos], tmp_path / "features", Means(), **options)  # type: ignore[arg-type]


def test_real_clips_and_the_default_extractor(shared: Path, tmp_path: Path) -> None:
    folder, extractor = shared / "data" / "videos", open_extractor("default", device="cpu")
    clips = [folder / "clips" / "RATRACE_wave_f_nm_np1_fr_goo_37.avi", folder / "kth" / "person04_boxing_d1_uncomp.mp4"]
    extraction = extract_videos(clips, tmp_path / "features", extractor)
    assert not extraction.failed
    for outcome, seconds in zip(extraction.videos.values(), (2.467, 13.12), strict=True):
        assert outcome.duration == pytest.approx(seconds, abs=0.001)
        features = np.load(tmp_path / "features" / f"{outcome.id}.npy")
        clips_of_it = extractor.grid.clips(round(seconds * extractor.grid.rate))
        assert (len(features), features.shape[1]) == (pytest.approx(clips_of_it, abs=1), extractor.dimension)


# Cuts


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Videos that have been searched for cuts, which has been made cheap."""
    searched: list[Path] = []

    def find(path: str, **_: object) -> tuple[float, ...]:
        searched.append(Path(path))
        return () if Path(path).stem == "a" else (0.2, 1 / 3)

    monkeypatch.setattr("untrimmed.video.shots.find_cuts", find)
    return searched


def test_cuts(videos: Path, tmp_path: Path, cuts: list[Path]) -> None:
    out = tmp_path / "features"
    extraction = extract_videos([videos], out, Means(), shots=True)
    whole = files(out)
    assert set(whole) == {
        *("a.npy", "b.npy", "c.npy", "features.json"),
        *("shots/a.csv", "shots/b.csv", "shots/c.csv"),
    }
    assert whole["shots/a.csv"] == b"seconds\n"
    assert whole["shots/b.csv"] == b"seconds\n0.200\n0.333\n"
    assert [outcome.cuts for outcome in extraction.videos.values()] == [0, 2, 2]

    cuts.clear()
    (out / "shots" / "a.csv").unlink()
    (out / "b.npy").unlink()
    extraction = extract_videos([videos], out, Means(), shots=True)
    assert files(out) == whole
    assert cuts == [videos / "a.mp4"]
    assert [outcome.id for outcome in extraction.were_there] == ["c"]
    assert [outcome.rows for outcome in extraction.videos.values()] == [10, 7, 20]
    assert open_features(out).ids() == ("a", "b", "c")


def test_how_cuts_are_looked_for(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def find(path: str, *, on_progress: OnProgress, **options: object) -> tuple[float, ...]:
        asked.append((path, options))
        on_progress(0.1, 0.4)
        return ()

    monkeypatch.setattr("untrimmed.video.shots.find_cuts", find)
    task = Task(id="a", path=str(videos / "a.mp4"), cuts=str(tmp_path / "a.csv"), allow_truncated=True, device="cpu")
    told: list[float] = []
    assert carry_out(task, Means(), lambda seconds, _: told.append(seconds)).cuts == 0
    assert asked == [(task.path, {"allow_truncated": True, "device": "cpu"})]
    assert told == [0.1]
    # A video that is read twice is half read when its features are made.
    told.clear()
    assert carry_out(replace(task, features=str(tmp_path / "a.npy")), Means(), lambda s, _: told.append(s)).rows == 10
    assert told == pytest.approx([*(np.arange(11) / 50), 0.25], abs=0.001)


# How the work is shared out


def test_who_gets_how_much() -> None:
    assert shared_out(videos=100, processes=None, cores=2) == (2, 1)
    assert shared_out(videos=1, processes=None, cores=8) == (1, 8)
    assert shared_out(videos=3, processes=None, cores=8) == (3, 2)
    assert shared_out(videos=100, processes=8, cores=2) == (8, 1)
    assert shared_out(videos=1, processes=None, cores=8, most_threads="3") == (1, 3)
    assert shared_out(videos=1, processes=None, cores=8, most_threads="many") == (1, 8)


@given(st.integers(1, 10**6), st.none() | st.integers(1, 1000), st.integers(1, 512), st.sampled_from([None, "1", "0"]))
def test_no_core_is_shared_unless_asked(videos: int, processes: int | None, cores: int, most: str | None) -> None:
    count, threads = shared_out(videos, processes, cores, most)
    assert 1 <= count <= videos
    assert threads >= 1
    if processes is None:
        assert count * threads <= cores
        assert count <= MOST_PROCESSES
    else:
        assert count <= processes


def test_features_json_is_plain(videos: Path, tmp_path: Path) -> None:
    extract_videos([videos / "a.mp4"], tmp_path / "features", Means())
    assert json.loads((tmp_path / "features" / "features.json").read_text()) == {
        **{"dimension": 3, "extractor": "means", "fingerprint": "0"},
        **{"stride": 1.0, "window": 1.0, "rate": 25.0},
    }
