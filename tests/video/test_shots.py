from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from making_videos import make_video
from untrimmed.errors import ConfigError, VideoError
from untrimmed.video.shots import MARGIN, STEP, WINDOW, find_cuts, new_shots, windows

pytestmark = pytest.mark.usefixtures("one_thread")

# Windows


def padded_and_cut(frames: list[int]) -> list[list[int]]:
    """The definition: copies at both ends until windows fit, and then slices."""
    behind = MARGIN + -len(frames) % STEP
    everything = frames[:1] * MARGIN + frames + frames[-1:] * behind
    return [everything[i : i + WINDOW] for i in range(0, len(frames), STEP)]


@given(st.integers(0, 5 * WINDOW))
def test_windows(length: int) -> None:
    frames = list(range(length))
    found = list(windows(frames))
    assert [window for window, _ in found] == padded_and_cut(frames)
    assert [frame for window, count in found for frame in window[MARGIN : MARGIN + count]] == frames
    assert all(count == STEP for _, count in found[:-1])


def test_windows_are_made_as_frames_come() -> None:
    taken = 0

    def frames() -> Iterator[int]:
        nonlocal taken
        while taken < 10 * WINDOW:
            taken += 1
            yield taken

    for number, _ in enumerate(windows(frames()), start=1):
        assert taken <= number * STEP + MARGIN


# From probabilities to cuts


def defined_new_shots(chances: list[float]) -> list[int]:
    """The definition: where runs of unlikely frames begin, but for the first, which is the video's first shot."""
    changing = [chance > 0.5 for chance in chances]
    begins = [i for i, now in enumerate(changing) if not now and (i == 0 or changing[i - 1])]
    return begins[1:]


@given(st.lists(st.sampled_from([0.0, 0.3, 0.5, 0.51, 1.0]), max_size=12))
def test_new_shots(chances: list[float]) -> None:
    assert list(new_shots(enumerate(chances))) == defined_new_shots(chances)


@pytest.mark.parametrize(
    ("chances", "expected"),
    [
        ("", []),
        ("0", []),
        ("1", []),
        ("0000", []),
        ("0100", [2]),  # a hard cut behind the second frame
        ("00111000", [5]),  # a gradual one
        ("0101", [2]),
        ("01010", [2, 4]),
        ("0011", []),  # faded out
        ("1100", []),  # faded in
        ("11011", []),
        ("110110", [5]),
    ],
)
def test_where_new_shots_begin(chances: str, expected: list[int]) -> None:
    assert list(new_shots((i, float(chance)) for i, chance in enumerate(chances))) == expected


# Videos


def scene(seed: int, pictures: int, height: int = 54, width: int = 96) -> list[NDArray[np.uint8]]:
    """A shot: large soft patches that drift."""
    patches = np.random.default_rng(seed).integers(0, 256, (7, 25, 3)).astype(float)
    rows, columns = np.linspace(0, 6, height), np.linspace(0, 12, width)
    made = []
    for i in range(pictures):
        across = columns + 0.06 * i
        low, part = np.floor(across).astype(int), (across % 1)[:, None]
        rows_of = patches[rows.round().astype(int)]
        made.append((rows_of[:, low] * (1 - part) + rows_of[:, low + 1] * part).astype(np.uint8))
    return made


LENGTHS = (30, 41, 19, 60)
CUTS = tuple(int(i) for i in np.cumsum(LENGTHS)[:-1])


def shots(lengths: tuple[int, ...] = LENGTHS) -> list[NDArray[np.uint8]]:
    return [picture for seed, length in enumerate(lengths) for picture in scene(seed, length)]


def test_hard_cuts_are_found_to_the_frame(tmp_path: Path) -> None:
    told: list[tuple[float, float | None]] = []
    found = find_cuts(make_video(tmp_path / "a.mp4", shots()), on_progress=lambda *progress: told.append(progress))
    assert found == pytest.approx([cut / 25 for cut in CUTS])
    assert [seconds for seconds, _ in told] == pytest.approx([i / 25 for i in range(sum(LENGTHS))])
    assert [declared for _, declared in told] == pytest.approx([sum(LENGTHS) / 25] * len(told))


def test_seconds_are_those_of_the_player(tmp_path: Path) -> None:
    # Frames come at a varying rate, with B-frames, and begin late, which an MP4's player shows as a pause.
    pictures = shots()
    gaps = np.random.default_rng(0).integers(20, 60, len(pictures)) / 1000
    times = [0.0, *(round(float(t), 3) for t in np.cumsum(gaps)[:-1])]
    found = find_cuts(make_video(tmp_path / "a.mp4", pictures, times=times, start=1.5, b_frames=2))
    assert found == pytest.approx([1.5 + times[cut] for cut in CUTS], abs=0.002)


def test_the_start_of_a_transport_stream_is_nought(tmp_path: Path) -> None:
    found = find_cuts(make_video(tmp_path / "a.ts", shots((30, 41)), start=20))
    assert found == pytest.approx([30 / 25], abs=0.002)


def test_one_long_shot_has_no_cuts(tmp_path: Path) -> None:
    assert find_cuts(make_video(tmp_path / "a.mp4", scene(0, STEP + MARGIN))) == ()


@pytest.mark.parametrize("pictures", [1, 2])
def test_the_shortest_videos(tmp_path: Path, pictures: int) -> None:
    assert find_cuts(make_video(tmp_path / "a.mp4", scene(0, pictures))) == ()


def test_cuts_where_one_window_ends_and_the_next_begins(tmp_path: Path) -> None:
    # The frames that are marked are the last one of the first window and the first one of the third.
    found = find_cuts(make_video(tmp_path / "a.mp4", shots((STEP, STEP + 1, 20))))
    assert found == pytest.approx([STEP / 25, (2 * STEP + 1) / 25])


def test_a_video_without_its_end(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "a.mkv", shots((40, 80)))
    part = tmp_path / "b.mkv"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with pytest.raises(VideoError, match="allow-truncated"):
        find_cuts(part)
    assert find_cuts(part, allow_truncated=True) == pytest.approx([40 / 25], abs=0.002)


def test_an_unknown_device(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no device 'warp'"):
        find_cuts(make_video(tmp_path / "a.mp4", 1), device="warp")


def test_real_clips(shared: Path) -> None:
    # Cuts that everybody sees, two of them in a scene that stays the same.
    clip = shared / "data" / "videos" / "clips" / "SOX5yA1l24A.mp4"
    assert find_cuts(clip) == pytest.approx([4.605, 7.307, 9.743], abs=0.001)
