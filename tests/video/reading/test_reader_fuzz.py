"""Files damaged in all ways: whatever is in them, they are read, or refused with one line.

There are 96 of them; `UNTRIMMED_FUZZED_VIDEOS=2000 pytest -s tests/video/test_reader_fuzz.py` tries more, and tells how
it went. Each batch is read by a process of its own, so that a crash or a hang is one failure and not the end.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from making_videos import make_video
from untrimmed.video.reading.clock import LONGEST_GAP

COUNT = int(os.environ.get("UNTRIMMED_FUZZED_VIDEOS", "96"))
BATCH = 48
PATIENCE = 60.0
"""Seconds for a batch; none needs more than a few."""

SEEDS: dict[str, dict[str, Any]] = {
    "plain.mp4": {},
    "b_frames.mp4": {"b_frames": 2},
    "sound.mp4": {"sound": 1.0},
    "fragmented.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "faststart.mov": {"container_options": {"movflags": "faststart"}, "rotation": 90},
    "plain.mkv": {"sound": 1.0},
    "lossless.mkv": {"codec": "ffv1"},
    "plain.webm": {"sound": 1.0},
    "old.webm": {"codec": "libvpx"},
    "plain.avi": {"b_frames": 1},
    "sound.avi": {"sound": 1.0},
    "photos.avi": {"codec": "mjpeg"},
    "plain.ts": {"sound": 1.0},
    "mpeg2.ts": {"codec": "mpeg2video"},
    "plain.mpg": {},
    "plain.flv": {"sound": 1.0},
    "plain.wmv": {},
    "plain.gif": {},
}


def truncate(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def flip_bits(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.choice([1, 3, 30, 300])):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def flip_bits_in_the_header(data: bytes, dice: random.Random) -> bytes:
    length = min(len(data), 1000)
    return flip_bits(data[:length], dice) + data[length:]


def flip_bits_at_the_end(data: bytes, dice: random.Random) -> bytes:
    length = min(len(data), 1000)
    return data[:-length] + flip_bits(data[-length:], dice)


def overwrite(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    length = dice.randrange(1, 2000)
    filling = dice.choice([bytes(length), b"\xff" * length, dice.randbytes(length)])
    return (data[:start] + filling + data[start + length :])[: len(data)]


def cut_out(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    return data[:start] + data[start + dice.randrange(1, 2000) :]


def insert(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    return data[:start] + dice.randbytes(dice.randrange(1, 2000)) + data[start:]


def repeat(data: bytes, dice: random.Random) -> bytes:
    start = dice.randrange(len(data))
    return data[:start] + data[dice.randrange(len(data)) :]


def nothing(data: bytes, dice: random.Random) -> bytes:
    return b""


def leave(data: bytes, dice: random.Random) -> bytes:
    return data  # to be given another suffix


def large_numbers(data: bytes, dice: random.Random) -> bytes:
    """Four or eight bytes somewhere become a number that somebody may take for a size, a count or a time."""
    start = dice.randrange(min(len(data), 3000))
    number = dice.choice(
        [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"\0\xff\0\0", b"\xff" * 8]
    )
    return data[:start] + number + data[start + len(number) :]


DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    truncate,
    truncate,
    flip_bits,
    flip_bits,
    flip_bits_in_the_header,
    flip_bits_in_the_header,
    flip_bits_at_the_end,
    overwrite,
    cut_out,
    insert,
    repeat,
    large_numbers,
    large_numbers,
    leave,
    nothing,
]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("seeds")
    return {name: make_video(folder / name, 25, **options).read_bytes() for name, options in SEEDS.items()}


def damaged(folder: Path, seeds: dict[str, bytes], number: int) -> Path:
    """Write damaged video of a number."""
    dice = random.Random(number)
    name, data = dice.choice(list(seeds.items()))
    damage = dice.choice(DAMAGES)
    suffix = dice.choice([Path(other).suffix for other in seeds]) if damage is leave else Path(name).suffix
    path = folder / f"{number}_{Path(name).stem}_{damage.__name__}{suffix}"
    path.write_bytes(damage(data, dice))
    return path


def read(paths: list[Path]) -> list[dict[str, Any]]:
    """Read videos in another process, again without the first ones when it crashed or hung."""
    outcomes: list[dict[str, Any]] = []
    while len(outcomes) < len(paths):
        script = Path(__file__).with_name("reading_videos.py")
        command = [sys.executable, "-W", "error", str(script), *map(str, paths[len(outcomes) :])]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
            out, end = done.stdout, {"outcome": "crashed", "message": f"{done.returncode} {done.stderr[-2000:]}"}
            noise = done.stderr
        except subprocess.TimeoutExpired as error:
            out, end, noise = (error.stdout or b"").decode(), {"outcome": "hung", "message": ""}, ""
        outcomes += [json.loads(line) for line in out.splitlines()]
        if len(outcomes) < len(paths):
            outcomes.append({**end, "seconds": PATIENCE, "frames": 0})
        elif noise:
            outcomes[-1] |= {"outcome": "wrote to stderr", "message": noise}
    return outcomes


def test_damaged_files_are_read_or_refused(seeds: dict[str, bytes], tmp_path: Path) -> None:
    paths = [damaged(tmp_path, seeds, number) for number in range(COUNT)]
    batches = [paths[start : start + BATCH] for start in range(0, COUNT, BATCH)]
    with ThreadPoolExecutor(2) as pool:
        outcomes = [outcome for batch in pool.map(read, batches) for outcome in batch]
    told = Counter(outcome["outcome"] for outcome in outcomes)
    slowest = max(zip(outcomes, paths, strict=True), key=lambda pair: pair[0]["seconds"])
    longest = max(zip(outcomes, paths, strict=True), key=lambda pair: pair[0]["frames"])
    print(
        f"\n{dict(told)}; the slowest took {slowest[0]['seconds']:.2f} s ({slowest[1].name}); the longest had", end=" "
    )
    print(f"{longest[0]['frames']} sampled frames ({longest[1].name})")
    bad = [f"{p.name}: {o}" for o, p in zip(outcomes, paths, strict=True) if o["outcome"] not in {"read", "refused"}]
    assert bad == []
    assert told["read"] > COUNT / 4
    assert told["refused"] > COUNT / 4
    assert all(o["message"] == "" or "\n" not in o["message"] for o in outcomes)
    assert longest[0]["frames"] < 8 * 25 * LONGEST_GAP  # a damaged frame rate may say that each picture stands long
