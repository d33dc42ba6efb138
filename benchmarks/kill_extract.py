"""Kill `untrimmed extract` at random instants, run it again, and compare every byte with an uninterrupted run.

    python benchmarks/kill_extract.py VIDEOS [--kills 10] [--extractor default] [--processes 2] [--shots] [--seed 0]

Only the command itself is killed; its processes have to end by themselves. The exit code is 0 if the folders are the
same in the end.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = shutil.which("untrimmed", path=Path(sys.executable).parent) or "untrimmed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--extractor", default="default")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--shots", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    command = [PROGRAM, "extract", str(options.videos), "--extractor", options.extractor]
    command += ["--processes", str(options.processes), *(["--shots"] if options.shots else []), "--out"]
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        took, starting = seconds([*command, str(whole)]), seconds([*command, str(whole)])
        print(f"uninterrupted: {took:.1f} s, of which {starting:.1f} to start; {len(contents(whole))} files")
        # A round that is killed while it starts does nothing; the others do a part of the work each.
        latest = starting + 3 * (took - starting) / options.kills
        instants = random.Random(options.seed)
        for number in range(options.kills):
            after = instants.uniform(0, latest)
            end = kill_after(after, [*command, str(killed)])
            found = contents(killed) if killed.exists() else {}
            done = sum(not path.name.startswith(".") for path in found)
            print(f"{number + 1}. {end} after {after:.1f} s: {done} files are there, {len(found) - done} unfinished")
        subprocess.run([*command, str(killed)], check=True, stdout=subprocess.DEVNULL)
        same = contents(whole) == contents(killed)
        print("every byte is the same" if same else "NOT THE SAME")
        sys.exit(not same)


def seconds(command: list[str]) -> float:
    """Run a command, and return how long it took."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def kill_after(after: float, command: list[str]) -> str:
    """Run a command and kill it after so many seconds; returns how it ended."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return "killed"
        return "had ended"


def contents(folder: Path) -> dict[Path, bytes]:
    """Return the content of every file below a folder."""
    files = {}
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                files[path.relative_to(folder)] = path.read_bytes()
        except FileNotFoundError:  # of a process that was just about to end
            pass
    return files


if __name__ == "__main__":
    main()
