"""Read real video files, extract them, and see whether a model that is trained on some finds its actions again.

    python benchmarks/real_clips.py ../shared/data/videos

The folder has a folder `kth` with `sequences.txt`, from which frame to which frame each action lasts. Prints three
tables. The third is of an OVERFIT CHECK: a model is trained on three clips, and then looks at these and at all others
with actions. It shows that the way from video files to detections is sound, not how good such a model is on new videos.

The exit code is 1 if a clip is not read rightly or not extracted, or one of the actions trained on is not found again.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

from untrimmed.data.annotations import Instance
from untrimmed.segments import tiou
from untrimmed.video.extraction.finding import find_videos
from untrimmed.video.reading.reader import VideoFile

PROGRAM = shutil.which("untrimmed", path=Path(sys.executable).parent) or "untrimmed"
TRAINED_ON = ("person01_boxing_d2_uncomp", "person01_handclapping_d2_uncomp", "person01_jogging_d1_uncomp")
OTHERS = {
    "v_GGSY1Qvo990": (Instance(5.82, 16.20, "clean and jerk"),),
    "v_ZNVhz7ctTq0": (Instance(0.33, 14.05, "walking the dog"),),
}
"""Actions of which the model knows nothing."""
RATE = 25
"""Frames per second of the KTH clips."""
FOUND = 0.5
"""tIoU from which an action counts as found."""


def main() -> None:
    """Check everything, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    videos = find_videos([parser.parse_args().folder])
    (sequences,) = {path.parent for path in videos.values() if (path.parent / "sequences.txt").exists()}
    truth = {**kth_actions(sequences / "sequences.txt", videos), **OTHERS}
    with tempfile.TemporaryDirectory() as name:
        sound = [check_times(videos), check_extraction(videos, Path(name) / "all")]
        sound.append(check_overfitting(videos, truth, Path(name)))
    sys.exit(not all(sound))


def check_times(videos: Mapping[str, Path]) -> bool:
    """Compare the length of each clip with what its container says, and its times with PyAV's own."""
    print("| clip | frames | container, s | decoded, s | off by, frames | times off by at most, ms | |")
    print("|---|--:|--:|--:|--:|--:|---|")
    all_right = True
    for path in videos.values():
        with VideoFile(path) as video:
            frames = [(frame.seconds, frame.duration) for frame in video.frames()]
            declared, end = video.info.duration, video.end
        with av.open(str(path)) as container:
            # Sorted, because FFmpeg leaves the times of an AVI file with B-frames in the order of the packets.
            times = sorted(float(frame.time) for frame in container.decode(video=0) if frame.time is not None)
        off = np.inf if declared is None else (end - declared) / frames[-1][1]
        same = len(times) == len(frames)
        worst = 1000 * max(abs(a - b) for a, (b, _) in zip(times, frames, strict=True)) if same else np.inf
        right = abs(off) <= 1.001 and worst <= 1
        all_right &= right
        verdict = "right" if right else "WRONG"
        print(f"| {path.name} | {len(frames)} | {declared:.3f} | {end:.3f} | {off:.2f} | {worst:.3f} | {verdict} |")
    return all_right


def check_extraction(videos: Mapping[str, Path], out: Path) -> bool:
    """Make features of all clips by the default extractor."""
    made = run("extract", *videos.values(), "--out", out, "--json")["videos"]
    print("\n| clip | rows | seconds | took, s | |\n|---|--:|--:|--:|---|")
    for each in made.values():
        fault = each["error"] or "extracted"
        print(f"| {Path(each['path']).name} | {each['rows']} | {each['duration']:.2f} | {each['took']:.1f} | {fault} |")
    return all(each["error"] is None and each["rows"] for each in made.values())


def check_overfitting(videos: Mapping[str, Path], truth: Mapping[str, Sequence[Instance]], folder: Path) -> bool:
    """Train on some clips as a user would, and detect in all whose actions are known."""
    clips = folder / "clips"
    clips.mkdir()
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["video", "start", "end", "label"])
        for name in TRAINED_ON:
            (clips / videos[name].name).symlink_to(videos[name].resolve())
            table.writerows([videos[name].name, each.start, each.end, each.label] for each in truth[name])
    settings = folder / "untrimmed.yaml"
    run("init", clips, "--labels", folder / "labels.csv", "--out", settings, "--json")
    run("extract", clips, "--out", folder / "features", "--json")
    run("train", settings, "--out", folder / "run")
    found = run("detect", folder / "run", *(videos[name] for name in truth), "--min-score", 0.2, "--json")
    print(f"\nOVERFIT CHECK: a model trained on {len(TRAINED_ON)} clips; only what it was trained on counts.\n")
    print("| clip | trained on | action | from, s | to, s | found from, s | to, s | score | tIoU |")
    print("|---|---|---|--:|--:|--:|--:|--:|--:|")
    again = True
    for name in sorted(truth, key=lambda name: (name not in TRAINED_ON, name)):
        again &= show_video(name, truth[name], found[name]) or name not in TRAINED_ON
    return again


def show_video(name: str, actions: Sequence[Instance], found: Sequence[Mapping[str, Any]]) -> bool:
    """Print a row for each action of a video, and for each detection that is of none; whether all have been found."""
    left, all_found = list(found), True
    video = f"| {name} | {'yes' if name in TRAINED_ON else 'no'}"
    for action in actions:
        overlaps = [overlap(action, each) for each in left]
        best = int(np.argmax(overlaps)) if overlaps else -1
        row = f"{video} | {action.label} | {action.start:.2f} | {action.end:.2f}"
        if overlaps and overlaps[best] >= FOUND:
            print(f"{row} | {columns(left.pop(best))} | {overlaps[best]:.2f} |")
        else:
            print(f"{row} | missed | | | |")
            all_found = False
    for each in left:
        print(f"{video} | none ({each['label']} was detected) | | | {columns(each)} | |")
    return all_found


def overlap(action: Instance, detection: Mapping[str, Any]) -> float:
    """Return the tIoU, 0 for another label."""
    if action.label != detection["label"]:
        return 0.0
    both = np.array([[action.start, action.end], [detection["start"], detection["end"]]])
    return float(tiou(both[0], both[1]))


def columns(detection: Mapping[str, Any]) -> str:
    return f"{detection['start']:.2f} | {detection['end']:.2f} | {detection['score']:.2f}"


def kth_actions(path: Path, videos: Mapping[str, Path]) -> dict[str, tuple[Instance, ...]]:
    """Read the actions of the KTH clips that are there; frames are counted from 1, the last one belongs to it."""
    actions = {}
    for person, label, scenario, frames in re.findall(
        r"^(person\d+)_(\w+)_(d\d)\s+frames\s+(.+)$", path.read_text(), re.M
    ):
        name = f"{person}_{label}_{scenario}_uncomp"
        if name in videos:
            pairs = [map(int, pair.split("-")) for pair in frames.split(",")]
            actions[name] = tuple(Instance((first - 1) / RATE, last / RATE, label) for first, last in pairs)
    return actions


def run(*words: object) -> Any:
    """Run a command; returns what it prints, if that is JSON."""
    done = subprocess.run([PROGRAM, *map(str, words)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        print(done.stdout)
        sys.exit(f"untrimmed {words[0]} failed with exit code {done.returncode}")
    return json.loads(done.stdout) if "--json" in words else None


if __name__ == "__main__":
    main()
