"""What `make bench` runs: the tables of docs/performance.md.

    python benchmarks/speed.py [--only floor growth ...] [--quick]

Whatever is compared is measured in turn in the same run, so that noise hits both alike; figures are medians, ratios
those of the rounds.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

from timing.attention import attention
from timing.evaluation import evaluation
from timing.floor import floor
from timing.growth import growth
from timing.measuring import print_machine
from timing.profile import profile
from timing.settings import Settings, quick
from timing.starting import starting
from timing.suppression import suppression
from timing.thumos14 import thumos14
from timing.waiting import waiting

SECTIONS: dict[str, Callable[[Settings], None]] = {
    "floor": floor,
    "attention": attention,
    "thumos14": thumos14,
    "suppression": suppression,
    "growth": growth,
    "evaluation": evaluation,
    "waiting": waiting,
    "starting": starting,
    "profile": profile,
}
NEED_THUMOS14 = {"thumos14", "evaluation"}


def main() -> None:
    """Measure and print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION", help=", ".join(SECTIONS)
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see whether everything runs")
    parser.add_argument(
        "--thumos14",
        type=Path,
        default=Path(__file__).parents[2] / "shared/data/thumos14",
        help="folder with thumos14.json and actionformer_official_detections.csv.gz",
    )
    options = parser.parse_args()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    settings = quick(options.thumos14) if options.quick else Settings(thumos14=options.thumos14)
    print_machine()
    for name in options.only:
        if name in NEED_THUMOS14 and not options.thumos14.is_dir():
            print(f"\n{name}: left out, {options.thumos14} is not there (--thumos14 names the folder)")
        else:
            SECTIONS[name](settings)


if __name__ == "__main__":
    main()
