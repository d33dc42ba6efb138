"""Read thousands of damaged files of every format of annotation tools: timelines, or one clear error, nothing else.

    python benchmarks/fuzz_formats.py --number 10000

Damages samples of the tests: bytes and pieces changed, deleted, repeated and swapped, JSON values replaced. Prints a
table: how many inputs were read, how many refused with a clear error, how many anything else, which has to be 0, the
most memory that Python held at once, and seconds. The exit code is 1 if there is anything else.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests" / "data" / "exchange"


def main() -> None:
    """Fuzz every format, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=10_000, help="damaged files of each format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", nargs="*", help="names of formats; all, if left out")
    options = parser.parse_args()
    sys.path.insert(0, str(TESTS))
    fuzzing: Any = importlib.import_module("exchange_fuzzing")
    names = options.formats or list(dict.fromkeys(sample.format for sample in fuzzing.SAMPLES))
    print(f"{'format':24}{'inputs':>8}{'right':>8}{'errors':>8}{'other':>7}{'peak MB':>9}{'seconds':>9}{'slowest':>9}")
    odd: Counter[str] = Counter()
    for name in names:
        samples = [sample for sample in fuzzing.SAMPLES if sample.format == name]
        found: Counter[str] = Counter()
        slowest = 0.0
        tracemalloc.start()
        begin = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            for i, sample in enumerate(samples):
                number = options.number // len(samples) + (i < options.number % len(samples))
                path = sample.put(Path(folder) / str(i))
                for content in fuzzing.mutations(sample, number, options.seed):
                    path.write_bytes(content)
                    start = time.perf_counter()
                    found[fuzzing.outcome(path, name)] += 1
                    slowest = max(slowest, time.perf_counter() - start)
        seconds = time.perf_counter() - begin
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        other = found.total() - found["right"] - found["error"]
        counts = f"{found.total():8,}{found['right']:8,}{found['error']:8,}{other:7,}"
        print(f"{name:24}{counts}{peak:9.1f}{seconds:9.1f}{slowest:9.3f}", flush=True)
        odd.update({f"{name}: {text}": n for text, n in found.items() if text not in ("right", "error")})
    for text, number in odd.most_common(20):
        print(f"{number:6,} {text}")
    sys.exit(bool(odd))


if __name__ == "__main__":
    main()
