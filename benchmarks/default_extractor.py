"""How exact the default extractor is on real clips: shot cuts that are found, and what bf16 costs.

    python benchmarks/default_extractor.py ../shared/data/videos

Clips are any videos in the folder. For the cuts, pieces of 13 to 100 frames are put together at random, so that the
places of the cuts are known; clips that have cuts of their own, as `find_cuts` finds them, are left out. Takes about a
minute.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np
import torch

from untrimmed.cli.console import show_table
from untrimmed.video.extraction.finding import find_videos
from untrimmed.video.extraction.videos import extract_features
from untrimmed.video.extractors.default import DefaultExtractor
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.shots import find_cuts
from untrimmed.video.view import Picture, View

RATE = 25
LENGTHS = (13, 25, 40, 60, 100)
"""Frames of a piece."""
FILMS, PIECES = 6, 16


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    clips = find_videos([parser.parse_args().folder])
    cuts(clips)
    rounding(clips)


def cuts(clips: Mapping[str, Path]) -> None:
    """Cut films together, and look for the cuts."""
    own = {name: len(find_cuts(path)) for name, path in clips.items()}
    pictures = {name: pictures_of(path) for name, path in clips.items() if not own[name]}
    print(f"{len(pictures)} clips without cuts; left out: {[name for name, number in own.items() if number]}")
    random = np.random.default_rng(0)
    there = found = false = frames = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(FILMS):
            film, places = cut_together(list(pictures.values()), random)
            path = Path(folder) / f"{number}.mp4"
            write(path, film)
            marked = {round(seconds * RATE) for seconds in find_cuts(path)}
            there, found, false = there + len(places), found + len(marked & places), false + len(marked - places)
            frames += len(film)
    print(f"{there} cuts in {frames} frames: {found} found to the frame, {there - found} missed, {false} false")


def pictures_of(path: Path) -> list[Picture]:
    """All frames of a clip, in a small size."""
    with VideoFile(path) as video:
        return [frame.picture(View(120, 160)) for frame in video.frames()]


def cut_together(clips: Sequence[list[Picture]], random: np.random.Generator) -> tuple[list[Picture], set[int]]:
    """Make a film of pieces, none of which follows on one of the same clip; and the frames that begin a piece."""
    film: list[Picture] = []
    places: set[int] = set()
    last = -1
    for _ in range(PIECES):
        last = int(random.choice([i for i in range(len(clips)) if i != last]))
        length = int(random.choice(LENGTHS))
        start = int(random.integers(max(1, len(clips[last]) - length)))
        places.add(len(film))
        film += clips[last][start : start + length]
    return film, places - {0}


def write(path: Path, film: list[Picture]) -> None:
    """Encode it."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23"})
        stream.height, stream.width = film[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in film:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())


def rounding(clips: Mapping[str, Path]) -> None:
    """Compare the appearance of every row in bf16 with that in fp32."""
    exact, rounded = (DefaultExtractor(precision=each, parts="appearance", device="cpu") for each in ("fp32", "bf16"))
    rows = []
    for name, path in clips.items():
        a, b = (torch.from_numpy(extract_features(path, each).features) for each in (exact, rounded))
        cosine = torch.cosine_similarity(a, b)
        centred = torch.cosine_similarity(a - a.mean(0), b - a.mean(0))
        rows.append([name, len(a), f"{cosine.min():.4f}", f"{cosine.median():.4f}", f"{centred.median():.3f}"])
    columns = ["clip", "rows", "least cosine", "median", "median, less the clip's mean"]
    show_table("Appearance in bf16 against fp32", columns, rows)


if __name__ == "__main__":
    main()
